//! One node's settled history, and the making and checking of its next header.
//!
//! A proposal is checked for what it says of the cut, the roots and the time, which must not be before the previous
//! header's nor after both that and the own clock with the circle's bound. One that a quorum notarized before is proposed
//! again whatever the time is now. A certified header is checked for all but that: a quorum went by its own clocks (a sole
//! witness goes by nobody's but its own, so its time is checked by everybody).
//!
//! Who votes on the next height follows from the state after this one. Whoever does not fold is told by the proof,
//! and holds it to the header's hash.

use super::{Certificate, Checkpoint, Header, Proof, Renewal, VERSION, Voices, Witnesses, cut_hash};
use crate::bytes::{CircleId, DeviceId, EntryId, Hash, HeaderHash, MemberId, Signature, VoteKey};
use crate::check::{Checked, Vouched};
use crate::dag::{CutError, Dag};
use crate::entry::{Anchor, Entry, Head, Lane, Packed};
use crate::genesis::Genesis;
use crate::keys::VoteSecret;
use crate::merkle::{ENTRIES, HISTORY, Mountains};
use crate::state::{Opened, State, Verdict};
use alloc::vec::Vec;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

mod joined;
#[cfg(test)]
pub(super) mod plan;
mod refusal;
mod renewal;
mod run;
mod stored;

pub use refusal::{Refusal, Root, SettleError};
pub use stored::Unfit;

/// The keys of a member or a witness, as the fold needs them.
pub trait Opener {
    /// The plain body of an entry; `None`: the right key is at hand and does not open it.
    fn open(&self, entry: &Entry, sealed: &[u8]) -> Option<Vec<u8>>;
    /// The circle's salt, derived from epoch 0's state key.
    fn salt(&self) -> [u8; 32];
    /// Whether the state key of an epoch is at hand; without it nothing above the epoch's beginning is folded.
    fn holds(&self, _epoch: &EntryId) -> bool {
        true
    }
}

/// A header with what it was made of, not yet settled here.
#[derive(Clone, Debug)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The cut that it settles.
    pub cut: Vec<Head>,
    /// What is new below the cut, in settled order.
    pub order: Vec<EntryId>,
    /// What the fold made of each entry, in the same order; empty when it was not folded.
    pub verdicts: Vec<(EntryId, Verdict)>,
    /// The state after it; `None` when it was not folded.
    pub state: Option<State>,
    /// Who votes on the height after it.
    pub witnesses: Witnesses,
}

/// What became of an entry that is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The height of the header that settled it.
    pub height: u64,
    /// What the fold made of it; `None` when it was not folded here.
    pub verdict: Option<Verdict>,
}

/// One node's settled history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chain {
    circle: CircleId,
    clock_bound: u64,
    created: u64,
    /// By height; the circle's id is height 0.
    #[serde(skip)]
    hashes: Vec<HeaderHash>,
    header: Option<Header>,
    history: Mountains,
    founder: MemberId,
    /// Who voted from which height on; the last vote on the next.
    sets: Vec<(u64, Witnesses)>,
    /// The next header is settled by the one that it names.
    renewal: Option<Renewal>,
    /// Of the newest renewal: the set whose only witness was lost, and the one in its place.
    renewed: Option<(Witnesses, Witnesses)>,
    state: Option<State>,
    #[serde(skip)]
    settled: HashMap<EntryId, Settled>,
}

/// A settled header whose votes hold: the right witnesses settled it, and it is the next.
pub struct Voted<'a> {
    proof: &'a Proof,
    /// Who settled it in a lost witness's place.
    renewed: Option<Witnesses>,
}

/// What a cut settles, in order.
type Order<'a> = &'a dyn Fn(&[Head]) -> Result<Vec<EntryId>, CutError>;

/// The entry at a place of the settled order, where it is held.
type Lookup<'a> = &'a dyn Fn(usize, &EntryId) -> Option<&'a Packed>;

/// What is computed from the DAG for a cut.
struct Folded {
    order: Vec<EntryId>,
    entries_root: Hash,
    verdicts: Vec<(EntryId, Verdict)>,
    /// With its root.
    state: Option<(State, Hash)>,
}

