//! Messages on streams: what the driver does about [`Gossip`](crate::gossip::Gossip).
//!
//! Each side opens one stream to say what it has to say. Ours goes over the link that is used, and over another one when
//! that takes over; theirs are heard on every link that is ready. What is more than a peer takes is not sent, and of what one says
//! only a share goes on to others: who floods costs itself, not those between.

use bytes::{Buf, Bytes, BytesMut};
use futures::{
    AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt,
    future::{Either, ready, select},
    stream,
};
use futures_timer::Delay;
use libp2p::{PeerId, Stream, swarm::ConnectionId};
use std::{io, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use web_time::{Instant, SystemTime};

use crate::{
    Event, Path, Peer,
    gossip::{self, Heard, What},
    limits::{Bucket, COMING, GOSSIP_OVERHEAD, GOSSIP_QUEUE, GOSSIP_QUEUE_BYTES, MAX_COMERS, MIN_TRANSMIT},
    links::Linked,
    streams::{OpenError, Opening, opened},
    swarm::{Driver, Report},
};

/// Before a stream that broke is opened again.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a peer that fell silent is spoken to anew, and the first pause before; each is twice as long as the one before,
/// up to [`PAUSE`].
const ROUSES: u8 = 14;
const ROUSE: Duration = Duration::from_millis(20);

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// A frame that waits, and its room among those of its peer.
struct Queued {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// What is said to a peer, bounded in frames and in bytes.
pub(crate) struct Queue {
    frames: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
}

impl Queue {
    fn new() -> (Self, mpsc::Receiver<Queued>) {
        let (frames, queue) = mpsc::channel(GOSSIP_QUEUE);
        (Queue { frames, room: Arc::new(Semaphore::new(GOSSIP_QUEUE_BYTES)) }, queue)
    }

    /// `false`: there is no room.
    fn put(&self, bytes: Bytes) -> bool {
        // One that is longer than all of it goes when nothing else waits.
        let len = bytes.len().min(GOSSIP_QUEUE_BYTES) as u32;
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(len) else { return false };
        self.frames.try_send(Queued { bytes, _room: room }).is_ok()
    }
}

/// Writes frames until there are no more, or the stream breaks. What is there at once leaves at once.
async fn write(opening: Opening, mut frames: mpsc::Receiver<Queued>) -> Result<(), OpenError> {
    let mut stream = opened(opening).await?;
    while let Some(frame) = frames.recv().await {
        stream.write_all(&frame.bytes).await.map_err(|_| OpenError::Gone)?;
        while let Ok(frame) = frames.try_recv() {
            stream.write_all(&frame.bytes).await.map_err(|_| OpenError::Gone)?;
        }
        stream.flush().await.map_err(|_| OpenError::Gone)?;
    }
    stream.close().await.map_err(|_| OpenError::Gone)
}

/// Bytes asked of a stream at once.
const CHUNK: usize = 4 * 1024;

/// The frames of a stream, each of at most `max` bytes; what is kept is what has come.
struct Frames {
    stream: Stream,
    max: usize,
    chunk: Box<[u8; CHUNK]>,
    came: BytesMut,
}

impl Frames {
    async fn next(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
            match self.stream.read(&mut self.chunk[..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => self.came.extend_from_slice(&self.chunk[..len]),
            }
        }
    }

    /// A frame that is there whole.
    fn take(&mut self) -> io::Result<Option<Bytes>> {
        let (mut len, mut shift) = (0usize, 0);
        for (at, byte) in self.came.iter().enumerate() {
            len |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 != 0 {
                if shift > 21 {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                continue;
            }
            if len > self.max {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.came.len() <= at + len {
                return Ok(None);
            }
            // Copied: who keeps a frame would keep all that came with it.
            let frame = Bytes::copy_from_slice(&self.came[at + 1..=at + len]);
            self.came.advance(at + 1 + len);
            if self.came.is_empty() && self.came.capacity() > CHUNK {
                self.came = BytesMut::new();
            }
            return Ok(Some(frame));
        }
        Ok(None)
    }
}

impl Driver {
    /// From now on messages for a peer go over this link.
    pub(crate) fn speak(&mut self, id: PeerId, link: ConnectionId) {
        let Some(gone) = self.gone(id, link) else { return };
        let opening = self.swarm.behaviour_mut().streams.open(id, link, gossip::PROTOCOL);
        let (frames, queue) = Queue::new();
        if let Some(linked) = self.linked.get_mut(&id) {
            linked.frames = Some(frames);
        }
        let said = async move {
            match select(write(opening, queue).boxed(), gone).await {
                Either::Left((Ok(()), _)) | Either::Right(_) => None,
                Either::Left((Err(why), _)) => {
                    Delay::new(PAUSE).await;
                    Some(Report::Mute { id, link, why })
                }
            }
        };
        self.writers.push(stream::once(said).filter_map(ready).boxed());
    }

    /// What was said to a peer did not leave, though the link is there.
    pub(crate) fn on_mute(&mut self, id: PeerId, link: ConnectionId, why: OpenError) {
        let current = self.linked.get(&id).and_then(|linked| linked.current);
        if why == OpenError::Unsupported {
            tracing::debug!(%id, "takes no messages");
            self.parted(id);
        } else if current == Some(link) {
            self.speak(id, link);
            self.gossip.lost(id);
        }
    }

    /// Nodes of js-libp2p say what they have to say on the link that was first, and when that ends, they say nothing until
    /// somebody opens a stream to them. So it is opened again until they are heard.
    pub(crate) fn rouse(&self, id: PeerId, link: ConnectionId, tried: u8) {
        if tried < ROUSES {
            self.report(async move {
                Delay::new((ROUSE * (1 << tried)).min(PAUSE)).await;
                Some(Report::Rouse { id, link, tried: tried + 1 })
            });
        }
    }

    pub(crate) fn on_rouse(&mut self, id: PeerId, link: ConnectionId, tried: u8) {
        let silent = |linked: &Linked| linked.current == Some(link) && linked.heard.is_idle();
        if self.linked.get(&id).is_some_and(silent) {
            self.speak(id, link);
            self.rouse(id, link, tried);
        }
    }

    /// Hears what a peer says on a stream.
    pub(crate) fn listen(&mut self, id: PeerId, link: ConnectionId, stream: Stream) {
        let Some(gone) = self.gone(id, link) else { return };
        let heard = self.linked.get(&id).map(|linked| linked.heard.clone());
        let max = self.config.max_message.max(MIN_TRANSMIT) + GOSSIP_OVERHEAD;
        let frames = Frames { stream, max, chunk: Box::new([0; CHUNK]), came: BytesMut::new() };
        let said = stream::unfold((frames, heard), move |(mut frames, heard)| async move {
            match frames.next().await {
                Ok(frame) => Some((Report::Said { id, link, frame }, (frames, heard))),
                Err(error) => {
                    tracing::debug!(%id, %error, "says no more");
                    None
                }
            }
        });
        self.readers.push(said.take_until(gone).boxed());
    }

    pub(crate) fn on_said(&mut self, id: PeerId, link: ConnectionId, frame: &Bytes) {
        self.hear(id, link, frame);
        if self.gossip.is_ignored(id) {
            self.ban(id);
        }
    }

    fn hear(&mut self, id: PeerId, link: ConnectionId, frame: &Bytes) {
        let now = Instant::now();
        let Some(linked) = self.linked.get_mut(&id).filter(|linked| linked.hears(link)) else { return };
        let peer = linked.peer;
        if !linked.frames_heard.take(now) {
            return self.flooded(id);
        }
        for heard in self.gossip.heard(id, frame, now) {
            match heard {
                Heard::Subscribed(topic) => self.events.push_back(Event::Subscribed { peer, topic }),
                // A topic that is left can be joined again, and so on: it costs what a message does.
                Heard::Unsubscribed(topic) => {
                    self.takes_message(id, now);
                    self.events.push_back(Event::Unsubscribed { peer, topic });
                }
                Heard::Message { topic, data, .. } if data.len() > self.config.max_message => {
                    tracing::debug!(%peer, %topic, "a message over the bound");
                    self.gossip.reject(id);
                }
                Heard::Message { id: message, topic, data } => {
                    if !self.takes_message(id, now) || !self.gossip.take(message, id, now) {
                        continue;
                    }
                    if !self.kept.contains(&topic) && self.may_hand_on(id, now) {
                        self.gossip.hand_on(message, topic, data.clone(), id);
                    }
                    self.events.push_back(Event::Message { topic, from: peer, bytes: data });
                }
            }
        }
    }

    /// Whether a peer has messages left.
    fn takes_message(&mut self, id: PeerId, now: Instant) -> bool {
        let takes = self.linked.get_mut(&id).is_some_and(|linked| linked.messages.take(now));
        if !takes {
            self.flooded(id);
        }
        takes
    }

    /// Whether what a peer says goes on: of each a share, and of all no more than others take of this node beside its own.
    fn may_hand_on(&mut self, id: PeerId, now: Instant) -> bool {
        self.linked.get_mut(&id).is_some_and(|linked| linked.handed_on.take(now)) && self.hands_on.take(now)
    }

    /// A peer sends more than it may; one that goes on and on is banned.
    pub(crate) fn flooded(&mut self, id: PeerId) {
        let Some(linked) = self.linked.get_mut(&id) else { return };
        if !linked.flooding.take(Instant::now()) {
            self.ban(id);
        }
    }

    /// Messages go to and come from a peer. It begins where it was when it was here last.
    pub(crate) fn met(&mut self, id: PeerId, peer: Peer) {
        self.parted(id);
        self.gossip.joined(id, !self.takes_part(id), self.standings.faults(peer, now_ms()));
    }

    /// Whether a peer says and hears messages: it is welcome, somebody here dialled it, or everybody is let in.
    fn takes_part(&self, id: PeerId) -> bool {
        let dialled = |linked: &Linked| linked.links.iter().any(|link| matches!(link.path, Path::Relay { .. }));
        self.config.open || self.is_welcome(&id) || self.linked.get(&id).is_some_and(dialled)
    }

    /// A peer may have become one that takes part.
    pub(crate) fn look_at_guest(&mut self, id: PeerId) {
        if self.takes_part(id) {
            self.gossip.welcome(id, Instant::now());
        }
    }

    /// No more messages go to or come from a peer.
    pub(crate) fn parted(&mut self, id: PeerId) {
        self.judge();
        if let (Some(faults), Some(peer)) = (self.gossip.left(id), Peer::from_id(id))
            && !faults.is_forgotten()
            && !self.is_banned(&id)
        {
            self.standings.note(peer, faults, now_ms());
        }
    }

    /// Takes note of who has behaved badly lately.
    pub(crate) fn judge(&mut self) {
        for (id, faults) in self.gossip.worse() {
            if let Some(peer) = Peer::from_id(id).filter(|_| !self.is_banned(&id)) {
                let standing = self.standings.note(peer, faults, now_ms());
                self.events.push_back(Event::Judged(standing));
            }
        }
    }

    /// Takes nothing of a peer for a while.
    pub(crate) fn ban(&mut self, id: PeerId) {
        let Some(peer) = Peer::from_id(id) else { return };
        // What it said before its links are closed is no further reason.
        if !self.is_banned(&id) {
            let ban = self.standings.ban(peer, now_ms());
            tracing::warn!(%peer, until = ban.until_ms, "banned");
            self.events.push_back(Event::Judged(ban));
        }
        self.overlay.forget(id);
        if self.swarm.disconnect_peer_id(id).is_err() {
            tracing::trace!("closed already");
        }
    }

    pub(crate) fn is_banned(&self, id: &PeerId) -> bool {
        self.standings.is_banned(id, now_ms())
    }

    /// Whether a peer that comes is turned away: it is banned, or comes again and again.
    pub(crate) fn turns_away(&mut self, id: PeerId) -> bool {
        if self.is_banned(&id) {
            return true;
        }
        if self.comers.len() >= MAX_COMERS {
            self.comers.clear();
        }
        let now = Instant::now();
        let patient = self.comers.entry(id).or_insert_with(|| Bucket::new(COMING, now)).take(now);
        if !patient {
            self.ban(id);
        }
        !patient
    }

    /// Hands frames to those that write them; whether there were any.
    pub(crate) fn send_frames(&mut self) -> bool {
        let mut any = false;
        while let Some(gossip::Frame { to, bytes, what }) = self.gossip.next() {
            any = true;
            let Some(linked) = self.linked.get_mut(&to) else { continue };
            // With more the peer would take this node for one that floods. What is dropped comes with the next sync.
            let may = what != What::Message || linked.says.take(Instant::now());
            if !may || linked.frames.as_ref().is_none_or(|frames| !frames.put(bytes)) {
                tracing::debug!(%to, ?what, may, "more than is taken");
                if what == What::Topics {
                    self.gossip.lost(to);
                }
            }
        }
        any
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn what_waits_for_a_peer_is_bounded_in_frames_and_in_bytes() {
        let (queue, mut waiting) = Queue::new();
        let put = |len: usize| queue.put(vec![0; len].into());
        assert_eq!((0..1_000).filter(|_| put(1)).count(), GOSSIP_QUEUE);
        while waiting.try_recv().is_ok() {}
        assert_eq!((0..1_000).filter(|_| put(MIN_TRANSMIT)).count(), GOSSIP_QUEUE_BYTES / MIN_TRANSMIT);
        while waiting.try_recv().is_ok() {}
        // The longest has room by itself.
        assert!(put(4 * GOSSIP_QUEUE_BYTES) && !put(1));
        drop(waiting.try_recv());
        assert!(put(1));
    }
}
