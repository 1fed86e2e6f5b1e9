//! What a person does beside posting, thanking and inviting: each method writes one operation.

use crate::engine::{Engine, Seat};
use crate::write::{WriteError, Written};
use ledgerno_ledger::bytes::{BoxKey, DeviceId, EntryId, Hash, InviteKey, VoteKey};
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::{Admission, Lane, Role};
use ledgerno_ledger::epoch::Handout;
use ledgerno_ledger::genesis::Rules;
use ledgerno_ledger::keys::VoteSecret;
use ledgerno_ledger::op::{Change, Operation};
use ledgerno_ledger::seal;
use ledgerno_ledger::settle::Evidence;

/// What the names of vote secrets' records begin with.
pub(crate) const VOTE: &str = "vote-";

impl Engine {
    /// Takes back an invite that this member gave, or as the founder anybody's. If this device gave it, the relay's parcel
    /// is emptied too, so that the link reads nothing any more.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn revoke(&mut self, key: InviteKey, issuer: DeviceId, now: u64) -> Result<Written, WriteError> {
        let written = self.operate(&Operation::Revoke { key, issuer }, now)?;
        self.empty_parcel(&key, now);
        Ok(written)
    }

    /// Offers this device as a witness, with a fresh vote key that is durable in the same write.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn offer_to_witness(&mut self, always_on: bool, now: u64) -> Result<Written, WriteError> {
        let secret: [u8; 32] = self.random.bytes();
        let vote = VoteSecret::from_secret(secret);
        let record = vote_record(&secret);
        let operation = Operation::Ready { vote_key: vote.key(), always_on };
        let written = self.write_operation(&operation, vec![record], now)?;
        self.votes.push(vote);
        Ok(written)
    }

    /// What a relay needs to vote: this member's word for its device, for that alone, and the state keys of all epochs,
    /// sealed to it. It votes without reading a post.
    ///
    /// # Errors
    /// [`WriteError::NoSeat`]; [`WriteError::Seal`] past [`MAX_RING`](ledgerno_ledger::epoch::MAX_RING) epochs.
    pub fn enlist(&mut self, device: DeviceId, box_key: BoxKey) -> Result<(Admission, Handout), WriteError> {
        let Seat::Member { identity, keyring, .. } = &self.seat else { return Err(WriteError::NoSeat) };
        let (circle, secret, random) = (self.circle, self.random.bytes(), &mut self.random);
        let admission = identity.admit_device(circle, (device, box_key), Role::Vote, None);
        let to = [(device, box_key, Role::Vote)];
        Ok((admission, Handout::seal(circle, keyring.all(), &to, secret, &mut || random.bytes())?))
    }

    /// Promotes devices that offered themselves of late and demotes others, in one step; or proposes it.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn change_witnesses(
        &mut self,
        promote: Vec<DeviceId>,
        demote: Vec<DeviceId>,
        now: u64,
    ) -> Result<Written, WriteError> {
        self.operate(&Operation::Propose(Box::new(Change::Witnesses { promote, demote })), now)
    }

    /// Leaves the witnesses.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn resign(&mut self, now: u64) -> Result<Written, WriteError> {
        self.operate(&Operation::Resign, now)
    }

    /// Shows that a witness voted twice.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn accuse(&mut self, evidence: Evidence, now: u64) -> Result<Written, WriteError> {
        self.operate(&Operation::Evidence(Box::new(evidence)), now)
    }

    /// Changes the numbers that the circle plays by, or proposes it.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn change_rules(&mut self, rules: Rules, now: u64) -> Result<Written, WriteError> {
        self.operate(&Operation::Propose(Box::new(Change::Config(rules))), now)
    }

    /// Agrees to a proposal.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn consent(&mut self, proposal: EntryId, now: u64) -> Result<Written, WriteError> {
        self.operate(&Operation::Consent(proposal), now)
    }

    /// Stamps a document by its BLAKE3 hash, with a note on what it is, which members alone read.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn stamp(&mut self, document: Hash, note: &str, now: u64) -> Result<Written, WriteError> {
        let note = self.seal_for_members(note)?;
        self.operate(&Operation::Stamp { document, note }, now)
    }

    /// Vouches for a document that another member stamped.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn endorse(&mut self, document: Hash, now: u64) -> Result<Written, WriteError> {
        self.operate(&Operation::Endorse(document), now)
    }

    pub(crate) fn operate(&mut self, operation: &Operation, now: u64) -> Result<Written, WriteError> {
        self.write_operation(operation, Vec::new(), now)
    }

    /// Seals a short text with the talk key, to stand in the state body of the own next entry.
    pub(crate) fn seal_for_members(&mut self, text: &str) -> Result<Vec<u8>, WriteError> {
        let epoch = self.writing_epoch(Lane::State);
        let Seat::Member { device, keyring, .. } = &self.seat else { return Err(WriteError::NoSeat) };
        match (text.trim(), keyring.key(epoch, Lane::Talk)) {
            ("", _) | (_, None) => Ok(Vec::new()),
            (text, Some(talk)) => {
                let (device, seq, nonce) = (device.id(), self.own.len() as u64, self.random.bytes());
                Ok(seal::seal_reason(self.circle, device, seq, talk, nonce, text.as_bytes())?)
            }
        }
    }

    /// The secret with which this device votes on the next height, if it is a witness.
    pub fn vote_secret(&self) -> Option<&VoteSecret> {
        let vote = if let Seat::Member { vote, .. } = &self.seat { vote.as_ref() } else { None };
        let votes = |vote: &&VoteSecret| self.chain.witnesses().by_key(&vote.key()).is_some();
        vote.into_iter().chain(&self.votes).find(votes)
    }

    pub(crate) fn restore_vote(&mut self, name: &str, bytes: &[u8]) -> bool {
        let Ok(secret) = codec::decode::<[u8; 32]>(bytes, 32) else { return false };
        let vote = VoteSecret::from_secret(secret);
        let ours = name == vote_name(&vote.key());
        self.votes.push(vote);
        ours
    }

    /// Records of vote secrets that are of no use any more: their keys neither vote nor are ready to.
    pub(crate) fn spent_votes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let (chain, mut spent) = (&self.chain, Vec::new());
        // An offer that is on its way is not known to the state.
        let is_settled = self.own.last().is_some_and(|id| self.history.settled(id).is_some());
        let Some(state) = chain.state().filter(|_| is_settled) else { return spent };
        let is_ready = |key: &VoteKey| state.ready_devices().any(|(_, ready)| ready.vote_key == *key);
        self.votes.retain(|vote| {
            let key = vote.key();
            let keep =
                chain.witnesses().by_key(&key).is_some() || state.witnesses().by_key(&key).is_some() || is_ready(&key);
            if !keep {
                spent.push((vote_name(&key), None));
            }
            keep
        });
        spent
    }
}

fn vote_name(key: &VoteKey) -> String {
    format!("{VOTE}{key}")
}

/// What makes a vote secret durable.
pub(crate) fn vote_record(secret: &[u8; 32]) -> (String, Option<Vec<u8>>) {
    (vote_name(&VoteSecret::from_secret(*secret).key()), Some(codec::encode(secret)))
}
