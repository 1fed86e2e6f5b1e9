//! What nodes say to each other, each message bounded before it is read.
//!
//! A question travels as request kind ‖ circle ‖ postcard of [`Ask`], its answer as postcard of [`Answer`]. Gossip
//! carries one [`Packed`] entry on topic 1 and [`Votes`] on topics 2 and 4.

use crate::store::EntryItem;
use ledgerno_ledger::bytes::{CircleId, DeviceId, EntryId, Hash, HeaderHash, MemberId, Signature, VoteKey};
use ledgerno_ledger::codec::direct::{Direct, Input};
use ledgerno_ledger::codec::{self, CodecError};
use ledgerno_ledger::entry::{Admission, Anchor, Head, Invite, Packed};
use ledgerno_ledger::epoch::Handout;
use ledgerno_ledger::hash;
use ledgerno_ledger::proof::StateProof;
use ledgerno_ledger::settle::{
    self, Bundle, Certificate, Checkpoint, Header, Proof, Proposal, SignedVote, VoteKind, Witnesses, cut_hash,
};
use serde::{Deserialize, Serialize};

mod presence;

pub use presence::There;

/// The most bytes of a question: a full batch of entries and its frame.
pub const MAX_ASK: usize = BATCH_BYTES + 128 * 1024;
/// The most bytes of an answer.
pub const MAX_ANSWER: usize = ANSWER_BYTES + 128 * 1024;
/// What is given travels in batches that stop at the first entry past this.
pub const BATCH_BYTES: usize = 512 * 1024;
/// What was asked for comes in batches that stop at the first entry past this: signatures are checked cheaper by the
/// thousand.
pub const ANSWER_BYTES: usize = 2 * 1024 * 1024;
/// The most bytes of a gossip message: an entry with a full body.
pub const MAX_GOSSIP: usize = 72 * 1024;
/// The most bytes of a sealed keybox.
pub const MAX_KEYBOX: usize = 48 * 1024;
/// The most bytes of a mailbox parcel.
pub const MAX_PARCEL: usize = 4 * 1024;

/// The most records in one [`Ask::Left`].
pub const MAX_LEFT: usize = 32;

/// What a gossip topic carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Topic {
    /// Entries.
    Entries = 1,
    /// What is settled, for everybody; and votes, where [`Topic::Witnesses`] does not reach enough of those who vote.
    Votes = 2,
    /// Who is there.
    Presence = 3,
    /// Votes, which only witnesses and relays listen to ([`Engine::hears_witnesses`](crate::Engine::hears_witnesses)).
    Witnesses = 4,
}

impl Topic {
    /// The topic's name in the network: only members can tell what it is about.
    pub fn id(self, circle: CircleId) -> [u8; 32] {
        hash::hash(hash::context::TOPIC, &[&circle.0, &(self as u16).to_be_bytes()])
    }
}

/// What is said about votes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Votes {
    /// What is settled.
    Proof(Box<Proof>),
    /// A header that a leader puts to the vote.
    Proposal(Box<Proposal>),
    /// Where a witness stands.
    Bundle(Box<Bundle>),
    /// One vote.
    Vote {
        /// The height that it is of.
        height: u64,
        /// The vote.
        vote: PlacedVote,
    },
    /// What is settled, for who is at the height before.
    Brief(Box<Brief>),
    /// A header that the leader of view 0 puts to the vote, for who is at the height before: in place of a certificate's
    /// votes stands its own, which notarizes.
    Opening(Box<Brief>),
}

/// A vote in which the witness is named by its place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlacedVote {
    kind: VoteKind,
    view: u64,
    header: Option<HeaderHash>,
    place: u8,
    signature: Signature,
}

impl PlacedVote {
    /// Of a vote, by the place of who casts it.
    pub fn of(vote: &SignedVote, place: u8) -> Self {
        let SignedVote { kind, view, header, signature, .. } = *vote;
        PlacedVote { kind, view, header, place, signature }
    }

    /// The vote; nothing of it is checked. None if it names a witness that there is not.
    pub fn vote(self, witnesses: &Witnesses) -> Option<SignedVote> {
        let PlacedVote { kind, view, header, place, signature } = self;
        let key = witnesses.all().get(usize::from(place))?.vote_key;
        Some(SignedVote { kind, view, header, key, signature })
    }
}

/// A [`Proof`] for who is at the height before: half as long without what such a node knows, and with places for keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    height: u64,
    /// The place of its device.
    proposer: u8,
    time: u64,
    entries: u32,
    entries_root: Hash,
    state_root: Hash,
    view: u64,
    voices: Vec<(u8, Signature)>,
    cut: Vec<Head>,
}

