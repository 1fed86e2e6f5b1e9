//! What was sent, by kind: each hop of a gossip message counts.

use ledgerno_engine::wire::{Topic, Votes};

/// A kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Gossip of an entry.
    Entry,
    /// Gossip of a settled header with its certificate and cut.
    Certificate,
    /// A header that is put to the vote, with its bundle.
    Proposal,
    /// Where a witness stands.
    Bundle,
    /// A single vote.
    Vote,
    /// A question of sync.
    Question,
    /// An answer of sync.
    Answer,
}

impl Kind {
    /// All kinds and what they are called, in the order of [`Traffic`].
    pub const ALL: [(Kind, &'static str); 7] = [
        (Kind::Entry, "entries"),
        (Kind::Certificate, "certificates"),
        (Kind::Proposal, "proposals"),
        (Kind::Bundle, "bundles"),
        (Kind::Vote, "votes"),
        (Kind::Question, "questions"),
        (Kind::Answer, "answers"),
    ];

    /// The kind of a gossip message.
    pub fn of(topic: Topic, bytes: &[u8]) -> Self {
        match Votes::from_bytes(bytes) {
            _ if topic == Topic::Entries => Kind::Entry,
            Ok(Votes::Proof(_) | Votes::Brief(_)) => Kind::Certificate,
            Ok(Votes::Proposal(_) | Votes::Opening(_)) => Kind::Proposal,
            Ok(Votes::Bundle(_)) => Kind::Bundle,
            Ok(Votes::Vote { .. }) | Err(_) => Kind::Vote,
        }
    }
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages and their bytes, by kind.
    by_kind: [(u64, u64); Kind::ALL.len()],
}

impl Traffic {
    /// A message was sent.
    pub fn add(&mut self, kind: Kind, bytes: usize) {
        let (messages, sum) = &mut self.by_kind[kind as usize];
        (*messages, *sum) = (*messages + 1, *sum + bytes as u64);
    }

    /// Messages in all.
    pub fn messages(&self) -> u64 {
        self.by_kind.iter().map(|(messages, _)| messages).sum()
    }

    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        self.by_kind.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Bytes of a kind.
    pub fn bytes_of(&self, kind: Kind) -> u64 {
        self.by_kind[kind as usize].1
    }
}
