//! One node: its engine, its disk, its clock, and what it is doing at the moment.

use crate::disk::Disk;
use crate::liar::Liar;
use ledgerno_engine::{Engine, Limits, OpenError, Seat};
use ledgerno_ledger::bytes::DeviceId;
use ledgerno_ledger::genesis::Genesis;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A node's number. Node 0 is the relay, node 1 the founder.
pub type Id = usize;

/// Makes a node's seat anew, each time that it starts.
pub type MakeSeat = Rc<dyn Fn() -> Seat>;

/// A node.
pub struct Host {
    /// None while it is crashed.
    pub engine: Option<Engine>,
    /// Its disk.
    pub disk: Disk,
    /// Its device, by which others name it.
    pub device: DeviceId,
    /// It keeps the circle for others, as a relay does.
    pub keeps: bool,
    /// It keeps the circle in place of a member, to whom votes do not go.
    pub stands_in: bool,
    /// How far its clock is ahead of the true time, in milliseconds; may be negative.
    pub skew: i64,
    /// It is not asleep.
    pub awake: bool,
    /// Which start of it this is: what was meant for an earlier one is void.
    pub life: u32,
    /// Its mouth, if it lies.
    pub liar: Option<Box<dyn Liar>>,
    /// Nothing is demanded of it at the end: it lies, or its disk was rolled back.
    pub suspect: bool,
    /// It crashes at the write of this number, counted from the beginning of the run.
    pub crash_at: Option<u64>,
    /// Writes so far.
    pub writes: u64,
    /// When its timer is armed to ring, by the true clock.
    pub armed: Option<u64>,
    /// Writes that were done while it slept: the last one's number.
    pub done_asleep: Option<u64>,
    /// Its questions that are out: to whom.
    pub questions: BTreeMap<u64, Id>,
    /// Questions put to it: our number, who asked, which start of the asker, its number.
    pub replies: BTreeMap<u64, (Id, u32, u64)>,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    pub(crate) seat: MakeSeat,
    pub(crate) genesis: Genesis,
    pub(crate) keepers: Vec<DeviceId>,
}

impl Host {
    /// A node over a disk; opened by [`Host::open`].
    pub fn new(device: DeviceId, genesis: Genesis, seat: MakeSeat, keepers: Vec<DeviceId>, disk: Disk) -> Self {
        Host {
            engine: None,
            disk,
            device,
            keeps: matches!(seat(), Seat::Keeper | Seat::Witness { .. }),
            stands_in: false,
            skew: 0,
            awake: true,
            life: 0,
            liar: None,
            suspect: false,
            crash_at: None,
            writes: 0,
            armed: None,
            done_asleep: None,
            questions: BTreeMap::new(),
            replies: BTreeMap::new(),
            sent: 0,
            received: 0,
            seat,
            genesis,
            keepers,
        }
    }

    /// Starts it from its disk.
    ///
    /// # Errors
    /// When the log does not replay.
    pub fn open(&mut self, seed: [u8; 32]) -> Result<(), OpenError> {
        let seat = (self.seat)();
        let mut engine =
            Engine::open(self.genesis.clone(), seat, Limits::default(), &self.disk.log, &self.disk.records, seed)?;
        engine.set_keepers(self.keepers.clone());
        self.engine = Some(engine);
        Ok(())
    }

    /// Loses all but its disk.
    pub fn forget(&mut self) {
        self.engine = None;
        self.life += 1;
        self.armed = None;
        self.done_asleep = None;
        self.questions.clear();
        self.replies.clear();
    }

    /// Whether it listens to votes.
    pub fn hears_witnesses(&self) -> bool {
        !self.stands_in && self.engine.as_ref().is_some_and(Engine::hears_witnesses)
    }

    /// Whether it hands on the votes that it hears.
    pub fn hands_votes_on(&self) -> bool {
        self.engine.as_ref().is_some_and(Engine::hands_votes_on)
    }

    /// Whether it runs and is not asleep.
    pub fn is_up(&self) -> bool {
        self.awake && self.engine.is_some()
    }

    /// The true time as its clock shows it.
    pub fn clock(&self, now: u64) -> u64 {
        now.saturating_add_signed(self.skew)
    }

    /// The true time at which its clock shows a time.
    pub fn true_time(&self, shown: u64) -> u64 {
        shown.saturating_add_signed(self.skew.saturating_neg())
    }
}
