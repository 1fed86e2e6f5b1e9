//! A QUIC connection and its streams, as libp2p has them.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite, FutureExt, future::BoxFuture};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use quinn::{ConnectionError, RecvStream, SendStream, VarInt};

type Opened = Result<(SendStream, RecvStream), ConnectionError>;

/// A link with streams on it.
pub(crate) struct Muxer {
    link: quinn::Connection,
    inbound: Option<BoxFuture<'static, Opened>>,
    outbound: Option<BoxFuture<'static, Opened>>,
}

impl Muxer {
    pub(super) fn new(link: quinn::Connection) -> Self {
        Muxer { link, inbound: None, outbound: None }
    }
}

impl Drop for Muxer {
    fn drop(&mut self) {
        // Else it lives for as long as a task holds a stream of it.
        self.link.close(VarInt::from_u32(0), &[]);
    }
}

fn poll_stream(opening: &mut Option<BoxFuture<'static, Opened>>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
    let Some(future) = opening else { return Poll::Pending };
    let opened = ready!(Pin::new(future).poll(cx));
    *opening = None;
    let (send, receive) = opened?;
    Poll::Ready(Ok(Stream { send, receive, closed: false }))
}

impl StreamMuxer for Muxer {
    type Substream = Stream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let link = self.link.clone();
        self.inbound.get_or_insert_with(|| async move { link.accept_bi().await }.boxed());
        poll_stream(&mut self.inbound, cx)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let link = self.link.clone();
        self.outbound.get_or_insert_with(|| async move { link.open_bi().await }.boxed());
        poll_stream(&mut self.outbound, cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The endpoint, which lives on, tells the other side.
        self.link.close(VarInt::from_u32(0), &[]);
        Poll::Ready(Ok(()))
    }

    /// It moves by itself, and never changes its address.
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Poll::Pending
    }
}

/// One stream. Dropped, it ends after what was written: a reset would overtake an answer that is under way.
pub(crate) struct Stream {
    send: SendStream,
    receive: RecvStream,
    closed: bool,
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        AsyncRead::poll_read(Pin::new(&mut self.receive), cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.send), cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.send), cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            ready!(AsyncWrite::poll_close(Pin::new(&mut self.send), cx))?;
            self.closed = true;
        }
        Poll::Ready(Ok(()))
    }
}
