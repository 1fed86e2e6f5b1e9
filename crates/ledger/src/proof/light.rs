//! How a light node comes to trust the newest header without folding anything.
//!
//! It starts from a header that it knows: the genesis, or the one that an invite pins by height and hash, with the
//! witnesses that this header names for the height after it. From there it goes on by *links*: the headers where the
//! witness set changed, in order, and the newest. Each link is certified by a quorum of the witnesses trusted so far,
//! names by hash who votes next (and bears that set, if it is another), and shows that the header trusted before is its
//! ancestor: by `prev` where it is the very next, else by its history root. So nothing is trusted that the right
//! witnesses did not settle, and no second history is grafted on the first.
//!
//! A *renewal* in a link is the founder's word that the sole witness was lost: the header right above the one that it
//! names may be settled by the new vote key alone.
//!
//! From an invite's pinned header a node trusts the witnesses from then on. From the genesis it trusts all there ever
//! were: a quorum of long retired ones could forge a history, so an older pinned header is better than none.

use super::{HistoryProof, ProofError};
use crate::bytes::{CircleId, Hash, HeaderHash, MemberId};
use crate::codec::{self, CodecError, encode};
use crate::entry::Anchor;
use crate::genesis::Genesis;
use crate::settle::{CertificateError, Checkpoint, Header, MAX_WITNESSES, Proof, Renewal, VERSION, Witnesses};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most bytes of an encoded [`LightChain`]: some 500 changes among seven witnesses. Where there are more, it is
/// told in parts; the trust at the end of one is the start of the next.
pub const MAX_LIGHT_CHAIN: usize = 1 << 20;

/// A header that is known by height and hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// The header.
    pub header: Header,
    /// Who votes on the height after it.
    pub witnesses: Witnesses,
}

/// A step from one trusted header to a later one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The header, and the votes that settle it.
    pub checkpoint: Checkpoint,
    /// Who votes on the next height, if those are others than voted on this.
    pub witnesses: Option<Witnesses>,
    /// What made another witness than was trusted so far settle it.
    pub renewal: Option<Renewal>,
    /// That the header trusted before is an ancestor; none where it is the very one before.
    pub ancestry: Option<HistoryProof>,
}

/// The way from a known header to the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LightChain {
    /// Where it starts; none: at the genesis.
    pub start: Option<Pinned>,
    /// In order; each but the last changes who votes.
    pub links: Vec<Link>,
}

/// Why a header is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TrustError {
    /// The chain does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Of a format that this code does not know.
    #[error("version {0} of headers is unknown")]
    Version(u8),
    /// Of another circle.
    #[error("the header is of another circle")]
    WrongCircle,
    /// The header is not the one that is pinned.
    #[error("the header is not the one that is pinned")]
    NotPinned,
    /// It is not above what is trusted already.
    #[error("height {height} is not above {trusted}, which is trusted already")]
    NotNewer {
        /// What it says.
        height: u64,
        /// What is trusted.
        trusted: u64,
    },
    /// The votes do not settle it.
    #[error(transparent)]
    BadCertificate(#[from] CertificateError),
    /// The set is not the one that the header names, is none, or is told where it did not change.
    #[error("the witnesses are not the ones that the header names")]
    WrongWitnesses,
    /// The founder did not sign the renewal, it is for another header, or there was more than one witness.
    #[error("the renewal of the witness does not hold")]
    BadRenewal,
    /// What was trusted before is not shown to be its ancestor.
    #[error("the header does not follow the one that is trusted")]
    Ancestry,
    /// A link in between that changes nothing.
    #[error("the header at height {0} changes no witness, and is not the last")]
    Idle(u64),
}

/// The newest header that a light node trusts, and who votes on the height after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    circle: CircleId,
    founder: MemberId,
    head: Anchor,
    header: Option<Header>,
    witnesses: Witnesses,
}

impl Trust {
    /// In the genesis.
    pub fn genesis(genesis: &Genesis) -> Self {
        let circle = genesis.id();
        let head = Anchor { height: 0, hash: HeaderHash(circle.0) };
        Trust { circle, founder: genesis.founder, head, header: None, witnesses: Witnesses::of(genesis) }
    }

