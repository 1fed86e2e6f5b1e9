//! Settled headers that follow on each other, all by the same witnesses, checked as one *run*. Each names the one before it
//! by hash, so a quorum's votes for the last speak for all, and the roots of the history and of the state tell at the end of
//! everything before. Else each header costs a signature check for each vote and a hash of every record, and where headers
//! settle little that is most of the work. The votes of the others must be as many as they must, of witnesses; their
//! signatures are to be checked before any of these headers is given on.
//!
//! A run holds or it does not. What is wrong with one that does not is found by checking its headers one by one.

use super::{Block, Chain, Opener, Refusal, VERSION, Voted, fold};
use crate::bytes::EntryId;
use crate::check::{Checked, Vouched};
use crate::dag::Dag;
use crate::entry::Packed;
use crate::settle::{Checkpoint, Proof, Witnesses, cut_hash};
use crate::state::State;
use alloc::vec::Vec;

impl Chain {
    /// How many of these proofs may be a run: none of them tells of other witnesses, but the last, nor of a renewal.
    pub fn longest_run<'a>(&self, proofs: impl Iterator<Item = &'a Proof>) -> usize {
        if self.renewal.is_some() {
            return 0;
        }
        let mut is_over = false;
        let in_run = |proof: &&Proof| {
            let goes_on = !is_over && proof.renewal.is_none();
            is_over = proof.witnesses.is_some();
            goes_on
        };
        proofs.take_while(in_run).count()
    }

    /// Checks the next headers, each with its entries, as [`Chain::check_votes`] and [`Chain::check_vouched`] do one by one,
    /// but for the signatures of all votes but the last's.
    /// Of the blocks only the last has a state: all are to be adopted, or none. `None` if they are no run, or do not hold.
    /// `now` is the own clock in milliseconds since 1970.
    pub fn check_run(&self, run: &[(&Proof, &Vouched)], opener: Option<&dyn Opener>, now: u64) -> Option<Vec<Block>> {
        if self.longest_run(run.iter().map(|(proof, _)| *proof)) < run.len() || !self.follow(run, now) {
            return None;
        }
        let mut state = self.state.clone().filter(|_| opener.is_some());
        let mut blocks = Vec::with_capacity(run.len());
        for (proof, entries) in run {
            blocks.push(self.block_of(proof, entries, &mut state, opener)?);
        }
        let newest = blocks.last_mut()?;
        if let (Some(opener), Some(state)) = (opener, &state)
            && state.root(&opener.salt()) != newest.header.state_root
        {
            return None;
        }
        newest.state = state;
        Some(blocks)
    }

    /// Checks a header that was taken in a run before, by the votes of a later one: as [`Chain::check`], but for the
    /// signatures of its own votes.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check_again(&self, dag: &Dag, opener: Option<&dyn Opener>, proof: &Proof) -> Result<Block, Refusal> {
        let Checkpoint { header, certificate } = &proof.checkpoint;
        let hash = self.check_place(header, Some(certificate))?;
        certificate.check_but_signatures(hash, self.witnesses()).map_err(Refusal::BadCertificate)?;
        let held = |_: usize, id: &EntryId| dag.get(id);
        self.check_voted(&|cut| dag.order(cut), &held, opener, &Voted { proof, renewed: None }, u64::MAX)
    }

    /// Whether each header says what it must whatever its entries are, and is voted for.
    fn follow(&self, run: &[(&Proof, &Vouched)], now: u64) -> bool {
        let voters = self.witnesses();
        let mut history = self.history.clone();
        let (mut prev, mut height, mut time) = (self.last(), self.height(), self.time());
        let mut newest = None;
        for (at, (proof, _)) in run.iter().enumerate() {
            let Proof { checkpoint: Checkpoint { header, certificate }, cut, .. } = proof;
            let to = if voters.all().len() == 1 { now.saturating_add(self.clock_bound).max(time) } else { u64::MAX };
            let follows = header.version == VERSION
                && header.circle == self.circle
                && Some(header.height) == height.checked_add(1)
                && header.prev == prev
                && voters.has_device(&header.proposer)
                && (time..=to).contains(&header.time)
                && header.cut_hash == cut_hash(cut);
            if !follows {
                return false;
            }
            (prev, height, time) = (header.hash(), header.height, header.time);
            if certificate.check_but_signatures(prev, voters).is_err() {
                return false;
            }
            if at + 1 < run.len() {
                history.push(&prev.0);
            }
            newest = Some((header, certificate));
        }
        newest.is_some_and(|(header, certificate)| {
            header.history_root == history.root() && certificate.check(self.circle, height, prev, voters).is_ok()
        })
    }

    /// One header of a run, its entries folded into the state before it.
    fn block_of(
        &self,
        proof: &Proof,
        entries: &Vouched,
        state: &mut Option<State>,
        opener: Option<&dyn Opener>,
    ) -> Option<Block> {
        let (header, voters) = (&proof.checkpoint.header, self.witnesses());
        let order: Vec<EntryId> = entries.iter().map(|(id, _)| id).collect();
        let (mut verdicts, mut witnesses) = (Vec::new(), proof.witnesses.clone().unwrap_or_else(|| voters.clone()));
        if let (Some(state), Some(opener)) = (state, opener) {
            let held = |at: usize, _: &EntryId| -> Option<&Packed> { entries.get(at).map(Checked::packed) };
            verdicts = fold(state, &held, opener, &order, (header.height, header.time, header.proposer)).ok()?;
            witnesses = self.witnesses_after(state);
        }
        let told: Option<&Witnesses> = (witnesses != *voters).then_some(&witnesses);
        if header.witnesses != witnesses.hash() || proof.witnesses.as_ref() != told {
            return None;
        }
        Some(Block { header: header.clone(), cut: proof.cut.clone(), order, verdicts, state: None, witnesses })
    }
}
