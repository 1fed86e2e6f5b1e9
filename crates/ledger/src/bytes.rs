//! Fixed-size byte strings with a type of their own, so that a device's key is never taken for an entry's id.
//! They are encoded as their bytes, without a length.

use crate::codec::CodecError;
use crate::codec::direct::{Direct, Input};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Serde for `[u8; N]` of any `N`, as a tuple (postcard: the bytes, no length).
pub mod fixed {
    use super::*;

    /// Writes the bytes.
    #[cfg_attr(page, optimize(speed))]
    pub fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], out: S) -> Result<S::Ok, S::Error> {
        let mut tuple = out.serialize_tuple(N)?;
        for byte in bytes {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }

    struct Bytes<const N: usize>;

    impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
        type Value = [u8; N];

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "{N} bytes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut bytes = [0; N];
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(at, &self))?;
            }
            Ok(bytes)
        }
    }

    /// Reads the bytes.
    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(input: D) -> Result<[u8; N], D::Error> {
        input.deserialize_tuple(N, Bytes::<N>)
    }
}

/// The order of byte strings of one length, which is eight times a number. A word at a time: the memory of a page is
/// compared byte by byte else.
#[inline]
#[cfg_attr(page, optimize(speed))]
fn order<const N: usize>(one: &[u8; N], other: &[u8; N]) -> Ordering {
    let mut left = (&one[..], &other[..]);
    while let (Some((one, rest)), Some((other, others))) =
        (left.0.split_first_chunk::<8>(), left.1.split_first_chunk::<8>())
    {
        let (one, other) = (u64::from_ne_bytes(*one), u64::from_ne_bytes(*other));
        if one != other {
            return one.to_be().cmp(&other.to_be());
        }
        left = (rest, others);
    }
    Ordering::Equal
}

macro_rules! byte_strings {
    ($($(#[$doc:meta])* $name:ident($len:expr);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Eq)]
        pub struct $name(pub [u8; $len]);

        impl PartialEq for $name {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                order(&self.0, &other.0).is_eq()
            }
        }

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                order(&self.0, &other.0)
            }
        }

        impl core::hash::Hash for $name {
            /// Of eight bytes alone: they are as good as random already, and whoever would make many that share them has
            /// 2^64 tries before them for each.
            fn hash<H: core::hash::Hasher>(&self, into: &mut H) {
                let mut first = [0; 8];
                first.copy_from_slice(&self.0[..8]);
                into.write_u64(u64::from_le_bytes(first));
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                fixed::serialize(&self.0, out)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                fixed::deserialize(input).map($name)
            }
        }

        impl Direct for $name {
            const LEAST: usize = $len;

            fn write(&self, out: &mut Vec<u8>) {
                self.0.write(out);
            }

            #[inline(always)]
            fn read(input: &mut Input) -> Result<Self, CodecError> {
                Direct::read(input).map($name)
            }
        }

        impl fmt::Display for $name {
            /// Lowercase hexadecimal.
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            /// The first four bytes, enough to tell two apart in a log.
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(f, "{}(", stringify!($name))?;
                self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("…)")
            }
        }
    )*};
}

byte_strings! {
    /// BLAKE3 of something that has no type of its own.
    Hash(32);
    /// A circle: the hash of its genesis.
    CircleId(32);
    /// An entry: the hash of the circle's id and the entry's canonical bytes. At seq 0 an entry's `prev` and `epoch` are the circle's id.
    EntryId(32);
    /// A header.
    HeaderHash(32);
    /// A member's identity: an Ed25519 public key.
    MemberId(32);
    /// A device: the Ed25519 public key that signs its entries and is its address in the network.
    DeviceId(32);
    /// A witness's voting key: an Ed25519 public key.
    VoteKey(32);
    /// An invite's signing key: an Ed25519 public key.
    InviteKey(32);
    /// A device's X25519 public key, to which lane keys and direct messages are sealed.
    BoxKey(32);
    /// An Ed25519 signature.
    Signature(64);
}

impl From<CircleId> for EntryId {
    fn from(circle: CircleId) -> Self {
        EntryId(circle.0)
    }
}
