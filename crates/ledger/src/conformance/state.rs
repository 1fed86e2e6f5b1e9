//! The state's keys and records, and how they come under the root.

use super::samples::*;
use super::{Format, Frozen};
use crate::bytes::{BoxKey, DeviceId, EntryId, Hash, InviteKey, MemberId, VoteKey};
use crate::codec::encode;
use crate::entry::{Packed, Role};
use crate::epoch::Marks;
use crate::genesis::Rules;
use crate::hostile::{Circle, Person};
use crate::merkle::{StateLeaf, leaf_salt, state_key, state_root, state_value};
use crate::op::{Change, Operation};
use crate::seal::open_body;
use crate::state::{
    Device, Epoch, Member, Motion, Opened, Pot, Ready, Registered, Stamped, State, StateKey, Totals, Vouched,
};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

pub fn state() -> Vec<Format> {
    let key = |key: StateKey| encode(&key);
    let member = StateKey::Member(MemberId([15; 32]));
    let (salt, hashed) = ([70; 32], state_key(&encode(&member)));
    let leaf = StateLeaf::new(&salt, &encode(&member), &[1, 2, 3]);
    let Small { circle, state, .. } = small_state();
    let names = state.records().map(|(key, value)| (format!("{key:?}"), value));
    let records = names.fold(Format::values("records of a small circle", Frozen(1)), |format, (key, value)| {
        format.value(&format!("the value of {}", kind(&key)), value)
    });
    vec![
        Format::plain::<StateKey>("key", Frozen(1), 128)
            .accepts("a member", key(member))
            .accepts("the rules", key(StateKey::Rules))
            .accepts("the totals", key(StateKey::Totals))
            .accepts("a device", key(StateKey::Device(DeviceId([10; 32]))))
            .accepts("an invite", key(StateKey::Invite(InviteKey([8; 32]), DeviceId([3; 32]))))
            .accepts("a device's last counted entry", key(StateKey::Counted(DeviceId([10; 32]))))
            .accepts("the witnesses", key(StateKey::Witnesses))
            .accepts("a device that is ready", key(StateKey::Ready(DeviceId([10; 32]))))
            .accepts("an epoch", key(StateKey::Epoch(300)))
            .accepts("a motion", key(StateKey::Motion(EntryId([11; 32]))))
            .accepts("a stamp", key(StateKey::Stamp(Hash([88; 32]))))
            .accepts("the pot", key(StateKey::Pot)),
        Format::plain::<Pot>("pot", Frozen(1), 1_024)
            .accepts("one proposer", encode(&Pot { week: 3, parts: vec![(MemberId([15; 32]), 300)] })),
        Format::plain::<Ready>("ready", Frozen(1), 128)
            .accepts("always on", encode(&Ready { vote_key: VoteKey([31; 32]), always_on: true, height: 300 })),
        Format::plain::<Epoch>("epoch", Frozen(1), 256)
            .accepts("one", encode(&Epoch { id: EntryId([11; 32]), height: 300, marks: Marks::of(&lane_keys()) })),
        Format::plain::<Motion>("motion", Frozen(1), 65_536).accepts("for other rules", encode(&motion())),
        Format::plain::<Stamped>("stamped", Frozen(1), 65_536).accepts("vouched for once", encode(&stamped())),
        Format::plain::<Rules>("rules", Frozen(1), 128).accepts("as in the genesis", encode(&rules())),
        Format::plain::<Totals>("totals", Frozen(1), 64)
            .accepts("three numbers", encode(&Totals { granted: 300, allowed: 20, rewarded: 1 })),
        Format::plain::<Member>("member", Frozen(1), 512).accepts("Ann", encode(&member_record())),
        Format::plain::<Device>("device", Frozen(1), 128).accepts(
            "it votes",
            encode(&Device {
                member: MemberId([15; 32]),
                role: Role::Vote,
                box_key: BoxKey([16; 32]),
                enrolled_height: 300,
                epoch: 2,
                retired: false,
            }),
        ),
        Format::plain::<Registered>("registered invite", Frozen(1), 256)
            .accepts("used once", encode(&Registered { invite: invite(), used: 1, revoked: false })),
        Format::values("leaf", Frozen(1))
            .value("the hash of the key \"a member\"", hashed.0)
            .value("its leaf's salt, the circle's salt being 46, 32 times", leaf_salt(&salt, &hashed).0)
            .value("the value 010203 under that salt", state_value(&leaf_salt(&salt, &hashed), &[1, 2, 3]).0)
            .value("what stands in the tree", leaf.bytes())
            .value("the root of a state of it alone", state_root(vec![leaf]).0)
            .value("the root of an empty state", state_root(Vec::new()).0),
        records,
        Format::values("root of the small circle", Frozen(1))
            .value("the circle's salt", circle.keys.state.circle_salt())
            .value("the root of these records", state.root(&circle.keys.state.circle_salt()).0),
    ]
}

