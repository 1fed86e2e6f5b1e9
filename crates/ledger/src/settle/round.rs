//! The views of one height, as a witness goes through them.
//!
//! The leader of a view proposes a new header, or again the one that was notarized in an earlier view u. That is
//! *justified* when every view between u (or the start) and this one has a nullification: then no quorum finalized
//! another header before. A proposal travels with what justifies it.
//!
//! A witness keeps the highest notarization, with its header, and every nullification after it. Votes for a header that it
//! does not hold it counts, and goes by them once it holds it. A notarization or nullification of a later view lets it jump
//! past that view, whether or not it knows those between; it proposes only when it does. Who leads rotates with height and
//! view: over the witnesses that are always on in the first pass, then over all.

use super::{Ballot, Taken, Tally, Voices, VoteKind, Voter, Witness, Witnesses};
use crate::mutant::{Mutant, is_on};
use alloc::vec::Vec;

/// Whether a header may be proposed in a view: it is the one notarized in an earlier view, or there is none; and each
/// view since is among the `nullified`, which are sorted.
pub fn justified<H: Eq>(view: u64, header: &H, notarized: Option<(u64, H)>, nullified: &[u64]) -> bool {
    let from = match notarized {
        Some((at, again)) if at < view && again == *header => at + 1,
        Some(_) => return false,
        None => 0,
    };
    let between = nullified.iter().filter(|at| (from..view).contains(at)).count() as u64;
    between == view - from || is_on(Mutant::NoNullifications)
}

/// What the leader of a view may propose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<H> {
    /// A header over what it holds whole.
    New,
    /// The header that was notarized.
    Again(H),
}

/// One witness's view of one height.
#[derive(Clone, Debug)]
pub struct Round<H, S> {
    voter: Voter<H>,
    tally: Tally<H, S>,
    /// The highest: view, header and votes.
    notarized: Option<(u64, H, Voices<S>)>,
    /// Those after it, by view.
    nullified: Vec<(u64, Voices<S>)>,
}

impl<H: Copy + Ord, S: Copy> Round<H, S> {
    /// Where so many votes are a quorum, with a voter that is new or from its record.
    pub fn new(quorum: usize, voter: Voter<H>) -> Self {
        let mut tally = Tally::new(quorum);
        tally.enter(voter.view());
        Round { voter, tally, notarized: None, nullified: Vec::new() }
    }

    /// The witness's own votes.
    pub fn voter(&self) -> &Voter<H> {
        &self.voter
    }

    /// The view that the witness is in.
    pub fn view(&self) -> u64 {
        self.voter.view()
    }

    /// The highest notarization: its view, header and votes.
    pub fn notarized(&self) -> Option<&(u64, H, Voices<S>)> {
        self.notarized.as_ref()
    }

    /// Every nullification after it that is known, by view.
    pub fn nullified(&self) -> &[(u64, Voices<S>)] {
        &self.nullified
    }

    /// Takes a vote, its own too; its signature holds. Then [`Round::advance`].
    pub fn take(&mut self, voter: u8, ballot: Ballot<H>, signature: S) -> Taken<H, S> {
        self.tally.take(voter, ballot, signature)
    }

    /// Goes on as far as the votes allow; gives the own finalizes that follow. They are to be signed and taken, and the
    /// record is durable before they are sent. A notarization is waited for until its header is `held`: who finalizes what
    /// it can not tell others would count on their holding it for ever.
    pub fn advance(&mut self, held: impl Fn(&H) -> bool) -> Vec<Ballot<H>> {
        let mut own = Vec::new();
        while let Some((ballot, voices)) = self.tally.oldest(&held) {
            own.extend(self.learn(ballot, voices));
        }
        own
    }

    /// A quorum says this: counted here, or told in a bundle whose votes hold. Gives the own finalize that follows.
    pub fn learn(&mut self, ballot: Ballot<H>, voices: Voices<S>) -> Option<Ballot<H>> {
        let Ballot { view, kind, header } = ballot;
        let is_new = self.notarized.as_ref().is_none_or(|(at, ..)| view > *at);
        let own = match (kind, header) {
            (VoteKind::Notarize, Some(header)) => {
                if is_new {
                    self.notarized = Some((view, header, voices));
                    self.nullified.retain(|(at, _)| *at > view);
                }
                self.voter.see_notarization(view, header)
            }
            (VoteKind::Nullify, None) => {
                if let (true, Err(at)) = (is_new, self.nullified.binary_search_by_key(&view, |(at, _)| *at)) {
                    self.nullified.insert(at, (view, voices));
                }
                self.voter.see_nullification(view);
                None
            }
            _ => None,
        };
        self.tally.enter(self.voter.view());
        own
    }

    /// What the leader of this view may propose; `None` while nullifications between are not known.
    pub fn next(&self) -> Option<Next<H>> {
        let from = self.notarized.as_ref().map_or(0, |(at, ..)| at + 1);
        let is_whole = self.nullified.len() as u64 == self.view() - from;
        is_whole.then(|| self.notarized.as_ref().map_or(Next::New, |(_, header, _)| Next::Again(*header)))
    }

    /// Notarizes a header that was proposed in this view, is justified, and was checked.
    pub fn notarize(&mut self, header: H) -> Option<Ballot<H>> {
        self.voter.notarize(self.view(), header)
    }

    /// The time for this view is over.
    pub fn nullify(&mut self) -> Option<Ballot<H>> {
        self.voter.nullify(self.view())
    }

    /// The finalizes of a quorum.
    pub fn certificate(&self) -> Option<(Ballot<H>, Voices<S>)> {
        self.tally.certificate()
    }
}

impl Witnesses {
    /// Who leads a view of a height.
    pub fn leader(&self, height: u64, view: u64) -> Option<&Witness> {
        let all = self.all();
        let first: Vec<&Witness> = all.iter().filter(|witness| witness.always_on).collect();
        let turn = |view: u64, of: usize| (height.wrapping_add(view) % of.max(1) as u64) as usize;
        match view.checked_sub(first.len() as u64) {
            None => first.get(turn(view, first.len())).copied(),
            Some(view) => all.get(turn(view, all.len())),
        }
    }

    /// A witness's place in the set, by which votes of a quorum name it.
    pub fn place(&self, key: &crate::bytes::VoteKey) -> Option<u8> {
        let at = self.all().binary_search_by_key(key, |witness| witness.vote_key).ok()?;
        u8::try_from(at).ok()
    }
}
