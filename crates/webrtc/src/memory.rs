//! A simulated browser: peer connections in one process that find each other by their descriptions.
//!
//! Channels are ordered and reliable. What may go wrong is told in advance, or done to what stands: see [`Fault`] and the
//! methods of [`Memory`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use futures_timer::Delay;

use crate::backend::{Backend, Command, Commands, Event, Events, Failure};
use crate::config::IceServer;

/// What goes wrong with peer connections that are opened from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// No peer connection can be made.
    Refused,
    /// Descriptions of the other side are not taken.
    Description,
    /// Whatever the candidates, no way is found, and nothing says so.
    NoPath,
    /// No way is found, and that is told.
    Lost,
    /// Everything takes so long.
    Late(Duration),
}

/// The backend. Clones share their peer connections; two that are to meet must.
#[derive(Clone)]
pub struct Memory {
    room: Arc<Mutex<Room>>,
    spawn: Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>,
}

#[derive(Default)]
struct Room {
    fault: Fault,
    ends: Vec<Option<End>>,
    opened: usize,
}

struct End {
    events: Events,
    fault: Fault,
    peer: Option<usize>,
    /// It has all that it needs: descriptions and a candidate.
    ready: bool,
    connected: bool,
    /// Nothing leaves it and nothing reaches it.
    silent: bool,
    channels: Vec<Channel>,
}

#[derive(Clone, Copy)]
struct Channel {
    own: u32,
    theirs: u32,
    sent: u64,
}

const CANDIDATE: &str = r#"{"candidate":"candidate:1 1 udp 1 memory 1 typ host","sdpMid":"0","sdpMLineIndex":0}"#;

impl Memory {
    /// `spawn` runs a task for each peer connection.
    pub fn new(spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static) -> Self {
        Memory { room: Arc::default(), spawn: Arc::new(spawn) }
    }

    /// What goes wrong with peer connections from now on.
    pub fn set_fault(&self, fault: Fault) {
        self.lock().fault = fault;
    }

    /// Peer connections that are open now.
    pub fn live(&self) -> usize {
        self.lock().ends.iter().flatten().count()
    }

    /// Peer connections opened ever.
    pub fn opened(&self) -> usize {
        self.lock().opened
    }

    /// Channels that are open now, each end counted.
    pub fn channels(&self) -> usize {
        self.lock().ends.iter().flatten().map(|end| end.channels.len()).sum()
    }

    /// All links fall silent; nobody is told.
    pub fn silence(&self) {
        self.lock().ends.iter_mut().flatten().for_each(|end| end.silent = true);
    }

    /// All links break, and both sides learn it.
    pub fn cut(&self) {
        let ends: Vec<Events> = self.lock().ends.iter().flatten().map(|end| end.events.clone()).collect();
        ends.iter().for_each(|events| events.send(Event::Failed(Failure::Lost)));
    }

    /// Closes every channel without a word on it.
    pub fn close_channels(&self) {
        let mut told = Vec::new();
        for end in self.lock().ends.iter_mut().flatten() {
            told.extend(end.channels.drain(..).map(|channel| (end.events.clone(), channel.own)));
        }
        told.into_iter().for_each(|(events, id)| events.send(Event::Closed(id)));
    }

