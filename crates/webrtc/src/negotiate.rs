//! Runs the signalling over a stream until the link stands.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncRead, AsyncWrite};
use futures_timer::Delay;

use crate::backend::Handle;
use crate::error::{Cause, Error, Step};
use crate::muxer::Io;
use crate::signalling::{Role, Signalling};

/// How long a link may still take to stand after the signalling broke off behind both descriptions.
const GRACE: Duration = Duration::from_secs(5);

/// Gives the standing peer connection, and the stream to be closed. Dropped, it closes the one and breaks off the other.
pub(crate) struct Negotiation(Option<State>);

struct State {
    machine: Signalling,
    stream: Box<dyn Io>,
    handle: Handle,
    /// Nothing more comes.
    ended: bool,
    /// Nothing more can be said.
    broken: bool,
    deadline: Delay,
}

impl Negotiation {
    pub(crate) fn new(role: Role, stream: Box<dyn Io>, handle: Handle, deadline: Delay) -> Self {
        Negotiation(Some(State {
            machine: Signalling::new(role),
            stream,
            handle,
            ended: false,
            broken: false,
            deadline,
        }))
    }
}

impl State {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            for command in self.machine.output.commands.drain(..) {
                self.handle.command(command);
            }
            if let Poll::Ready(event) = self.handle.poll_signal(cx) {
                self.machine.event(event)?;
                continue;
            }
            if self.machine.connected && self.machine.step() == Step::Connect {
                return Poll::Ready(Ok(()));
            }
            if self.write(cx)? || self.read(cx)? {
                continue;
            }
            return Pin::new(&mut self.deadline).poll(cx).map(|()| Err(self.machine.error(Cause::TimedOut)));
        }
    }

    /// `true`: something was written.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, Error> {
        let bytes = &mut self.machine.output.bytes;
        if self.broken {
            bytes.clear();
            return Ok(false);
        }
        let written = match bytes.is_empty() {
            true => Pin::new(&mut self.stream).poll_flush(cx).map_ok(|()| 0),
            false => Pin::new(&mut self.stream).poll_write(cx, bytes),
        };
        match written {
            Poll::Ready(Ok(0)) if !bytes.is_empty() => self.break_off().map(|()| true),
            Poll::Ready(Ok(len)) => {
                bytes.drain(..len);
                Ok(len > 0)
            }
            Poll::Ready(Err(_)) => self.break_off().map(|()| true),
            Poll::Pending => Ok(false),
        }
    }

    /// `true`: something came.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        let mut part = [0; 2048];
        match Pin::new(&mut self.stream).poll_read(cx, &mut part) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(len @ 1..)) => self.machine.receive(&part[..len]).map(|()| true),
            Poll::Ready(Ok(0)) => {
                self.ended = true;
                self.machine.end().map(|()| true)
            }
            Poll::Ready(Err(_)) => self.break_off().map(|()| true),
        }
    }

    fn break_off(&mut self) -> Result<(), Error> {
        (self.ended, self.broken) = (true, true);
        self.deadline = Delay::new(GRACE);
        self.machine.end()
    }
}

impl Future for Negotiation {
    type Output = Result<(Handle, Box<dyn Io>), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(state) = &mut self.0 else { return Poll::Pending };
        let Poll::Ready(result) = state.poll(cx) else { return Poll::Pending };
        let Some(state) = self.0.take() else { return Poll::Pending };
        state.handle.settle();
        Poll::Ready(result.map(|()| (state.handle, state.stream)))
    }
}
