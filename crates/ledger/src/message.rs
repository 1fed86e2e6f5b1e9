//! Direct messages: sealed again, within a talk body, to the devices of the two members.
//!
//! The text is sealed with a key of the message's own, that key to each device: X25519 between a key made for this one
//! message and the device's, as an epoch's keys are. All is sealed to the place of the entry (circle, device, seq) and to
//! the member whom it is for, so that no message is taken out of its entry and put into another. As everything sealed
//! here commits to its key, all devices read the same text or none. Other members see from whom and to whom, and how long.
//!
//! Only the format is here: no kind of talk carries it yet.

use crate::bytes::{BoxKey, CircleId, DeviceId, MemberId};
use crate::codec::{self, CodecError, encode};
use crate::epoch::{MAX_SEALED_TO, agreed};
use crate::hash::context;
use crate::keys::{BoxSecret, DeviceKey, KeyError, check_box_key};
use crate::op::MAX_TEXT;
use crate::seal::{self, NONCE, OVERHEAD, SealError, size_class};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// The version of the format.
pub const VERSION: u8 = 1;
/// The most devices of the two members together.
pub const MAX_DEVICES: usize = MAX_SEALED_TO;
/// The bytes of a key sealed to a device: the smallest size class.
const SEALED_KEY: usize = 128;
/// The most bytes of a sealed text.
const MAX_SEALED_TEXT: usize = 20_480;
/// The most bytes of an encoded [`DirectMessage`].
pub const MAX_MESSAGE: usize = 1 + 32 + 32 + 2 + MAX_DEVICES * (32 + 2 + SEALED_KEY) + 3 + MAX_SEALED_TEXT;

/// The entry in which a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The circle.
    pub circle: CircleId,
    /// The entry's author.
    pub device: DeviceId,
    /// The entry's place in its author's chain.
    pub seq: u64,
}

/// A message from the entry's author to a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectMessage {
    /// [`VERSION`].
    pub version: u8,
    /// To whom.
    pub to: MemberId,
    /// The X25519 key that was made for this message.
    pub sealer: BoxKey,
    /// The text's key sealed to each device of either member: 1 to [`MAX_DEVICES`], strictly sorted by device.
    pub keys: Vec<(DeviceId, Vec<u8>)>,
    /// The sealed text, in UTF-8; at most [`MAX_TEXT`] bytes before it is sealed.
    pub text: Vec<u8>,
}

/// Why bytes are no direct message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// It does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Of a format that this code does not know.
    #[error("version {0} of direct messages is unknown")]
    Version(u8),
    /// No devices, too many, or not strictly sorted.
    #[error("its devices are not 1 to {MAX_DEVICES}, strictly sorted")]
    Devices,
    /// A sealed key or text of a length that none has.
    #[error("{0} bytes are no sealed key or text")]
    Length(usize),
    /// An X25519 key from which nothing comes.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It is not for this device, or does not open here.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It opens, and is no text.
    #[error("it opens, and is no text")]
    Text,
}

/// What is random in a message, each used for it alone.
pub struct Chance {
    /// The X25519 secret.
    pub sealer: [u8; 32],
    /// The text's key.
    pub key: [u8; 32],
    /// The text's nonce, and of each sealed key.
    pub nonce: [u8; NONCE],
}

impl DirectMessage {
    /// Seals a text to devices, whose X25519 keys were checked when they were admitted. The nonces of the sealed keys may
    /// be one: each is used with another key.
    ///
    /// # Errors
    /// [`MessageError::Seal`] for a text that is too long, [`MessageError::Devices`].
    pub fn seal(
        at: Place,
        to: MemberId,
        devices: &[(DeviceId, BoxKey)],
        chance: &Chance,
        text: &str,
    ) -> Result<Self, MessageError> {
        if text.len() > MAX_TEXT {
            return Err(SealError::TooLong { len: text.len(), max: MAX_TEXT }.into());
        }
        let sealer = BoxSecret::from_secret(chance.sealer);
        let mut keys = Vec::with_capacity(devices.len());
        for (device, box_key) in devices {
            let key = agreed(&sealer.agree(box_key), &sealer.key(), box_key);
            let place = at.for_device(to, *device);
            keys.push((*device, seal::seal(context::SEAL_MESSAGE_KEY, &key, chance.nonce, &place, &chance.key)?));
        }
        keys.sort_unstable();
        let text = seal::seal(context::SEAL_MESSAGE, &chance.key, chance.nonce, &at.to(to), text.as_bytes())?;
        let message = DirectMessage { version: VERSION, to, sealer: sealer.key(), keys, text };
        message.check()?;
        Ok(message)
    }

    /// Opens it with a device of either member.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn open(&self, at: Place, device: &DeviceKey) -> Result<alloc::string::String, MessageError> {
        self.check()?;
        let (id, secret) = (device.id(), device.box_secret());
        let place = self.keys.binary_search_by(|(to, _)| to.cmp(&id)).map_err(|_| SealError::OtherKey)?;
        let agreed = agreed(&secret.agree(&self.sealer), &self.sealer, &secret.key());
        let sealed = &self.keys[place].1;
        let key = Zeroizing::new(seal::open(context::SEAL_MESSAGE_KEY, &agreed, &at.for_device(self.to, id), sealed)?);
        let key = key.first_chunk::<32>().filter(|_| key.len() == 32).ok_or(MessageError::Length(key.len()))?;
        let text = seal::open(context::SEAL_MESSAGE, key, &at.to(self.to), &self.text)?;
        let text = alloc::string::String::from_utf8(text).map_err(|_| MessageError::Text)?;
        if text.len() <= MAX_TEXT { Ok(text) } else { Err(MessageError::Text) }
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a message, and checks what can be checked without opening it.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let message: Self = codec::decode(bytes, MAX_MESSAGE)?;
        message.check()?;
        Ok(message)
    }

    fn check(&self) -> Result<(), MessageError> {
        if self.version != VERSION {
            return Err(MessageError::Version(self.version));
        }
        let sorted = self.keys.is_sorted_by(|(one, _), (next, _)| one < next);
        if !sorted || !(1..=MAX_DEVICES).contains(&self.keys.len()) {
            return Err(MessageError::Devices);
        }
        if let Some((_, key)) = self.keys.iter().find(|(_, key)| key.len() != SEALED_KEY) {
            return Err(MessageError::Length(key.len()));
        }
        let len = self.text.len();
        if len > MAX_SEALED_TEXT || size_class(len) != Some(len) {
            return Err(MessageError::Length(len));
        }
        Ok(check_box_key(&self.sealer)?)
    }
}

