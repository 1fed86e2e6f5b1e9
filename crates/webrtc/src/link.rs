//! The streams of one peer connection: who opened them, what is to be done on their channels next, who waits.
//!
//! The rules:
//! - A channel is closed exactly once, by a command, and then nothing of it is known any more.
//! - Streams take turns, a frame each.
//! - A stream that its user dropped gets two ticks to end in order. A tick comes only while [`Link::needs_tick`].

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    task::{Context, Poll, Waker},
};

use crate::backend::Command;
use crate::config::Config;
use crate::frame::INITIAL_WINDOW;
use crate::stream::{self, Bounds, Stream};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    /// The backend has not been asked for it.
    Wanted,
    Opening,
    Open,
    /// It closed by itself, and the backend is to forget it.
    Gone,
    Forgotten,
}

/// A task that waits, if one does.
#[derive(Default)]
pub(crate) struct Waiter(pub(crate) Option<Waker>);

impl Waiter {
    /// Gives the one that waited before, if it is another.
    #[must_use]
    pub(crate) fn set(&mut self, cx: &Context<'_>) -> Option<Waker> {
        match &self.0 {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            _ => self.0.replace(cx.waker().clone()),
        }
    }

    pub(crate) fn wake(&mut self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

struct Entry {
    id: u32,
    inbound: bool,
    channel: Channel,
    stream: Stream,
    /// Its user has it, or it waits for one.
    held: bool,
    age: u8,
    /// It is among [`Link::busy`].
    busy: bool,
    reader: Waiter,
    writer: Waiter,
}

impl Entry {
    fn wake(&mut self) {
        self.reader.wake();
        self.writer.wake();
    }
}

/// What a user does with a stream.
pub(crate) enum Ask<'a> {
    Read(&'a mut [u8]),
    Write(&'a [u8]),
    Flush,
    Close,
}

pub(crate) struct Link {
    bounds: Bounds,
    max_link_unread: usize,
    max_inbound: usize,
    max_outbound: usize,
    entries: Vec<Entry>,
    next_id: u32,
    busy: VecDeque<u32>,
    arrived: VecDeque<u32>,
    /// Nothing comes and nothing goes any more.
    ended: Option<ErrorKind>,
    /// The task of the muxer; all its functions are polled by the same.
    muxer: Waiter,
    /// The backend's task.
    backend: Waiter,
    /// Wakers that nobody needs any more.
    retired: Vec<Waker>,
}

impl Link {
    pub(crate) fn new(config: &Config) -> Self {
        Link {
            bounds: Bounds {
                window: u64::from(config.window).max(INITIAL_WINDOW),
                max_unread: config.max_unread as usize,
            },
            max_link_unread: config.max_link_unread as usize,
            max_inbound: config.max_inbound_streams,
            max_outbound: config.max_outbound_streams,
            entries: Vec::new(),
            next_id: 0,
            busy: VecDeque::new(),
            arrived: VecDeque::new(),
            ended: None,
            muxer: Waiter::default(),
            backend: Waiter::default(),
            retired: Vec::new(),
        }
    }

    /// To be dropped when no lock is held.
    pub(crate) fn take_retired(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.retired)
    }

    pub(crate) fn retire(&mut self, waker: Option<Waker>) {
        self.retired.extend(waker);
    }

    pub(crate) fn set_backend(&mut self, cx: &Context<'_>) {
        let old = self.backend.set(cx);
        self.retire(old);
    }

    pub(crate) fn wake_backend(&mut self) {
        self.backend.wake();
    }

    pub(crate) fn wake_muxer(&mut self) {
        self.muxer.wake();
    }

    pub(crate) fn ended(&self) -> Option<ErrorKind> {
        self.ended
    }

    /// The first end counts.
    pub(crate) fn end(&mut self, why: ErrorKind) {
        if self.ended.is_none() {
            self.ended = Some(why);
            self.arrived.clear();
            for entry in &mut self.entries {
                entry.stream.channel_closed();
                entry.wake();
            }
            self.wake_muxer();
        }
        self.wake_backend();
    }

    fn position(&self, id: u32) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == id)
    }

