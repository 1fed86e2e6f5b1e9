//! The formats, frozen: each line is a hash of bytes that a node out there has written. Whoever sees one fail has
//! changed a format, and changes its version too, or undoes it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::bytes::*;
use crate::codec::{encode, encode_directly};
use crate::entry::{Admission, Anchor, Entry, Head, Invite, Invited, Lane, Packed, Role, Signed};
use crate::genesis::{Genesis, Inviters, Kind, Rules};
use crate::hash::hash;
use crate::invite::{InviteLink, RelayAddress};
use crate::keys::{DeviceKey, InviteSecret};
use crate::op::{Operation, Talk};
use crate::seal::{BodyContext, LaneKey, LaneKeys, seal_body, seal_reason};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

const CIRCLE: CircleId = CircleId([1; 32]);

fn genesis() -> Genesis {
    Genesis {
        version: 1,
        name: "circle".to_string(),
        kind: Kind::Readable,
        founder: MemberId([2; 32]),
        device: DeviceId([3; 32]),
        box_key: BoxKey([4; 32]),
        vote_key: VoteKey([5; 32]),
        rules: Rules {
            grant: 100,
            allowance: 20,
            reward: 21,
            liars: Some(1),
            inviters: Inviters::Founder,
            body_limit: 65_536,
            retention_days: 365,
            unsettled_joins: 64,
            witness_ready_window: 1_000,
            clock_bound_ms: 600_000,
        },
        salt: [6; 32],
        created: 1_800_000_000_000,
        succeeds: None,
    }
}

fn invite() -> Invite {
    let signature = Signature([7; 64]);
    Invite { key: InviteKey([8; 32]), issuer: DeviceId([3; 32]), uses: 10, expiry: 1_800_000_000_000, signature }
}

fn entry() -> Entry {
    let invited = Invited { invite: invite(), signature: Signature([9; 64]) };
    Entry {
        version: 1,
        device: DeviceId([10; 32]),
        seq: 300,
        prev: EntryId([11; 32]),
        approves: vec![Head { device: DeviceId([3; 32]), seq: 2, id: EntryId([12; 32]) }],
        time: 1_800_000_000_001,
        checkpoint: Anchor { height: 70_000, hash: HeaderHash([13; 32]) },
        lane: Lane::Talk,
        epoch: EntryId([1; 32]),
        body_hash: Hash([14; 32]),
        body_len: 512,
        admission: Some(Box::new(Admission {
            member: MemberId([15; 32]),
            box_key: BoxKey([16; 32]),
            role: Role::Vote,
            signature: Signature([17; 64]),
            invited: Some(invited),
        })),
    }
}

fn link() -> InviteLink {
    let relays = vec![RelayAddress { url: "ws://127.0.0.1:8080/".to_string(), peer: DeviceId([18; 32]) }];
    let pinned = Anchor { height: 5, hash: HeaderHash([19; 32]) };
    InviteLink { version: 1, secret: [20; 32], circle: CIRCLE, relays, pinned }
}

#[test]
fn formats() {
    let signed = Signed { entry: entry(), signature: Signature([21; 64]) };
    let secret = InviteSecret::from_secret([20; 32]);
    let keys = LaneKeys {
        epoch: CIRCLE.into(),
        state: LaneKey::from_secret([22; 32]),
        talk: Some(LaneKey::from_secret([23; 32])),
    };
    let transfer = Operation::Transfer { to: MemberId([15; 32]), amount: 300, reason: vec![1, 2] };
    let operations =
        [Operation::Join { name: "Ann".to_string() }, Operation::Enrol, Operation::Invite(invite()), transfer];
    let body = seal_body(&BodyContext::of(CIRCLE, &entry()), &keys.state, [24; 24], b"body").unwrap();
    let reason = seal_reason(CIRCLE, DeviceId([10; 32]), 300, &keys.state, [25; 24], b"reason").unwrap();
    let bytes: [(&str, Vec<u8>); 14] = [
        ("genesis", genesis().encode()),
        ("circle", genesis().id().0.to_vec()),
        ("entry", encode_directly(&entry())),
        ("entry's id", entry().id(CIRCLE).0.to_vec()),
        ("packed", Packed { signed, body: Some(vec![26; 300]) }.encode()),
        ("admission", Admission::message(CIRCLE, DeviceId([10; 32]), BoxKey([16; 32]), Role::Write).to_vec()),
        ("invited", Invited::message(CIRCLE, MemberId([15; 32]), DeviceId([10; 32])).to_vec()),
        ("invite", invite().message(CIRCLE).to_vec()),
        ("operations", encode(&operations)),
        ("talk", Talk::Post { text: "hello".to_string() }.encode()),
        ("body", [body, reason].concat()),
        ("parcel", secret.seal([27; 24], &encode(&keys)).unwrap()),
        ("keys", [secret.key().0, secret.address().0, keys.state.circle_salt()].concat()),
        ("device", [DeviceKey::from_secret([28; 32]).id().0, DeviceKey::from_secret([28; 32]).box_key().0].concat()),
    ];
    let mut lines: Vec<String> = bytes
        .iter()
        .map(|(name, bytes)| alloc::format!("{name}: {}", Hash(hash("ledgerno v1 frozen", &[bytes]))))
        .collect();
    lines.push(link().to_token());
    assert_eq!(lines.join("\n"), include_str!("frozen.txt").trim_end());
}
