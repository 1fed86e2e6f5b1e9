//! Genesis, entries, invites, and what bodies hold.

use super::acts::acts;
use super::samples::*;
use super::{Format, Frozen};
use crate::bytes::{BoxKey, DeviceId, EntryId, MemberId, Signature};
use crate::check;
use crate::codec::{decode_directly, encode, encode_directly};
use crate::entry::{Admission, Anchor, Entry, Head, Invite, Invited, MAX_SIGNED, Packed, Role, Signed, hash_body};
use crate::erasure::Erasure;
use crate::genesis::{Genesis, Kind};
use crate::hostile::{Circle, Person};
use crate::invite::{InviteLink, RelayAddress};
use crate::op::{MAX_TEXT, Operation, Talk};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

pub fn genesis() -> Vec<Format> {
    let genesis = super::samples::genesis();
    let changed = |change: fn(&mut Genesis)| {
        let mut changed = genesis.clone();
        change(&mut changed);
        changed.encode()
    };
    vec![
        Format::of("genesis", Frozen(1), Genesis::decode, Genesis::encode)
            .accepts("readable, with its own number of liars", genesis.encode())
            .accepts(
                "private, none given",
                changed(|genesis| (genesis.kind, genesis.rules.liars) = (Kind::Private, None)),
            )
            .refuses("of version 2", changed(|genesis| genesis.version = 2))
            .refuses("without a name", changed(|genesis| genesis.name = String::new()))
            .refuses("with a founder's key of small order", changed(|genesis| genesis.founder.0 = [0; 32]))
            .refuses("with a body limit above 65,536", changed(|genesis| genesis.rules.body_limit = 65_537)),
        Format::values("circle", Frozen(1)).value("the id of the first genesis", genesis.id().0),
    ]
}

pub fn entry() -> Vec<Format> {
    let entry = super::samples::entry();
    let (signature, body) = (Signature([21; 64]), Some(vec![26; 100]));
    let signed = Signed { entry: entry.clone(), signature };
    let plain = Signed { entry: Entry { admission: None, approves: Vec::new(), ..entry.clone() }, signature };
    let direct = |entry: &Entry| encode_directly(entry);
    vec![
        Format::of("entry", Frozen(1), |bytes| decode_directly::<Entry>(bytes, MAX_SIGNED), direct)
            .accepts("with every field", direct(&entry))
            .accepts("without admission and approvals", direct(&plain.entry)),
        Format::values("entry's id", Frozen(1)).value("of the first, in the circle 01, 32 times", entry.id(CIRCLE).0),
        Format::values("body's hash", Frozen(1)).value("of 1a, 100 times", hash_body(&[26; 100]).0),
        Format::of("signed", Frozen(1), Signed::decode, Signed::encode).accepts("with every field", signed.encode()),
        Format::of("packed", Frozen(1), Packed::decode, Packed::encode)
            .accepts("with every field and a body", Packed { signed: signed.clone(), body, erasure: None }.encode())
            .accepts("erased", Packed { signed: plain.clone(), body: None, erasure: None }.encode())
            .accepts_alone(
                "erased by its device",
                Packed::erased(plain.clone(), Erasure { by: None, signature }).encode(),
            )
            .accepts_alone(
                "erased by its member, 0f",
                Packed::erased(plain.clone(), Erasure { by: Some(MemberId([15; 32])), signature }).encode(),
            )
            .refuses("a kind of body that there is not", [plain.encode(), vec![3]].concat()),
        Format::values("what an eraser signs", Frozen(1))
            .value("of the entry 0b, in circle 01", Erasure::message(CIRCLE, EntryId([11; 32]))),
        checked(),
        Format::plain::<Admission>("admission", Frozen(1), MAX_SIGNED)
            .accepts("by an invite, as a witness", encode(&admission()))
            .accepts("without an invite", encode(&Admission { invited: None, role: Role::Write, ..admission() })),
        Format::values("what a member signs", Frozen(1))
            .value("circle 01, device 0a, box key 0f, to write", message(Role::Write))
            .value("the same, to vote", message(Role::Vote)),
        Format::plain::<Invited>("invited", Frozen(1), MAX_SIGNED)
            .accepts("an invite's use", encode(&Invited { invite: invite(), signature })),
        Format::values("what an invite signs", Frozen(1))
            .value("circle 01, member 0f, device 0a", Invited::message(CIRCLE, MemberId([15; 32]), DeviceId([10; 32]))),
        Format::plain::<Invite>("invite", Frozen(1), MAX_SIGNED).accepts("ten uses", encode(&invite())),
        Format::values("what an issuer signs", Frozen(1))
            .value("the invite above, in circle 01", invite().message(CIRCLE)),
    ]
}

fn message(role: Role) -> [u8; 32] {
    Admission::message(CIRCLE, DeviceId([10; 32]), BoxKey([15; 32]), role)
}