/// What a header says of those before it.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    /// The circle.
    pub circle: CircleId,
    /// The hash of the header before.
    pub prev: HeaderHash,
    /// The root over all headers before.
    pub history_root: Hash,
}

impl Brief {
    /// Of a proof, by who votes on its height; none where it says more. A sole witness may be named anew, so who it was is
    /// said in full, as is who votes next if others do.
    pub fn of(proof: &Proof, witnesses: &Witnesses) -> Option<Self> {
        if witnesses.all().len() < 2 {
            return None;
        }
        let Proof { checkpoint: Checkpoint { header, certificate }, cut, witnesses: None, renewal: None } = proof
        else {
            return None;
        };
        let proposer = witnesses.all().iter().position(|witness| witness.device == header.proposer)?;
        let voice = |(key, signature): &(VoteKey, Signature)| Some((witnesses.place(key)?, *signature));
        Some(Brief {
            height: header.height,
            proposer: u8::try_from(proposer).ok()?,
            time: header.time,
            entries: header.entries,
            entries_root: header.entries_root,
            state_root: header.state_root,
            view: certificate.view,
            voices: certificate.votes.iter().map(voice).collect::<Option<_>>()?,
            cut: cut.clone(),
        })
    }

    /// The height that it settles.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// The time that its header names, in milliseconds since 1970.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// The proof, over these headers and by these witnesses; nothing of it is checked. Over others it comes out as another
    /// header, whose votes do not hold. None if it names a witness that there is not.
    pub fn proof(self, before: Before, witnesses: &Witnesses) -> Option<Proof> {
        let Brief { height, proposer, time, entries, entries_root, state_root, view, voices, cut } = self;
        let Before { circle, prev, history_root } = before;
        let at = |place: u8| witnesses.all().get(usize::from(place));
        let header = Header {
            version: settle::VERSION,
            circle,
            height,
            prev,
            proposer: at(proposer)?.device,
            time,
            cut_hash: cut_hash(&cut),
            entries,
            entries_root,
            history_root,
            state_root,
            witnesses: witnesses.hash(),
        };
        let vote = |(place, signature)| Some((at(place)?.vote_key, signature));
        let votes = voices.into_iter().map(vote).collect::<Option<_>>()?;
        let certificate = Certificate { header: header.hash(), view, votes };
        let checkpoint = Checkpoint { header, certificate };
        Some(Proof { checkpoint, cut, witnesses: None, renewal: None })
    }
}

impl Votes {
    /// The bytes that travel.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads what was said; nothing of it is checked.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, MAX_GOSSIP)
    }
}

/// A question to another node of the circle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// "Do you hold what I hold?" Answered once all that came before is durable, so that *same* means *sent*.
    Frontier {
        /// Digest of the asker's durable frontier.
        digest: Hash,
        /// The asker's settled height.
        height: u64,
    },
    /// The devices in some buckets, with a tag of their branch heads.
    Devices {
        /// How many top bits of the hashed device id make a bucket.
        bits: u8,
        /// Which buckets.
        buckets: Vec<u16>,
        /// Salt of the tags, so that nobody can prepare two histories with the same ones.
        nonce: [u8; 16],
    },
    /// The branch heads of a forked device and the entries back to where they part.
    Branches {
        /// The device.
        device: DeviceId,
    },
    /// Entries of devices, from and up to a seq, inclusive.
    Ranges(Vec<Range>),
    /// Entries by id.
    Entries(Vec<EntryId>),
    /// Settled headers with their certificates and cuts, from a height on.
    Headers {
        /// The first height wanted.
        from: u64,
    },
    /// Entries and proofs that the asked node lacks. Answered once they are durable.
    Give {
        /// In an order in which each can be taken.
        entries: Vec<Packed>,
        /// By height.
        proofs: Vec<Proof>,
    },
    /// "Let me read before I write": by a newcomer's invite, or as a member's further device.
    Knock(Box<Admission>),
    /// Keep a parcel for the holder of an invite.
    PutParcel {
        /// Where it is asked for.
        address: Hash,
        /// The invite: it says how often and how long.
        invite: Invite,
        /// Sealed to the invite's secret.
        parcel: Vec<u8>,
    },
    /// Give out a parcel.
    GetParcel {
        /// Where it was left.
        address: Hash,
    },
    /// The newest bundle of each witness.
    Bundles,
    /// Keep this member's keybox; it takes the place of the one before.
    PutKeybox {
        /// Sealed by the member, at most [`MAX_KEYBOX`].
        sealed: Vec<u8>,
    },
    /// Settled history by height, with what each header settled.
    Settled {
        /// The first height wanted.
        from: u64,
        /// So many entries of that one are held already, and its header.
        skip: u32,
        /// The last height wanted.
        to: u64,
    },
    /// A snapshot at a settled header, for who joins.
    Snapshot {
        /// What the asker's invite pins: the way to the header is told from there too.
        pinned: Option<Anchor>,
        /// BLAKE3 of the one whose further bytes are wanted.
        hash: Hash,
        /// From which byte on.
        at: u64,
    },
    /// "These have left": their records, as the state after a header has them, for who folds none.
    Left {
        /// The header's height.
        height: u64,
        /// Of members who were removed and devices that were given up, at most [`MAX_LEFT`].
        proofs: Vec<StateProof>,
    },
    /// "Which entries are erased at yours that are not at mine?"
    Erased {
        /// How many top bits of an entry's id make a bucket.
        bits: u8,
        /// 2^bits digests of the asker's, the first 8 bytes each; 0 where nothing is erased.
        buckets: Vec<u64>,
    },
}

