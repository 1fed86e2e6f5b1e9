//! For whom a node carries, and how much.

use std::time::Duration;

use libp2p::PeerId;

use super::Status;
use crate::{limits::MAX_LINKS_PER_PEER, requests::Count};

/// How much a node carries for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Circuits at one time.
    pub(crate) circuits: usize,
    /// Of them with one peer at either end.
    pub(crate) per_peer: usize,
    /// Of them between the same two.
    pub(crate) per_pair: usize,
    /// Bytes each way of one circuit.
    pub(crate) bytes: Option<u64>,
    /// How long one circuit lives.
    pub(crate) time: Option<Duration>,
}

impl Allowance {
    /// A relay's: what stays relayed, lives on it. Circuits live as long as their ends' links.
    pub(crate) const RELAY: Allowance =
        Allowance { circuits: 2_048, per_peer: 24, per_pair: MAX_LINKS_PER_PEER, bytes: None, time: None };
    /// A friend's: enough to arrange a direct link.
    pub(crate) const FRIEND: Allowance = Allowance {
        circuits: 16,
        per_peer: 4,
        per_pair: 2,
        bytes: Some(256 * 1024),
        time: Some(Duration::from_secs(60)),
    };
}

/// What one circuit may use; its place is free again when this is dropped.
pub(crate) struct Pass {
    pub(super) bytes: Option<u64>,
    pub(super) time: Option<Duration>,
    _places: [Count; 4],
}

/// Counts the circuits through this node.
pub(crate) struct Carrier {
    allowance: Allowance,
    all: Count,
    /// Bounded by twice the circuits: who has none is forgotten with the next one.
    by: Vec<(PeerId, Count)>,
    /// Bounded by the circuits in the same way. The lower peer comes first.
    between: Vec<([PeerId; 2], Count)>,
}

impl Carrier {
    pub(crate) fn new(allowance: Allowance) -> Self {
        Carrier { allowance, all: Count::default(), by: Vec::new(), between: Vec::new() }
    }

    /// A place for a circuit between two peers.
    pub(crate) fn admit(&mut self, from: PeerId, to: PeerId) -> Result<Pass, Status> {
        let (full, per_peer) = (Status::RESOURCE_LIMIT_EXCEEDED, self.allowance.per_peer);
        self.by.retain(|(_, count)| !count.is_idle());
        self.between.retain(|(_, count)| !count.is_idle());
        let all = self.all.take(self.allowance.circuits).ok_or(full)?;
        let pair = of(&mut self.between, [from.min(to), from.max(to)]).take(self.allowance.per_pair).ok_or(full)?;
        let source = of(&mut self.by, from).take(per_peer).ok_or(full)?;
        let target = of(&mut self.by, to).take(per_peer).ok_or(full)?;
        Ok(Pass { bytes: self.allowance.bytes, time: self.allowance.time, _places: [all, pair, source, target] })
    }
}

/// How many there are of somebody.
fn of<T: PartialEq>(counts: &mut Vec<(T, Count)>, who: T) -> &Count {
    let at = counts.iter().position(|(one, _)| *one == who).unwrap_or_else(|| {
        counts.push((who, Count::default()));
        counts.len() - 1
    });
    &counts[at].1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let mut carrier = Carrier::new(Allowance { circuits: 3, per_peer: 2, per_pair: 2, bytes: None, time: None });
        let peers: Vec<PeerId> = (0..6).map(|_| PeerId::random()).collect();
        let first = carrier.admit(peers[0], peers[1]).ok().unwrap();
        let second = carrier.admit(peers[0], peers[2]).ok().unwrap();
        assert_eq!(carrier.admit(peers[0], peers[3]).err(), Some(Status::RESOURCE_LIMIT_EXCEEDED));
        assert_eq!(carrier.admit(peers[3], peers[0]).err(), Some(Status::RESOURCE_LIMIT_EXCEEDED));
        let third = carrier.admit(peers[4], peers[5]).ok().unwrap();
        assert_eq!(carrier.admit(peers[1], peers[2]).err(), Some(Status::RESOURCE_LIMIT_EXCEEDED));
        drop(first);
        assert!(carrier.admit(peers[0], peers[3]).is_ok());
        drop((second, third));
        assert!(carrier.admit(peers[1], peers[2]).is_ok());
        assert_eq!(carrier.by.len(), 2);
    }

    /// One that opens circuits and says nothing takes not all places of the other.
    #[test]
    fn between_two_there_are_few() {
        let mut carrier = Carrier::new(Allowance { circuits: 9, per_peer: 5, per_pair: 2, bytes: None, time: None });
        let [ann, ben, cid] = [(); 3].map(|()| PeerId::random());
        let held = [carrier.admit(ann, ben), carrier.admit(ben, ann)].map(Result::ok);
        assert!(held.iter().all(Option::is_some));
        assert_eq!(carrier.admit(ann, ben).err(), Some(Status::RESOURCE_LIMIT_EXCEEDED));
        assert!(carrier.admit(cid, ben).is_ok());
        drop(held);
        assert!(carrier.admit(ann, ben).is_ok());
    }
}
