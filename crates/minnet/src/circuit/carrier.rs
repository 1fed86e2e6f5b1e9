//! For whom a node carries, and how much.

use std::time::Duration;

use libp2p::PeerId;

use super::Status;
use crate::requests::Count;

/// How much a node carries for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Circuits at one time.
    pub(crate) circuits: usize,
    /// Of them with one peer at either end.
    pub(crate) per_peer: usize,
    /// Bytes each way of one circuit.
    pub(crate) bytes: Option<u64>,
    /// How long one circuit lives.
    pub(crate) time: Option<Duration>,
}

impl Allowance {
    /// A relay's: what stays relayed, lives on it. Circuits live as long as their ends' links.
    pub(crate) const RELAY: Allowance = Allowance { circuits: 2_048, per_peer: 32, bytes: None, time: None };
    /// A friend's: enough to arrange a direct link.
    pub(crate) const FRIEND: Allowance =
        Allowance { circuits: 16, per_peer: 4, bytes: Some(256 * 1024), time: Some(Duration::from_secs(60)) };
}

/// What one circuit may use; its place is free again when this is dropped.
pub(crate) struct Pass {
    pub(super) bytes: Option<u64>,
    pub(super) time: Option<Duration>,
    _places: [Count; 3],
}

/// Counts the circuits through this node.
pub(crate) struct Carrier {
    allowance: Allowance,
    all: Count,
    /// Bounded by twice the circuits: who has none is forgotten with the next one.
    by: Vec<(PeerId, Count)>,
}

impl Carrier {
    pub(crate) fn new(allowance: Allowance) -> Self {
        Carrier { allowance, all: Count::default(), by: Vec::new() }
    }

    /// A place for a circuit between two peers.
    pub(crate) fn admit(&mut self, from: PeerId, to: PeerId) -> Result<Pass, Status> {
        let (full, per_peer) = (Status::RESOURCE_LIMIT_EXCEEDED, self.allowance.per_peer);
        self.by.retain(|(_, count)| !count.is_idle());
        let all = self.all.take(self.allowance.circuits).ok_or(full)?;
        let source = self.of(from).take(per_peer).ok_or(full)?;
        let target = self.of(to).take(per_peer).ok_or(full)?;
        Ok(Pass { bytes: self.allowance.bytes, time: self.allowance.time, _places: [all, source, target] })
    }

    fn of(&mut self, peer: PeerId) -> &Count {
        let at = self.by.iter().position(|(one, _)| *one == peer).unwrap_or_else(|| {
            self.by.push((peer, Count::default()));
            self.by.len() - 1
        });
        &self.by[at].1
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let mut carrier = Carrier::new(Allowance { circuits: 3, per_peer: 2, bytes: None, time: None });
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
}
