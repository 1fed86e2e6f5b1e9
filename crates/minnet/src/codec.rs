//! What a request and its answer look like on the wire.
//!
//! `length: u32, big endian ‖ postcard { code: u16, payload: bytes }`. A request's code is its kind, an answer's is its
//! [`Status`]. A length over the limit is refused before anything is allocated for it; the buffer then grows with what
//! has really arrived, not with what was announced. A frame that would not encode to the same bytes is refused.

use std::io;

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt};
use serde::{Deserialize, Serialize, Serializer};

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use futures::{executor::block_on, io::Cursor};
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 4_096;

    fn frame() -> impl Strategy<Value = Frame> {
        let payload = prop_oneof![prop::collection::vec(any::<u8>(), 0..300), prop::collection::vec(any::<u8>(), MAX)];
        (any::<u16>(), payload).prop_map(|(code, payload)| Frame { code, payload: payload.into() })
    }

    /// What a hostile hand does to a frame.
    #[derive(Clone, Debug)]
    enum Damage {
        Cut(prop::sample::Index),
        Flip(prop::sample::Index, u8),
        Length(u32),
        Insert(prop::sample::Index, Vec<u8>),
        Swap(prop::sample::Index, prop::sample::Index),
    }

    fn damage() -> impl Strategy<Value = Damage> {
        let at = any::<prop::sample::Index>;
        prop_oneof![
            at().prop_map(Damage::Cut),
            (at(), 1u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
            prop_oneof![any::<u32>(), 0u32..600, Just(u32::MAX)].prop_map(Damage::Length),
            (at(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
            (at(), at()).prop_map(|(one, other)| Damage::Swap(one, other)),
        ]
    }

    fn apply(bytes: &mut Vec<u8>, damage: Damage) {
        match damage {
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Damage::Length(length) if bytes.len() >= 4 => bytes[..4].copy_from_slice(&length.to_be_bytes()),
            Damage::Insert(at, more) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, more);
            }
            Damage::Flip(at, bits) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Damage::Swap(one, other) if !bytes.is_empty() => {
                let (one, other) = (one.index(bytes.len()), other.index(bytes.len()));
                bytes.swap(one, other);
            }
            Damage::Length(_) | Damage::Flip(..) | Damage::Swap(..) => {}
        }
    }

    /// Whatever comes: a frame within the bound that encodes to just what was read, or an error that says why.
    fn read_is_sound(bytes: &[u8]) -> Result<(), TestCaseError> {
        let mut io = Cursor::new(bytes);
        match block_on(Frame::read(&mut io, MAX)) {
            Ok(frame) => {
                let read = usize::try_from(io.position()).unwrap();
                prop_assert_eq!(frame.encode(MAX).unwrap(), &bytes[..read]);
            }
            Err(ReadError::Io(error)) => {
                prop_assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
                prop_assert!(bytes.len() < 4);
            }
            Err(ReadError::Codec(CodecError::Cut { got, len })) => {
                prop_assert!(got < len && len <= MAX + HEADER && got == bytes.len() - 4);
            }
            Err(ReadError::Codec(CodecError::TooLong { len, max })) => prop_assert!(len > max && max == MAX),
            Err(ReadError::Codec(error)) => prop_assert_eq!(error, CodecError::Malformed),
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

        #[test]
        fn random_bytes_are_read_soundly(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read_is_sound(&bytes)?;
        }

        #[test]
        fn random_bytes_under_a_true_length_are_read_soundly(mut bytes in prop::collection::vec(any::<u8>(), 4..60)) {
            let len = u32::try_from(bytes.len() - 4).unwrap();
            bytes[..4].copy_from_slice(&len.to_be_bytes());
            read_is_sound(&bytes)?;
        }

        #[test]
        fn damaged_frames_are_read_soundly(frame in frame(), damages in prop::collection::vec(damage(), 1..4)) {
            let mut bytes = frame.encode(MAX).unwrap();
            for damage in damages {
                apply(&mut bytes, damage);
            }
            read_is_sound(&bytes)?;
        }
    }

    proptest! {
        #[test]
        fn a_frame_comes_back(frame in frame()) {
            let bytes = frame.encode(MAX).unwrap();
            let read = block_on(Frame::read(&mut Cursor::new(bytes), MAX));
            prop_assert_eq!(read.unwrap(), frame);
        }
    }

    #[test]
    fn a_length_over_the_bound_is_refused_before_anything_else_is_read() {
        for len in [(MAX + HEADER + 1) as u32, u32::MAX] {
            let mut bytes = len.to_be_bytes().to_vec();
            bytes.extend([0; 64]);
            let mut io = Cursor::new(bytes);
            let refused = block_on(Frame::read(&mut io, MAX)).unwrap_err();
            assert!(matches!(refused, ReadError::Codec(CodecError::TooLong { max: MAX, .. })), "{refused}");
            assert_eq!(io.position(), 4);
        }
    }

    #[test]
    fn a_varint_longer_than_needed_is_refused() {
        assert!(Frame::decode(Bytes::from_static(&[0x01, 0x01, 0xff])).is_ok());
        assert_eq!(Frame::decode(Bytes::from_static(&[0x81, 0x00, 0x01, 0xff])), Err(CodecError::Malformed));
        assert_eq!(Frame::decode(Bytes::from_static(&[0x01, 0x81, 0x00, 0xff])), Err(CodecError::Malformed));
    }

    #[test]
    fn a_status_is_its_number() {
        for code in 0..=u16::MAX {
            match Status::try_from(code) {
                Ok(status) => assert_eq!(status as u16, code),
                Err(error) => assert_eq!(error, CodecError::UnknownStatus(code)),
            }
        }
    }
}
