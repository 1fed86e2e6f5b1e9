//! A settled history made by hand, for the tests of proofs: witnesses come and go, roots are whatever a test says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::bytes::{DeviceId, EntryId, Hash, HeaderHash};
use crate::entry::Anchor;
use crate::hostile::Circle;
use crate::keys::{DeviceKey, VoteSecret};
use crate::merkle::{ENTRIES, HISTORY};
use crate::settle::{Certificate, Checkpoint, Header, Proof, Renewal, VERSION, Witness, Witnesses};
use alloc::vec::Vec;

/// A witness that a seed makes.
pub struct Voter {
    pub secret: VoteSecret,
    pub witness: Witness,
}

impl Voter {
    pub fn new(seed: u8) -> Self {
        let secret = VoteSecret::from_secret([seed; 32]);
        let device = DeviceKey::from_secret([seed; 32]).id();
        Voter { witness: Witness { device, vote_key: secret.key(), always_on: false }, secret }
    }

    pub fn founder(circle: &Circle) -> Self {
        let device = circle.genesis.device;
        Voter {
            witness: Witness { device, vote_key: circle.vote.key(), always_on: false },
            secret: circle.vote.clone(),
        }
    }
}

pub fn set(voters: &[Voter]) -> Witnesses {
    Witnesses::new(voters.iter().map(|voter| voter.witness).collect(), None)
}

pub fn certify(header: &Header, voters: &[Voter]) -> Certificate {
    let (hash, view) = (header.hash(), 2);
    let vote = Certificate::vote(header.circle, header.height, view, hash);
    let mut votes: Vec<_> = voters.iter().map(|voter| (voter.secret.key(), vote.sign(&voter.secret))).collect();
    votes.sort_unstable();
    Certificate { header: hash, view, votes }
}

pub struct Story {
    pub circle: Circle,
    pub voters: Vec<Voter>,
    pub hashes: Vec<HeaderHash>,
    pub proofs: Vec<Proof>,
}

impl Story {
    pub fn new() -> Self {
        let circle = Circle::new(1);
        let hashes = alloc::vec![HeaderHash(circle.id.0)];
        Story { voters: alloc::vec![Voter::founder(&circle)], circle, hashes, proofs: Vec::new() }
    }

    /// Settles the next height, after which the voters of these seeds vote, if any are given.
    pub fn settle(&mut self, next: &[u8]) -> &Proof {
        self.settle_with(next, Hash([1; 32]), &[])
    }

    pub fn settle_with(&mut self, next: &[u8], state_root: Hash, order: &[EntryId]) -> &Proof {
        let before = set(&self.voters);
        let next: Vec<Voter> = next.iter().map(|seed| Voter::new(*seed)).collect();
        let after = if next.is_empty() { before.clone() } else { set(&next) };
        let height = self.hashes.len() as u64;
        let header = Header {
            version: VERSION,
            circle: self.circle.id,
            height,
            prev: self.hashes[self.hashes.len() - 1],
            proposer: DeviceId([2; 32]),
            time: 1_795_221_736_000 + 1_000 * height,
            cut_hash: Hash([3; 32]),
            entries: order.len() as u32,
            entries_root: ENTRIES.root(order.iter().map(|id| &id.0)),
            history_root: HISTORY.root(self.hashes.iter().map(|hash| &hash.0)),
            state_root,
            witnesses: after.hash(),
        };
        let certificate = certify(&header, &self.voters);
        self.hashes.push(header.hash());
        let witnesses = (after != before).then_some(after);
        let checkpoint = Checkpoint { header, certificate };
        self.proofs.push(Proof { checkpoint, cut: Vec::new(), witnesses, renewal: None });
        if !next.is_empty() {
            self.voters = next;
        }
        &self.proofs[self.proofs.len() - 1]
    }

    /// The founder names a new sole witness, which settles the next height.
    pub fn renew(&mut self, seed: u8) -> &Proof {
        let voter = Voter::new(seed);
        let renewal = Renewal::sign(self.circle.id, &self.circle.founder.identity, self.head(), voter.witness);
        self.voters = alloc::vec![voter];
        self.settle(&[]);
        let last = self.proofs.len() - 1;
        self.proofs[last].renewal = Some(renewal);
        &self.proofs[last]
    }

    pub fn head(&self) -> Anchor {
        Anchor { height: self.hashes.len() as u64 - 1, hash: self.hashes[self.hashes.len() - 1] }
    }

    pub fn header(&self, height: usize) -> Header {
        self.proofs[height - 1].checkpoint.header.clone()
    }
}
