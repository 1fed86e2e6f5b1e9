//! A sole witness that is lost, and the founder who comes back with 24 words: another device settles from then on. The
//! founder signs a [`Renewal`] over the newest header that others hold; it is durable before anything rests on it, and
//! travels with the header that the new key settles. In the same step the device offers itself and is promoted in the lost
//! one's place, so that the state too says who votes.
//!
//! If the lost device comes back, whoever meets its void headers says the renewal, and itself it asks for what stands below
//! when its headers are not taken. It forgets then what it settled
//! beyond: the renewal becomes a record, and the engine is opened anew, over the same log, without those headers. Their
//! entries stay, and are settled like any other.

use crate::engine::{Engine, Event, Seat};
use crate::wire::{Topic, Votes};
use crate::write::{WriteError, Written};
use ledgerno_ledger::bytes::DeviceId;
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::Anchor;
use ledgerno_ledger::keys::VoteSecret;
use ledgerno_ledger::op::{Change, Operation};
use ledgerno_ledger::settle::{Chain, Proof, Renewal, Witness};

/// What the names of renewals' records begin with.
pub(crate) const RECORD: &str = "renewal-";
/// The most bytes of such a record.
const MAX_RECORD: usize = 256;

impl Engine {
    /// The lost witness in whose place this device may settle: it is the only one, and another's; this person is the
    /// founder; and what others hold is held here.
    pub fn may_renew(&self) -> Option<DeviceId> {
        let [lost] = self.chain.witnesses().all() else { return None };
        let may = self.is_founder() && self.is_in() && Some(lost.device) != self.device() && self.is_level();
        may.then_some(lost.device)
    }

    /// Lets this device settle from now on, in the place of a sole witness that is lost for good.
    ///
    /// # Errors
    /// [`WriteError::NoRenewal`] where [`Engine::may_renew`] names none; else as any write.
    pub fn renew(&mut self, now: u64) -> Result<Written, WriteError> {
        let lost = self.may_renew().ok_or(WriteError::NoRenewal)?;
        let secret: [u8; 32] = self.random.bytes();
        let vote = VoteSecret::from_secret(secret);
        let Seat::Member { identity, device, .. } = &self.seat else { return Err(WriteError::NoSeat) };
        let witness = Witness { device: device.id(), vote_key: vote.key(), always_on: false };
        let renewal = Renewal::sign(self.circle, identity, self.chain.head(), witness);
        let own = device.id();
        if !self.chain.renew(renewal) {
            return Err(WriteError::NoRenewal);
        }
        // On the disk before the header that rests on it: writes keep their order.
        let records = vec![crate::acts::vote_record(&secret), record(&renewal)];
        self.write(Vec::new(), records, Vec::new(), Vec::new(), now);
        self.votes.push(vote);
        self.renewals.push(renewal);
        self.offer_to_witness(false, now)?;
        let change = Change::Witnesses { promote: vec![own], demote: vec![lost] };
        self.operate(&Operation::Propose(Box::new(change)), now)
    }

    /// Takes back a renewal, before the log: it says which headers in it are void.
    pub(crate) fn restore_renewal(&mut self, name: &str, bytes: &[u8]) -> bool {
        let Ok(renewal) = codec::decode::<Renewal>(bytes, MAX_RECORD) else { return false };
        self.renewals.push(renewal);
        name == name_of(&renewal)
    }

    /// Whether a header in the log was settled by a witness that was lost, beyond the renewal.
    pub(crate) fn is_void_header(&self, proof: &Proof) -> bool {
        let head = self.chain.head();
        let mut here = self.renewals.iter().filter(|renewal| renewal.after == head).peekable();
        here.peek().is_some() && here.all(|renewal| proof.renewal != Some(*renewal))
    }

    /// Whether a history goes on above a renewal without it: what a snapshot holds of it is void.
    pub(crate) fn overrules(&self, chain: &Chain, turns: &[Proof], proofs: &[Proof]) -> bool {
        let brings = |renewal: &Renewal| turns.iter().chain(proofs).any(|proof| proof.renewal == Some(*renewal));
        let is_below = |renewal: &Renewal| {
            let Anchor { height, hash } = renewal.after;
            height < chain.height() && chain.hash_at(height) == Some(hash)
        };
        self.renewals.iter().any(|renewal| is_below(renewal) && !brings(renewal))
    }

    /// The log is replayed: whoever votes now does so by a renewal that no header has brought yet.
    pub(crate) fn renew_again(&mut self) {
        let head = self.chain.head();
        if let Some(renewal) = self.renewals.iter().find(|renewal| renewal.after == head) {
            self.chain.renew(*renewal);
        }
    }

    /// A header that a renewal settled stands against one of this device's own as the sole witness, which others took for
    /// lost: true if the own ones are given up, which takes effect when the engine is opened anew.
    pub(crate) fn gives_way_to(&mut self, proof: &Proof, now: u64) -> bool {
        let (Some(renewal), height) = (proof.renewal, proof.height()) else { return false };
        let was_own =
            self.chain.witnesses_at(height).is_some_and(|all| self.device().is_some_and(|own| all.has_device(&own)));
        // Of two renewals over one header none gives way: the founder said both.
        let renewed = |one: &Proof| one.height() == height && one.renewal.is_some();
        if !was_own || self.turns.iter().chain(&self.proofs).any(renewed) || !self.chain.is_overruled_by(proof) {
            return false;
        }
        if !self.renewals.contains(&renewal) {
            self.renewals.push(renewal);
            self.write(Vec::new(), vec![record(&renewal)], Vec::new(), Vec::new(), now);
            self.outputs.push_back(crate::engine::Output::Event(Event::Overruled { above: renewal.after.height }));
        }
        true
    }

    /// Whether a device was the witness that a renewal replaced, and a height is above it: what it names there is void.
    pub(crate) fn names_void(&self, device: &DeviceId, height: u64) -> bool {
        let is_above = |proof: &Proof| proof.renewal.is_some() && proof.height() <= height;
        self.chain.was_lost(device) && self.turns.iter().chain(&self.proofs).any(is_above)
    }

    /// Somebody shows a header that a renewal made void: they hear what stands here.
    pub(crate) fn say_renewed(&mut self, now: u64) {
        let of_renewal = |proof: &&Proof| proof.renewal.is_some();
        let newest = self.proofs.iter().rev().find(of_renewal).or_else(|| self.turns.iter().rev().find(of_renewal));
        if let Some(proof) = newest.cloned()
            && self.may_reply(now)
            && let Some(say) = crate::settler::saying::say(&Votes::Proof(Box::new(proof)), Topic::Votes)
        {
            self.once_durable(say, now);
        }
    }
}

fn name_of(renewal: &Renewal) -> String {
    format!("{RECORD}{}", renewal.after.height)
}

fn record(renewal: &Renewal) -> (String, Option<Vec<u8>>) {
    (name_of(renewal), Some(codec::encode(renewal)))
}
