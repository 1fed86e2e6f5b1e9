//! A WebSocket as a stream of bytes, for libp2p. Each write is one binary frame that leaves at once: waiting for more
//! costs every handshake a timer. When the socket is full the next write waits, so at most one frame is queued.

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use bytes::{Buf, Bytes};
use futures::{AsyncRead, AsyncWrite, Sink, Stream};

use crate::limits::Permit;

/// The largest message or frame taken from a client, bytes.
pub const MAX_MESSAGE: usize = 256 * 1024;
/// The largest frame sent, bytes.
const MAX_WRITE: usize = 64 * 1024;

/// Sets the bounds of a WebSocket before it is accepted.
pub fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_WRITE)
}

/// An accepted WebSocket.
pub struct WsStream {
    socket: WebSocket,
    unread: Bytes,
    /// Room for this connection, given back when it ends.
    _permits: Vec<Arc<Permit>>,
}

impl WsStream {
    /// Bytes over `socket`, holding `permits` until it is dropped.
    pub fn new(socket: WebSocket, permits: Vec<Arc<Permit>>) -> Self {
        Self { socket, unread: Bytes::new(), _permits: permits }
    }
}

impl AsyncRead for WsStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                None | Some(Ok(Message::Close(_))) => return Poll::Ready(Ok(0)),
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                // The socket answers pings by itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(Error::new(ErrorKind::InvalidData, "a text frame where bytes belong")));
                }
                Some(Err(error)) => return Poll::Ready(Err(Error::new(ErrorKind::ConnectionReset, error))),
            }
        }
        let count = into.len().min(self.unread.len());
        self.unread.copy_to_slice(&mut into[..count]);
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for WsStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize>> {
        if from.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
        let count = from.len().min(MAX_WRITE);
        let frame = Message::Binary(Bytes::copy_from_slice(&from[..count]));
        Pin::new(&mut self.socket).start_send(frame).map_err(broken)?;
        // The frame counts as written; a socket that is full is noticed by the next `poll_ready`.
        match Pin::new(&mut self.socket).poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(broken(error))),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(broken)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx).map_err(broken)
    }
}

fn broken(error: axum::Error) -> Error {
    Error::new(ErrorKind::BrokenPipe, error)
}
