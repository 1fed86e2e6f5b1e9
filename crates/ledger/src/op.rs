//! What sealed bodies hold: operations in the state lane, talk in the talk lane. Kinds are only ever added at the end.

use crate::bytes::MemberId;
use crate::codec::{self, CodecError, encode};
use crate::entry::Invite;
use crate::seal::MAX_REASON;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most characters of a name, of a member or of a circle.
pub const MAX_NAME: usize = 64;
/// The most bytes of a post.
pub const MAX_TEXT: usize = 16 * 1_024;
/// The most bytes of an encoded [`Operation`].
pub const MAX_OPERATION: usize = 2_048;
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
            Operation::Enrol | Operation::Invite(_) | Operation::Transfer { .. } => Ok(()),
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
