//! A witness's hands, outside any engine: headers that are made as they should be, or not.

use anyhow::{Context, Result, bail};
use ledgerno_engine::{Item, Keyring};
use ledgerno_ledger::bytes::{DeviceId, Hash, HeaderHash, Signature};
use ledgerno_ledger::check::Checked;
use ledgerno_ledger::dag::{self, Dag};
use ledgerno_ledger::genesis::Genesis;
use ledgerno_ledger::keys::VoteSecret;
use ledgerno_ledger::settle::{Chain, Proof};

/// Who settles, and with what.
pub struct Witness {
    pub genesis: Genesis,
    pub keyring: Keyring,
    pub device: DeviceId,
    pub vote: VoteSecret,
}

/// What may be wrong with a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lie {
    /// Nothing.
    None,
    /// The state's root.
    StateRoot,
    /// The entries' root.
    EntriesRoot,
    /// The vote's signature.
    Signature,
    /// What it follows.
    Prev,
    /// It is at a height that is settled already, with another time: a second history.
    Second,
}

impl std::str::FromStr for Lie {
    type Err = anyhow::Error;

    fn from_str(kind: &str) -> Result<Self> {
        Ok(match kind {
            "state-root" => Lie::StateRoot,
            "entries-root" => Lie::EntriesRoot,
            "signature" => Lie::Signature,
            "prev" => Lie::Prev,
            "second" => Lie::Second,
            other => bail!("no such lie: {other}"),
        })
    }
}

impl Witness {
    /// The next header over what a log holds, certified with the real vote over what it says.
    pub fn next(&self, log: &[Vec<u8>], lie: Lie, now: u64) -> Result<Proof> {
        let circle = self.genesis.id();
        let (mut dag, mut chain) = (Dag::new(&self.genesis, dag::Limits::default()), Chain::new(&self.genesis));
        let mut last = None;
        for bytes in log {
            match Item::from_bytes(bytes)? {
                Item::Entry(packed) => drop(dag.restore(Checked::stored(circle, packed))?),
                Item::Proof(proof) => {
                    let block = chain.check(&dag, Some(&self.keyring), &proof, u64::MAX)?;
                    last = Some(block.clone());
                    chain.adopt(&mut dag, block, proof);
                }
            }
        }
        let mut block = match lie {
            Lie::Second => last.context("nothing is settled yet")?,
            _ => chain
                .next(&dag, Some(&self.keyring), self.device, now)?
                .context("nothing is unsettled: post something first")?,
        };
        let header = &mut block.header;
        match lie {
            Lie::None | Lie::Signature => {}
            Lie::StateRoot => header.state_root = Hash([1; 32]),
            Lie::EntriesRoot => header.entries_root = Hash([1; 32]),
            Lie::Prev => header.prev = HeaderHash([1; 32]),
            Lie::Second => header.time += 1,
        }
        let mut proof = chain.certify(&block, &self.vote);
        if lie == Lie::Signature {
            for (_, signature) in &mut proof.checkpoint.certificate.votes {
                *signature = Signature([1; 64]);
            }
        }
        Ok(proof)
    }
}
