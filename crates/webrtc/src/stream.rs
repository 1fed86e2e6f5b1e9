//! One stream on its data channel: data, the four flags and the windows. No channel here: frames' bytes go in and out.
//!
//! The rules:
//! - What is to be sent is state, not a queue: data, one bit for each flag, the newest window. So nothing that a peer sends
//!   makes more wait here than one frame of each kind.
//! - `FIN` follows all data and is answered by `FIN_ACK`. The channel may be closed when both sides' `FIN` are answered, or
//!   with a `RESET`, and not before.
//! - Data over what the peer was allowed breaks the stream, before it is kept.
//! - Dropped by its user: with its own half closed, it says `STOP_SENDING` and waits for the other's `FIN`; with it open, it
//!   sends what was written, then `FIN` if the peer has finished or wants no more, and `RESET` else.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read},
};

use crate::frame::{Flag, Frame, INITIAL_WINDOW, MAX_DATA};
use crate::wire::Splitter;

/// Written bytes that wait for the backend.
const MAX_PENDING: usize = 64 * 1024;
/// Bytes that the backend may have unsent before it gets more data.
const MAX_HANDED: u64 = 1024 * 1024;
/// What an inbox may keep allocated while it is empty.
const SPARE: usize = 32 * 1024;

/// What bounds the receiving side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// For peers that know windows.
    pub(crate) window: u64,
    /// For others.
    pub(crate) max_unread: usize,
}

/// Whether the peer knows windows; its first frame says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knows {
    Unsaid,
    Windows,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fin {
    No,
    Wanted,
    Sent,
    Acknowledged,
}

/// What a read or a write came to.
pub(crate) type Step = Result<Option<usize>, ErrorKind>;

pub(crate) struct Stream {
    bounds: Bounds,
    knows: Knows,
    /// Neither side says anything more; why does not matter to the user.
    broken: bool,

    splitter: Splitter,
    inbox: VecDeque<u8>,
    received: u64,
    /// How many bytes the peer may have sent in all.
    allowed: u64,
    finished: bool,
    /// What comes is thrown away.
    deaf: bool,

    pending: Vec<u8>,
    written: u64,
    /// How many bytes may be written in all.
    granted: u64,
    fin: Fin,
    /// The peer throws away what comes.
    unheard: bool,
    handed: u64,
    sent: u64,

    said: bool,
    owes_window: bool,
    owes_ack: bool,
    owes_stop: bool,
    owes_reset: bool,
}

