//! The link after the handshake: bytes in sealed frames.
//!
//! What is written is gathered until a frame is full or a flush asks for it. At most one frame waits in each direction.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{AsyncRead, AsyncWrite};

use super::symmetric::{CipherState, TAG};

const LENGTH: usize = 2;
/// Text of one frame at most.
const MAX_TEXT: usize = u16::MAX as usize - TAG;

/// A secure link. What is read is what the peer wrote, in order and nothing else, or an error that ends the link.
pub(crate) struct Link<T> {
    io: T,
    out: CipherState,
    inward: CipherState,
    /// Text that is not sealed yet, after room for its length.
    text: Vec<u8>,
    /// A sealed frame on its way out, and how much of it has left.
    frame: Vec<u8>,
    sent: usize,
    /// A frame on its way in, its length first, and how much of it is here. Once opened, `read..end` is unread text.
    arriving: Vec<u8>,
    arrived: usize,
    read: usize,
    end: usize,
}

impl<T> Link<T> {
    pub(super) fn new(io: T, out: CipherState, inward: CipherState) -> Self {
        Link {
            io,
            out,
            inward,
            text: vec![0; LENGTH],
            frame: Vec::new(),
            sent: 0,
            arriving: vec![0; LENGTH],
            arrived: 0,
            read: 0,
            end: 0,
        }
    }
}

impl<T: AsyncWrite + Unpin> Link<T> {
    /// Seals what is written, if anything is, once the frame before it has left.
    fn poll_seal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx))?;
        if self.text.len() == LENGTH {
            return Poll::Ready(Ok(()));
        }
        self.out.seal(&[], &mut self.text, LENGTH)?;
        let len = (self.text.len() - LENGTH) as u16;
        self.text[..LENGTH].copy_from_slice(&len.to_be_bytes());
        std::mem::swap(&mut self.text, &mut self.frame);
        self.sent = 0;
        self.text.resize(LENGTH, 0);
        Poll::Ready(Ok(()))
    }

    /// Until the frame on its way has left.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.frame.len() {
            let sent = ready!(Pin::new(&mut self.io).poll_write(cx, &self.frame[self.sent..]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += sent;
        }
        self.frame.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Link<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let link = self.get_mut();
        if link.text.len() == LENGTH + MAX_TEXT {
            ready!(link.poll_seal(cx))?;
        }
        let taken = bytes.len().min(LENGTH + MAX_TEXT - link.text.len());
        link.text.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let link = self.get_mut();
        ready!(link.poll_seal(cx))?;
        ready!(link.poll_sent(cx))?;
        Pin::new(&mut link.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.get_mut().io).poll_close(cx)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Link<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let link = self.get_mut();
        while link.read == link.end {
            while link.arrived < link.arriving.len() {
                let more = ready!(Pin::new(&mut link.io).poll_read(cx, &mut link.arriving[link.arrived..]))?;
                if more == 0 {
                    let whole = link.arrived == 0;
                    return Poll::Ready(if whole { Ok(0) } else { Err(io::ErrorKind::UnexpectedEof.into()) });
                }
                link.arrived += more;
                if link.arrived == LENGTH && link.arriving.len() == LENGTH {
                    let len = u16::from_be_bytes([link.arriving[0], link.arriving[1]]);
                    link.arriving.resize(LENGTH + usize::from(len), 0);
                }
            }
            let len = link.inward.open(&[], &mut link.arriving[LENGTH..])?;
            (link.read, link.end) = (LENGTH, LENGTH + len);
            if len == 0 {
                link.next_frame();
            }
        }
        let taken = into.len().min(link.end - link.read);
        into[..taken].copy_from_slice(&link.arriving[link.read..link.read + taken]);
        link.read += taken;
        if link.read == link.end {
            link.next_frame();
        }
        Poll::Ready(Ok(taken))
    }
}

impl<T> Link<T> {
    /// All of the frame is read.
    fn next_frame(&mut self) {
        self.arriving.truncate(LENGTH);
        (self.arrived, self.read, self.end) = (0, 0, 0);
    }
}
