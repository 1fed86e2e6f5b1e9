//! The streams of one link: bounds, order, and that every channel is closed once.

use std::{
    io::ErrorKind,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
};

use crate::backend::{Backend, Command, Commands, Events, Handle, Held};
use crate::config::{Config, IceServer};
use crate::frame::{Flag, Frame, INITIAL_WINDOW};
use crate::link::{Ask, Link};

fn link() -> Link {
    Link::new(&Config { max_inbound_streams: 3, max_outbound_streams: 2, ..Config::default() })
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn told(flag: Flag) -> Vec<u8> {
    Frame { flag: Some(flag), ..Frame::default() }.encode()
}

fn open(link: &mut Link) -> u32 {
    let Poll::Ready(Ok(id)) = link.poll_outbound(&cx()) else { panic!("no stream") };
    assert!(link.next_command() == Some(Command::OpenChannel(id)));
    link.opened(id);
    id
}

fn write(link: &mut Link, id: u32, bytes: &[u8]) -> usize {
    match link.ask(id, Ask::Write(bytes), &cx()) {
        Poll::Ready(Ok(len)) => len,
        Poll::Pending => 0,
        Poll::Ready(Err(error)) => panic!("{error}"),
    }
}

/// The ids of the channels that are to be sent on, until nothing is left to do.
fn sends(link: &mut Link) -> Vec<u32> {
    let mut ids = Vec::new();
    while let Some(command) = link.next_command() {
        if let Command::Send(id, bytes) = command {
            ids.push(id);
            let total = bytes.len() as u64 * ids.iter().filter(|other| **other == id).count() as u64;
            link.sent(id, total);
        }
    }
    ids
}

#[test]
fn streams_are_counted_and_come_free_again() {
    let mut link = link();
    let ids: Vec<u32> = (0..3).map(|_| link.incoming().unwrap()).collect();
    assert_eq!(link.incoming(), None);
    ids.iter().for_each(|id| link.opened(*id));
    // That they wait to be taken, or are taken, makes no difference; that they are over does.
    assert!(matches!(link.poll_inbound(&cx()), Poll::Ready(Ok(id)) if id == ids[0]));
    assert_eq!(link.incoming(), None);
    link.abandon(ids[0]);
    assert!(matches!(link.next_command(), Some(Command::Send(id, _)) if id == ids[0]));
    assert!(link.next_command() == Some(Command::CloseChannel(ids[0])));
    assert!(link.incoming().is_some());

    let (first, _) = (open(&mut link), open(&mut link));
    assert!(link.poll_outbound(&cx()).is_pending());
    link.closed(first);
    assert!(link.poll_outbound(&cx()).is_pending());
    link.abandon(first);
    assert!(link.next_command() == Some(Command::CloseChannel(first)));
    assert!(link.poll_outbound(&cx()).is_ready());
}

#[test]
fn streams_take_turns() {
    let mut link = link();
    let (one, two) = (open(&mut link), open(&mut link));
    let bytes = vec![0; 64 * 1024];
    assert_eq!(write(&mut link, one, &bytes), bytes.len());
    assert_eq!(write(&mut link, two, &bytes), bytes.len());
    let order = sends(&mut link);
    assert_eq!(order[..4], [one, two, one, two]);
}

#[test]
fn small_writes_of_one_turn_go_together() {
    let mut link = link();
    let id = open(&mut link);
    for part in [&b"a"[..], b"few", b"words"] {
        assert_eq!(write(&mut link, id, part), part.len());
    }
    assert_eq!(sends(&mut link).len(), 1);
}

#[test]
fn a_channel_is_closed_once_whoever_begins() {
    let mut link = link();
    let id = open(&mut link);
    link.closed(id);
    link.closed(id);
    assert!(link.next_command() == Some(Command::CloseChannel(id)));
    link.closed(id);
    link.abandon(id);
    assert!(link.next_command().is_none());
    // Nothing is known of it any more.
    link.message(id, &told(Flag::Fin));
    link.opened(id);
    link.sent(id, 5);
    link.abandon(id);
    assert!(link.next_command().is_none() && !link.needs_tick());
}

#[test]
fn dropped_before_it_was_open_it_is_reset_when_it_opens() {
    let mut link = link();
    let Poll::Ready(Ok(id)) = link.poll_outbound(&cx()) else { panic!("no stream") };
    assert!(link.next_command() == Some(Command::OpenChannel(id)));
    link.abandon(id);
    assert!(link.next_command().is_none());
    link.opened(id);
    assert!(matches!(link.next_command(), Some(Command::Send(..))));
    assert!(link.next_command() == Some(Command::CloseChannel(id)));
    // Before the backend has heard of it, there is nothing to close.
    let Poll::Ready(Ok(id)) = link.poll_outbound(&cx()) else { panic!("no stream") };
    link.abandon(id);
    assert!(link.next_command().is_none() && !link.needs_tick());
}

#[test]
fn who_does_not_answer_an_end_is_not_waited_for_for_ever() {
    let mut link = link();
    let id = open(&mut link);
    assert!(link.ask(id, Ask::Close, &cx()).is_pending());
    assert_eq!(sends(&mut link), [id]);
    assert!(!link.needs_tick());
    link.abandon(id);
    assert_eq!(sends(&mut link), [id]);
    assert!(link.needs_tick() && link.is_busy());
    link.tick();
    assert!(link.next_command().is_none());
    link.tick();
    assert!(matches!(link.next_command(), Some(Command::Send(..))));
    assert!(link.next_command() == Some(Command::CloseChannel(id)));
    assert!(!link.needs_tick() && !link.is_busy());
}

#[test]
fn a_peer_that_never_speaks_is_taken_for_one_without_windows() {
    let mut link = link();
    let id = open(&mut link);
    let bytes = vec![0; INITIAL_WINDOW as usize];
    let mut written = 0;
    while written < bytes.len() {
        written += write(&mut link, id, &bytes[written..]);
        sends(&mut link);
    }
    assert_eq!(write(&mut link, id, &bytes), 0);
    assert!(link.needs_tick());
    link.tick();
    link.tick();
    assert!(write(&mut link, id, &bytes) > 0);
}

#[test]
fn unread_bytes_of_all_streams_have_a_bound() {
    let config = Config { max_unread: 100_000, max_link_unread: 150_000, ..Config::default() };
    let mut link = Link::new(&config);
    let ids: Vec<u32> = (0..3).map(|_| link.incoming().unwrap()).collect();
    let message = Frame { data: &[1; 10_000], ..Frame::default() }.encode();
    for id in &ids {
        (0..6).for_each(|_| link.message(*id, &message));
    }
    // The third one was over what the link holds.
    let read = |link: &mut Link, id| match link.ask(id, Ask::Read(&mut [0; 8]), &cx()) {
        Poll::Ready(result) => result.map_err(|error| error.kind()),
        Poll::Pending => Ok(0),
    };
    assert_eq!(read(&mut link, ids[0]), Ok(8));
    assert_eq!(read(&mut link, ids[1]), Ok(8));
    assert_eq!(read(&mut link, ids[2]), Err(ErrorKind::ConnectionReset));
}

#[test]
fn the_end_of_a_link_is_the_end_of_its_streams() {
    let mut link = link();
    let id = open(&mut link);
    link.message(id, &Frame { data: b"last", ..Frame::default() }.encode());
    link.end(ErrorKind::ConnectionReset);
    link.end(ErrorKind::ConnectionAborted);
    let mut buf = [0; 8];
    assert!(matches!(link.ask(id, Ask::Read(&mut buf), &cx()), Poll::Ready(Ok(4))));
    for ask in [Ask::Read(&mut [0]), Ask::Write(b"x"), Ask::Flush, Ask::Close] {
        assert!(
            matches!(link.ask(id, ask, &cx()), Poll::Ready(Err(error)) if error.kind() == ErrorKind::ConnectionReset)
        );
    }
    assert!(matches!(link.poll_inbound(&cx()), Poll::Ready(Err(ErrorKind::ConnectionReset))));
    assert!(matches!(link.poll_outbound(&cx()), Poll::Ready(Err(ErrorKind::ConnectionReset))));
    assert_eq!(link.incoming(), None);
    link.abandon(id);
    assert!(
        matches!(link.ask(id, Ask::Flush, &cx()), Poll::Ready(Err(error)) if error.kind() == ErrorKind::NotConnected)
    );
}

/// It keeps what it is given and does nothing.
#[derive(Default)]
struct Idle(Mutex<Vec<(Commands, Events)>>);

impl Backend for Idle {
    fn open(&self, _: &[IceServer], commands: Commands, events: Events) {
        self.0.lock().unwrap().push((commands, events));
    }
}

/// A task that holds a stream, and that nothing but its waker keeps.
struct Task(#[expect(dead_code, reason = "held")] Held);

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_task_that_goes_with_its_last_waker_may_hold_streams_of_the_link() {
    let idle = Idle::default();
    let handle = Handle::open(&idle, &Config::default());
    let held = |handle: &Handle| {
        let Poll::Ready(Ok(id)) = handle.lock().link.poll_outbound(&cx()) else { panic!("no stream") };
        Held::new(handle.share(), id)
    };
    let read = held(&handle);
    for _ in 0..2 {
        let task = Waker::from(Arc::new(Task(held(&handle))));
        let waits = Context::from_waker(&task);
        assert!(read.lock().link.ask(read.id, Ask::Read(&mut [0]), &waits).is_pending());
        assert!(handle.lock().link.wait::<()>(&waits).is_pending());
        drop(task);
        // Another waits in its place; then the stream is dropped.
        assert!(handle.lock().link.wait::<()>(&cx()).is_pending());
    }
    drop(read);
    // Only what was never begun is left, and that goes when it is looked at.
    while handle.lock().link.next_command().is_some() {}
    assert!(!handle.lock().link.is_busy());
}
