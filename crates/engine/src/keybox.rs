//! Members' keyboxes, kept for the day when their owners come back with nothing but 24 words. Only a member's admitted
//! device brings one, and the newest takes the place of the one before. They are given out by the node, which knows
//! who asks: see [`crate::wire::ClaimKeybox`].

use crate::engine::{Engine, Output, Peer, Then};
use crate::wire::{Answer, MAX_KEYBOX, No};
use ledgerno_ledger::bytes::MemberId;
use ledgerno_ledger::codec;
use ledgerno_ledger::sorted::SortedMap;
use serde::{Deserialize, Serialize};

/// What the names of keyboxes' records begin with.
pub(crate) const RECORD: &str = "keybox-";
/// The most members of a circle for whom one is kept.
const MAX_KEYBOXES: usize = 1_000;

/// A keybox as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    member: MemberId,
    /// When it came, in milliseconds since 1970.
    pub at: u64,
    /// Sealed by its member.
    pub sealed: Vec<u8>,
}

/// The keyboxes of a circle.
pub(crate) type Keyboxes = SortedMap<MemberId, Kept>;

impl Engine {
    pub(crate) fn restore_keybox(&mut self, name: &str, bytes: &[u8]) -> bool {
        match codec::decode::<Kept>(bytes, MAX_KEYBOX + 128) {
            Ok(kept) if name == name_of(&kept.member) => self.keyboxes.insert(kept.member, kept).is_none(),
            _ => false,
        }
    }

    /// The keybox of a member, if one is kept in this circle.
    pub fn keybox(&self, member: &MemberId) -> Option<&Kept> {
        self.keyboxes.get(member)
    }

    pub(crate) fn put_keybox(&mut self, peer: Peer, no: u64, sealed: Vec<u8>, now: u64) {
        let refused = match self.dag.admission(&peer).map(|admission| admission.member) {
            None => No::NotAdmitted,
            Some(_) if sealed.len() > MAX_KEYBOX => No::Malformed,
            Some(member) if self.keyboxes.len() >= MAX_KEYBOXES && !self.keyboxes.contains_key(&member) => No::Full,
            Some(member) => {
                let kept = Kept { member, at: now, sealed };
                let record = (name_of(&member), Some(codec::encode(&kept)));
                self.keyboxes.insert(member, kept);
                let then = vec![Then::Say(Output::Answer { no, answer: Answer::Kept })];
                self.write_entries(Vec::new(), vec![record], then, now);
                return;
            }
        };
        self.outputs.push_back(Output::Answer { no, answer: Answer::No(refused) });
    }
}

fn name_of(member: &MemberId) -> String {
    format!("{RECORD}{member}")
}
