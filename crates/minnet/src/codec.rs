//! What a request and its answer look like on the wire.
//!
//! `length: u32, big endian ‖ postcard { code: u16, payload: bytes }`. A request's code is its kind, an answer's is its
//! [`Status`]. A length over the limit is refused before anything is allocated for it; the buffer then grows with what
//! has really arrived, not with what was announced. A frame that would not encode to the same bytes is refused.

use std::io;

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};
use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::oneshot;

/// Bytes around a payload: two varints.
const HEADER: usize = 3 + 5;

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The announced or given length is over the limit.
    #[error("{len} bytes, at most {max} are taken")]
    TooLong {
        /// Bytes announced or given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The stream ended before the announced length.
    #[error("cut off after {got} of {len} bytes")]
    Cut {
        /// Bytes that arrived.
        got: usize,
        /// Bytes announced.
        len: usize,
    },
    /// The bytes do not decode, or not canonically.
    #[error("malformed frame")]
    Malformed,
    /// The answer has a status that this version does not know.
    #[error("unknown status {0}")]
    UnknownStatus(u16),
}

/// How a request ended, as the answering side says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Status {
    Done = 0,
    /// The rate limit is reached; ask later.
    Busy = 1,
    /// Nobody answers this kind, or not now.
    Refused = 2,
    /// The request, or its answer, is over a limit.
    TooLong = 3,
    Malformed = 4,
}

impl TryFrom<u16> for Status {
    type Error = CodecError;

    fn try_from(code: u16) -> Result<Self, CodecError> {
        [Status::Done, Status::Busy, Status::Refused, Status::TooLong, Status::Malformed]
            .into_iter()
            .find(|status| *status as u16 == code)
            .ok_or(CodecError::UnknownStatus(code))
    }
}

/// `kind` or `status`, and the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) code: u16,
    pub(crate) payload: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    code: u16,
    #[serde(borrow, serialize_with = "as_bytes")]
    payload: &'a [u8],
}

fn as_bytes<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

impl Frame {
    /// The frame with its length before it. `max` bounds the payload.
    pub(crate) fn encode(&self, max: usize) -> Result<Vec<u8>, CodecError> {
        let too_long = CodecError::TooLong { len: self.payload.len(), max };
        if self.payload.len() > max {
            return Err(too_long);
        }
        let mut bytes = Vec::with_capacity(4 + HEADER + self.payload.len());
        bytes.extend_from_slice(&[0; 4]);
        let wire = Wire { code: self.code, payload: &self.payload };
        let mut bytes = postcard::to_extend(&wire, bytes).map_err(|_| CodecError::Malformed)?;
        let len = u32::try_from(bytes.len() - 4).map_err(|_| too_long)?;
        bytes[..4].copy_from_slice(&len.to_be_bytes());
        Ok(bytes)
    }

    /// The frame from the bytes after the length.
    pub(crate) fn decode(bytes: Bytes) -> Result<Self, CodecError> {
        let (wire, rest) = postcard::take_from_bytes::<Wire<'_>>(&bytes).map_err(|_| CodecError::Malformed)?;
        let canonical = varint_len(u64::from(wire.code)) + varint_len(wire.payload.len() as u64) + wire.payload.len();
        if !rest.is_empty() || canonical != bytes.len() {
            return Err(CodecError::Malformed);
        }
        Ok(Frame { code: wire.code, payload: bytes.slice_ref(wire.payload) })
    }

    /// Reads a frame whose payload has at most `max` bytes.
    pub(crate) async fn read<R: AsyncRead + Unpin>(io: &mut R, max: usize) -> Result<Self, ReadError> {
        let mut prefix = [0; 4];
        io.read_exact(&mut prefix).await?;
        let len = u32::from_be_bytes(prefix) as usize;
        if len > max.saturating_add(HEADER) {
            return Err(CodecError::TooLong { len, max }.into());
        }
        let mut bytes = Vec::new();
        io.take(len as u64).read_to_end(&mut bytes).await?;
        if bytes.len() < len {
            return Err(CodecError::Cut { got: bytes.len(), len }.into());
        }
        let frame = Frame::decode(bytes.into())?;
        if frame.payload.len() > max {
            return Err(CodecError::TooLong { len: frame.payload.len(), max }.into());
        }
        Ok(frame)
    }
}

/// Bytes of postcard's varint.
fn varint_len(value: u64) -> usize {
    (64 - value.max(1).leading_zeros() as usize).div_ceil(7)
}

/// A frame that could not be read: the stream broke, or what it carried is no frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            ReadError::Codec(error) => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// An answer: there already, or to come from whoever holds the [`Responder`](crate::Responder).
#[derive(Debug)]
pub(crate) enum Answer {
    Now(Frame),
    Later(oneshot::Receiver<Bytes>),
}

impl Answer {
    pub(crate) fn status(status: Status) -> Self {
        Answer::Now(Frame { code: status as u16, payload: Bytes::new() })
    }
}

/// The protocol's bounds.
#[derive(Clone, Debug)]
pub(crate) struct Codec {
    pub(crate) max_request: usize,
    pub(crate) max_response: usize,
}

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    /// Inbound, what is no frame is handed on too, so that the asking side is told why.
    type Request = Result<Frame, CodecError>;
    type Response = Answer;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Self::Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        match Frame::read(io, self.max_request).await {
            Ok(frame) => Ok(Ok(frame)),
            Err(ReadError::Codec(error)) => Ok(Err(error)),
            Err(ReadError::Io(error)) => Err(error),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Answer>
    where
        T: AsyncRead + Unpin + Send,
    {
        Ok(Answer::Now(Frame::read(io, self.max_response).await?))
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Self::Request) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let bytes = request.and_then(|frame| frame.encode(self.max_request)).map_err(ReadError::from)?;
        io.write_all(&bytes).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, answer: Answer) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let empty = |status: Status| Frame { code: status as u16, payload: Bytes::new() };
        let mut frame = match answer {
            Answer::Now(frame) => frame,
            Answer::Later(payload) => match payload.await {
                Ok(payload) => Frame { code: Status::Done as u16, payload },
                Err(_) => empty(Status::Refused),
            },
        };
        if frame.payload.len() > self.max_response {
            tracing::warn!(len = frame.payload.len(), max = self.max_response, "answer over the limit");
            frame = empty(Status::TooLong);
        }
        io.write_all(&frame.encode(self.max_response).map_err(ReadError::from)?).await
    }
}
