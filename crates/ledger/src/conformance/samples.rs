//! What the fixtures are made of: values with each field another, so that no two can be swapped unseen. Their keys and
//! signatures are no real ones unless a sample says so.

use crate::bytes::*;
use crate::entry::{Admission, Anchor, Entry, Head, Invite, Invited, Lane, Role};
use crate::genesis::{Genesis, Inviters, Kind, Rules};
use crate::invite::{InviteLink, RelayAddress};
use crate::keys::{DeviceKey, Identity, VoteSecret};
use crate::seal::{LaneKey, LaneKeys};
use crate::settle::{Header, SignedVote, VoteKind, Witness, Witnesses};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;

pub const CIRCLE: CircleId = CircleId([1; 32]);
pub const TIME: u64 = 1_800_000_000_000;

pub fn rules() -> Rules {
    Rules {
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
    }
}

/// With the real keys of the founder whose secrets are 2, 3 and 5, each 32 times.
pub fn genesis() -> Genesis {
    let device = DeviceKey::from_secret([3; 32]);
    Genesis {
        version: 1,
        name: "circle".to_string(),
        kind: Kind::Readable,
        founder: Identity::from_secret([2; 32]).member(),
        device: device.id(),
        box_key: device.box_key(),
        vote_key: VoteSecret::from_secret([5; 32]).key(),
        rules: rules(),
        salt: [6; 32],
        created: TIME,
        succeeds: None,
    }
}

pub fn invite() -> Invite {
    let signature = Signature([7; 64]);
    Invite { key: InviteKey([8; 32]), issuer: DeviceId([3; 32]), uses: 10, expiry: TIME, signature }
}

pub fn admission() -> Admission {
    Admission {
        member: MemberId([15; 32]),
        box_key: BoxKey([16; 32]),
        role: Role::Vote,
        signature: Signature([17; 64]),
        invited: Some(Invited { invite: invite(), signature: Signature([9; 64]) }),
    }
}

/// With every field; no device could have written it.
pub fn entry() -> Entry {
    Entry {
        version: 1,
        device: DeviceId([10; 32]),
        seq: 300,
        prev: EntryId([11; 32]),
        approves: vec![Head { device: DeviceId([3; 32]), seq: 2, id: EntryId([12; 32]) }],
        time: TIME + 1,
        checkpoint: Anchor { height: 70_000, hash: HeaderHash([13; 32]) },
        lane: Lane::Talk,
        epoch: EntryId([1; 32]),
        body_hash: Hash([14; 32]),
        body_len: 512,
        admission: Some(Box::new(admission())),
    }
}

pub fn link() -> InviteLink {
    let relays = vec![RelayAddress { url: "ws://127.0.0.1:8080/".to_string(), peer: DeviceId([18; 32]) }];
    let pinned = Anchor { height: 5, hash: HeaderHash([19; 32]) };
    InviteLink { version: 1, secret: [20; 32], circle: CIRCLE, relays, pinned }
}

pub fn lane_keys() -> LaneKeys {
    let talk = Some(LaneKey::from_secret([23; 32]));
    LaneKeys { epoch: CIRCLE.into(), state: LaneKey::from_secret([22; 32]), talk }
}

pub fn witness(number: u8) -> Witness {
    Witness { device: DeviceId([number; 32]), vote_key: VoteKey([number + 1; 32]), always_on: number.is_multiple_of(2) }
}

pub fn witnesses() -> Witnesses {
    Witnesses::new((30..34).map(witness).collect(), None)
}

pub fn header() -> Header {
    Header {
        version: 1,
        circle: CIRCLE,
        height: 300,
        prev: HeaderHash([40; 32]),
        proposer: DeviceId([30; 32]),
        time: TIME,
        cut_hash: Hash([41; 32]),
        entries: 200,
        entries_root: Hash([42; 32]),
        history_root: Hash([43; 32]),
        state_root: Hash([44; 32]),
        witnesses: witnesses().hash(),
    }
}

pub fn cut() -> [Head; 2] {
    [50, 51].map(|number| Head { device: DeviceId([number; 32]), seq: 300, id: EntryId([number + 2; 32]) })
}

pub fn signed_vote(kind: VoteKind, header: u8) -> SignedVote {
    let header = (kind != VoteKind::Nullify).then_some(HeaderHash([header; 32]));
    SignedVote { kind, view: 2, header, key: VoteKey([31; 32]), signature: Signature([header_or(header); 64]) }
}

fn header_or(header: Option<HeaderHash>) -> u8 {
    header.map_or(60, |header| header.0[0])
}