    fn lock(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Memory {
    fn open(&self, _: &[IceServer], mut commands: Commands, events: Events) {
        let mut room = self.lock();
        let fault = room.fault;
        let me = room.ends.len();
        let end =
            End { events, fault, peer: None, ready: false, connected: false, silent: false, channels: Vec::new() };
        room.ends.push(Some(end));
        room.opened += 1;
        drop(room);

        let memory = self.clone();
        let task = async move {
            while let Some(command) = commands.next().await {
                if let Fault::Late(delay) = fault {
                    Delay::new(delay).await;
                }
                for (events, event) in memory.obey(me, command) {
                    events.send(event);
                }
            }
            memory.close(me);
        };
        (self.spawn)(task.boxed());
    }
}

type Told = Vec<(Events, Event)>;

impl Memory {
    /// Does as one end is told; gives what is to be reported, for no lock is held then.
    fn obey(&self, me: usize, command: Command) -> Told {
        let mut room = self.lock();
        let room = &mut *room;
        let Some(Some(end)) = room.ends.get_mut(me) else { return Told::new() };
        let events = end.events.clone();
        let tell = |list: &[Event]| list.iter().map(|event| (events.clone(), event.clone())).collect::<Told>();
        let described = |sdp: String| {
            tell(&[Event::Description(sdp), Event::Candidate(Some(CANDIDATE.into())), Event::Candidate(None)])
        };
        let failed = |failure| tell(&[Event::Failed(failure)]);
        match command {
            Command::Offer if end.fault == Fault::Refused => failed(Failure::Refused),
            Command::Offer => described(format!("offer {me}")),
            Command::Answer(sdp) | Command::TakeAnswer(sdp) if end.fault == Fault::Description || sdp.is_empty() => {
                failed(Failure::Description)
            }
            Command::Answer(sdp) => match sdp.strip_prefix("offer ").and_then(|number| number.parse().ok()) {
                Some(peer) => {
                    end.peer = Some(peer);
                    described(format!("answer {me}"))
                }
                None => failed(Failure::Description),
            },
            Command::TakeAnswer(sdp) => match sdp.strip_prefix("answer ").and_then(|number| number.parse().ok()) {
                Some(peer) => {
                    end.peer = Some(peer);
                    Told::new()
                }
                None => failed(Failure::Description),
            },
            Command::AddCandidate(candidate) => {
                // A browser skips what it does not understand.
                end.ready |= candidate == CANDIDATE;
                room.connect(me)
            }
            Command::OpenChannel(own) => room.open_channel(me, own),
            Command::Send(own, message) => room.send(me, own, message),
            Command::CloseChannel(own) => room.close_channel(me, own),
        }
    }

    fn close(&self, me: usize) {
        let told = {
            let mut room = self.lock();
            let peer = room.peer(me);
            room.ends.get_mut(me).and_then(Option::take);
            peer.and_then(|peer| room.ends[peer].as_ref()).map(|end| end.events.clone())
        };
        if let Some(events) = told {
            events.send(Event::Failed(Failure::Closed));
        }
    }
}

impl Room {
    /// The other end, if both hear each other.
    fn peer(&self, me: usize) -> Option<usize> {
        let end = self.ends.get(me)?.as_ref()?;
        let peer = end.peer?;
        let other = self.ends.get(peer)?.as_ref()?;
        (other.peer == Some(me) && !end.silent && !other.silent).then_some(peer)
    }

    fn connect(&mut self, me: usize) -> Told {
        let Some(peer) = self.peer(me) else { return Told::new() };
        let mut both: Vec<&mut End> = self
            .ends
            .iter_mut()
            .enumerate()
            .filter(|(i, _)| [me, peer].contains(i))
            .filter_map(|(_, e)| e.as_mut())
            .collect();
        if both.iter().any(|end| !end.ready || end.connected || end.fault == Fault::NoPath) {
            return Told::new();
        }
        let lost = both.iter().any(|end| end.fault == Fault::Lost);
        let event = || if lost { Event::Failed(Failure::Lost) } else { Event::Connected };
        both.iter_mut().for_each(|end| end.connected = !lost);
        both.iter().map(|end| (end.events.clone(), event())).collect()
    }

    fn open_channel(&mut self, me: usize, own: u32) -> Told {
        let Some(peer) = self.peer(me) else { return Told::new() };
        let (Some(Some(mine)), Some(Some(other))) = (self.ends.get(me), self.ends.get(peer)) else {
            return Told::new();
        };
        let (events, accepted) = (mine.events.clone(), other.events.incoming());
        let mut told = vec![(events.clone(), Event::Open(own))];
        match accepted {
            None => told.push((events, Event::Closed(own))),
            Some(theirs) => {
                told.push((other.events.clone(), Event::Open(theirs)));
                for (end, own, theirs) in [(me, own, theirs), (peer, theirs, own)] {
                    if let Some(end) = &mut self.ends[end] {
                        end.channels.push(Channel { own, theirs, sent: 0 });
                    }
                }
            }
        }
        told
    }

    fn send(&mut self, me: usize, own: u32, message: Vec<u8>) -> Told {
        let peer = self.peer(me);
        let Some(Some(end)) = self.ends.get_mut(me) else { return Told::new() };
        let Some(channel) = end.channels.iter_mut().find(|channel| channel.own == own) else { return Told::new() };
        // What is never heard stays in the browser's buffer.
        let Some(peer) = peer else { return Told::new() };
        channel.sent += message.len() as u64;
        let (theirs, sent) = (channel.theirs, Event::Sent(own, channel.sent));
        let mut told = vec![(end.events.clone(), sent)];
        if let Some(other) = &self.ends[peer]
            && other.channels.iter().any(|channel| channel.own == theirs)
        {
            told.push((other.events.clone(), Event::Message(theirs, message)));
        }
        told
    }

    fn close_channel(&mut self, me: usize, own: u32) -> Told {
        let peer = self.peer(me);
        let Some(Some(end)) = self.ends.get_mut(me) else { return Told::new() };
        let Some(place) = end.channels.iter().position(|channel| channel.own == own) else { return Told::new() };
        let theirs = end.channels.swap_remove(place).theirs;
        let Some(Some(other)) = peer.and_then(|peer| self.ends.get_mut(peer)) else { return Told::new() };
        other.channels.retain(|channel| channel.own != theirs);
        vec![(other.events.clone(), Event::Closed(theirs))]
    }
}