/// A stretch of a device's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The device.
    pub device: DeviceId,
    /// The first seq.
    pub from: u64,
    /// The last seq, inclusive.
    pub to: u64,
}

/// A device's place as the other side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The device.
    pub device: DeviceId,
    /// Its greatest durable seq.
    pub seq: u64,
    /// Of its sorted branch heads, under the session's nonce.
    pub tag: u64,
}

/// The answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Both hold the same.
    Same {
        /// The answerer's settled height.
        height: u64,
    },
    /// They differ; here are the answerer's buckets.
    Differ {
        /// The answerer's settled height.
        height: u64,
        /// How many top bits of the hashed device id make a bucket.
        bits: u8,
        /// 2^bits digests, the first 8 bytes each.
        buckets: Vec<u64>,
    },
    /// The devices of the buckets asked for.
    Devices(Vec<Place>),
    /// Ids of a forked device's branches, by seq.
    Branches(Vec<EntryId>),
    /// Entries in an order in which each can be taken.
    Entries {
        /// As many as fit.
        entries: Vec<Packed>,
        /// More was asked for than fitted.
        more: bool,
    },
    /// Settled headers by height.
    Headers {
        /// As many as fit.
        proofs: Vec<Proof>,
        /// There are more.
        more: bool,
    },
    /// What was given is durable, or was refused.
    Held {
        /// How many of the entries are held now.
        entries: u32,
        /// How many wait for ancestors or were refused.
        refused: u32,
        /// The settled height now.
        height: u64,
    },
    /// The parcel is kept; the guest is let in.
    Kept,
    /// The parcel.
    Parcel(Vec<u8>),
    /// The question is not answered.
    No(No),
    /// As many as fit.
    Bundles(Vec<Box<Bundle>>),
    /// By height from the one asked for, as much as fits; the last may not be whole. It comes by the megabyte, and reads and
    /// writes itself.
    #[serde(with = "by_itself")]
    Settled(Vec<Settled>),
    /// Both hold the same, and the answerer is an archive: it keeps all of it.
    SameKept {
        /// The answerer's settled height.
        height: u64,
    },
    /// A stretch of a snapshot's bytes.
    Snapshot {
        /// BLAKE3 of all of them.
        hash: Hash,
        /// How many there are.
        len: u64,
        /// As many as fit.
        chunk: Vec<u8>,
    },
    /// The entries that are erased here, in buckets that differ.
    Erased {
        /// Which buckets those are.
        buckets: Vec<u64>,
        /// Sorted, as many as fit. They come by [`Ask::Entries`].
        ids: Vec<EntryId>,
    },
}

/// In place of serde's part for what reads and writes itself.
mod by_itself {
    use super::Settled;
    use serde::{Deserializer, Serializer, de::Error as _, ser::Error as _};

    pub fn serialize<S: Serializer>(_: &[Settled], _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("it writes itself"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(_: D) -> Result<Vec<Settled>, D::Error> {
        Err(D::Error::custom("it reads itself"))
    }
}

/// A settled height with what it settled.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The header with its votes and its cut; none where the rest of a height is told.
    pub proof: Option<Box<Proof>>,
    /// In settled order.
    pub entries: Vec<EntryItem>,
}

/// Why a question is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum No {
    /// This node does not keep the circle.
    #[error("this node does not keep that circle")]
    UnknownCircle,
    /// The asking device bears no admission.
    #[error("the asking device is not admitted to the circle")]
    NotAdmitted,
    /// The bytes are no question.
    #[error("the question is malformed")]
    Malformed,
    /// Not now.
    #[error("the node is busy")]
    Busy,
    /// No parcel lies there.
    #[error("no parcel is kept at that address")]
    NoParcel,
    /// The invite has expired.
    #[error("the invite expired")]
    Expired,
    /// The invite has been used as often as it may.
    #[error("the invite is used up")]
    UsedUp,
    /// The token is not the owner's.
    #[error("the owner's token is wrong")]
    WrongToken,
    /// Nothing more can be kept.
    #[error("the node is full")]
    Full,
    /// It is not kept here, or not given to this asker.
    #[error("the node does not have it to give")]
    NotKept,
}

