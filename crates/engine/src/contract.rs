//! What a driver and an engine say to each other: who the engine writes for, what it may hold, what it wants carried out
//! and what it tells.

use crate::keyring::Keyring;
use crate::store::NoSnapshot;
use crate::wire::{Answer, Ask, No, Topic};
use ledgerno_ledger::bytes::{DeviceId, EntryId, InviteKey, VoteKey};
use ledgerno_ledger::check::Refused;
use ledgerno_ledger::dag;
use ledgerno_ledger::keys::{DeviceKey, Identity, VoteSecret};
use ledgerno_ledger::settle::{Evidence, Refusal};

/// Another node, by its device key: its address in the network.
pub type Peer = DeviceId;

/// Who the engine writes for.
#[expect(clippy::large_enum_variant, reason = "there is one of it in an engine")]
pub enum Seat {
    /// A member's device: writes, reads, and settles if it holds a vote.
    Member {
        /// The device's key.
        device: DeviceKey,
        /// The member whose device it is.
        identity: Identity,
        /// The lane keys.
        keyring: Keyring,
        /// The vote, at a witness.
        vote: Option<VoteSecret>,
    },
    /// A relay: keeps, checks and answers; reads nothing and writes nothing.
    Keeper,
    /// A relay that its owner enlisted as a witness: keeps as before, folds and votes. It holds the state keys and never a
    /// talk key, so it reads no post; it writes nothing but a witness's own operations.
    Witness {
        /// The relay's key.
        device: DeviceKey,
        /// The state keys.
        keyring: Keyring,
    },
}

impl Seat {
    pub(crate) fn device(&self) -> Option<&DeviceKey> {
        match self {
            Seat::Member { device, .. } | Seat::Witness { device, .. } => Some(device),
            Seat::Keeper => None,
        }
    }

    pub(crate) fn keyring(&self) -> Option<&Keyring> {
        match self {
            Seat::Member { keyring, .. } | Seat::Witness { keyring, .. } => Some(keyring),
            Seat::Keeper => None,
        }
    }

    pub(crate) fn keyring_mut(&mut self) -> Option<&mut Keyring> {
        match self {
            Seat::Member { keyring, .. } | Seat::Witness { keyring, .. } => Some(keyring),
            Seat::Keeper => None,
        }
    }

    /// What writes: a device and its keys.
    pub(crate) fn hand(&self) -> Option<(&DeviceKey, &Keyring)> {
        Some((self.device()?, self.keyring()?))
    }
}

/// What an engine may hold before it refuses more.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The pools where entries wait for their ancestors.
    pub waiting: dag::Limits,
    /// Bytes taken in but not yet durable.
    pub in_flight: usize,
    /// Entries of the circle in all.
    pub entries: usize,
    /// So many missing entries, and settled headers with them, make a node ask for settled history by hash.
    pub by_hash: u64,
    /// From so many settled headers on, who holds nothing yet joins by a snapshot.
    pub join_from: u64,
    /// So many settled entries make a new snapshot; eight times as many while much comes in. A start replays these.
    pub snapshot_every: usize,
    /// The newest entries, which stay in memory when they are settled.
    pub window: usize,
    /// An archive keeps everything for everybody, and says so. Who is none is light: it lets go of what is older than the
    /// circle's retention and held by an archive.
    pub archive: bool,
    /// How long this device keeps what is settled, in milliseconds, in place of the circle's retention: any value, 0 for no
    /// longer than it must. `None` is what the circle's rules say, of which 0 days are for ever. An archive ignores it.
    pub retention: Option<u64>,
    /// So many of the newest items of the log are not let go: a store empties what it has packed into full records, and
    /// keeps the newest items loose.
    pub loose: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            waiting: dag::Limits::default(),
            in_flight: 16 * 1024 * 1024,
            entries: 1_000_000,
            by_hash: 64,
            join_from: 20_000,
            snapshot_every: 512,
            window: 512,
            archive: false,
            retention: None,
            loose: 1_000,
        }
    }
}

/// What the driver carries out, in order.
#[derive(Debug)]
pub enum Output {
    /// Make this durable, all or nothing, after every write before it; then call [`Engine::written`].
    Write {
        /// The write's number.
        no: u64,
        /// Items for the log.
        log: Vec<Vec<u8>>,
        /// Records: bytes, or none to delete.
        records: Vec<(String, Option<Vec<u8>>)>,
    },
    /// Read these items of the log, which are durable; then call [`Engine::read`] with the number.
    Read {
        /// The reading's number.
        no: u64,
        /// The items, from 0.
        items: Vec<u64>,
    },
    /// Put these in the place of items of the log, which are at least as long. It stands in the order of the writes; then
    /// call [`Engine::written`].
    Replace {
        /// The write's number.
        no: u64,
        /// The items, from 0, sorted.
        items: Vec<u64>,
        /// What each is now: nothing for what is let go.
        by: Vec<Vec<u8>>,
    },
    /// Gossip.
    Publish {
        /// The topic.
        topic: Topic,
        /// At most [`MAX_GOSSIP`](crate::wire::MAX_GOSSIP).
        bytes: Vec<u8>,
    },
    /// Ask a peer; then call [`Engine::answered`] with the number.
    Ask {
        /// Whom.
        to: Peer,
        /// The question's number.
        no: u64,
        /// What.
        ask: Ask,
    },
    /// Answer the question that the driver numbered so.
    Answer {
        /// The driver's number.
        no: u64,
        /// What.
        answer: Answer,
    },
    /// Tell the person or the log.
    Event(Event),
}

/// What a person or a log may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// What a view would show has changed.
    Changed,
    /// A settled header does not hold.
    Refused {
        /// Its height.
        height: u64,
        /// Why.
        why: Refusal,
        /// Who sent it.
        from: Peer,
    },
    /// A witness was found to lie: two votes that no honest one casts.
    Evidence(Box<Evidence>),
    /// This witness's disk was rolled back: another node holds votes of it that it does not know. The key signs no more.
    VoteRetired(VoteKey),
    /// The founder took this device for lost, and let another settle: what this one settled alone above the height is void
    /// once the engine is opened anew, which the driver does.
    Overruled {
        /// The height that stands.
        above: u64,
    },
    /// A relay says that it does not keep the circle.
    Unkept {
        /// The relay.
        by: Peer,
    },
    /// This node and a peer hold the same.
    Synced {
        /// The peer.
        with: Peer,
    },
    /// A peer does not let this device in, and says why.
    NotLetIn {
        /// The peer.
        by: Peer,
        /// Why.
        why: No,
    },
    /// The relay keeps an invite's parcel: the link works from now on.
    ParcelKept(InviteKey),
    /// This device's key signed an entry that it did not write here: a copy of the device is about.
    Twin {
        /// The entry.
        id: EntryId,
    },
    /// The snapshot is not started from; the log is replayed whole, and a new one is made.
    NoSnapshot(NoSnapshot),
    /// Entries that were stored could not be read back.
    Unreadable,
    /// A certificate stands for an entry, and its signature, checked later, does not hold. It is given to nobody.
    Forged {
        /// The entry.
        id: EntryId,
        /// The height that settled it.
        height: u64,
        /// What does not hold.
        why: Refused,
    },
}
