//! The votes of one height, counted.
//!
//! Q distinct witnesses' votes make a notarization (of a header in a view), a nullification (of a view) or, of finalizes,
//! a certificate. Finalize votes add up only within one (view, header). A witness counts once for what it said, however
//! often it says it. Who says two things of one view that no honest witness says gives evidence against itself: both
//! votes are kept, so that whoever added up the first adds up as before.
//!
//! Witnesses are known here by their place in the set; the votes taken are those whose signatures hold. What is kept
//! is bounded: views from the present one on to [`AHEAD`] after it (a later view is reached by its notarization or
//! nullification, which come whole), two headers for one witness in one view, and the finalizes of [`PAST`] views.

use super::{Ballot, VoteKind};
use crate::mutant::{Mutant, is_on};
use alloc::vec::Vec;

/// How many views after the present one votes are kept for.
pub const AHEAD: u64 = 8;
/// How many views before the present one finalizes are kept for.
pub const PAST: u64 = super::voter::MAX_FINALIZES as u64;

/// Votes that say the same, of distinct witnesses: each one's place in the set with its signature, ascending.
pub type Voices<S> = Vec<(u8, S)>;

/// What became of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken<H, S> {
    /// It counts.
    New,
    /// It counted already, or is of a view that is not looked at.
    Idle,
    /// It contradicts this other vote of the same witness.
    Against(Ballot<H>, S),
}

/// The votes of one height.
#[derive(Clone, Debug)]
pub struct Tally<H, S> {
    quorum: usize,
    view: u64,
    /// Sorted by ballot, then by witness.
    votes: Vec<(Ballot<H>, u8, S)>,
}

impl<H: Copy + Ord, S: Copy> Tally<H, S> {
    /// Without votes, where so many are a quorum.
    pub fn new(quorum: usize) -> Self {
        let quorum = if is_on(Mutant::SmallQuorum) { quorum.saturating_sub(1) } else { quorum };
        Tally { quorum, view: 0, votes: Vec::new() }
    }

    /// Takes a witness's vote, whose signature holds.
    pub fn take(&mut self, voter: u8, ballot: Ballot<H>, signature: S) -> Taken<H, S> {
        let from = if ballot.kind == VoteKind::Finalize { self.view.saturating_sub(PAST) } else { self.view };
        if !(from..=self.view.saturating_add(AHEAD)).contains(&ballot.view) {
            return Taken::Idle;
        }
        let against = self.of(voter, ballot.view).find(|(held, _)| contradict(held, &ballot));
        let alike = self.of(voter, ballot.view).filter(|(held, _)| held.kind == ballot.kind).count();
        let at = match self.votes.binary_search_by(|(held, by, _)| (held, by).cmp(&(&ballot, &voter))) {
            Ok(at) if is_on(Mutant::VotesCounted) => at,
            Ok(_) => return Taken::Idle,
            // A third header tells nothing new of who is known to lie.
            Err(_) if alike >= 2 => return Taken::Idle,
            Err(at) => at,
        };
        self.votes.insert(at, (ballot, voter, signature));
        against.map_or(Taken::New, |(held, signature)| Taken::Against(held, signature))
    }

    /// A witness's votes in a view.
    fn of(&self, voter: u8, view: u64) -> impl Iterator<Item = (Ballot<H>, S)> + '_ {
        let from = self.votes.partition_point(|(held, ..)| held.view < view);
        let in_view = self.votes[from..].iter().take_while(move |(held, ..)| held.view == view);
        in_view.filter(move |(_, by, _)| *by == voter).map(|(held, _, signature)| (*held, *signature))
    }

    /// All votes that say this, if they are a quorum.
    pub fn quorum_for(&self, ballot: &Ballot<H>) -> Option<Voices<S>> {
        let across = ballot.kind == VoteKind::Finalize && is_on(Mutant::FinalizesAcrossViews);
        let says = |held: &Ballot<H>| {
            held == ballot || across && held.kind == VoteKind::Finalize && held.header == ballot.header
        };
        let mut voices: Voices<S> = Vec::new();
        for (_, by, signature) in self.votes.iter().filter(|(held, ..)| says(held)) {
            if !across || !voices.iter().any(|(known, _)| known == by) {
                voices.push((*by, *signature));
            }
        }
        (voices.len() >= self.quorum).then_some(voices)
    }

    /// The notarization or nullification of the oldest view from the present one on that has one; a notarization if it
    /// has both, for that may be finalized. A header that is not `held` counts as not notarized yet.
    pub fn oldest(&self, held: impl Fn(&H) -> bool) -> Option<(Ballot<H>, Voices<S>)> {
        self.quorums(|said| said.kind != VoteKind::Finalize && said.header.as_ref().is_none_or(&held))
    }

    /// The finalizes of a quorum.
    pub fn certificate(&self) -> Option<(Ballot<H>, Voices<S>)> {
        self.quorums(|said| said.kind == VoteKind::Finalize)
    }

    /// The first thing of such a kind that a quorum says.
    fn quorums(&self, is_it: impl Fn(&Ballot<H>) -> bool) -> Option<(Ballot<H>, Voices<S>)> {
        let mut last = None;
        for (held, ..) in &self.votes {
            if last != Some(*held) {
                last = Some(*held);
                if let Some(voices) = self.quorum_for(held).filter(|_| is_it(held)) {
                    return Some((*held, voices));
                }
            }
        }
        None
    }

    /// Enters a view: what only mattered before is forgotten.
    pub fn enter(&mut self, view: u64) {
        self.view = self.view.max(view);
        let (view, past) = (self.view, self.view.saturating_sub(PAST));
        self.votes.retain(|(held, ..)| held.view >= if held.kind == VoteKind::Finalize { past } else { view });
    }
}

/// Whether no honest witness says both.
fn contradict<H: Eq>(one: &Ballot<H>, other: &Ballot<H>) -> bool {
    use VoteKind::{Finalize, Notarize, Nullify};
    one.view == other.view
        && match (one.kind, other.kind) {
            (Notarize, Notarize) | (Finalize, Finalize) => one.header != other.header,
            (Finalize, Nullify) | (Nullify, Finalize) => true,
            _ => false,
        }
}