impl Chain {
    /// At height 0.
    pub fn new(genesis: &Genesis) -> Self {
        let circle = genesis.id();
        let mut history = Mountains::new(HISTORY);
        history.push(&circle.0);
        Chain {
            circle,
            clock_bound: genesis.rules.clock_bound_ms,
            created: genesis.created,
            hashes: alloc::vec![HeaderHash(circle.0)],
            header: None,
            history,
            founder: genesis.founder,
            sets: alloc::vec![(1, Witnesses::of(genesis))],
            renewal: None,
            renewed: None,
            state: Some(State::new(genesis)),
            settled: HashMap::new(),
        }
    }

    /// The height of the newest header; 0 before the first.
    pub fn height(&self) -> u64 {
        self.hashes.len() as u64 - 1
    }

    /// The newest header by height and hash; before the first, the genesis.
    pub fn head(&self) -> Anchor {
        Anchor { height: self.height(), hash: self.last() }
    }

    /// The newest header; `None` before the first.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// The hash of the header at a height; at 0 the circle's id.
    pub fn hash_at(&self, height: u64) -> Option<HeaderHash> {
        self.hashes.get(usize::try_from(height).ok()?).copied()
    }

    /// The root over all headers, as the next one names it.
    pub fn history_root(&self) -> Hash {
        self.history.root()
    }

    /// The state after the newest header; `None` once a header was adopted without folding it.
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// Who votes on the next height.
    pub fn witnesses(&self) -> &Witnesses {
        let (_, newest) = &self.sets[self.sets.len() - 1];
        newest
    }

    /// Who votes on a height: a settled one or the next.
    pub fn witnesses_at(&self, height: u64) -> Option<&Witnesses> {
        let of = self.sets.partition_point(|(from, _)| *from <= height).checked_sub(1)?;
        (height <= self.height() + 1).then(|| &self.sets[of].1)
    }

    /// Whether one witness votes on the next height, and with this key.
    pub fn is_sole_witness(&self, key: VoteKey) -> bool {
        matches!(self.witnesses().all(), [only] if only.vote_key == key)
    }

    /// What became of an entry; `None` while it is not settled.
    pub fn settled(&self, id: &EntryId) -> Option<Settled> {
        self.settled.get(id).copied()
    }

    /// Makes the next header over what the DAG holds; `None` when nothing new can be settled. `now` is the own clock in
    /// milliseconds since 1970.
    ///
    /// # Errors
    /// [`SettleError`].
    pub fn next(
        &self,
        dag: &Dag,
        opener: Option<&dyn Opener>,
        proposer: DeviceId,
        now: u64,
    ) -> Result<Option<Block>, SettleError> {
        self.next_over(dag, opener, proposer, dag.cut(), now)
    }

    /// As [`Chain::next`], over this cut; `None` when it is empty.
    ///
    /// # Errors
    /// [`SettleError`].
    pub fn next_over(
        &self,
        dag: &Dag,
        opener: Option<&dyn Opener>,
        proposer: DeviceId,
        cut: Vec<Head>,
        now: u64,
    ) -> Result<Option<Block>, SettleError> {
        if !self.witnesses().has_device(&proposer) {
            return Err(SettleError::NoWitness(proposer));
        }
        let height = self.height().checked_add(1).ok_or(SettleError::LastHeight)?;
        if cut.is_empty() {
            return Ok(None);
        }
        let order = dag.order(&cut)?;
        let time = now.max(self.time());
        let held = |_: usize, id: &EntryId| dag.get(id);
        let folded = self.fold(&held, opener, order, (height, time, proposer)).map_err(SettleError::NoBody)?;
        let (state, state_root) = folded.state.ok_or(SettleError::NotFolded)?;
        let witnesses = self.witnesses_after(&state);
        let header = Header {
            version: VERSION,
            circle: self.circle,
            height,
            prev: self.last(),
            proposer,
            time,
            cut_hash: cut_hash(&cut),
            entries: u32::try_from(folded.order.len()).map_err(|_| CutError::TooMuch)?,
            entries_root: folded.entries_root,
            history_root: self.history.root(),
            state_root,
            witnesses: witnesses.hash(),
        };
        let Folded { order, verdicts, .. } = folded;
        Ok(Some(Block { header, cut, order, verdicts, state: Some(state), witnesses }))
    }

    /// Settles a block by one witness's vote in view 0: enough where that witness is the only one.
    pub fn certify(&self, block: &Block, secret: &VoteSecret) -> Proof {
        let header = block.header.hash();
        let vote = Certificate::vote(self.circle, block.header.height, 0, header);
        self.proof(block, Certificate { header, view: 0, votes: alloc::vec![(secret.key(), vote.sign(secret))] })
    }

