//! An honest witness of a model, packed into one number: what its `Voter` remembers, and every vote it ever sent.
//!
//! The models hold millions of states, so a witness is a number and becomes a [`Voter`] of the shipped code for each step.
//! Nothing is lost: a voter remembers its view, its votes of that view and its finalizes, and the packing checks that these
//! are exactly the finalizes that were sent.

use ledgerno_ledger::mutant;
use ledgerno_ledger::settle::{Ballot, VoteKind, Voter};

/// Kinds of votes in a view: two headers notarized or finalized, or a nullify.
pub const KINDS: u64 = 5;
/// The most views that a witness has room for.
const VIEWS: u64 = 4;

const SENT: u32 = (1 << (VIEWS * KINDS)) - 1;
const VIEW: u32 = SENT.count_ones();
const NOTARIZED: u32 = VIEW + 3;
const NULLIFIED: u32 = NOTARIZED + 2;

/// Bits of the votes for header 0, and one place on those for header 1: in all views.
const FOR_0: u32 = 0b00101 * (1 | 1 << KINDS | 1 << (2 * KINDS) | 1 << (3 * KINDS));

/// The votes of so many views, each at the place of its bit.
pub fn ballots(views: u64) -> impl Iterator<Item = (u32, Ballot<u8>)> {
    (0..views * KINDS).map(|at| (1 << at, ballot(at)))
}

fn ballot(at: u64) -> Ballot<u8> {
    let view = at / KINDS;
    match (at % KINDS) as u8 {
        header @ 0..=1 => Ballot::notarize(view, header),
        kind @ 2..=3 => Ballot::finalize(view, kind - 2),
        _ => Ballot::nullify(view),
    }
}

/// The bit of a vote, for header 0 or 1.
pub fn bit(ballot: Ballot<u8>) -> u32 {
    assert!(ballot.view < VIEWS && ballot.header.is_none_or(|header| header < 2));
    let header = ballot.header.map_or(0, u64::from);
    let kind = match ballot.kind {
        VoteKind::Notarize => header,
        VoteKind::Finalize => 2 + header,
        VoteKind::Nullify => 4,
    };
    1 << (ballot.view * KINDS + kind)
}

/// An honest witness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Witness(u32);

impl Witness {
    /// Every vote it ever sent, a bit each.
    pub fn sent(self) -> u32 {
        self.0 & SENT
    }

    pub fn view(self) -> u64 {
        u64::from(self.0 >> VIEW & 0b111)
    }

    /// The shipped code, as far as it has come.
    pub fn voter(self) -> Voter<u8> {
        let view = self.view();
        let header = (self.0 >> NOTARIZED & 0b11) as u8;
        let notarized = header.checked_sub(1).map(|header| Ballot::notarize(view, header));
        let nullified = (self.0 >> NULLIFIED & 1 == 1).then(|| Ballot::nullify(view));
        let finalized = ballots(VIEWS).filter(|(bit, ballot)| ballot.kind == VoteKind::Finalize && self.0 & bit != 0);
        let record = notarized.into_iter().chain(nullified).chain(finalized.map(|(_, ballot)| ballot));
        // No step of the model: nothing is forgotten.
        mutant::with(None, || Voter::from_record(view, record))
    }

    /// After a step, in which it may send a vote.
    pub fn after(self, step: impl FnOnce(&mut Voter<u8>) -> Option<Ballot<u8>>) -> Self {
        let mut voter = self.voter();
        let sent = self.sent() | step(&mut voter).map_or(0, bit);
        let finalized = |sent: u32| sent & (0b01100 * (FOR_0 / 0b00101));
        let kept: u32 = voter.ballots().filter(|ballot| ballot.kind == VoteKind::Finalize).map(bit).sum();
        assert_eq!(finalized(sent), kept, "a voter keeps its finalizes");
        let notarized = voter.notarized().map_or(0, |header| u32::from(header) + 1);
        let view = voter.view() as u32;
        Witness(sent | view << VIEW | notarized << NOTARIZED | u32::from(voter.nullified()) << NULLIFIED)
    }

    /// As if each header were the other one.
    pub fn mirrored(self) -> Self {
        let sent = self.0 & !(FOR_0 | FOR_0 << 1) | (self.0 & FOR_0) << 1 | self.0 >> 1 & FOR_0;
        let notarized = match self.0 >> NOTARIZED & 0b11 {
            0 => 0,
            one_of_two => 3 - one_of_two,
        };
        Witness(sent & !(0b11 << NOTARIZED) | notarized << NOTARIZED)
    }
}
