//! A walk towards a place: the nearest nodes that are known are asked for nearer ones, until the nearest have all answered.
//! No link, no clock: both come in as values.
//!
//! However many nodes are named, and however near they claim to be, no more than [`MAX_ASKED`] are asked, and nobody adds
//! more than [`K`] to what is known, for a message names no more. A node that does not answer makes room for the next one.

use std::time::Duration;

use web_time::Instant;

use super::{K, Place, distance, wire::Named};
use crate::Peer;

/// Nodes asked at one time.
const ALPHA: usize = 3;
/// Nodes asked in one walk.
pub(crate) const MAX_ASKED: usize = 80;
/// How long a walk takes at most.
pub(crate) const TIME: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Asked,
    Answered,
    /// It did not answer; kept so that it is not asked again.
    Failed,
}

struct Known {
    distance: Place,
    peer: Peer,
    state: State,
}

/// One walk.
pub(crate) struct Lookup {
    own: Peer,
    target: Place,
    until: Instant,
    asked: usize,
    /// The nearest first.
    known: Vec<Known>,
}

impl Lookup {
    /// Begins at nodes that are known already.
    pub(crate) fn new(own: Peer, target: Place, from: &[Peer], now: Instant) -> Self {
        let mut lookup = Lookup { own, target, until: now + TIME, asked: 0, known: Vec::new() };
        from.iter().for_each(|peer| lookup.add(*peer));
        lookup.known.truncate(K);
        lookup
    }

    fn add(&mut self, peer: Peer) {
        let distance = distance(&self.target, &peer);
        if let Err(at) = self.known.binary_search_by(|known| known.distance.cmp(&distance))
            && peer != self.own
        {
            self.known.insert(at, Known { distance, peer, state: State::New });
        }
    }

    /// Whom to ask now. Called again until there is nobody.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Peer> {
        if self.until <= now || self.asked >= MAX_ASKED || self.waits() >= ALPHA {
            return None;
        }
        let living = self.known.iter_mut().filter(|known| known.state != State::Failed);
        let next = living.take(K).find(|known| known.state == State::New)?;
        next.state = State::Asked;
        self.asked += 1;
        Some(next.peer)
    }

    /// A node answered, and names nearer ones; or it did not.
    pub(crate) fn ended(&mut self, peer: Peer, named: Option<&[Named<'_>]>) {
        let Some(known) = self.known.iter_mut().find(|known| known.peer == peer && known.state == State::Asked) else {
            return;
        };
        known.state = if named.is_some() { State::Answered } else { State::Failed };
        named.into_iter().flatten().for_each(|node| self.add(node.peer));
    }

    /// Whether nothing comes of it any more, when [`Lookup::next`] has nobody to ask.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until <= now || self.waits() == 0
    }

    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// The nearest nodes that answered.
    pub(crate) fn nearest(&self) -> Vec<Peer> {
        self.known.iter().filter(|known| known.state == State::Answered).map(|known| known.peer).take(K).collect()
    }

    fn waits(&self) -> usize {
        self.known.iter().filter(|known| known.state == State::Asked).count()
    }

    #[cfg(test)]
    pub(crate) fn knows(&self) -> usize {
        self.known.len()
    }
}