    fn count(&self, inbound: bool) -> usize {
        self.entries.iter().filter(|entry| entry.inbound == inbound).count()
    }

    fn add(&mut self, inbound: bool, channel: Channel) -> u32 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let stream = Stream::new(self.bounds);
        let (reader, writer) = Default::default();
        self.entries.push(Entry { id, inbound, channel, stream, held: true, age: 0, busy: false, reader, writer });
        id
    }

    /// There may be something to do for it.
    fn touch(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        let idle = entry.channel == Channel::Open && !entry.stream.wants_turn();
        if !entry.busy && !idle {
            entry.busy = true;
            self.busy.push_back(entry.id);
            self.wake_backend();
        }
    }

    // What comes from the backend.

    /// A channel of the other side; `None`: there are too many.
    pub(crate) fn incoming(&mut self) -> Option<u32> {
        if self.ended.is_some() || self.count(true) >= self.max_inbound {
            return None;
        }
        let id = self.add(true, Channel::Opening);
        self.arrived.push_back(id);
        self.wake_muxer();
        Some(id)
    }

    pub(crate) fn opened(&mut self, id: u32) {
        let Some(index) = self.position(id) else { return };
        if self.entries[index].channel == Channel::Opening {
            self.entries[index].channel = Channel::Open;
            self.touch(index);
        }
    }

    pub(crate) fn message(&mut self, id: u32, message: &[u8]) {
        let Some(index) = self.position(id) else { return };
        let others = |link: &Link| {
            let all: usize = link.entries.iter().map(|entry| entry.stream.unread()).sum();
            all - link.entries[index].stream.unread()
        };
        let spare = self.max_link_unread.saturating_sub(others(self));
        let entry = &mut self.entries[index];
        entry.stream.receive(message, spare);
        entry.wake();
        self.touch(index);
    }

    pub(crate) fn sent(&mut self, id: u32, total: u64) {
        let Some(index) = self.position(id) else { return };
        self.entries[index].stream.sent(total);
        self.touch(index);
    }

    pub(crate) fn closed(&mut self, id: u32) {
        let Some(index) = self.position(id) else { return };
        let entry = &mut self.entries[index];
        if entry.channel != Channel::Forgotten {
            entry.channel = Channel::Gone;
            entry.stream.channel_closed();
            entry.wake();
            self.touch(index);
        }
    }

    /// What the backend is to do next.
    pub(crate) fn next_command(&mut self) -> Option<Command> {
        while let Some(id) = self.busy.pop_front() {
            let Some(index) = self.position(id) else { continue };
            let entry = &mut self.entries[index];
            entry.busy = false;
            if let Some(command) = self.command(index) {
                return Some(command);
            }
        }
        None
    }

    fn command(&mut self, index: usize) -> Option<Command> {
        let entry = &mut self.entries[index];
        let id = entry.id;
        let mut command = None;
        match entry.channel {
            Channel::Wanted if !entry.held => entry.channel = Channel::Forgotten,
            Channel::Wanted => {
                entry.channel = Channel::Opening;
                command = Some(Command::OpenChannel(id));
            }
            Channel::Opening | Channel::Forgotten => {}
            Channel::Open => {
                if let Some(frame) = entry.stream.next_frame() {
                    // There is room again for who writes.
                    entry.writer.wake();
                    self.touch(index);
                    return Some(Command::Send(id, frame));
                }
                if entry.stream.is_over() {
                    entry.channel = Channel::Forgotten;
                    command = Some(Command::CloseChannel(id));
                }
            }
            Channel::Gone => {
                entry.channel = Channel::Forgotten;
                command = Some(Command::CloseChannel(id));
            }
        }
        if entry.channel == Channel::Forgotten && !entry.held {
            self.remove(index);
        }
        command
    }

    fn remove(&mut self, index: usize) {
        self.entries.swap_remove(index);
        // One more may be opened.
        self.wake_muxer();
    }

    // What comes from the users.

    pub(crate) fn poll_inbound(&mut self, cx: &Context<'_>) -> Poll<Result<u32, ErrorKind>> {
        if let Some(why) = self.ended {
            return Poll::Ready(Err(why));
        }
        match self.arrived.pop_front() {
            Some(id) => Poll::Ready(Ok(id)),
            None => self.wait(cx),
        }
    }

    pub(crate) fn poll_outbound(&mut self, cx: &Context<'_>) -> Poll<Result<u32, ErrorKind>> {
        if let Some(why) = self.ended {
            return Poll::Ready(Err(why));
        }
        if self.count(false) >= self.max_outbound {
            return self.wait(cx);
        }
        let id = self.add(false, Channel::Wanted);
        self.touch(self.entries.len() - 1);
        Poll::Ready(Ok(id))
    }

    /// Keeps the muxer's task, to be woken at the next change.
    pub(crate) fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        let old = self.muxer.set(cx);
        self.retire(old);
        Poll::Pending
    }

    pub(crate) fn ask(&mut self, id: u32, ask: Ask<'_>, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        let Some(index) = self.position(id) else { return Poll::Ready(Err(ErrorKind::NotConnected.into())) };
        let stream = &mut self.entries[index].stream;
        let reads = matches!(ask, Ask::Read(_));
        let step: stream::Step = match ask {
            Ask::Read(buf) => stream.read(buf),
            Ask::Write(buf) => stream.write(buf),
            Ask::Flush => stream.flush(),
            Ask::Close => stream.close(),
        };
        if self.ended.is_none() {
            self.touch(index);
        }
        let entry = &mut self.entries[index];
        match step {
            Ok(Some(len)) => Poll::Ready(Ok(len)),
            Err(kind) => Poll::Ready(Err(self.ended.unwrap_or(kind).into())),
            Ok(None) => {
                let slot = if reads { &mut entry.reader } else { &mut entry.writer };
                let old = slot.set(cx);
                if !reads && entry.stream.waits_for_first_word() {
                    self.wake_muxer();
                }
                self.retire(old);
                Poll::Pending
            }
        }
    }

    /// The user has dropped the stream.
    pub(crate) fn abandon(&mut self, id: u32) {
        let Some(index) = self.position(id) else { return };
        let entry = &mut self.entries[index];
        entry.held = false;
        entry.stream.abandon();
        self.retired.extend(entry.reader.0.take());
        self.retired.extend(entry.writer.0.take());
        if self.ended.is_some() || entry.channel == Channel::Forgotten {
            self.remove(index);
        } else {
            self.touch(index);
            self.wake_muxer();
        }
    }

    /// Some stream waits for what may never come.
    pub(crate) fn needs_tick(&self) -> bool {
        self.ended.is_none() && self.entries.iter().any(|entry| !entry.held || entry.stream.waits_for_first_word())
    }

    /// Streams that their users dropped are not over yet.
    pub(crate) fn is_busy(&self) -> bool {
        self.ended.is_none() && self.entries.iter().any(|entry| !entry.held)
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self) {
        for index in 0..self.entries.len() {
            let entry = &mut self.entries[index];
            let waits = entry.stream.waits_for_first_word();
            if entry.held && !waits {
                entry.age = 0;
                continue;
            }
            entry.age += 1;
            if entry.age < 2 {
                continue;
            }
            entry.age = 0;
            if waits {
                entry.stream.give_up_on_window();
                entry.wake();
            } else {
                entry.stream.reset();
                entry.channel = if entry.channel == Channel::Open { Channel::Open } else { Channel::Gone };
            }
            self.touch(index);
        }
    }
}