/// Entries with real keys: whether a node takes them, given the circle alone.
fn checked() -> Format {
    let mut circle = Circle::new(1);
    let id = circle.id;
    let read = move |bytes: &[u8]| {
        let packed = Packed::decode(bytes).map_err(|error| format!("{error:?}"))?;
        check::check(id, packed.clone()).map_err(|error| format!("{error:?}"))?;
        Ok(packed.encode())
    };
    let founds = circle.founders_join();
    let (secret, invite, gives) = circle.invite(2);
    let mut guest = Person::new(3);
    let joins = circle.join(&mut guest, &secret, invite);
    let heads: Vec<Head> = circle.founder.head.into_iter().collect();
    let posts = circle.post(&mut guest, &heads, "good evening");
    let erased = Packed { body: None, ..posts.clone() };
    let post = posts.signed.entry.id(id);
    let by_device = Packed::erased(posts.signed.clone(), Erasure::by_device(id, post, &guest.device));
    let by_member = Packed::erased(posts.signed.clone(), Erasure::by_member(id, post, &guest.identity));
    let by_another = Packed::erased(posts.signed.clone(), Erasure::by_device(id, post, &circle.founder.device));
    let of_state = gives.signed.entry.id(id);
    let of_state = Packed::erased(gives.signed.clone(), Erasure::by_device(id, of_state, &circle.founder.device));
    let mut forged = posts.clone();
    forged.signed.signature.0[0] ^= 1;
    let mut other_body = posts.clone();
    other_body.body = Some(vec![0; 128]);
    let mut twice = posts.clone();
    twice.signed.entry.approves = vec![heads[0]; 2];
    let twice =
        Packed { signed: Signed::sign(twice.signed.entry, id, &guest.device), body: posts.body.clone(), erasure: None };
    let mut newer = posts.clone();
    newer.signed.entry.version = 2;
    let newer =
        Packed { signed: Signed::sign(newer.signed.entry, id, &guest.device), body: posts.body.clone(), erasure: None };
    let strange = Circle::new(2).join(&mut Person::new(3), &secret, invite);
    Format::new("taken", Frozen(1), read)
        .accepts("the founder's join", founds.encode())
        .accepts("an invite is given", gives.encode())
        .accepts("a newcomer's join", joins.encode())
        .accepts("a post that approves the invite's entry", posts.encode())
        .accepts_alone("the post, erased", erased.encode())
        .accepts_alone("the post, erased by its device", by_device.encode())
        .accepts_alone("the post, erased by its member", by_member.encode())
        .refuses("the post, erased by another device", by_another.encode())
        .refuses("the invite's entry, erased", of_state.encode())
        .refuses("the post, a bit of its signature changed", forged.encode())
        .refuses("the post with another body", other_body.encode())
        .refuses("the post, which approves one head twice", twice.encode())
        .refuses("the post, as an entry of version 2", newer.encode())
        .refuses("the newcomer's join in another circle", strange.encode())
}

pub fn operations() -> Vec<Format> {
    let transfer = |reason| Operation::Transfer { to: MemberId([15; 32]), amount: 300, reason }.encode();
    let join = |name: &str| Operation::Join { name: name.to_string() }.encode();
    let post = |text: &str| Talk::Post { text: text.to_string() }.encode();
    let operation = Format::of("operation", Frozen(1), Operation::decode, Operation::encode)
        .accepts("join", join("Ann"))
        .accepts("enrol", Operation::Enrol.encode())
        .accepts("invite", Operation::Invite(invite()).encode())
        .accepts("transfer with a sealed reason", transfer(vec![1, 2]))
        .accepts("transfer without a reason", transfer(Vec::new()))
        .refuses("a join without a name", join(""))
        .refuses("a join whose name turns the text's direction", join("A\u{202e}nn"))
        .refuses("a join by a name of 65 characters", join(&"n".repeat(65)))
        .refuses("a transfer whose reason is too long", transfer(vec![0; 1_025]))
        .refuses("an unknown kind", vec![0x7f]);
    vec![
        acts(operation),
        Format::of("talk", Frozen(1), Talk::decode, Talk::encode)
            .accepts("a post", post("hello"))
            .refuses("a post without a text", post(""))
            .refuses("an unknown kind", vec![0x7f]),
        Format::values("longest text", Frozen(1))
            .value("in bytes, as a number of four", (MAX_TEXT as u32).to_be_bytes()),
    ]
}

pub fn invite_token() -> Vec<Format> {
    let read = |bytes: &[u8]| {
        let token = core::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let link = InviteLink::from_token(token).map_err(|error| error.to_string())?;
        Ok(link.to_token().into_bytes())
    };
    let token = |link: InviteLink| link.to_token().into_bytes();
    let relay = || RelayAddress { url: "wss://relay.example/".to_string(), peer: DeviceId([18; 32]) };
    let pinned = Anchor { height: 0, hash: crate::bytes::HeaderHash([1; 32]) };
    let mut mistyped = token(link());
    mistyped[20] ^= 1;
    vec![
        Format::new("token", Frozen(1), read)
            .accepts("one relay, in ASCII", token(link()))
            .accepts("none, pinned to the genesis", token(InviteLink { relays: Vec::new(), pinned, ..link() }))
            .accepts("two relays", token(InviteLink { relays: vec![relay(), relay()], ..link() }))
            .refuses("mistyped", mistyped)
            .refuses("of version 2", token(InviteLink { version: 2, ..link() }))
            .refuses("five relays", token(InviteLink { relays: vec![relay(); 5], ..link() })),
    ]
}
