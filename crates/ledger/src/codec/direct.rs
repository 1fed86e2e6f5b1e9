//! The canonical encoding once more, for what is read and written by the thousand: entries.
//!
//! The bytes are postcard's ([wire format](https://postcard.jamesmunns.com/wire-format)), but byte strings move at once,
//! and what is not canonical is refused while it is read, so that nothing has to be encoded again to compare. In the page's
//! module, which is compiled to be small, that is some ten times faster.

use super::CodecError;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use serde::de::Visitor;

/// A type that writes and reads its canonical bytes itself.
pub trait Direct: Sized {
    /// The fewest bytes of a value: a list reserves room for no more than can be there.
    const LEAST: usize;

    /// Appends the canonical bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes a value off the input.
    ///
    /// # Errors
    /// [`CodecError::Malformed`] and [`CodecError::NotCanonical`].
    fn read(input: &mut Input) -> Result<Self, CodecError>;
}

/// What is left to read.
#[derive(Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// To be read from its start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Input(bytes)
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// So many bytes.
    ///
    /// # Errors
    /// [`CodecError::Malformed`] when there are fewer.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(CodecError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Bytes with their length before them.
    ///
    /// # Errors
    /// [`CodecError`].
    #[inline]
    pub fn take_counted(&mut self) -> Result<&'a [u8], CodecError> {
        let len = u32::read(self)?;
        self.take(usize::try_from(len).map_err(|_| CodecError::Malformed)?)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    /// A varint of at most `bits` bits, seven to a byte, in its shortest form.
    #[inline]
    #[cfg_attr(page, optimize(speed))]
    fn varint(&mut self, bits: u32) -> Result<u64, CodecError> {
        let mut value = 0;
        for shift in (0..bits).step_by(7) {
            let byte = u8::read(self)?;
            let part = u64::from(byte & 0x7f);
            if part.leading_zeros() + bits < u64::BITS + shift {
                return Err(CodecError::Malformed);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(CodecError::NotCanonical) } else { Ok(value) };
            }
        }
        Err(CodecError::Malformed)
    }

    /// A value, after which nothing is left.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn whole<T: Direct>(mut self) -> Result<T, CodecError> {
        let value = T::read(&mut self)?;
        if self.0.is_empty() { Ok(value) } else { Err(CodecError::NotCanonical) }
    }
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length, as lists and byte strings have it before them.
pub fn write_len(len: usize, out: &mut Vec<u8>) {
    write_varint(len as u64, out);
}

/// Appends a list: its length, and its values one after the other.
pub fn write_list<T: Direct>(list: &[T], out: &mut Vec<u8>) {
    write_len(list.len(), out);
    list.iter().for_each(|value| value.write(out));
}

impl Direct for u8 {
    const LEAST: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    #[inline]
    fn read(input: &mut Input) -> Result<Self, CodecError> {
        input.array().map(|[byte]| *byte).ok_or(CodecError::Malformed)
    }
}

macro_rules! varints {
    ($($type:ty),*) => {$(
        impl Direct for $type {
            const LEAST: usize = 1;

            fn write(&self, out: &mut Vec<u8>) {
                write_varint(u64::from(*self), out);
            }

            #[inline]
            fn read(input: &mut Input) -> Result<Self, CodecError> {
                input.varint(<$type>::BITS).map(|value| value as $type)
            }
        }
    )*};
}
varints!(u32, u64);

impl Direct for bool {
    const LEAST: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    #[inline]
    fn read(input: &mut Input) -> Result<Self, CodecError> {
        match u8::read(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::Malformed),
        }
    }
}

impl<const N: usize> Direct for [u8; N] {
    const LEAST: usize = N;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    /// Copied once, to where it is to lie.
    #[inline(always)]
    fn read(input: &mut Input) -> Result<Self, CodecError> {
        input.array().copied().ok_or(CodecError::Malformed)
    }
}

impl<T: Direct> Direct for Option<T> {
    const LEAST: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    #[inline]
    fn read(input: &mut Input) -> Result<Self, CodecError> {
        bool::read(input)?.then(|| T::read(input)).transpose()
    }
}

impl<T: Direct> Direct for Box<T> {
    const LEAST: usize = T::LEAST;

    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        T::read(input).map(Box::new)
    }
}

impl<T: Direct> Direct for Vec<T> {
    const LEAST: usize = 1;

    fn write(&self, out: &mut Vec<u8>) {
        write_list(self, out);
    }

