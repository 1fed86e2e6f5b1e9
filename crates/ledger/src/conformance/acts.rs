//! Operations on invites, devices, epochs, witnesses, proposals and documents.

use super::Format;
use super::samples::{CIRCLE, lane_keys, rules, signed_vote};
use crate::bytes::{BoxKey, DeviceId, EntryId, Hash, InviteKey, MemberId, VoteKey};
use crate::epoch::{Handout, Marks, NewEpoch};
use crate::op::{Change, Operation};
use crate::settle::{Evidence, VoteKind};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

fn handout(devices: u8) -> Handout {
    let to = (0..devices).map(|at| (DeviceId([at; 32]), vec![87; 3])).collect();
    Handout { sealer: BoxKey([86; 32]), to }
}

fn epoch() -> NewEpoch {
    NewEpoch { after: CIRCLE.into(), marks: Marks::of(&lane_keys()), keys: handout(2) }
}

/// Adds them to the format of operations.
pub fn acts(format: Format) -> Format {
    let device = DeviceId([10; 32]);
    let propose = |change| Operation::Propose(Box::new(change));
    let evidence =
        Evidence { height: 300, one: signed_vote(VoteKind::Notarize, 44), other: signed_vote(VoteKind::Notarize, 45) };
    let stamp = |note| Operation::Stamp { document: Hash([88; 32]), note };
    let many: Vec<DeviceId> = (0..129).map(|at| DeviceId([at; 32])).collect();
    let accepted = [
        ("revoke", Operation::Revoke { key: InviteKey([8; 32]), issuer: DeviceId([3; 32]) }),
        ("retire", Operation::Retire(device)),
        ("epoch", Operation::Epoch(epoch())),
        ("keys", Operation::Keys { epoch: EntryId([89; 32]), keys: handout(1) }),
        ("lacking", Operation::Lacking),
        ("ready", Operation::Ready { vote_key: VoteKey([31; 32]), always_on: true }),
        ("resign", Operation::Resign),
        ("evidence", Operation::Evidence(Box::new(evidence))),
        ("propose other rules", propose(Change::Config(rules()))),
        ("propose to remove a member", propose(Change::Remove { member: MemberId([15; 32]), epoch: epoch() })),
        ("propose witnesses", propose(Change::Witnesses { promote: vec![device], demote: vec![DeviceId([3; 32])] })),
        ("consent", Operation::Consent(EntryId([89; 32]))),
        ("stamp", stamp(vec![1, 2])),
        ("endorse", Operation::Endorse(Hash([88; 32]))),
        ("merge", Operation::Merge),
    ];
    let refused = [
        ("keys for 129 devices", Operation::Keys { epoch: EntryId([89; 32]), keys: handout(129) }),
        ("a proposal of 129 witnesses", propose(Change::Witnesses { promote: many, demote: Vec::new() })),
        ("a stamp whose note is too long", stamp(vec![0; 1_025])),
    ];
    let format = accepted.into_iter().fold(format, |format, (told, act)| format.accepts(told, act.encode()));
    refused.into_iter().fold(format, |format, (told, act)| format.refuses(told, act.encode()))
}
