//! What a node has to give: entries by ranges of chains, branches, and settled headers, as much as one message takes.

use crate::engine::Engine;
use crate::session::MAX_IDS;
use crate::wire::{MAX_ASK, Range};
use ledgerno_ledger::bytes::{DeviceId, EntryId};
use ledgerno_ledger::entry::Packed;

impl Engine {
    /// Durable entries in ranges that may be given on, in the order in which they were taken.
    pub(crate) fn ids_in(&self, ranges: &[Range]) -> Vec<EntryId> {
        let mut places: Vec<usize> = Vec::new();
        for range in ranges {
            let rows = self.history.of(&range.device);
            places.extend(rows.filter(|(_, row)| (range.from..=range.to).contains(&row.seq.into())).map(|(at, _)| at));
        }
        places.retain(|at| *at < self.durable && !self.unchecked.is_forged(*at));
        places.sort_unstable();
        places.dedup();
        // What comes after may build on it.
        let checked = places.iter().take_while(|at| !self.unchecked.has(**at)).count();
        places.truncate(checked);
        places.into_iter().filter_map(|at| self.history.rows().get(at)).map(|row| row.id).collect()
    }

    /// As many entries as fit into one message, and the ids of the rest.
    pub(crate) fn pack(&self, ids: Vec<EntryId>, limit: usize) -> (Vec<Packed>, Vec<EntryId>) {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        let mut ids = ids.into_iter().peekable();
        // What was let go is not given; an archive has it.
        let is_passed = |id: &EntryId| self.history.row(id).is_none_or(|row| row.gone);
        while let Some(id) = ids.next_if(|id| self.packed(id).is_some() || is_passed(id)) {
            let Some(packed) = self.packed(&id) else { continue };
            bytes += packed.body.as_ref().map_or(0, Vec::len) + packed.signed.encode().len() + 8;
            entries.push(packed.clone());
            if bytes >= limit {
                break;
            }
        }
        (entries, ids.collect())
    }

    /// Durable entries of a forked device from where its branches part, newest branches first to be cut.
    pub(crate) fn branch_ids(&self, device: &DeviceId) -> Vec<EntryId> {
        let Some(last) = self.frontier.seq(device) else { return Vec::new() };
        let mut seqs: Vec<u64> = self.history.of(device).map(|(_, row)| row.seq.into()).collect();
        seqs.sort_unstable();
        let first = seqs.windows(2).find(|pair| pair[0] == pair[1]).map_or(last, |pair| pair[0]);
        self.ids_in(&[Range { device: *device, from: first, to: last }]).into_iter().take(MAX_IDS).collect()
    }

    /// Durable settled headers from a height on, as many as fit, and whether there are more.
    pub(crate) fn proofs_from(&self, from: u64) -> (Vec<ledgerno_ledger::settle::Proof>, bool) {
        let (mut proofs, mut bytes) = (Vec::new(), 0);
        for height in from.max(1)..=self.given_height() {
            // One that is not in memory comes with the next question.
            let Some(proof) = self.proof_at(height) else { return (proofs, self.history.header(height).is_some()) };
            bytes += 1_024 + proof.cut.len() * 80;
            if bytes > MAX_ASK / 2 && !proofs.is_empty() {
                return (proofs, true);
            }
            proofs.push(proof.clone());
        }
        (proofs, false)
    }
}
