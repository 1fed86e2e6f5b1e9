//! What sealed bodies hold: operations in the state lane, talk in the talk lane. Kinds are only ever added at the end.

use crate::bytes::{DeviceId, EntryId, Hash, InviteKey, MemberId, VoteKey};
use crate::codec::{self, CodecError, encode};
use crate::entry::Invite;
use crate::epoch::{Handout, MAX_SEALED_TO, NewEpoch};
use crate::genesis::Rules;
use crate::seal::MAX_REASON;
use crate::settle::Evidence;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most characters of a name, of a member or of a circle.
pub const MAX_NAME: usize = 64;
/// The most bytes of a post.
pub const MAX_TEXT: usize = 16 * 1_024;
/// The most bytes of an encoded [`Operation`].
pub const MAX_OPERATION: usize = 48 * 1_024;
/// The most bytes of a stamp's sealed note.
pub const MAX_NOTE: usize = MAX_REASON;
/// The most devices that one operation promotes, and the most that it demotes.
pub const MAX_CHANGED: usize = 128;
/// The most bytes of an encoded [`Talk`].
pub const MAX_TALK: usize = MAX_TEXT + 16;

/// What changes the state, if it holds when it is settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// The author's member joins; at seq 0 of a member's first device.
    Join {
        /// The member's name, by the rule of [`check_name`].
        name: String,
    },
    /// The author's device is enrolled; at seq 0 of a member's further device.
    Enrol,
    /// The author gives an invite.
    Invite(Invite),
    /// The author's member thanks another with points.
    Transfer {
        /// Who gets them.
        to: MemberId,
        /// How many.
        amount: u64,
        /// Why, sealed with the talk key; at most [`MAX_REASON`] bytes, none if no reason is given.
        reason: Vec<u8>,
    },
    /// The author's member, or the founder, takes an invite back: nobody comes by it any more.
    Revoke {
        /// The invite's key.
        key: InviteKey,
        /// The device that gave it.
        issuer: DeviceId,
    },
    /// The author's member gives up one of their devices: lost, or replaced.
    Retire(DeviceId),
    /// A new epoch, on demand: after a device was lost, say.
    Epoch(NewEpoch),
    /// Keys of an epoch that began before, for devices that lack them.
    Keys {
        /// The epoch: these devices hold all up to it by now.
        epoch: EntryId,
        /// The keys, sealed.
        keys: Handout,
    },
    /// The author's device was said to hold the keys of the newest epoch, and does not.
    Lacking,
    /// The author's device is ready to be a witness.
    Ready {
        /// A fresh key, with which it will vote.
        vote_key: VoteKey,
        /// Whether it says of itself that it is always on.
        always_on: bool,
    },
    /// The author's device leaves the witnesses.
    Resign,
    /// Two votes of a witness that contradict each other: it leaves the witnesses.
    Evidence(Box<Evidence>),
    /// What needs authority: done at once if the author's member is the founder, else as soon as more than half of the
    /// members are for it, its author counted. A member's further proposal takes the place of their open one.
    Propose(Box<Change>),
    /// The author's member is for a proposal, named by the entry that makes it.
    Consent(EntryId),
    /// A document existed, and the author's member says so.
    Stamp {
        /// BLAKE3 of the document.
        document: Hash,
        /// What it is, sealed with the talk key as a reason; at most [`MAX_NOTE`] bytes, may be empty.
        note: Vec<u8>,
    },
    /// The author's member vouches for a document that another stamped.
    Endorse(Hash),
    /// Nothing: the entry is there for what it builds on, and a cut has one head in place of many.
    Merge,
}

/// What needs authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Other numbers to play by.
    Config(Rules),
    /// A member leaves, and a new epoch starts whose keys they do not get.
    Remove {
        /// Who.
        member: MemberId,
        /// The epoch, with its keys for all others.
        epoch: NewEpoch,
    },
    /// Other witnesses, all in one step.
    Witnesses {
        /// Devices that said [`Operation::Ready`] not long ago.
        promote: Vec<DeviceId>,
        /// Witnesses that leave.
        demote: Vec<DeviceId>,
    },
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Talk {
    /// A post on the timeline.
    Post {
        /// At most [`MAX_TEXT`] bytes, and not empty.
        text: String,
    },
}

/// Why a body holds no operation and no talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpError {
    /// It does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The name breaks the rule.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The sealed reason is too long.
    #[error("a sealed reason of {len} bytes, where at most {MAX_REASON} are allowed")]
    Reason {
        /// Its length.
        len: usize,
    },
    /// More keys, devices or bytes in a list than it may have.
    #[error("a list is too long")]
    List,
    /// The text is empty or too long.
    #[error("a text of {len} bytes, where 1 to {MAX_TEXT} are allowed")]
    Text {
        /// Its length.
        len: usize,
    },
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing to see in it.
    #[error("a name must not be empty")]
    Empty,
    /// Too many characters.
    #[error("a name of {len} characters, where at most {MAX_NAME} are allowed")]
    TooLong {
        /// How many.
        len: usize,
    },
    /// A character that controls the screen, or the direction of what follows it.
    #[error("a name must not hold the character U+{:04X}", *.0 as u32)]
    Character(char),
}