impl Stream {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Stream {
            bounds,
            knows: Knows::Unsaid,
            broken: false,
            splitter: Splitter::default(),
            inbox: VecDeque::new(),
            received: 0,
            allowed: INITIAL_WINDOW,
            finished: false,
            deaf: false,
            pending: Vec::new(),
            written: 0,
            granted: INITIAL_WINDOW,
            fin: Fin::No,
            unheard: false,
            handed: 0,
            sent: 0,
            said: false,
            owes_window: false,
            owes_ack: false,
            owes_stop: false,
            owes_reset: false,
        }
    }

    /// Bytes received and not read.
    pub(crate) fn unread(&self) -> usize {
        self.inbox.len()
    }

    /// Both sides are done with the channel.
    pub(crate) fn is_over(&self) -> bool {
        let complete = self.fin == Fin::Acknowledged && self.finished && !self.owes_ack;
        (self.broken && !self.owes_reset) || complete
    }

    /// A message of the channel came. `spare`: the unread bytes that the link's other streams leave room for.
    pub(crate) fn receive(&mut self, message: &[u8], spare: usize) {
        if self.broken {
            return;
        }
        let mut splitter = std::mem::take(&mut self.splitter);
        splitter.push(message);
        let sound = loop {
            match splitter.next() {
                Ok(None) => break true,
                Ok(Some(body)) => match Frame::decode(body) {
                    Ok(frame) if self.take(&frame, spare) => {}
                    _ => break false,
                },
                Err(_) => break false,
            }
            if self.broken {
                return;
            }
        };
        self.splitter = splitter;
        if !sound {
            self.reset();
        }
    }

    /// `false`: the frame breaks the rules.
    fn take(&mut self, frame: &Frame<'_>, spare: usize) -> bool {
        if self.knows == Knows::Unsaid {
            self.knows = if frame.window.is_some() { Knows::Windows } else { Knows::Nothing };
            if frame.window.is_none() {
                self.granted = u64::MAX;
            }
        }
        self.granted = self.granted.max(frame.window.unwrap_or(0));
        if !self.take_data(frame.data, spare) {
            return false;
        }
        match frame.flag {
            None => {}
            Some(Flag::Fin) if self.finished => {}
            Some(Flag::Fin) => (self.finished, self.owes_ack) = (true, true),
            Some(Flag::FinAck) if self.fin == Fin::Sent => self.fin = Fin::Acknowledged,
            Some(Flag::FinAck) => {}
            Some(Flag::StopSending) => {
                self.unheard = true;
                self.pending = Vec::new();
            }
            Some(Flag::Reset) => {
                self.broken = true;
                self.pending = Vec::new();
            }
        }
        true
    }

    fn take_data(&mut self, data: &[u8], spare: usize) -> bool {
        if data.is_empty() {
            return true;
        }
        self.received += data.len() as u64;
        if self.deaf {
            return !self.finished;
        }
        let unread = self.inbox.len() + data.len();
        let within = match self.knows {
            Knows::Nothing => unread <= self.bounds.max_unread,
            _ => self.received <= self.allowed,
        };
        let within = within && unread <= spare;
        if within && !self.finished {
            self.inbox.extend(data);
        }
        within && !self.finished
    }

    /// The channel is gone; what was acknowledged so far is all that ever will be.
    pub(crate) fn channel_closed(&mut self) {
        // Who closes it has seen our `FIN`, if it sent its own.
        if self.finished && self.fin == Fin::Sent {
            self.fin = Fin::Acknowledged;
        }
        self.owes_ack = false;
        self.owes_reset = false;
        if !(self.finished && self.fin == Fin::Acknowledged) {
            self.broken = true;
        }
        self.pending = Vec::new();
    }

    /// Breaks the stream off.
    pub(crate) fn reset(&mut self) {
        if !self.broken {
            (self.broken, self.owes_reset) = (true, true);
        }
        self.pending = Vec::new();
        self.inbox = VecDeque::new();
    }

    /// What came, in order; `Some(0)` at its end, `None` if there is nothing yet.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Step {
        if self.inbox.is_empty() {
            return match (self.finished, self.broken) {
                (true, _) => Ok(Some(0)),
                (false, true) => Err(ErrorKind::ConnectionReset),
                (false, false) if buf.is_empty() => Ok(Some(0)),
                (false, false) => Ok(None),
            };
        }
        let len = self.inbox.read(buf).map_err(|error| error.kind())?;
        if self.inbox.is_empty() && self.inbox.capacity() > SPARE {
            self.inbox = VecDeque::new();
        }
        let window = self.bounds.window;
        if self.knows == Knows::Windows && !self.finished && self.room() >= self.allowed + window / 2 {
            self.owes_window = true;
        }
        Ok(Some(len))
    }

    /// How many bytes the peer may send in all, as of now.
    fn room(&self) -> u64 {
        (self.received - self.inbox.len() as u64) + self.bounds.window
    }

    fn writable(&self) -> Result<(), ErrorKind> {
        if self.broken {
            return Err(ErrorKind::ConnectionReset);
        }
        if self.unheard || self.fin != Fin::No {
            return Err(ErrorKind::BrokenPipe);
        }
        Ok(())
    }

    /// Takes of it what may go; `None` if that is nothing.
    pub(crate) fn write(&mut self, buf: &[u8]) -> Step {
        self.writable()?;
        let credit = usize::try_from(self.granted - self.written).unwrap_or(usize::MAX);
        let len = buf.len().min(credit).min(MAX_PENDING - self.pending.len());
        self.pending.extend_from_slice(&buf[..len]);
        self.written += len as u64;
        Ok((len > 0 || buf.is_empty()).then_some(len))
    }

    /// `Some` once everything written is with the backend.
    pub(crate) fn flush(&self) -> Step {
        match self.pending.is_empty() {
            _ if self.broken => Err(ErrorKind::ConnectionReset),
            true => Ok(Some(0)),
            false => Ok(None),
        }
    }

    /// Ends the own half; `Some` once that is with the backend. The peer's answer is not waited for.
    pub(crate) fn close(&mut self) -> Step {
        if self.fin >= Fin::Sent {
            return Ok(Some(0));
        }
        if self.broken {
            return Err(ErrorKind::ConnectionReset);
        }
        self.fin = Fin::Wanted;
        Ok(None)
    }

    /// The user has dropped it.
    pub(crate) fn abandon(&mut self) {
        self.deaf = true;
        self.inbox = VecDeque::new();
        match self.fin {
            _ if self.broken => {}
            Fin::No if self.finished || self.unheard => self.fin = Fin::Wanted,
            Fin::No => self.owes_reset = true,
            _ => {}
        }
        self.owes_stop = !self.finished && !self.owes_reset && !self.broken;
    }

    /// How much the backend has sent of what it was handed.
    pub(crate) fn sent(&mut self, total: u64) {
        self.sent = self.sent.max(total.min(self.handed));
    }

    /// Writing waits for a word of the peer that would have to be its first.
    pub(crate) fn waits_for_first_word(&self) -> bool {
        self.knows == Knows::Unsaid && self.written == self.granted
    }

    /// It does not come: the peer is taken for one that knows no windows.
    pub(crate) fn give_up_on_window(&mut self) {
        self.knows = Knows::Nothing;
        self.granted = u64::MAX;
    }

    /// There may be a frame, or it is over.
    pub(crate) fn wants_turn(&self) -> bool {
        let owes = self.owes_ack || self.owes_reset || self.owes_stop || self.owes_window;
        owes || !self.pending.is_empty() || self.fin == Fin::Wanted || self.is_over()
    }

    /// What is to be sent next.
    pub(crate) fn next_frame(&mut self) -> Option<Vec<u8>> {
        let mut frame = Frame::default();
        let mut data = 0;
        if self.broken {
            if !self.owes_reset {
                return None;
            }
            self.owes_reset = false;
            frame.flag = Some(Flag::Reset);
        } else if self.owes_ack {
            self.owes_ack = false;
            frame.flag = Some(Flag::FinAck);
        } else if self.owes_stop {
            self.owes_stop = false;
            frame.flag = Some(Flag::StopSending);
        } else if !self.pending.is_empty() && self.handed - self.sent < MAX_HANDED {
            data = self.pending.len().min(MAX_DATA);
            frame.data = &self.pending[..data];
        } else if self.owes_window {
        } else if !self.pending.is_empty() {
            return None;
        } else if self.owes_reset {
            (self.owes_reset, self.broken) = (false, true);
            frame.flag = Some(Flag::Reset);
        } else if self.fin == Fin::Wanted {
            self.fin = Fin::Sent;
            frame.flag = Some(Flag::Fin);
        } else {
            return None;
        }
        // The first frame says that we know windows.
        let first = !self.said && self.knows != Knows::Nothing;
        if self.owes_window || first {
            self.allowed = self.allowed.max((self.received - self.inbox.len() as u64) + self.bounds.window);
            frame.window = Some(self.allowed);
        }
        (self.said, self.owes_window) = (true, false);
        let bytes = frame.encode();
        self.handed += bytes.len() as u64;
        self.pending.drain(..data);
        Some(bytes)
    }
}