    #[cfg_attr(page, optimize(speed))]
    fn read(input: &mut Input) -> Result<Self, CodecError> {
        let len = u32::read(input)? as usize;
        let mut list = Vec::with_capacity(len.min(input.0.len() / T::LEAST));
        for _ in 0..len {
            list.push(T::read(input)?);
        }
        Ok(list)
    }
}

impl<A: Direct, B: Direct> Direct for (A, B) {
    const LEAST: usize = A::LEAST + B::LEAST;

    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        Ok((A::read(input)?, B::read(input)?))
    }
}

/// A struct is its fields, one after the other. One that is read by the thousand is named as `fast`.
macro_rules! direct {
    (fast $type:ident { $($fields:tt)* }) => {
        $crate::codec::direct::direct! { @ [#[inline] #[cfg_attr(page, optimize(speed))]] $type { $($fields)* } }
    };
    (@ [$(#[$how:meta])*] $type:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        impl $crate::codec::direct::Direct for $type {
            const LEAST: usize = 0 $(+ <$kind as $crate::codec::direct::Direct>::LEAST)*;

            fn write(&self, out: &mut ::alloc::vec::Vec<u8>) {
                $($crate::codec::direct::Direct::write(&self.$field, out);)*
            }

            $(#[$how])*
            fn read(input: &mut $crate::codec::direct::Input) -> Result<Self, $crate::codec::CodecError> {
                Ok($type { $($field: <$kind as $crate::codec::direct::Direct>::read(input)?),* })
            }
        }
    };
    ($type:ident { $($fields:tt)* }) => {
        $crate::codec::direct::direct! { @ [] $type { $($fields)* } }
    };
}
pub(crate) use direct;

/// Serde's part for what reads and writes itself: inside other messages it stands as its bytes with their length, at most
/// so many.
macro_rules! counted {
    ($($type:ident, $max:expr;)*) => {$(
        impl ::serde::Serialize for $type {
            fn serialize<S: ::serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_bytes(&$crate::codec::encode_directly(self))
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                let bytes = input.deserialize_bytes($crate::codec::direct::Borrowed)?;
                $crate::codec::decode_directly(bytes, $max).map_err(::serde::de::Error::custom)
            }
        }
    )*};
}
pub(crate) use counted;

/// Takes counted bytes as they lie in the input.
#[derive(Debug)]
pub struct Borrowed;

impl<'de> Visitor<'de> for Borrowed {
    type Value = &'de [u8];

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<&'de [u8], E> {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};
    use proptest::prelude::*;

    type Sample = (u64, u32, Option<Vec<u32>>, [u8; 3], Vec<[u8; 2]>);

    fn direct(sample: &Sample) -> Vec<u8> {
        let mut out = Vec::new();
        sample.0.write(&mut out);
        sample.1.write(&mut out);
        sample.2.write(&mut out);
        sample.3.write(&mut out);
        sample.4.write(&mut out);
        out
    }

    fn read(bytes: &[u8]) -> Result<Sample, CodecError> {
        let input = &mut Input::new(bytes);
        let sample = (
            Direct::read(input)?,
            Direct::read(input)?,
            Direct::read(input)?,
            Direct::read(input)?,
            Direct::read(input)?,
        );
        if input.0.is_empty() { Ok(sample) } else { Err(CodecError::NotCanonical) }
    }

    proptest! {
        #[test]
        fn the_bytes_are_postcards(sample: Sample) {
            let bytes = direct(&sample);
            prop_assert_eq!(&bytes, &encode(&sample));
            prop_assert_eq!(read(&bytes), Ok(sample));
        }

        #[test]
        fn what_is_read_is_what_postcard_reads(
            sample: Sample,
            changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
            cut in 0usize..8,
        ) {
            let mut bytes = encode(&sample);
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            bytes.truncate(bytes.len().saturating_sub(cut));
            prop_assert_eq!(read(&bytes).ok(), decode::<Sample>(&bytes, bytes.len()).ok());
        }

        #[test]
        fn varints_have_one_form(bytes in proptest::collection::vec(prop_oneof![Just(0x80u8), Just(0xffu8), Just(0), any::<u8>()], 0..12)) {
            prop_assert_eq!(Input::new(&bytes).whole::<u64>().ok(), decode::<u64>(&bytes, 12).ok());
            prop_assert_eq!(Input::new(&bytes).whole::<u32>().ok(), decode::<u32>(&bytes, 12).ok());
        }
    }

    #[test]
    fn a_false_length_takes_no_memory() {
        assert_eq!(Input::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).whole::<Vec<[u8; 32]>>(), Err(CodecError::Malformed));
    }
}
