//! What a witness may sign at one height.
//!
//! Views follow each other, 0, 1, 2, …, and a witness votes only in the view that it is in, or in a later one that it
//! jumps to. In a view it *notarizes* at most one header. When it sees a quorum notarize a header it *finalizes* that
//! one and enters the next view; when it sees a quorum nullify the view it enters the next view; when its time is over
//! it *nullifies*. Finalizing and nullifying one view exclude each other, in either order, also across a restart. So a
//! view in which a quorum finalized is never nullified by another quorum, and every later proposal must be of the same
//! header ([`justified`](super::justified)).
//!
//! The record of a [`Voter`] (its view, its votes of this view, all its finalizes of this height) is durable before any
//! of these votes is sent. Finalizes are kept for the others, who add them up; what the witness may sign follows from
//! its view alone.
//!
//! The rules know neither keys nor signatures: the model steps this code with small numbers for headers.

use super::VoteKind;
use crate::mutant::{Mutant, is_on};
use alloc::vec::Vec;

/// The most finalizes of one height that are kept; the newest are.
pub const MAX_FINALIZES: usize = 64;

/// A vote of one height, without its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot<H> {
    /// The view.
    pub view: u64,
    /// What it is for.
    pub kind: VoteKind,
    /// The header; none for a nullify.
    pub header: Option<H>,
}

impl<H> Ballot<H> {
    /// For a header.
    pub fn notarize(view: u64, header: H) -> Self {
        Ballot { view, kind: VoteKind::Notarize, header: Some(header) }
    }

    /// For settling a header.
    pub fn finalize(view: u64, header: H) -> Self {
        Ballot { view, kind: VoteKind::Finalize, header: Some(header) }
    }

    /// Against a view.
    pub fn nullify(view: u64) -> Self {
        Ballot { view, kind: VoteKind::Nullify, header: None }
    }
}

/// A witness's memory of one height.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Voter<H> {
    view: u64,
    notarized: Option<H>,
    nullified: bool,
    /// By view.
    finalized: Vec<(u64, H)>,
}

impl<H> Default for Voter<H> {
    fn default() -> Self {
        Voter { view: 0, notarized: None, nullified: false, finalized: Vec::new() }
    }
}

impl<H: Copy + Eq> Voter<H> {
    /// From its record: the view it was in, and its votes of that view and all its finalizes, in any order.
    pub fn from_record(view: u64, ballots: impl IntoIterator<Item = Ballot<H>>) -> Self {
        let mut voter = Voter { view, ..Voter::default() };
        for Ballot { view: of, kind, header } in ballots {
            let forgets = of == view && is_on(Mutant::VoteForgotten);
            match (kind, header) {
                (VoteKind::Notarize, Some(header)) if of == view && !forgets => voter.notarized = Some(header),
                (VoteKind::Nullify, None) if of == view && !forgets => voter.nullified = true,
                (VoteKind::Finalize, Some(header)) => voter.finalized.push((of, header)),
                _ => {}
            }
        }
        voter.finalized.sort_by_key(|(view, _)| *view);
        voter
    }

    /// Its record: what [`Voter::from_record`] takes, beside the view.
    pub fn ballots(&self) -> impl Iterator<Item = Ballot<H>> + '_ {
        let notarized = self.notarized.map(|header| Ballot::notarize(self.view, header));
        let nullified = self.nullified.then(|| Ballot::nullify(self.view));
        let finalized = self.finalized.iter().map(|(view, header)| Ballot::finalize(*view, *header));
        notarized.into_iter().chain(nullified).chain(finalized)
    }

    /// The view it is in.
    pub fn view(&self) -> u64 {
        self.view
    }

    /// The header that it notarized in this view.
    pub fn notarized(&self) -> Option<H> {
        self.notarized
    }

    /// Whether it nullified this view.
    pub fn nullified(&self) -> bool {
        self.nullified
    }

    /// Notarizes a header whose cut it holds, whose roots it recomputed, and whose proposal is justified.
    pub fn notarize(&mut self, view: u64, header: H) -> Option<Ballot<H>> {
        let has = self.notarized.is_some() && !is_on(Mutant::NotarizeTwice);
        if view != self.view || has || self.notarized == Some(header) {
            return None;
        }
        self.notarized = Some(header);
        Some(Ballot::notarize(view, header))
    }

    /// Its time for this view is over.
    pub fn nullify(&mut self, view: u64) -> Option<Ballot<H>> {
        let finalized = self.finalized.iter().any(|(of, _)| *of == view);
        let may = view == self.view && !finalized || finalized && is_on(Mutant::NullifyAfterFinalize);
        if !may || view == self.view && self.nullified {
            return None;
        }
        self.nullified |= view == self.view;
        Some(Ballot::nullify(view))
    }

    /// A quorum notarized a header in this view or a later one: it finalizes that, unless it nullified the view, and enters
    /// the next. Of an earlier view it does nothing.
    pub fn see_notarization(&mut self, view: u64, header: H) -> Option<Ballot<H>> {
        if view < self.view {
            return None;
        }
        let excluded = view == self.view && self.nullified && !is_on(Mutant::FinalizeAfterNullify);
        let has = self.finalized.last().is_some_and(|(last, _)| *last >= view);
        self.enter(view.saturating_add(1));
        if excluded || has {
            return None;
        }
        if self.finalized.len() == MAX_FINALIZES {
            self.finalized.remove(0);
        }
        self.finalized.push((view, header));
        Some(Ballot::finalize(view, header))
    }

    /// A quorum nullified this view or a later one: it enters the next. Of an earlier view it does nothing.
    pub fn see_nullification(&mut self, view: u64) {
        if view >= self.view {
            self.enter(view.saturating_add(1));
        }
    }

    fn enter(&mut self, view: u64) {
        (self.view, self.notarized, self.nullified) = (view, None, false);
    }
}