impl Ask {
    /// The request kind that carries it (DESIGN section 4).
    pub fn kind(&self) -> u16 {
        match self {
            Ask::Headers { .. } | Ask::Bundles => 2,
            Ask::Entries(_) => 3,
            Ask::Snapshot { .. } | Ask::Left { .. } => 6,
            Ask::Frontier { .. } | Ask::Devices { .. } | Ask::Branches { .. } | Ask::Erased { .. } => 4,
            Ask::Ranges(_) | Ask::Give { .. } | Ask::Settled { .. } => 5,
            Ask::Knock(_) | Ask::PutParcel { .. } | Ask::GetParcel { .. } | Ask::PutKeybox { .. } => 8,
        }
    }

    /// The bytes that travel: circle ‖ postcard.
    pub fn to_bytes(&self, circle: CircleId) -> Vec<u8> {
        let mut bytes = circle.0.to_vec();
        bytes.extend(codec::encode(self));
        bytes
    }

    /// Reads a question; the circle was split off by [`circle_of`].
    pub fn from_bytes(kind: u16, bytes: &[u8]) -> Result<Self, CodecError> {
        let ask: Ask = codec::decode(bytes, MAX_ASK)?;
        if ask.kind() == kind { Ok(ask) } else { Err(CodecError::Malformed) }
    }
}

impl Answer {
    /// The bytes that travel.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Answer::Settled(came) = self else { return codec::encode(self) };
        let mut bytes = vec![SETTLED];
        came.write(&mut bytes);
        bytes
    }

    /// Reads an answer.
    #[cfg_attr(page, optimize(speed))]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        match bytes.split_first() {
            Some((&SETTLED, settled)) => codec::decode_directly(settled, MAX_ANSWER).map(Answer::Settled),
            _ => codec::decode(bytes, MAX_ANSWER),
        }
    }
}

/// What an [`Answer::Settled`] begins with: the variant's number.
const SETTLED: u8 = 11;

impl Direct for Settled {
    /// With one entry: none is told of without.
    const LEAST: usize = 2 + EntryItem::LEAST;

    fn write(&self, out: &mut Vec<u8>) {
        self.proof.write(out);
        self.entries.write(out);
    }

    fn read(input: &mut Input) -> Result<Self, CodecError> {
        let settled = Settled { proof: Direct::read(input)?, entries: Direct::read(input)? };
        if settled.entries.is_empty() { Err(CodecError::Malformed) } else { Ok(settled) }
    }
}

/// The request kind that registers a circle with a relay: postcard of [`Register`], without a circle before it.
pub const REGISTER: u16 = 9;

/// "Keep this circle": only the relay's owner may say it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Register {
    /// The owner's token.
    pub token: String,
    /// The circle's genesis, encoded.
    pub genesis: Vec<u8>,
}

/// The request kind that claims a keybox: postcard of [`ClaimKeybox`], without a circle before it, for whoever comes back
/// with 24 words knows none. It is answered with [`Answer::Parcel`].
pub const KEYBOX: u16 = 10;

/// "Give me this member's keybox."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimKeybox {
    /// Whose.
    pub member: MemberId,
    /// The member's word for the keeper and the asking device.
    pub claim: Signature,
}

/// The request kind by which a relay's owner enlists it as a witness, or dismisses it: postcard of [`Enlist`], without a
/// circle before it. A good token is answered with [`Answer::Parcel`] of the relay's X25519 key, or [`Answer::Kept`].
pub const ENLIST: u16 = 11;

/// "Vote in this circle, which you keep": only the relay's owner may say it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Enlist {
    /// The owner's token.
    pub token: String,
    /// The circle.
    pub circle: CircleId,
    /// What the relay is to do.
    pub order: Order,
}

/// What a relay's owner wants of it in a circle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Order {
    /// Say the X25519 key to which keys are sealed.
    SayKey,
    /// Fold from now on, and offer itself as a witness. It is answered once the offer is durable.
    Vote {
        /// A member's word for the relay's device, which may vote and nothing else.
        admission: Box<Admission>,
        /// The state keys of all epochs, sealed to the relay's device; no talk key.
        keys: Handout,
    },
    /// Forget the keys. It is not answered while the relay votes.
    Forget,
}

/// Splits the circle off a question's bytes.
pub fn circle_of(bytes: &[u8]) -> Option<(CircleId, &[u8])> {
    let (circle, rest) = bytes.split_first_chunk::<32>()?;
    Some((CircleId(*circle), rest))
}