    /// Settles a block by a quorum's finalizes in a view, which name the witnesses of its height by their places.
    pub fn prove(&self, block: &Block, view: u64, voices: &Voices<Signature>) -> Proof {
        let all = self.witnesses().all();
        let key = |at: &u8| all.get(usize::from(*at)).map(|witness| witness.vote_key);
        let votes = voices.iter().filter_map(|(at, signature)| Some((key(at)?, *signature))).collect();
        self.proof(block, Certificate { header: block.header.hash(), view, votes })
    }

    fn proof(&self, block: &Block, certificate: Certificate) -> Proof {
        let witnesses = (block.witnesses != *self.witnesses()).then(|| block.witnesses.clone());
        let checkpoint = Checkpoint { header: block.header.clone(), certificate };
        Proof { checkpoint, cut: block.cut.clone(), witnesses, renewal: self.renewal }
    }

    fn vote_from_next(&mut self, witnesses: Witnesses) {
        let next = self.height() + 1;
        self.sets.retain(|(from, _)| *from < next);
        if self.sets.last().is_none_or(|(_, last)| *last != witnesses) {
            self.sets.push((next, witnesses));
        }
    }

    /// Checks what others settled: its votes, that it follows, and everything that can be computed from the own DAG and,
    /// with an opener, from the own fold. `now` is the own clock in milliseconds since 1970.
    ///
    /// # Errors
    /// [`Refusal`]; the first three kinds are no fault of the header's.
    pub fn check(&self, dag: &Dag, opener: Option<&dyn Opener>, proof: &Proof, now: u64) -> Result<Block, Refusal> {
        let voted = self.check_votes(proof)?;
        let held = |_: usize, id: &EntryId| dag.get(id);
        self.check_voted(&|cut| dag.order(cut), &held, opener, &voted, now)
    }

