//! A settled history gone on from a header that is trusted, without what that header settled: for who joins by a snapshot.
//! All that the next header is checked against is held to this one: the state to its root, the headers before it to its
//! history root, and who votes next to the hash that it names.

use super::{Chain, Opener, Unfit};
use crate::bytes::HeaderHash;
use crate::genesis::Genesis;
use crate::merkle::{HISTORY, Mountains};
use crate::settle::{Header, Witnesses};
use crate::state::State;
use alloc::vec::Vec;

impl Chain {
    /// At a trusted header. `witnesses` vote on the height after it, `hashes` are those of all headers by height, the
    /// circle's id first, and `state` is what it settled.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn joined(
        genesis: &Genesis,
        header: Header,
        witnesses: Witnesses,
        hashes: Vec<HeaderHash>,
        state: State,
        opener: &dyn Opener,
    ) -> Result<Self, Unfit> {
        let chain = Chain::new(genesis);
        if header.circle != chain.circle {
            return Err(Unfit::WrongCircle);
        }
        let mut history = Mountains::new(HISTORY);
        let (newest, before) = hashes.split_last().ok_or(Unfit::Headers)?;
        before.iter().for_each(|hash| history.push(&hash.0));
        let fits = before.first() == Some(&HeaderHash(chain.circle.0))
            && before.len() as u64 == header.height
            && *newest == header.hash()
            && history.root() == header.history_root
            && witnesses.hash() == header.witnesses;
        if !fits {
            return Err(Unfit::Headers);
        }
        let is_settled = (state.height(), state.time()) == (header.height, header.time);
        if !is_settled || state.root(&opener.salt()) != header.state_root {
            return Err(Unfit::State);
        }
        history.push(&newest.0);
        // The founder named another witness than the state does.
        let renewed = (*state.witnesses() != witnesses).then(|| (state.witnesses().clone(), witnesses.clone()));
        let next = header.height.saturating_add(1);
        let sets = alloc::vec![(next, witnesses)];
        Ok(Chain { hashes, header: Some(header), history, sets, renewed, state: Some(state), ..chain })
    }
}
