//! A peer connection as libp2p's connection, its channels as streams.

use std::{
    future::Future,
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{AsyncRead, AsyncWrite};
use futures_timer::Delay;
use libp2p::{
    Multiaddr,
    core::muxing::{StreamMuxer, StreamMuxerEvent},
};

use crate::backend::{Handle, Held};
use crate::link::Ask;

/// A stream that its user dropped gets one to two of these to end in order.
const TICK: Duration = Duration::from_secs(5);
/// Time for streams to end when the link is closed.
const CLOSE: Duration = Duration::from_secs(2);
/// How long the signalling stream waits for the other side's end.
const FAREWELL: Duration = Duration::from_secs(10);

/// What signalling runs over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A link to a peer. Dropped or closed, it closes the peer connection; its streams end then.
pub struct Muxer {
    handle: Handle,
    tick: Option<Delay>,
    closing: Option<Delay>,
    farewell: Option<Farewell>,
    moved: Option<Multiaddr>,
}

impl Muxer {
    /// `moved`: the address to report in place of that which was dialled.
    pub(crate) fn new(handle: Handle, signalling: Box<dyn Io>, moved: Option<Multiaddr>) -> Self {
        let farewell = Farewell { stream: signalling, closed: false, deadline: Delay::new(FAREWELL) };
        Muxer { handle, tick: None, closing: None, farewell: Some(farewell), moved }
    }

    /// Lets time pass for streams that wait; the timer runs only while there are some.
    fn poll_tick(&mut self, cx: &mut Context<'_>) {
        loop {
            if !self.handle.lock().link.needs_tick() {
                self.tick = None;
                return;
            }
            let tick = self.tick.get_or_insert_with(|| Delay::new(TICK));
            if Pin::new(tick).poll(cx).is_pending() {
                return;
            }
            self.tick = None;
            self.handle.lock().link.tick();
        }
    }
}

fn io_error(kind: ErrorKind) -> io::Error {
    kind.into()
}

impl StreamMuxer for Muxer {
    type Substream = Substream;
    type Error = io::Error;

    fn poll_inbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Substream>> {
        let id = ready!(self.handle.lock().link.poll_inbound(cx)).map_err(io_error)?;
        Poll::Ready(Ok(Substream(Held::new(self.handle.share(), id))))
    }

    fn poll_outbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Substream>> {
        let id = ready!(self.handle.lock().link.poll_outbound(cx)).map_err(io_error)?;
        Poll::Ready(Ok(Substream(Held::new(self.handle.share(), id))))
    }

    /// Waits a moment for dropped streams to end in order, then closes the peer connection.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = self.closing.get_or_insert_with(|| Delay::new(CLOSE));
        let late = Pin::new(deadline).poll(cx).is_ready();
        let mut shared = self.handle.lock();
        if shared.link.is_busy() && !late {
            return shared.link.wait(cx);
        }
        shared.link.end(ErrorKind::ConnectionAborted);
        Poll::Ready(Ok(()))
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        if let Some(address) = self.moved.take() {
            return Poll::Ready(Ok(StreamMuxerEvent::AddressChange(address)));
        }
        if self.farewell.as_mut().is_some_and(|farewell| farewell.poll(cx).is_ready()) {
            self.farewell = None;
        }
        self.poll_tick(cx);
        let mut shared = self.handle.lock();
        match shared.link.ended() {
            Some(why) => Poll::Ready(Err(why.into())),
            None => shared.link.wait(cx),
        }
    }
}

/// The signalling stream after its work: closed in order, so that a slower other side does not take it for a failure.
struct Farewell {
    stream: Box<dyn Io>,
    closed: bool,
    deadline: Delay,
}

impl Farewell {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if Pin::new(&mut self.deadline).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !self.closed {
            if ready!(Pin::new(&mut self.stream).poll_close(cx)).is_err() {
                return Poll::Ready(());
            }
            self.closed = true;
        }
        let mut late = [0; 512];
        loop {
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut late)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
    }
}

/// A stream of a link.
pub struct Substream(Held);

impl Substream {
    fn ask(&self, ask: Ask<'_>, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        self.0.lock().link.ask(self.0.id, ask, cx)
    }
}

impl AsyncRead for Substream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.ask(Ask::Read(buf), cx)
    }
}

impl AsyncWrite for Substream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.ask(Ask::Write(buf), cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ask(Ask::Flush, cx).map_ok(drop)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ask(Ask::Close, cx).map_ok(drop)
    }
}