    /// Checks that a header is the next, and its votes.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check_votes<'a>(&self, proof: &'a Proof) -> Result<Voted<'a>, Refusal> {
        let Proof { checkpoint: Checkpoint { header, certificate }, renewal, .. } = proof;
        let hash = match self.check_place(header, Some(certificate)) {
            Err(Refusal::BadCertificate(error)) => return Err(self.by_others(proof, header.hash(), error)),
            placed => placed?,
        };
        let renewed = match renewal {
            Some(renewal) if self.renewal != Some(*renewal) => {
                Some(self.renewed_by(renewal).ok_or(Refusal::BadRenewal)?)
            }
            Some(_) => None,
            None if self.renewal.is_some() => return Err(Refusal::BadRenewal),
            None => None,
        };
        if let Err(error) =
            certificate.check(self.circle, header.height, hash, renewed.as_ref().unwrap_or(self.witnesses()))
        {
            return Err(self.by_others(proof, hash, error));
        }
        Ok(Voted { proof, renewed })
    }

    /// Checks a header whose votes hold as [`Chain::check`] does, but for what the DAG says of its cut: its entries are
    /// these, and a quorum found that they are what is new below it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check_vouched(
        &self,
        voted: &Voted,
        entries: &Vouched,
        opener: Option<&dyn Opener>,
        now: u64,
    ) -> Result<Block, Refusal> {
        let order = |_: &[Head]| Ok(entries.iter().map(|(id, _)| id).collect());
        self.check_voted(&order, &|at, _| entries.get(at).map(Checked::packed), opener, voted, now)
    }

    fn check_voted(
        &self,
        order: Order,
        held: Lookup,
        opener: Option<&dyn Opener>,
        voted: &Voted,
        now: u64,
    ) -> Result<Block, Refusal> {
        let Voted { proof: Proof { checkpoint, cut, witnesses: told, .. }, renewed } = voted;
        let voters = renewed.as_ref().unwrap_or(self.witnesses());
        let clock = (voters.all().len() == 1).then_some(now);
        let lost = renewed.as_ref().map(|renewed| (self.witnesses(), renewed));
        let header = (&checkpoint.header, &cut[..]);
        let block = self.check_block(order, held, opener, header, voters, clock, told.as_ref(), lost)?;
        // It is told where it changes, and there alone.
        let changed = (block.witnesses != *voters).then_some(&block.witnesses);
        if told.as_ref() != changed {
            return Err(Refusal::WrongRoot { which: Root::Witnesses });
        }
        Ok(block)
    }

    /// Checks a header that is put to the vote, as a witness does before it notarizes: the cut is held whole, and all
    /// that it says is computed again. Whether it is justified is not looked at. One that is proposed `again` was found in
    /// time by a quorum. `now` is the own clock in milliseconds since 1970.
    ///
    /// # Errors
    /// [`Refusal`]; the first three kinds are no fault of the header's.
    pub fn check_proposal(
        &self,
        dag: &Dag,
        opener: &dyn Opener,
        (header, cut): (&Header, &[Head]),
        again: bool,
        now: u64,
    ) -> Result<Block, Refusal> {
        self.check_place(header, None)?;
        if self.state.is_none() {
            return Err(Refusal::NotFolded);
        }
        let held = |_: usize, id: &EntryId| dag.get(id);
        let (order, clock) = (|cut: &[Head]| dag.order(cut), (!again).then_some(now));
        self.check_block(&order, &held, Some(opener), (header, cut), self.witnesses(), clock, None, None)
    }

    /// Whether a header is of this circle and the next; its hash.
    fn check_place(&self, header: &Header, certificate: Option<&Certificate>) -> Result<HeaderHash, Refusal> {
        if header.version != VERSION {
            return Err(Refusal::Version(header.version));
        }
        if header.circle != self.circle {
            return Err(Refusal::WrongCircle);
        }
        let hash = header.hash();
        if let Some(ours) = self.hash_at(header.height) {
            return Err(self.against_settled(header.height, certificate, ours, hash));
        }
        if header.height != self.height() + 1 {
            return Err(Refusal::Ahead(header.height));
        }
        Ok(hash)
    }

    #[expect(clippy::too_many_arguments, reason = "one check, in two uses")]
    fn check_block(
        &self,
        order: Order,
        held: Lookup,
        opener: Option<&dyn Opener>,
        (header, cut): (&Header, &[Head]),
        voters: &Witnesses,
        clock: Option<u64>,
        told: Option<&Witnesses>,
        lost: Option<(&Witnesses, &Witnesses)>,
    ) -> Result<Block, Refusal> {
        self.check_header(header, voters, clock)?;
        if header.cut_hash != cut_hash(cut) {
            return Err(Refusal::WrongRoot { which: Root::Cut });
        }
        let order = order(cut).map_err(|error| match error {
            CutError::Missing(heads) => Refusal::Missing(heads),
            error => Refusal::BadCut(error),
        })?;
        if header.entries as usize != order.len() {
            return Err(Refusal::WrongCount { says: header.entries, are: order.len() });
        }
        let folded =
            self.fold(held, opener, order, (header.height, header.time, header.proposer)).map_err(Refusal::NoBody)?;
        if header.entries_root != folded.entries_root {
            return Err(Refusal::WrongRoot { which: Root::Entries });
        }
        if folded.state.as_ref().is_some_and(|(_, root)| header.state_root != *root) {
            return Err(Refusal::WrongRoot { which: Root::State });
        }
        let witnesses = match &folded.state {
            Some((state, _)) => {
                let next = self.witnesses_after(state);
                lost.filter(|(lost, _)| **lost == next).map_or(next, |(_, renewed)| renewed.clone())
            }
            None => told.unwrap_or(voters).clone(),
        };
        if header.witnesses != witnesses.hash() {
            return Err(Refusal::WrongRoot { which: Root::Witnesses });
        }
        Ok(Block {
            header: header.clone(),
            cut: cut.to_vec(),
            order: folded.order,
            verdicts: folded.verdicts,
            state: folded.state.map(|(state, _)| state),
            witnesses,
        })
    }

    /// Who votes on the height after a state.
    fn witnesses_after(&self, state: &State) -> Witnesses {
        #[cfg(test)]
        if let Some(planned) = plan::witnesses(state.height() + 1) {
            return planned;
        }
        let next = state.witnesses().clone();
        match &self.renewed {
            Some((lost, renewed)) if *lost == next => renewed.clone(),
            _ => next,
        }
    }

    /// Goes on to a block that [`Chain::next`] or [`Chain::check`] gave, settled by its proof. Returns the entries that
    /// had waited in the DAG and were taken for it. A block that does not follow, or a proof of another, changes nothing.
    pub fn adopt(&mut self, dag: &mut Dag, block: Block, proof: Proof) -> Vec<EntryId> {
        let hash = block.header.hash();
        let follows = block.header.prev == self.last() && block.header.height == self.height() + 1;
        if !follows || proof.checkpoint.header != block.header {
            return Vec::new();
        }
        if let Some(renewal) = proof.renewal.filter(|renewal| self.renewal != Some(*renewal)) {
            self.renew(renewal);
        }
        self.renewal = None;
        let height = block.header.height;
        // What was passed is not here, and not asked for here.
        let mut here = Vec::new();
        for (at, id) in block.order.iter().enumerate().filter(|(_, id)| dag.contains(id)) {
            let verdict = block.verdicts.get(at).map(|(_, verdict)| *verdict);
            self.settled.insert(*id, Settled { height, verdict });
            here.push(*id);
        }
        self.hashes.push(hash);
        self.history.push(&hash.0);
        self.header = Some(block.header);
        self.state = block.state;
        self.vote_from_next(block.witnesses);
        dag.settle(block.cut, &here)
    }

    fn last(&self) -> HeaderHash {
        self.hashes.last().copied().unwrap_or(HeaderHash(self.circle.0))
    }

    fn time(&self) -> u64 {
        self.header.as_ref().map_or(self.created, |header| header.time)
    }

    /// What to say of a header at a height that is settled here.
    fn against_settled(
        &self,
        height: u64,
        certificate: Option<&Certificate>,
        ours: HeaderHash,
        theirs: HeaderHash,
    ) -> Refusal {
        let (Some(voters), Some(certificate)) = (self.witnesses_at(height), certificate) else {
            // No header is at height 0; and what is only proposed comes too late.
            return if height == 0 && ours != theirs { Refusal::WrongPrev } else { Refusal::Known(height) };
        };
        if ours == theirs {
            return Refusal::Known(height);
        }
        match certificate.check(self.circle, height, theirs, voters) {
            Ok(()) => Refusal::Conflict { height, ours, theirs },
            Err(error) => Refusal::BadCertificate(error),
        }
    }

    /// What a header must say whatever the entries are; its time is held to a clock, if there is one.
    fn check_header(&self, header: &Header, voters: &Witnesses, clock: Option<u64>) -> Result<(), Refusal> {
        if header.prev != self.last() {
            return Err(Refusal::WrongPrev);
        }
        if !voters.has_device(&header.proposer) {
            return Err(Refusal::WrongProposer);
        }
        let from = self.time();
        let to = clock.map_or(u64::MAX, |now| now.saturating_add(self.clock_bound).max(from));
        if !(from..=to).contains(&header.time) {
            return Err(Refusal::Time { time: header.time, from, to });
        }
        if header.history_root != self.history.root() {
            return Err(Refusal::WrongRoot { which: Root::History });
        }
        Ok(())
    }

    /// Folds entries in settled order, if there are a state and the keys; or says whose state body is missing.
    fn fold(
        &self,
        held: Lookup,
        opener: Option<&dyn Opener>,
        order: Vec<EntryId>,
        (height, time, proposer): (u64, u64, DeviceId),
    ) -> Result<Folded, EntryId> {
        let entries_root = ENTRIES.root(order.iter().map(|id| &id.0));
        let (Some(opener), Some(state)) = (opener, &self.state) else {
            return Ok(Folded { order, entries_root, verdicts: Vec::new(), state: None });
        };
        let mut state = state.clone();
        let verdicts = fold(&mut state, held, opener, &order, (height, time, proposer))?;
        let root = state.root(&opener.salt());
        Ok(Folded { order, entries_root, verdicts, state: Some((state, root)) })
    }
}

/// Folds a header's entries, in settled order, into the state before it.
fn fold(
    state: &mut State,
    held: Lookup,
    opener: &dyn Opener,
    order: &[EntryId],
    (height, time, proposer): (u64, u64, DeviceId),
) -> Result<Vec<(EntryId, Verdict)>, EntryId> {
    if let Some(epoch) = state.epochs().iter().find(|epoch| !opener.holds(&epoch.id)) {
        return Err(epoch.id);
    }
    state.begin(height, time, proposer);
    let mut verdicts = Vec::with_capacity(order.len());
    for (at, id) in order.iter().enumerate() {
        let packed = held(at, id).ok_or(*id)?;
        let entry = &packed.signed.entry;
        let plain = match entry.lane {
            Lane::Talk => None,
            Lane::State if !state.is_of_known_epoch(entry) => None,
            Lane::State => opener.open(entry, packed.body.as_deref().ok_or(*id)?),
        };
        let body = plain.as_deref().map_or(Opened::NotOpened, Opened::Plain);
        verdicts.push((*id, state.apply(*id, entry, body)));
    }
    state.finish();
    Ok(verdicts)
}
