//! What this crate asks of a browser, as plain data, and the state that the two sides share.
//!
//! The rules for a backend:
//! - It takes [`Commands`] in order, until there are no more; then it closes the peer connection, whatever happened. It
//!   does so too when its own events say that the connection is over.
//! - It reports by [`Events`], in the order in which things happen. A call takes effect at once: what comes of it may be
//!   taken from the commands at the next poll. No lock of its own may be held in a call that its commands' waker needs.
//! - Channels are ordered and reliable, labelled with the empty string. The offer's side opens one more, `init`, so that
//!   the description speaks of data at all, and closes it once it is open. It has no number and nobody hears of it.

use std::{
    collections::VecDeque,
    io::ErrorKind,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::config::{Config, IceServer};
use crate::link::{Link, Waiter};

/// Own candidates that are told to the other side; and as many of its are taken.
pub const MAX_CANDIDATES: usize = 64;
/// Longest message taken of a channel; a longer one breaks the stream.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Events of the signalling that wait at most.
const MAX_SETUP: usize = MAX_CANDIDATES + 32;

/// Makes peer connections.
pub trait Backend: Send + Sync + 'static {
    /// Opens a peer connection that does as the commands say. It must not fail: that is [`Event::Failed`].
    fn open(&self, ice_servers: &[IceServer], commands: Commands, events: Events);
}

/// What a peer connection is to do.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// Make an offer; then gather candidates. Gives [`Event::Description`].
    Offer,
    /// Take the other side's offer, make an answer; then gather candidates. Gives [`Event::Description`].
    Answer(String),
    /// Take the other side's answer.
    TakeAnswer(String),
    /// Take a candidate of the other side: an `RTCIceCandidateInit` as JSON. One that the browser does not take is skipped.
    AddCandidate(String),
    /// Open a channel. Gives [`Event::Open`] or [`Event::Closed`].
    OpenChannel(u32),
    /// Send a message on an open channel. Gives [`Event::Sent`] when it has left the browser's buffer.
    Send(u32, Vec<u8>),
    /// Close a channel, after what was sent on it, and forget it.
    CloseChannel(u32),
}

/// What happened to a peer connection.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// The SDP of the own offer or answer.
    Description(String),
    /// An own candidate, an `RTCIceCandidateInit` as JSON; `None`: there are no more.
    Candidate(Option<String>),
    /// A way is found and the keys are proved.
    Connected,
    /// A channel can be sent on.
    Open(u32),
    /// A message came.
    Message(u32, Vec<u8>),
    /// So many bytes of a channel have left the browser's buffer since its beginning.
    Sent(u32, u64),
    /// A channel is closed, or broken.
    Closed(u32),
    /// The connection is over, or will never be.
    Failed(Failure),
}

/// Why a peer connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The browser makes no peer connection, or no description.
    Refused,
    /// The browser does not take the other side's description.
    Description,
    /// There is no way, or no longer one.
    Lost,
    /// The other side has closed it.
    Closed,
}

/// What both sides hold.
pub(crate) struct Shared {
    pub(crate) link: Link,
    setup: VecDeque<Command>,
    signals: VecDeque<Event>,
    /// The task of the signalling.
    signaller: Waiter,
    /// Nobody listens to signals any more.
    settled: bool,
}

/// The lock on what is shared. Wakers that are done with are dropped after it: with the last waker of a task the task
/// itself may go, and it may hold streams that lock in their turn.
pub(crate) struct Locked<'a> {
    // In this order.
    shared: MutexGuard<'a, Shared>,
    retired: Vec<Waker>,
}

fn lock(shared: &Mutex<Shared>) -> Locked<'_> {
    Locked { shared: shared.lock().unwrap_or_else(PoisonError::into_inner), retired: Vec::new() }
}

impl Deref for Locked<'_> {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Shared {
        &mut self.shared
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.retired = self.shared.link.take_retired();
    }
}

/// The commands of one peer connection. Dropped, it is over.
pub struct Commands(Arc<Mutex<Shared>>);