fn motion() -> Motion {
    let by = MemberId([15; 32]);
    Motion { by, change: Change::Config(rules()), time: TIME, consents: vec![by] }
}

fn stamped() -> Stamped {
    let (device, entry) = (DeviceId([10; 32]), EntryId([11; 32]));
    let vouched = vec![Vouched { member: MemberId([16; 32]), device: DeviceId([17; 32]), height: 301, time: TIME + 1 }];
    Stamped { by: MemberId([15; 32]), device, entry, height: 300, time: TIME, vouched }
}

fn member_record() -> Member {
    let thanked_days = vec![(20, 7), (21, 300)];
    let (name, removed) = ("Ann".to_string(), Some(400));
    Member { name, joined_height: 2, balance: 100, purse: 5, purse_week: 3, thanked: 307, thanked_days, removed }
}

/// The kind of a key as Rust shows it, without what it is of.
fn kind(key: &str) -> &str {
    key.split('(').next().unwrap_or(key)
}

/// A circle with all keys real.
pub struct Small {
    pub circle: Circle,
    pub guest: Person,
    /// In settled order.
    pub entries: Vec<Packed>,
    pub state: State,
}

/// The founder's circle after a guest joined and thanked the founder.
pub fn small_state() -> Small {
    small(None)
}

/// The same after the guest stamped a document and the founder vouched for it.
pub fn small_state_with(document: Hash) -> Small {
    small(Some(document))
}

fn small(stamped: Option<Hash>) -> Small {
    let mut circle = Circle::new(1);
    let (mut guest, mut entries) = (Person::new(3), vec![circle.founders_join()]);
    let (secret, invite, gives) = circle.invite(2);
    entries.push(gives);
    entries.push(circle.join(&mut guest, &secret, invite));
    let thanks = Operation::Transfer { to: circle.founder.member(), amount: 7, reason: Vec::new() };
    entries.push(circle.operate(&mut guest, &[], &thanks));
    if let Some(document) = stamped {
        entries.push(circle.operate(&mut guest, &[], &Operation::Stamp { document, note: Vec::new() }));
        let mut founder = core::mem::replace(&mut circle.founder, Person::new(0));
        entries.push(circle.operate(&mut founder, &[], &Operation::Endorse(document)));
        circle.founder = founder;
    }
    let mut state = State::new(&circle.genesis);
    state.begin(1, 2_000, circle.genesis.device);
    entries.iter().for_each(|packed| fold(&circle, &mut state, packed));
    state.finish();
    Small { circle, guest, entries, state }
}

fn fold(circle: &Circle, state: &mut State, packed: &Packed) {
    let entry = &packed.signed.entry;
    let sealed = packed.body.as_deref().unwrap_or_default();
    let plain = open_body(circle.id, entry, &circle.keys.state, sealed).unwrap_or_default();
    state.apply(entry.id(circle.id), entry, Opened::Plain(&plain));
}

/// The hashes 1 to `count`, as leaves.
pub fn leaves(count: u8) -> Vec<Hash> {
    (1..=count).map(|number| Hash([number; 32])).collect()
}
