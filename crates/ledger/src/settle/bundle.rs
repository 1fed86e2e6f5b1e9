//! What a witness tells of an open height, and keeps on its disk: its *bundle*.
//!
//! The newest certificate; the highest notarization with its header and every nullification after it; the witness's
//! votes of this view and all its finalizes of this height. It is on the disk before the votes that it permits are sent.
//! Whoever hears it can go on from there: it needs nothing that came before. Mailboxes keep the newest bundle of each
//! witness.
//!
//! What a vote names is in the bundle too, so it is as durable as the vote, and who counts the vote can have it: the header
//! that it notarizes in this view with its cut, and that which it finalized last, for that is the one notarized. Were it not,
//! all who held a header could crash between their vote and the quorum's, and then a quorum would settle what nobody has.
//!
//! A *proposal* is a header with its cut and the leader's bundle, in which the leader's own vote notarizes it: so the
//! bundle shows who proposes, and what justifies it. The bundle in it does not hold the header once more.

use super::{Ballot, Checkpoint, Header, MAX_WITNESSES, SignedVote, Vote, VoteKind, Witnesses, cut_hash, justified};
use super::{Voices, voter::MAX_FINALIZES};
use crate::bytes::{CircleId, HeaderHash, Signature, VoteKey};
use crate::entry::Head;
use crate::verify::{Claim, verify_batch};
use alloc::vec::Vec;
use core::cmp::Ordering;
use serde::{Deserialize, Serialize};

/// The most bytes of an encoded [`Bundle`] or [`Proposal`]: they travel as gossip.
pub const MAX_BUNDLE: usize = 70 * 1024;
/// The most votes of its own in a bundle: the finalizes, and two of this view.
const MAX_OWN: usize = MAX_FINALIZES + 2;

/// A quorum's votes for a header in a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notarization {
    /// The view.
    pub view: u64,
    /// The header.
    pub header: Header,
    /// Its cut.
    pub cut: Vec<Head>,
    /// By place in the witness set, ascending.
    pub voices: Voices<Signature>,
}

/// A quorum's votes against a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nullification {
    /// The view.
    pub view: u64,
    /// By place in the witness set, ascending.
    pub voices: Voices<Signature>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The height that is open.
    pub height: u64,
    /// Whose bundle it is.
    pub key: VoteKey,
    /// The view that it is in.
    pub view: u64,
    /// What settles the height before; none at height 1.
    pub certificate: Option<Checkpoint>,
    /// The highest.
    pub notarization: Option<Notarization>,
    /// After it, by view.
    pub nullifications: Vec<Nullification>,
    /// Votes of this view, and all finalizes; sorted, each once.
    pub own: Vec<SignedVote>,
    /// The header that it notarizes in this view and its cut, unless the notarization is of that one, or it is beside the
    /// bundle.
    pub voted: Option<(Header, Vec<Head>)>,
}

/// A header put to the vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The header.
    pub header: Header,
    /// Its cut.
    pub cut: Vec<Head>,
    /// The leader's.
    pub bundle: Bundle,
}

/// Why a bundle or a proposal tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Whose it is does not vote on this height.
    #[error("it is of no witness")]
    NoWitness,
    /// What it tells of does not fit together: order, views, height or number of votes.
    #[error("it does not fit together")]
    Shape,
    /// A vote whose signature does not hold.
    #[error("a vote does not hold")]
    BadVote,
    /// The header is not proposed by the leader of the view, or is not justified.
    #[error("the proposal is not justified")]
    NotJustified,
}

