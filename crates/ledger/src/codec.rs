//! The one canonical encoding: postcard, of which only the bytes that the encoder itself writes are accepted.
//!
//! The length is bounded before anything is read. Within it a list reserves room for no more elements than there are
//! bytes left, and for no more than a mebibyte before they are read. What does not encode again to the same bytes (long
//! varints, bytes left over) is refused, so that no message has two ids.

pub mod direct;

use alloc::vec::Vec;
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use direct::{Direct, Input};

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// More bytes than a message of this kind may have.
    #[error("{len} bytes, where at most {max} are allowed")]
    TooLong {
        /// How many there are.
        len: usize,
        /// How many there may be.
        max: usize,
    },
    /// The bytes do not read as a message of this kind.
    #[error("malformed")]
    Malformed,
    /// The bytes read as a message that would be written in another way.
    #[error("not canonical")]
    NotCanonical,
}

/// The canonical bytes of a value.
///
/// # Panics
/// Never for the types of this project: encoding into memory fails only for a sequence of unknown length or an error
/// of a hand-written `Serialize`, and there are none.
#[expect(clippy::expect_used, reason = "encoding these types into memory cannot fail")]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let out = Out { bytes: Vec::with_capacity(USUAL), expected: None };
    postcard::serialize_with_flavor(value, out).expect("a type of known lengths is encoded into memory")
}

/// Room in bytes for an entry with a usual body, so that it is encoded without moving.
pub const USUAL: usize = 640;

/// Where postcard writes to. One type for both uses: of each a page would hold all the code that encodes anything.
struct Out<'a> {
    bytes: Vec<u8>,
    /// What is still to come, where nothing is kept and it is only compared.
    expected: Option<&'a [u8]>,
}

impl Flavor for Out<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        if self.expected.is_some() {
            return self.try_extend(&[byte]);
        }
        self.bytes.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let Some(expected) = &mut self.expected else {
            self.bytes.extend_from_slice(bytes);
            return Ok(());
        };
        let (next, rest) = expected.split_at_checked(bytes.len()).ok_or(postcard::Error::SerializeBufferFull)?;
        *expected = rest;
        if is_same(next, bytes) { Ok(()) } else { Err(postcard::Error::SerializeBufferFull) }
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        let is_whole = self.expected.is_none_or(<[u8]>::is_empty);
        if is_whole { Ok(self.bytes) } else { Err(postcard::Error::SerializeBufferFull) }
    }
}

/// Reads a value from its canonical bytes, of which there may be at most `max`.
///
/// # Errors
/// [`CodecError`]; bytes that are no value never panic, and take memory in proportion to their own number.
pub fn decode<T: DeserializeOwned + Serialize>(bytes: &[u8], max: usize) -> Result<T, CodecError> {
    if bytes.len() > max {
        return Err(CodecError::TooLong { len: bytes.len(), max });
    }
    let value = postcard::from_bytes(bytes).map_err(|_| CodecError::Malformed)?;
    check_canonical(&value, bytes)?;
    Ok(value)
}

/// Whether these bytes are the canonical ones of the value that was read from them.
fn check_canonical<T: Serialize>(value: &T, bytes: &[u8]) -> Result<(), CodecError> {
    let against = Out { bytes: Vec::new(), expected: Some(bytes) };
    postcard::serialize_with_flavor(value, against).map(drop).map_err(|_| CodecError::NotCanonical)
}

/// Whether bytes are equal, a word at a time: a page compares them byte by byte else.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (others, left)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let is_same = |(one, other): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other);
    words.len() == others.len() && rest == left && words.iter().zip(others).all(is_same)
}

/// As [`encode`], for what writes itself.
pub fn encode_directly<T: Direct>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL);
    value.write(&mut out);
    out
}

/// As [`encode_directly`], of a list.
pub fn encode_list<T: Direct>(list: &[T]) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL.max((list.len() + 1).saturating_mul(T::LEAST)));
    direct::write_list(list, &mut out);
    out
}

/// As [`decode`], for what reads itself.
///
/// # Errors
/// [`CodecError`].
pub fn decode_directly<T: Direct>(bytes: &[u8], max: usize) -> Result<T, CodecError> {
    if bytes.len() > max {
        return Err(CodecError::TooLong { len: bytes.len(), max });
    }
    Input::new(bytes).whole()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    type Sample = (u64, Vec<u32>, String, Option<u8>);

    proptest! {
        #[test]
        fn what_is_written_is_read(value: Sample) {
            let bytes = encode(&value);
            prop_assert_eq!(decode::<Sample>(&bytes, bytes.len()), Ok(value));
            prop_assert_eq!(
                decode::<Sample>(&bytes, bytes.len() - 1),
                Err(CodecError::TooLong { len: bytes.len(), max: bytes.len() - 1 })
            );
        }

        #[test]
        fn every_cut_and_every_tail_is_refused(value: Sample, tail in 1usize..9) {
            let bytes = encode(&value);
            for len in 0..bytes.len() {
                prop_assert!(decode::<Sample>(&bytes[..len], 1 << 16).is_err());
            }
            let mut longer = bytes;
            longer.resize(longer.len() + tail, 0);
            prop_assert_eq!(decode::<Sample>(&longer, 1 << 16), Err(CodecError::NotCanonical));
        }

        #[test]
        fn a_long_varint_is_refused(value in 0u64..128) {
            prop_assert_eq!(decode::<u64>(&[value as u8 | 0x80, 0], 10), Err(CodecError::NotCanonical));
        }
    }

    #[test]
    fn a_false_length_is_malformed_and_not_allocated() {
        let claims_four_gigabytes = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(decode::<Vec<u8>>(&claims_four_gigabytes, 16), Err(CodecError::Malformed));
        assert_eq!(decode::<String>(&claims_four_gigabytes, 16), Err(CodecError::Malformed));
    }
}