/// Whether a text can be a name: 1 to [`MAX_NAME`] characters, something to see among them, none that controls the
/// screen or turns the direction of the text (with which one member could look like another).
///
/// # Errors
/// [`NameError`], by the first rule broken.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let len = name.chars().count();
    if len > MAX_NAME {
        return Err(NameError::TooLong { len });
    }
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if let Some(bad) = name.chars().find(|c| c.is_control() || turns(*c) || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(NameError::Character(bad));
    }
    if name.trim().is_empty() {
        return Err(NameError::Empty);
    }
    Ok(())
}

fn bounded(len: usize, most: usize) -> Result<(), OpError> {
    if len <= most { Ok(()) } else { Err(OpError::List) }
}

impl Operation {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads an operation and checks what can be checked without the state.
    ///
    /// # Errors
    /// [`OpError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, OpError> {
        let operation: Self = codec::decode(bytes, MAX_OPERATION)?;
        operation.check()?;
        Ok(operation)
    }

    /// Whether names and lengths keep the rules.
    ///
    /// # Errors
    /// [`OpError`].
    pub fn check(&self) -> Result<(), OpError> {
        match self {
            Operation::Join { name } => Ok(check_name(name)?),
            Operation::Transfer { reason, .. } if reason.len() > MAX_REASON => {
                Err(OpError::Reason { len: reason.len() })
            }
            Operation::Stamp { note, .. } if note.len() > MAX_NOTE => Err(OpError::Reason { len: note.len() }),
            Operation::Epoch(NewEpoch { keys, .. }) | Operation::Keys { keys, .. } => {
                bounded(keys.to.len(), MAX_SEALED_TO)
            }
            Operation::Propose(change) => match &**change {
                Change::Config(_) => Ok(()),
                Change::Remove { epoch, .. } => bounded(epoch.keys.to.len(), MAX_SEALED_TO),
                Change::Witnesses { promote, demote } => bounded(promote.len().max(demote.len()), MAX_CHANGED),
            },
            _ => Ok(()),
        }
    }
}

impl Talk {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads talk and checks it.
    ///
    /// # Errors
    /// [`OpError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, OpError> {
        let talk: Self = codec::decode(bytes, MAX_TALK)?;
        talk.check()?;
        Ok(talk)
    }

    /// Whether lengths keep the rules.
    ///
    /// # Errors
    /// [`OpError`].
    pub fn check(&self) -> Result<(), OpError> {
        let Talk::Post { text } = self;
        match text.len() {
            1..=MAX_TEXT => Ok(()),
            len => Err(OpError::Text { len }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    fn operations() -> impl Strategy<Value = Operation> {
        let reason = proptest::collection::vec(any::<u8>(), 0..=MAX_REASON);
        prop_oneof![
            "[a-zあ-ん]{1,64}".prop_map(|name| Operation::Join { name }),
            Just(Operation::Enrol),
            (any::<[u8; 32]>(), any::<u64>(), reason).prop_map(|(to, amount, reason)| Operation::Transfer {
                to: MemberId(to),
                amount,
                reason
            }),
        ]
    }

    proptest! {
        #[test]
        fn operations_read_back_and_no_cut_of_them_does(operation in operations()) {
            let bytes = operation.encode();
            prop_assert!(bytes.len() <= MAX_OPERATION);
            prop_assert_eq!(Operation::decode(&bytes).unwrap(), operation);
            for len in 0..bytes.len() {
                prop_assert!(Operation::decode(&bytes[..len]).is_err());
            }
        }
    }

    #[test]
    fn names_keep_the_rule() {
        for good in ["a", "花子", "Zoë O'Hara", &"名".repeat(64), "👩‍👩‍👧"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        assert_eq!(check_name(""), Err(NameError::Empty));
        assert_eq!(check_name(" \u{3000} "), Err(NameError::Empty));
        assert_eq!(check_name(&"名".repeat(65)), Err(NameError::TooLong { len: 65 }));
        for bad in ['\0', '\n', '\u{7f}', '\u{85}', '\u{202e}', '\u{2067}', '\u{2028}'] {
            assert_eq!(check_name(&["ann", &bad.to_string()].concat()), Err(NameError::Character(bad)));
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let post = |len: usize| Talk::decode(&Talk::Post { text: "a".repeat(len) }.encode()).map(|_| ());
        assert_eq!(post(0), Err(OpError::Text { len: 0 }));
        assert_eq!(post(MAX_TEXT), Ok(()));
        assert_eq!(post(MAX_TEXT + 1), Err(OpError::Text { len: MAX_TEXT + 1 }));
        assert!(matches!(post(MAX_TALK + 1), Err(OpError::Codec(CodecError::TooLong { .. }))));
        let reason = vec![0; MAX_REASON + 1];
        let transfer = Operation::Transfer { to: MemberId([1; 32]), amount: 1, reason };
        assert_eq!(Operation::decode(&transfer.encode()), Err(OpError::Reason { len: MAX_REASON + 1 }));
        assert_eq!(
            Operation::decode(&Operation::Join { name: "\n".to_string() }.encode()),
            Err(OpError::Name(NameError::Character('\n')))
        );
    }
}