impl Bundle {
    /// Whether all its votes hold, of these witnesses at its height. The certificate is not looked at: it is of the
    /// witnesses before.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn check(&self, circle: CircleId, witnesses: &Witnesses) -> Result<(), BundleError> {
        witnesses.by_key(&self.key).ok_or(BundleError::NoWitness)?;
        if !self.fits(circle, witnesses) {
            return Err(BundleError::Shape);
        }
        let mut signed: Vec<(VoteKey, [u8; 32], Signature)> = Vec::new();
        for (ballot, voices) in self.quorums() {
            let message = message(circle, self.height, ballot);
            let keys = voices.iter().filter_map(|(at, signature)| Some((key_at(witnesses, *at)?, *signature)));
            signed.extend(keys.map(|(key, signature)| (key, message, signature)));
        }
        let own = self.own.iter().map(|vote| (vote.key, vote.vote(circle, self.height).message(), vote.signature));
        signed.extend(own);
        let claims: Vec<Claim> =
            signed.iter().map(|(key, message, signature)| Claim { key: &key.0, signature, message }).collect();
        if verify_batch(&claims).iter().all(|holds| *holds) { Ok(()) } else { Err(BundleError::BadVote) }
    }

    fn fits(&self, circle: CircleId, witnesses: &Witnesses) -> bool {
        let is_quorum = |voices: &Voices<Signature>| {
            voices.len() >= witnesses.quorum()
                && voices.len() <= MAX_WITNESSES
                && voices.is_sorted_by(|(one, _), (next, _)| one < next)
                && voices.last().is_some_and(|(at, _)| usize::from(*at) < witnesses.all().len())
        };
        let notarized = self.notarization.as_ref().is_none_or(|Notarization { view, header, cut, voices }| {
            *view < self.view
                && header.circle == circle
                && header.height == self.height
                && header.cut_hash == cut_hash(cut)
                && is_quorum(voices)
        });
        let from = self.notarization.as_ref().map(|one| one.view);
        let nullified = self.nullifications.is_sorted_by(|one, next| one.view < next.view)
            && self
                .nullifications
                .iter()
                .all(|one| from.is_none_or(|from| one.view > from) && one.view < self.view && is_quorum(&one.voices));
        let own = self.own.len() <= MAX_OWN
            && self.own.is_sorted_by(|one, next| one < next)
            && self.own.iter().all(|vote| {
                let in_time = vote.view == self.view || vote.view < self.view && vote.kind == VoteKind::Finalize;
                in_time && vote.key == self.key && vote.header.is_some() == (vote.kind != VoteKind::Nullify)
            });
        let voted = self.voted.as_ref().is_none_or(|(header, cut)| {
            header.circle == circle
                && header.height == self.height
                && header.cut_hash == cut_hash(cut)
                && self.notarizes(&header.hash())
        });
        notarized && nullified && own && voted
    }

    /// Whether its witness notarizes a header in the view that it is in.
    fn notarizes(&self, hash: &HeaderHash) -> bool {
        let says =
            |vote: &SignedVote| (vote.kind, vote.view, vote.header) == (VoteKind::Notarize, self.view, Some(*hash));
        self.own.iter().any(says)
    }

    /// The headers in it, each with its cut.
    pub fn headers(&self) -> impl Iterator<Item = (&Header, &[Head])> {
        let notarized = self.notarization.iter().map(|one| (&one.header, &one.cut[..]));
        notarized.chain(self.voted.iter().map(|(header, cut)| (header, &cut[..])))
    }

    /// What quorums say in it, by view.
    pub fn quorums(&self) -> impl Iterator<Item = (Ballot<HeaderHash>, &Voices<Signature>)> + '_ {
        let notarized =
            self.notarization.iter().map(|one| (Ballot::notarize(one.view, one.header.hash()), &one.voices));
        notarized.chain(self.nullifications.iter().map(|one| (Ballot::nullify(one.view), &one.voices)))
    }

    /// Whether it shows by votes that its witness is in the view that it names: a bundle is signed by nobody as a whole.
    pub fn shows_its_view(&self) -> bool {
        let ends_one_before = |view: u64| view.checked_add(1) == Some(self.view);
        self.view == 0
            || self.own.iter().any(|vote| vote.view == self.view)
            || self.quorums().any(|(ballot, _)| ends_one_before(ballot.view))
    }

    /// Whether it holds a vote that its witness would know, were this newest bundle of its own all that it signed. Votes
    /// against or for an earlier view that are no finalizes it forgets.
    pub fn has_votes_unknown_to(&self, newest: &Self) -> bool {
        let is_unknown = |vote: &SignedVote| {
            let is_kept = vote.kind == VoteKind::Finalize && newest.own.len() < MAX_FINALIZES;
            let ballot = vote.ballot();
            (vote.view >= newest.view || is_kept) && !newest.own.iter().any(|known| known.ballot() == ballot)
        };
        match self.height.cmp(&newest.height) {
            Ordering::Greater => !self.own.is_empty(),
            Ordering::Equal => self.own.iter().any(is_unknown),
            Ordering::Less => false,
        }
    }

    /// Whether it tells what another of the same witness does not: a later height or view, or more votes.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let rank = |bundle: &Bundle| (bundle.height, bundle.view, bundle.own.len());
        rank(self) > rank(other)
    }
}

impl Proposal {
    /// Whether the leader of the bundle's view proposes the header in it, justified by the bundle; that the bundle's
    /// votes hold is checked apart ([`Bundle::check`]), as is what the header says.
    ///
    /// # Errors
    /// [`BundleError::NotJustified`].
    pub fn check(&self, witnesses: &Witnesses) -> Result<HeaderHash, BundleError> {
        let Bundle { height, view, key, .. } = self.bundle;
        let hash = self.header.hash();
        let leads = witnesses.leader(height, view).is_some_and(|leader| leader.vote_key == key);
        let notarized = self.bundle.notarization.as_ref().map(|one| (one.view, one.header.hash()));
        let nullified: Vec<u64> = self.bundle.nullifications.iter().map(|one| one.view).collect();
        let fits = self.header.height == height && self.header.cut_hash == cut_hash(&self.cut);
        let holds = leads && fits && self.bundle.notarizes(&hash) && justified(view, &hash, notarized, &nullified);
        if holds { Ok(hash) } else { Err(BundleError::NotJustified) }
    }

    /// The leader's bundle with what it votes for, as others keep it.
    pub fn whole_bundle(&self) -> Bundle {
        let is_told = self.is_again() || !self.bundle.notarizes(&self.header.hash());
        let voted = (!is_told).then(|| (self.header.clone(), self.cut.clone()));
        Bundle { voted, ..self.bundle.clone() }
    }

    /// Whether the header was notarized before.
    pub fn is_again(&self) -> bool {
        self.bundle.notarization.is_some()
    }
}

impl SignedVote {
    /// The vote without its signature.
    pub fn ballot(&self) -> Ballot<HeaderHash> {
        Ballot { view: self.view, kind: self.kind, header: self.header }
    }
}

fn message(circle: CircleId, height: u64, ballot: Ballot<HeaderHash>) -> [u8; 32] {
    Vote { kind: ballot.kind, circle, height, view: ballot.view, header: ballot.header }.message()
}

fn key_at(witnesses: &Witnesses, at: u8) -> Option<VoteKey> {
    witnesses.all().get(usize::from(at)).map(|witness| witness.vote_key)
}
