//! Who votes, what a vote says, and how many make a quorum.

use crate::bytes::{CircleId, DeviceId, Hash, HeaderHash, MemberId, Signature, VoteKey};
use crate::codec::direct::direct;
use crate::codec::{encode, encode_directly};
use crate::entry::Anchor;
use crate::genesis::Genesis;
use crate::hash::{context, hash};
use crate::keys::{Identity, VoteSecret, check_key};
use crate::verify::{Claim, verify, verify_batch};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The most witnesses of a circle.
pub const MAX_WITNESSES: usize = 128;

/// A device that votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// The device.
    pub device: DeviceId,
    /// Its own key for votes.
    pub vote_key: VoteKey,
    /// Whether it says of itself that it is always on; such witnesses lead first.
    pub always_on: bool,
}

/// Who votes on a height, all with equal weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnesses {
    /// Sorted by vote key.
    all: Vec<Witness>,
    /// B: how many of them may lie.
    liars: u8,
}

direct! { Witness { device: DeviceId, vote_key: VoteKey, always_on: bool } }
direct! { Witnesses { all: Vec<Witness>, liars: u8 } }
direct! { Renewal { after: Anchor, witness: Witness, signature: Signature } }
direct! { Certificate { header: HeaderHash, view: u64, votes: Vec<(VoteKey, Signature)> } }

impl Witnesses {
    /// The witnesses of height 1: the founder's device alone.
    pub fn of(genesis: &Genesis) -> Self {
        let founder = Witness { device: genesis.device, vote_key: genesis.vote_key, always_on: false };
        Self::new(alloc::vec![founder], genesis.rules.liars)
    }

    /// A set, with B as given or a third of them less one.
    pub fn new(mut all: Vec<Witness>, liars: Option<u8>) -> Self {
        all.sort_unstable_by_key(|witness| witness.vote_key);
        let third = all.len().saturating_sub(1) / 3;
        let liars = liars.map_or(third, |liars| third.min(liars.into()));
        Witnesses { all, liars: u8::try_from(liars).unwrap_or(u8::MAX) }
    }

    /// Q = ⌊(W + B) / 2⌋ + 1.
    pub fn quorum(&self) -> usize {
        (self.all.len() + usize::from(self.liars)) / 2 + 1
    }

    /// B.
    pub fn liars(&self) -> u8 {
        self.liars
    }

    /// Sorted by vote key.
    pub fn all(&self) -> &[Witness] {
        &self.all
    }

    /// The witness that votes with a key.
    pub fn by_key(&self, key: &VoteKey) -> Option<&Witness> {
        self.all.iter().find(|witness| witness.vote_key == *key)
    }

    /// Whether a device is a witness's.
    pub fn has_device(&self, device: &DeviceId) -> bool {
        self.all.iter().any(|witness| witness.device == *device)
    }

    /// What a header says of them.
    pub fn hash(&self) -> Hash {
        Hash(hash(context::WITNESSES, &[&encode_directly(self)]))
    }
}

/// What a vote is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VoteKind {
    /// Its voter holds the cut, has recomputed the roots, and notarizes no other header in this view.
    Notarize,
    /// Its voter will never nullify this view.
    Finalize,
    /// Its voter will never finalize in this view.
    Nullify,
}

/// What a witness signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// What it is for.
    pub kind: VoteKind,
    /// The circle.
    pub circle: CircleId,
    /// The height.
    pub height: u64,
    /// The view of that height, from 0.
    pub view: u64,
    /// The header; none for a nullify.
    pub header: Option<HeaderHash>,
}

impl Vote {
    /// What the signature is over.
    pub fn message(&self) -> [u8; 32] {
        hash(context::VOTE, &[&encode(self)])
    }

    /// Signs it.
    pub fn sign(&self, secret: &VoteSecret) -> Signature {
        secret.sign(&self.message())
    }

    /// Signs it, as it travels.
    pub fn cast(&self, secret: &VoteSecret) -> SignedVote {
        let (signature, key) = (self.sign(secret), secret.key());
        SignedVote { kind: self.kind, view: self.view, header: self.header, key, signature }
    }
}

/// A vote with its signature, as it travels; circle and height are those of what it travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SignedVote {
    /// What it is for.
    pub kind: VoteKind,
    /// The view.
    pub view: u64,
    /// The header; none for a nullify.
    pub header: Option<HeaderHash>,
    /// Who votes.
    pub key: VoteKey,
    /// Over [`Vote::message`].
    pub signature: Signature,
}

impl SignedVote {
    /// What was signed.
    pub fn vote(&self, circle: CircleId, height: u64) -> Vote {
        Vote { kind: self.kind, circle, height, view: self.view, header: self.header }
    }

    /// Whether it is a vote at all: a nullify names no header, the others do, and the signature holds.
    pub fn holds(&self, circle: CircleId, height: u64) -> bool {
        let names_one = self.header.is_some();
        names_one == (self.kind != VoteKind::Nullify)
            && verify(&self.key.0, &self.vote(circle, height).message(), &self.signature)
    }
}

