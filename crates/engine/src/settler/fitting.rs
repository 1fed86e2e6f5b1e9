//! A cut that can be gossiped. A proposal is its header and cut with the leader's bundle, and must fit a gossip message. If
//! it is proposed again in a later view, the bundle holds the header with its cut once more, a quorum's votes for it, and
//! the nullifications since: room for these is kept, so that what was notarized can always be said. Nobody notarizes a
//! new header whose proposal leaves no room for its cut a second time.
//!
//! What has no room is left for later heights, and still all of it is settled: a cut has to keep the previous one's heads
//! till something builds on them, so before it proposes over more heads than there is room for, the leader *merges*. It
//! writes entries that build on eight heads each, one after the other, until they stand for enough of them. So it rests on
//! nobody's writing; a leader that does not merge proposes what fits, and the next one's turn comes.

use crate::engine::Engine;
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::{Head, Lane, MAX_APPROVES};
use ledgerno_ledger::settle::{Block, MAX_BUNDLE, Proposal};

/// A head as it is encoded, with a seq of six bytes.
const HEAD: usize = 32 + 6 + 32;
/// A vote in a quorum's: who, and the signature.
const VOICE: usize = 66;
/// A header, a certificate's or proof's other fields, or a vote with its own.
const SMALL: usize = 512;
/// For the nullifications of so many further views there is room.
const VIEWS: usize = 8;
/// There is always room for so many heads.
const LEAST: usize = 16;

/// Whether a header can be proposed again in a later view.
pub(super) fn fits_again(proposal: &Proposal) -> bool {
    codec::encode(proposal).len() + codec::encode(&proposal.cut).len() <= MAX_BUNDLE
}

impl Engine {
    /// The next header over as many heads as there is room for.
    pub(super) fn next_block(&mut self, now: u64) -> Option<Block> {
        let device = self.device()?;
        let room = self.room();
        self.merge(room, now);
        self.chain.next_over(&self.dag, self.opener(), device, self.dag.cut_of(room), now).ok().flatten()
    }

    /// Whether a header is to be made at once after one.
    pub(super) fn can_settle_more(&self) -> bool {
        !self.dag.cut_of(self.room()).is_empty()
    }

    /// How many heads there is room for.
    fn room(&self) -> usize {
        let Some(bundle) = self.own_bundle() else { return (MAX_BUNDLE - SMALL) / HEAD };
        let quorum = self.chain.witnesses().quorum();
        let later = 2 * SMALL + (1 + VIEWS) * (quorum * VOICE + SMALL / 2);
        (MAX_BUNDLE.saturating_sub(codec::encode(&bundle).len() + later) / 2 / HEAD).max(LEAST)
    }

    /// Builds on heads until no more than `most` are left.
    fn merge(&mut self, most: usize, now: u64) {
        if self.dag.device_count() <= most {
            return;
        }
        let tops = self.dag.tops();
        let Some(many) = tops.len().checked_sub(most).filter(|many| *many > 0) else { return };
        let own = self.device();
        let others: Vec<Head> =
            tops.into_iter().filter(|head| Some(head.device) != own && self.is_whole(head)).collect();
        // The own head is one more, unless it was among them.
        for heads in others.chunks(MAX_APPROVES).take((many + 1).div_ceil(MAX_APPROVES)) {
            if self.merge_heads(heads, now).is_err() {
                return;
            }
        }
    }

    /// Whether a head may be built on: it has its body, or is settled and no longer in memory.
    fn is_whole(&self, head: &Head) -> bool {
        let is_here =
            |packed: &ledgerno_ledger::entry::Packed| packed.body.is_some() || packed.signed.entry.lane == Lane::State;
        self.may_give(&head.id) && self.dag.get(&head.id).is_none_or(is_here)
    }
}
