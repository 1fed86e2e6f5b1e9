//! Why a node can not do what a person asked: a code that the page turns into a sentence of the person's language, with
//! the facts that belong into it.

use crate::store::StoreError;
use ledgerno_engine::join::ParcelError;
use ledgerno_engine::wire::No;
use ledgerno_engine::{OpenError, ProveError, WriteError};
use ledgerno_ledger::invite::LinkError;
use ledgerno_ledger::op::{NameError, OpError};
use ledgerno_ledger::words::WordsError;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NodeError {
    /// The link is cut, foreign or newer.
    #[error("the invite: {0}")]
    Link(#[from] LinkError),
    /// The parcel is not the link's.
    #[error("the invite's parcel: {0}")]
    Parcel(#[from] ParcelError),
    /// A relay answered no.
    #[error("the relay answers: {0}")]
    No(No),
    /// No relay can be reached.
    #[error("the relay at {url} can not be reached")]
    Unreachable {
        /// Where it should be.
        url: String,
    },
    /// At a relay's address is one with another key.
    #[error("at {url} is another relay")]
    OtherRelay {
        /// Where it should be.
        url: String,
    },
    /// The relay speaks another version.
    #[error("the relay speaks version {theirs} of the protocol, this node {ours}")]
    Version {
        /// The relay's.
        theirs: u16,
        /// Ours.
        ours: u16,
    },
    /// The link answered nonsense.
    #[error("the relay's answer can not be read")]
    Nonsense,
    /// Nothing was written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// No proof file can be made.
    #[error("no proof can be made of it")]
    Prove(ProveError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored log is damaged.
    #[error("the stored circle can not be read: {0}")]
    Open(#[from] OpenError),
    /// A stored record of the profile is damaged.
    #[error("the stored record {0} can not be read")]
    Record(String),
    /// There is no such circle here.
    #[error("this node is in no such circle")]
    NoCircle,
    /// The device is in the circle already.
    #[error("this device is in the circle already")]
    Joined,
    /// An exported file can not be read.
    #[error("the file is no exported identity: {0}")]
    Import(String),
    /// The 24 words are nobody's.
    #[error("the words: {0}")]
    Words(#[from] WordsError),
    /// This profile has an identity already.
    #[error("this browser holds an identity already")]
    Occupied,
    /// The system has no randomness.
    #[error("the system gives no randomness")]
    Random,
    /// The node is closed.
    #[error("the node is closed")]
    Closed,
}

impl From<getrandom::Error> for NodeError {
    fn from(_: getrandom::Error) -> Self {
        NodeError::Random
    }
}

impl From<ProveError> for NodeError {
    fn from(why: ProveError) -> Self {
        NodeError::Prove(why)
    }
}

impl From<No> for NodeError {
    fn from(no: No) -> Self {
        NodeError::No(no)
    }
}

impl NodeError {
    /// The code that the page knows it by.
    pub fn code(&self) -> &'static str {
        match self {
            NodeError::Link(LinkError::Version(_)) => "invite-version",
            NodeError::Link(_) => "invite-malformed",
            NodeError::Parcel(_) => "invite-foreign",
            NodeError::No(No::UnknownCircle | No::NoParcel) => "invite-unknown",
            NodeError::No(No::Expired) => "invite-expired",
            NodeError::No(No::UsedUp) => "invite-used-up",
            NodeError::No(No::WrongToken) => "token-wrong",
            NodeError::No(No::Full) => "relay-full",
            NodeError::No(No::NotAdmitted) => "not-admitted",
            NodeError::No(No::Busy) => "busy",
            NodeError::Unreachable { .. } => "relay-unreachable",
            NodeError::OtherRelay { .. } => "relay-other",
            NodeError::Version { .. } => "relay-version",
            NodeError::Write(error) => write_code(error),
            NodeError::Store(error) => store_code(error),
            NodeError::Open(_) | NodeError::Record(_) => "store-damaged",
            NodeError::Prove(ProveError::NotHeld) => "not-here",
            NodeError::Prove(ProveError::NotSettled | ProveError::NoState | ProveError::NotStamped) => "not-settled",
            NodeError::Prove(_) => "no-proof",
            NodeError::Import(_) => "import-malformed",
            NodeError::Occupied => "occupied",
            NodeError::No(No::Malformed | No::NotKept)
            | NodeError::Nonsense
            | NodeError::NoCircle
            | NodeError::Joined => "internal",
            NodeError::Words(_) => "words-wrong",
            NodeError::Random | NodeError::Closed => "internal",
        }
    }

    /// The facts that belong into the sentence.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        match self {
            NodeError::Unreachable { url } | NodeError::OtherRelay { url } => vec![("url", url.clone())],
            NodeError::Version { theirs, ours } => vec![("theirs", theirs.to_string()), ("ours", ours.to_string())],
            NodeError::Link(LinkError::Version(theirs)) => vec![("theirs", theirs.to_string())],
            NodeError::Write(WriteError::Balance { balance, amount }) => {
                vec![("balance", balance.to_string()), ("amount", amount.to_string())]
            }
            NodeError::Write(WriteError::TooLong { len, limit }) => {
                vec![("len", len.to_string()), ("limit", limit.to_string())]
            }
            NodeError::Write(WriteError::Content(OpError::Text { len })) => {
                vec![("len", len.to_string()), ("limit", ledgerno_ledger::op::MAX_TEXT.to_string())]
            }
            other => vec![("detail", other.to_string())],
        }
    }
}

fn write_code(error: &WriteError) -> &'static str {
    match error {
        WriteError::Content(OpError::Name(NameError::Empty | NameError::TooLong { .. } | NameError::Character(_))) => {
            "name-invalid"
        }
        WriteError::Content(OpError::Text { .. } | OpError::Reason { .. })
        | WriteError::TooLong { .. }
        | WriteError::Seal(_) => "body-too-large",
        WriteError::Amount => "amount-invalid",
        WriteError::NoMember(_) => "no-member",
        WriteError::Balance { .. } => "balance-too-low",
        WriteError::NotInYet => "not-admitted",
        WriteError::NoRenewal => "no-renewal",
        WriteError::NotHere => "not-here",
        WriteError::NoTalk | WriteError::NotOwn => "internal",
        WriteError::NoSeat | WriteError::InAlready | WriteError::Content(_) | WriteError::Refused(_) => "internal",
    }
}

/// The code of a store's failure.
pub fn store_code(error: &StoreError) -> &'static str {
    match error {
        StoreError::Full { .. } => "store-full",
        StoreError::Blocked { .. } | StoreError::InUse { .. } | StoreError::Unavailable { .. } => "store-blocked",
        StoreError::Damaged { .. } => "store-damaged",
        StoreError::Newer { .. } => "store-newer",
        StoreError::TooLarge { .. } => "body-too-large",
        StoreError::Name { .. } | StoreError::Closed | StoreError::Io { .. } => "internal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_a_code_of_its_own_sentence() {
        let newer = StoreError::Newer { path: "here".into(), detail: "format 9".into() };
        for (error, code) in [
            (NodeError::Store(newer), "store-newer"),
            (NodeError::Occupied, "occupied"),
            (NodeError::Write(WriteError::NoRenewal), "no-renewal"),
            (NodeError::Write(WriteError::NotHere), "not-here"),
            (NodeError::Write(WriteError::Amount), "amount-invalid"),
            (NodeError::Prove(ProveError::NotSettled), "not-settled"),
            (NodeError::Prove(ProveError::Sealed), "no-proof"),
        ] {
            assert_eq!(error.code(), code, "{error}");
        }
    }
}