    /// In a header that is pinned by height and hash, with the witnesses that it names.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn pinned(genesis: &Genesis, pinned: Anchor, start: &Pinned) -> Result<Self, TrustError> {
        let trust = Self::genesis(genesis);
        let Pinned { header, witnesses } = start;
        check_kind(header, trust.circle)?;
        let head = start.anchor();
        if head != pinned || head.height == 0 {
            return Err(TrustError::NotPinned);
        }
        check_set(witnesses, &header.witnesses)?;
        Ok(Trust { head, header: Some(header.clone()), witnesses: witnesses.clone(), ..trust })
    }

    /// Goes on to a later header. An error changes nothing.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn follow(&mut self, link: &Link) -> Result<(), TrustError> {
        let Link { checkpoint: Checkpoint { header, certificate }, .. } = link;
        check_kind(header, self.circle)?;
        if header.height <= self.head.height {
            return Err(TrustError::NotNewer { height: header.height, trusted: self.head.height });
        }
        let voters = self.voters(link)?;
        self.check_ancestry(link)?;
        let next = match &link.witnesses {
            Some(told) if *told == *voters => return Err(TrustError::WrongWitnesses),
            Some(told) => told.clone(),
            None => voters.clone().into_owned(),
        };
        check_set(&next, &header.witnesses)?;
        // Last, for it costs most.
        let hash = header.hash();
        certificate.check(self.circle, header.height, hash, &voters)?;
        self.head = Anchor { height: header.height, hash };
        self.header = Some(header.clone());
        self.witnesses = next;
        Ok(())
    }

    /// Who may settle a link: those trusted so far, or the one that the founder named in the lost one's place.
    fn voters(&self, link: &Link) -> Result<Cow<'_, Witnesses>, TrustError> {
        let Some(renewal) = &link.renewal else { return Ok(Cow::Borrowed(&self.witnesses)) };
        let header = &link.checkpoint.header;
        let stands_after = renewal.after.height.checked_add(1) == Some(header.height)
            && renewal.after.height >= self.head.height
            && renewal.after.hash == header.prev;
        let was_sole = self.witnesses.all().len() == 1;
        if !stands_after || !was_sole || !renewal.holds(self.circle, &self.founder) {
            return Err(TrustError::BadRenewal);
        }
        Ok(Cow::Owned(Witnesses::new(alloc::vec![renewal.witness], None)))
    }

    fn check_ancestry(&self, link: &Link) -> Result<(), TrustError> {
        let header = &link.checkpoint.header;
        let is_next = header.height - 1 == self.head.height;
        let follows = match &link.ancestry {
            None => is_next && header.prev == self.head.hash,
            Some(proof) => !is_next && proof.check(header, self.head).is_ok(),
        };
        if follows { Ok(()) } else { Err(TrustError::Ancestry) }
    }

    /// Whether a header is trusted: the newest itself, or shown to be before it.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check_older(&self, header: &Header, proof: Option<&HistoryProof>) -> Result<(), ProofError> {
        let newest = self.header.as_ref().ok_or(ProofError::Other)?;
        match proof {
            None if newest == header => Ok(()),
            None => Err(ProofError::Other),
            Some(proof) => proof.check(newest, Anchor { height: header.height, hash: header.hash() }),
        }
    }

    /// The circle.
    pub fn circle(&self) -> CircleId {
        self.circle
    }

    /// Height and hash of the newest trusted header; of the genesis, if there is none.
    pub fn head(&self) -> Anchor {
        self.head
    }

    /// The newest trusted header; none while that is the genesis.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Who votes on the height after it.
    pub fn witnesses(&self) -> &Witnesses {
        &self.witnesses
    }
}

fn check_kind(header: &Header, circle: CircleId) -> Result<(), TrustError> {
    if header.version != VERSION {
        return Err(TrustError::Version(header.version));
    }
    if header.circle != circle {
        return Err(TrustError::WrongCircle);
    }
    Ok(())
}

/// Whether a set is one, and the one that a header names.
fn check_set(witnesses: &Witnesses, named: &Hash) -> Result<(), TrustError> {
    let all = witnesses.all();
    let is_set = (1..=MAX_WITNESSES).contains(&all.len())
        && all.is_sorted_by(|one, next| one.vote_key < next.vote_key)
        && usize::from(witnesses.liars()) <= (all.len() - 1) / 3;
    if is_set && witnesses.hash() == *named { Ok(()) } else { Err(TrustError::WrongWitnesses) }
}

impl Link {
    /// From the header trusted at height `from` to the one that a proof settles. `hashes` are those of all headers by
    /// height from the genesis on. `None` when it is not above `from`, or these are not there.
    pub fn new(proof: &Proof, from: u64, hashes: &[HeaderHash]) -> Option<Self> {
        let height = proof.height();
        let steps = height.checked_sub(from).filter(|steps| *steps > 0)?;
        let ancestry = if steps == 1 { None } else { Some(HistoryProof::new(hashes, from, height)?) };
        Some(Link {
            checkpoint: proof.checkpoint.clone(),
            witnesses: proof.witnesses.clone(),
            renewal: proof.renewal,
            ancestry,
        })
    }

    fn changes(&self) -> bool {
        self.witnesses.is_some() || self.renewal.is_some()
    }
}

impl LightChain {
    /// From a known header, or the genesis, to the last of `proofs`, which are sorted by height: all above the start, or at least those where
    /// the witnesses changed and the last. `hashes` as in [`Link::new`]; `None` when these are not there.
    pub fn new<'a>(
        start: Option<Pinned>,
        proofs: impl IntoIterator<Item = &'a Proof>,
        hashes: &[HeaderHash],
    ) -> Option<Self> {
        let mut from = start.as_ref().map_or(0, |start| start.header.height);
        let lowest = from;
        let mut proofs = proofs.into_iter().filter(|proof| proof.height() > lowest).peekable();
        let mut links = Vec::new();
        while let Some(proof) = proofs.next() {
            let is_last = proofs.peek().is_none();
            if is_last || proof.witnesses.is_some() || proof.renewal.is_some() {
                links.push(Link::new(proof, from, hashes)?);
                from = proof.height();
            }
        }
        Some(LightChain { start, links })
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a chain, of which nothing is checked yet.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, MAX_LIGHT_CHAIN)
    }

    /// Follows it from the genesis, or from the header that `pinned` names, if it starts there.
    ///
    /// # Errors
    /// [`TrustError`]; [`TrustError::NotPinned`] if it starts elsewhere.
    pub fn check(&self, genesis: &Genesis, pinned: Option<Anchor>) -> Result<Trust, TrustError> {
        let mut trust = match (&self.start, pinned) {
            (None, None) => Trust::genesis(genesis),
            (Some(start), Some(pinned)) => Trust::pinned(genesis, pinned, start)?,
            _ => return Err(TrustError::NotPinned),
        };
        for (at, link) in self.links.iter().enumerate() {
            if !link.changes() && at + 1 < self.links.len() {
                return Err(TrustError::Idle(link.checkpoint.header.height));
            }
            trust.follow(link)?;
        }
        Ok(trust)
    }
}

impl Pinned {
    /// Its height and hash.
    pub fn anchor(&self) -> Anchor {
        Anchor { height: self.header.height, hash: self.header.hash() }
    }
}
