//! A settled history as a node stores it, so as not to fold everything again at each start: what the next header is checked
//! against, without the headers before the newest and without what became of each entry.
//!
//! It is read back from the own store only, and is held to the newest header's roots all the same: a fault that was stored
//! would be carried on for good, where a full replay finds it.

use super::{Chain, Opener, Settled};
use crate::bytes::{EntryId, HeaderHash};
use crate::codec::{self, CodecError};
use crate::genesis::Genesis;
use alloc::vec::Vec;

/// Why a stored history is not gone on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The bytes are none.
    #[error("it is damaged")]
    Damaged(#[from] CodecError),
    /// Of another circle.
    #[error("it is of another circle")]
    WrongCircle,
    /// The headers' hashes do not end in its newest header.
    #[error("its headers are not the ones before it")]
    Headers,
    /// Its state is not the one that the newest header names.
    #[error("its state is not the settled one")]
    State,
}

impl Chain {
    /// The bytes to store. The hashes of the headers and what became of the entries are stored apart.
    pub fn to_stored(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Goes on from stored bytes of at most `max`, and the hashes of all headers by height, the circle's id first.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn resume(
        genesis: &Genesis,
        bytes: &[u8],
        max: usize,
        hashes: Vec<HeaderHash>,
        opener: Option<&dyn Opener>,
    ) -> Result<Self, Unfit> {
        let mut chain: Chain = codec::decode(bytes, max)?;
        if chain.circle != genesis.id() {
            return Err(Unfit::WrongCircle);
        }
        let newest = chain.header.as_ref().map_or(HeaderHash(chain.circle.0), |header| header.hash());
        let height = chain.header.as_ref().map_or(0, |header| header.height);
        let fits = hashes.last() == Some(&newest) && hashes.first() == Some(&HeaderHash(chain.circle.0));
        if !fits
            || chain.sets.is_empty()
            || hashes.len() as u64 != height.saturating_add(1)
            || chain.history.count() != hashes.len() as u64
        {
            return Err(Unfit::Headers);
        }
        if let (Some(state), Some(opener), Some(header)) = (&chain.state, opener, &chain.header)
            && state.root(&opener.salt()) != header.state_root
        {
            return Err(Unfit::State);
        }
        chain.hashes = hashes;
        Ok(chain)
    }

    /// Takes back what became of entries that are settled.
    pub fn recollect(&mut self, settled: impl IntoIterator<Item = (EntryId, Settled)>) {
        self.settled.extend(settled);
    }

    /// Forgets what became of all settled entries but these.
    pub fn forget_but(&mut self, kept: impl Iterator<Item = EntryId>) {
        let settled = core::mem::take(&mut self.settled);
        self.settled = kept.filter_map(|id| settled.get(&id).map(|became| (id, *became))).collect();
    }

    /// The hashes of all headers by height, the circle's id first.
    pub fn hashes(&self) -> &[HeaderHash] {
        &self.hashes
    }
}
