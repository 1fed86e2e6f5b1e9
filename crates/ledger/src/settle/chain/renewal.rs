//! A sole witness that is lost: the founder names another one over the newest header that others hold, and it settles the
//! next. The record travels with that header, so whoever checks it checks the record.
//!
//! What the lost one certified beyond was never *sent*, and is void. It is told from a lie by its votes, which are the lost
//! key's. Whoever holds a void header as settled holds two histories: the lost device itself goes back to where the renewal
//! stands, anybody else shows both.

use super::{Chain, Refusal};
use crate::bytes::{DeviceId, HeaderHash};
use crate::settle::{CertificateError, Proof, Renewal, Witnesses};

impl Chain {
    /// The founder names another sole witness: it settles the next header. False, and nothing changes, if the renewal does
    /// not hold for the newest header here.
    pub fn renew(&mut self, renewal: Renewal) -> bool {
        if self.renewal == Some(renewal) {
            return true;
        }
        let Some(witnesses) = self.renewed_by(&renewal) else { return false };
        self.renewed = Some((self.witnesses().clone(), witnesses.clone()));
        self.renewal = Some(renewal);
        self.vote_from_next(witnesses);
        true
    }

    pub(super) fn renewed_by(&self, renewal: &Renewal) -> Option<Witnesses> {
        let was_sole = self.witnesses().all().len() == 1;
        let holds = was_sole && renewal.after == self.head() && renewal.holds(self.circle, &self.founder);
        holds.then(|| Witnesses::new(alloc::vec![renewal.witness], None))
    }

    /// Whether a device was the witness that the newest renewal replaced.
    pub fn was_lost(&self, device: &DeviceId) -> bool {
        self.renewed.as_ref().is_some_and(|(lost, _)| lost.has_device(device))
    }

    /// Whether a header that is settled by a renewal stands against what a sole witness settled here at its height.
    pub fn is_overruled_by(&self, proof: &Proof) -> bool {
        let (Some(renewal), height) = (&proof.renewal, proof.height()) else { return false };
        let header = &proof.checkpoint.header;
        let (ours, theirs) = (self.hash_at(height), header.hash());
        let was_sole = self.witnesses_at(height).is_some_and(|voters| voters.all().len() == 1);
        let above = renewal.after.height.checked_add(1) == Some(height)
            && header.circle == self.circle
            && header.prev == renewal.after.hash
            && self.hash_at(renewal.after.height) == Some(renewal.after.hash);
        let voter = Witnesses::new(alloc::vec![renewal.witness], None);
        above
            && was_sole
            && ours.is_some_and(|ours| ours != theirs)
            && renewal.holds(self.circle, &self.founder)
            && proof.checkpoint.certificate.check(self.circle, height, theirs, &voter).is_ok()
    }

    /// What to say of a header whose votes are not those of its height's witnesses.
    pub(super) fn by_others(&self, proof: &Proof, theirs: HeaderHash, error: CertificateError) -> Refusal {
        let height = proof.height();
        let voted = |lost: &Witnesses| proof.checkpoint.certificate.check(self.circle, height, theirs, lost).is_ok();
        if self.renewed.as_ref().is_some_and(|(lost, _)| voted(lost)) {
            return Refusal::Void(height);
        }
        match self.hash_at(height) {
            Some(ours) if self.is_overruled_by(proof) => Refusal::Conflict { height, ours, theirs },
            _ => Refusal::BadCertificate(error),
        }
    }
}