/// Two votes of one witness that no honest one casts: two headers notarized in one view, two finalized in one view, or
/// a finalize and a nullify of one view. Anybody can check it; its author leaves the witness set.
///
/// (Notarizing one header and finalizing another in a later view is honest, and so is notarizing and then nullifying.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The height of both.
    pub height: u64,
    /// The lower of the two.
    pub one: SignedVote,
    /// The other.
    pub other: SignedVote,
}

impl Evidence {
    /// Of two votes at a height, in either order, if they contradict each other.
    pub fn of(height: u64, one: SignedVote, other: SignedVote) -> Option<Self> {
        let evidence = Evidence { height, one: one.min(other), other: one.max(other) };
        evidence.contradicts().then_some(evidence)
    }

    fn contradicts(&self) -> bool {
        use VoteKind::{Finalize, Notarize, Nullify};
        let Evidence { one, other, .. } = self;
        let kinds = match (one.kind, other.kind) {
            (Notarize, Notarize) | (Finalize, Finalize) => one.header != other.header,
            (Finalize, Nullify) => true,
            _ => false,
        };
        kinds && one.key == other.key && one.view == other.view && one < other
    }

    /// The witness's key, if both votes hold and contradict each other.
    pub fn check(&self, circle: CircleId) -> Option<VoteKey> {
        let both = self.one.holds(circle, self.height) && self.other.holds(circle, self.height);
        (both && self.contradicts()).then_some(self.one.key)
    }
}

/// The founder's word that the sole witness is lost and another vote key takes its place above a height. What the lost
/// one settled beyond that height was never sent, and is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The newest settled header that others hold.
    pub after: Anchor,
    /// Who votes from the next height on, alone.
    pub witness: Witness,
    /// The founder's identity's signature over circle and these.
    pub signature: Signature,
}

impl Renewal {
    /// The founder signs it.
    pub fn sign(circle: CircleId, founder: &Identity, after: Anchor, witness: Witness) -> Self {
        Renewal { after, witness, signature: founder.sign(&Self::message(circle, after, witness)) }
    }

    /// Whether the founder signed it, for a key that may vote.
    pub fn holds(&self, circle: CircleId, founder: &MemberId) -> bool {
        let message = Self::message(circle, self.after, self.witness);
        check_key(&self.witness.vote_key.0).is_ok() && verify(&founder.0, &message, &self.signature)
    }

    fn message(circle: CircleId, after: Anchor, witness: Witness) -> [u8; 32] {
        hash(context::RENEWAL, &[&circle.0, &encode(&(after, witness))])
    }
}

/// The finalize votes of a quorum, all of one view and for one header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The header.
    pub header: HeaderHash,
    /// The view.
    pub view: u64,
    /// Strictly sorted by key.
    pub votes: Vec<(VoteKey, Signature)>,
}

/// Why a certificate settles nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is for another header.
    #[error("the certificate is for another header")]
    OtherHeader,
    /// Its votes are not strictly sorted by key: one is there twice, or they could be written in two ways.
    #[error("the votes are not sorted, or one is there twice")]
    Unsorted,
    /// A vote of who is no witness at this height.
    #[error("{0:?} is no witness")]
    NoWitness(VoteKey),
    /// A vote that its signature does not bear out: not this header, height or view, or not this witness.
    #[error("the vote of {0:?} does not hold")]
    BadVote(VoteKey),
    /// Fewer votes than a quorum.
    #[error("{have} votes, where {need} are a quorum")]
    NoQuorum {
        /// How many there are.
        have: usize,
        /// How many are needed.
        need: usize,
    },
}

impl Certificate {
    /// The vote that each witness of a certificate signs.
    pub fn vote(circle: CircleId, height: u64, view: u64, header: HeaderHash) -> Vote {
        Vote { kind: VoteKind::Finalize, circle, height, view, header: Some(header) }
    }

    /// Whether a quorum of `witnesses` finalized this header at this height, each vote counted once.
    pub fn check(
        &self,
        circle: CircleId,
        height: u64,
        header: HeaderHash,
        witnesses: &Witnesses,
    ) -> Result<(), CertificateError> {
        self.check_but_signatures(header, witnesses)?;
        let message = Self::vote(circle, height, self.view, header).message();
        let bad = self.votes.iter().zip(verify_batch(&self.claims(&message))).find(|(_, holds)| !holds);
        bad.map_or(Ok(()), |((key, _), _)| Err(CertificateError::BadVote(*key)))
    }

    fn claims<'a>(&'a self, message: &'a [u8; 32]) -> Vec<Claim<'a>> {
        self.votes.iter().map(|(key, signature)| Claim { key: &key.0, signature, message }).collect()
    }

    /// As [`Certificate::check`], but for the signatures.
    pub(crate) fn check_but_signatures(
        &self,
        header: HeaderHash,
        witnesses: &Witnesses,
    ) -> Result<(), CertificateError> {
        if self.header != header {
            return Err(CertificateError::OtherHeader);
        }
        if !self.votes.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(CertificateError::Unsorted);
        }
        if let Some((key, _)) = self.votes.iter().find(|(key, _)| witnesses.by_key(key).is_none()) {
            return Err(CertificateError::NoWitness(*key));
        }
        let (have, need) = (self.votes.len(), witnesses.quorum());
        if have < need { Err(CertificateError::NoQuorum { have, need }) } else { Ok(()) }
    }
}
