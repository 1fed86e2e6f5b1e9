//! Yamux with its buffers bounded on purpose.
//!
//! libp2p's wrapper leaves yamux's default of 1 GiB of receive window for each connection, which a peer that delays its
//! pongs can make us grant. Here streams and windows are those of [`limits`](crate::limits), and a close that takes
//! longer than its deadline is given up, for a dead socket never answers.

use std::{
    collections::VecDeque,
    future::{Future, Ready, ready},
    io, iter,
    pin::Pin,
    task::{self, Context, Poll, Waker},
};

use futures::{AsyncRead, AsyncWrite};
use futures_timer::Delay;
use libp2p::core::{
    muxing::{StreamMuxer, StreamMuxerEvent},
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
};

use crate::limits::{CLOSE_DEADLINE, LINK_WINDOW, MAX_STREAMS};

/// The upgrade of an encrypted link to streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Yamux;

impl Yamux {
    fn link<C: AsyncRead + AsyncWrite + Unpin>(io: C, mode: yamux::Mode) -> Ready<io::Result<Muxer<C>>> {
        let mut config = yamux::Config::default();
        // The order matters: each setter checks the two against one another.
        config.set_max_num_streams(MAX_STREAMS);
        config.set_max_connection_receive_window(Some(LINK_WINDOW));
        ready(Ok(Muxer {
            link: yamux::Connection::new(io, config, mode),
            arrived: VecDeque::new(),
            waker: None,
            closing: None,
        }))
    }
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_inbound(self, io: C, _: Self::Info) -> Self::Future {
        Yamux::link(io, yamux::Mode::Server)
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<io::Result<Muxer<C>>>;

    fn upgrade_outbound(self, io: C, _: Self::Info) -> Self::Future {
        Yamux::link(io, yamux::Mode::Client)
    }
}

/// A link with streams on it.
pub(crate) struct Muxer<C> {
    link: yamux::Connection<C>,
    /// Streams that came while only progress was asked for; yamux itself caps their number at [`MAX_STREAMS`].
    arrived: VecDeque<yamux::Stream>,
    waker: Option<Waker>,
    closing: Option<Delay>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        let next = task::ready!(self.link.poll_next_inbound(cx));
        Poll::Ready(next.unwrap_or(Err(yamux::ConnectionError::Closed)).map_err(broken))
    }
}

fn broken(error: yamux::ConnectionError) -> io::Error {
    match error {
        yamux::ConnectionError::Io(error) => error,
        yamux::ConnectionError::Closed => io::ErrorKind::ConnectionAborted.into(),
        error => io::Error::other(error),
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = yamux::Stream;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        if let Some(stream) = self.arrived.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let next = self.poll_stream(cx);
        if next.is_pending() {
            self.waker = Some(cx.waker().clone());
        }
        next
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<yamux::Stream>> {
        self.link.poll_new_outbound(cx).map_err(broken)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = self.link.poll_close(cx).map_err(broken);
        if done.is_ready() {
            return done;
        }
        let deadline = self.closing.get_or_insert_with(|| Delay::new(CLOSE_DEADLINE));
        Pin::new(deadline).poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// yamux moves only while it is asked for inbound streams; those that come meanwhile are kept for `poll_inbound`.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        let stream = task::ready!(self.poll_stream(cx))?;
        if self.arrived.len() < MAX_STREAMS {
            self.arrived.push_back(stream);
        } else {
            tracing::debug!("stream dropped: too many wait");
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