impl Place {
    /// What the text is sealed to.
    fn to(&self, member: MemberId) -> Vec<u8> {
        encode(&(self.circle, self.device, self.seq, member))
    }

    /// What the text's key is sealed to, for a device.
    fn for_device(&self, member: MemberId, device: DeviceId) -> Vec<u8> {
        encode(&(self.circle, self.device, self.seq, member, device))
    }
}

/// The longest text fits, and its class is the one that is named.
const _: () = assert!(MAX_TEXT + OVERHEAD <= MAX_SEALED_TEXT && MAX_MESSAGE <= seal::MAX_PLAIN);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::hostile::besiege;
    use alloc::vec;

    const AT: Place = Place { circle: CircleId([1; 32]), device: DeviceId([10; 32]), seq: 300 };
    const TO: MemberId = MemberId([15; 32]);
    const CHANCE: Chance = Chance { sealer: [60; 32], key: [61; 32], nonce: [62; NONCE] };

    fn device(number: u8) -> DeviceKey {
        DeviceKey::from_secret([number; 32])
    }

    fn sealed(text: &str) -> DirectMessage {
        let devices: Vec<_> = (28..31).map(|number| (device(number).id(), device(number).box_key())).collect();
        DirectMessage::seal(AT, TO, &devices, &CHANCE, text).unwrap()
    }

    #[test]
    fn each_device_reads_it_and_no_other_does() {
        let message = DirectMessage::decode(&sealed("see you at eight").encode()).unwrap();
        for number in 28..31 {
            assert_eq!(message.open(AT, &device(number)).unwrap(), "see you at eight");
        }
        assert_eq!(message.open(AT, &device(31)), Err(MessageError::Seal(SealError::OtherKey)));
    }

    #[test]
    fn it_opens_in_its_entry_and_for_its_member_only() {
        let message = sealed("see you at eight");
        for elsewhere in [
            Place { seq: 301, ..AT },
            Place { device: DeviceId([11; 32]), ..AT },
            Place { circle: CircleId([2; 32]), ..AT },
        ] {
            assert_eq!(message.open(elsewhere, &device(28)), Err(MessageError::Seal(SealError::Changed)));
        }
        let readdressed = DirectMessage { to: MemberId([16; 32]), ..message };
        assert_eq!(readdressed.open(AT, &device(28)), Err(MessageError::Seal(SealError::Changed)));
    }

    #[test]
    fn its_lists_and_lengths_are_bounded() {
        let longest = sealed(&"x".repeat(MAX_TEXT));
        assert_eq!(longest.text.len(), MAX_SEALED_TEXT);
        assert_eq!(longest.open(AT, &device(29)).unwrap().len(), MAX_TEXT);
        let refused =
            DirectMessage::seal(AT, TO, &[(device(1).id(), device(1).box_key())], &CHANCE, &"x".repeat(16_385));
        assert!(matches!(refused, Err(MessageError::Seal(SealError::TooLong { .. }))));

        let message = sealed("x");
        let with = |change: fn(&mut DirectMessage)| {
            let mut changed = message.clone();
            change(&mut changed);
            DirectMessage::decode(&changed.encode())
        };
        assert_eq!(with(|message| message.version = 2), Err(MessageError::Version(2)));
        assert_eq!(with(|message| message.keys.clear()), Err(MessageError::Devices));
        assert_eq!(with(|message| message.keys.swap(0, 1)), Err(MessageError::Devices));
        assert_eq!(with(|message| message.keys[1] = message.keys[0].clone()), Err(MessageError::Devices));
        assert_eq!(with(|message| message.keys[0].1.push(0)), Err(MessageError::Length(129)));
        assert_eq!(with(|message| message.text.push(0)), Err(MessageError::Length(129)));
        assert_eq!(with(|message| message.sealer = BoxKey([0; 32])), Err(MessageError::Key(KeyError::SmallOrder)));

        let many = |count: u8| {
            let keys = (0..count).map(|at| (DeviceId([at; 32]), vec![0; SEALED_KEY])).collect();
            DirectMessage { keys, text: vec![0; MAX_SEALED_TEXT], ..message.clone() }.encode()
        };
        assert!(DirectMessage::decode(&many(128)).is_ok());
        assert!(DirectMessage::decode(&many(129)).is_err());
    }

    #[test]
    fn hostile_messages() {
        let message = sealed("see you at eight");
        besiege(&[message.encode()], 20_000, |bytes| {
            if let Ok(read) = DirectMessage::decode(bytes) {
                assert_eq!(read.encode(), bytes);
                // Another device's sealed key may be spoilt.
                if let Ok(text) = read.open(AT, &device(28)) {
                    assert_eq!(text, "see you at eight");
                    assert_eq!((read.to, read.sealer, &read.text), (message.to, message.sealer, &message.text));
                }
            }
        });
    }
}