impl Commands {
    /// The next command; `None`: it is to be closed, with all that belongs to it.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Command>> {
        let mut shared = lock(&self.0);
        if shared.link.ended().is_some() {
            return Poll::Ready(None);
        }
        let command = shared.setup.pop_front().or_else(|| shared.link.next_command());
        if command.is_none() {
            shared.link.set_backend(cx);
            return Poll::Pending;
        }
        Poll::Ready(command)
    }

    /// [`Commands::poll_next`] as a future.
    pub async fn next(&mut self) -> Option<Command> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        Events(Arc::clone(&self.0)).send(Event::Failed(Failure::Lost));
    }
}

/// Where what happens to one peer connection is told.
#[derive(Clone)]
pub struct Events(Arc<Mutex<Shared>>);

impl Events {
    /// Tells what happened.
    pub fn send(&self, event: Event) {
        let mut shared = lock(&self.0);
        match event {
            Event::Open(id) => shared.link.opened(id),
            Event::Message(id, message) => shared.link.message(id, &message),
            Event::Sent(id, total) => shared.link.sent(id, total),
            Event::Closed(id) => shared.link.closed(id),
            event => shared.signal(event),
        }
    }

    /// The other side has opened a channel. It is sent on after [`Event::Open`], messages may come at once. `None`: there
    /// are too many, it is to be closed at once.
    #[must_use]
    pub fn incoming(&self) -> Option<u32> {
        lock(&self.0).link.incoming()
    }
}

impl Shared {
    fn signal(&mut self, event: Event) {
        if let Event::Failed(failure) = &event {
            let closed = *failure == Failure::Closed;
            self.link.end(if closed { ErrorKind::ConnectionAborted } else { ErrorKind::ConnectionReset });
        }
        // Candidates leave room for what must not be missed.
        let max = if matches!(event, Event::Candidate(_)) { MAX_CANDIDATES } else { MAX_SETUP };
        if !self.settled && self.signals.len() < max {
            self.signals.push_back(event);
        }
        self.signaller.wake();
    }
}

/// The own side of a peer connection. Dropping it closes the peer connection.
pub(crate) struct Handle(Arc<Mutex<Shared>>);

impl Handle {
    /// Opens a peer connection.
    pub(crate) fn open(backend: &dyn Backend, config: &Config) -> Self {
        let shared = Arc::new(Mutex::new(Shared {
            link: Link::new(config),
            setup: VecDeque::new(),
            signals: VecDeque::new(),
            signaller: Waiter::default(),
            settled: false,
        }));
        backend.open(&config.ice_servers, Commands(Arc::clone(&shared)), Events(Arc::clone(&shared)));
        Handle(shared)
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        lock(&self.0)
    }

    pub(crate) fn share(&self) -> Arc<Mutex<Shared>> {
        Arc::clone(&self.0)
    }

    /// The machine of the signalling gives a bounded number of these.
    pub(crate) fn command(&self, command: Command) {
        let mut shared = self.lock();
        shared.setup.push_back(command);
        shared.link.wake_backend();
    }

    pub(crate) fn poll_signal(&self, cx: &Context<'_>) -> Poll<Event> {
        let mut shared = self.lock();
        match shared.signals.pop_front() {
            Some(event) => Poll::Ready(event),
            None => {
                let old = shared.signaller.set(cx);
                shared.link.retire(old);
                Poll::Pending
            }
        }
    }

    /// The signalling is done.
    pub(crate) fn settle(&self) {
        let mut shared = self.lock();
        shared.settled = true;
        let old = shared.signaller.0.take();
        shared.link.retire(old);
        shared.signals = VecDeque::new();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.lock().link.end(ErrorKind::ConnectionAborted);
    }
}

/// What a stream of the muxer holds of it.
pub(crate) struct Held {
    shared: Arc<Mutex<Shared>>,
    pub(crate) id: u32,
}

impl Held {
    pub(crate) fn new(shared: Arc<Mutex<Shared>>, id: u32) -> Self {
        Held { shared, id }
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        lock(&self.shared)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.lock().link.abandon(self.id);
    }
}
