//! The circle's order as the page sees it: witnesses, proposals and the allowance with each view of the circle, the rest
//! when it is asked for; and what is written about it.

use crate::view::{Thrown, bytes_of, device_of, member_of, object};
use js_sys::{Array, Date, Uint8Array};
use ledgerno_engine::council::{ShownDevice, ShownMotion, ShownStamp, ShownWitness};
use ledgerno_engine::status::Status;
use ledgerno_engine::wire::No;
use ledgerno_engine::{Engine, WriteError, Written};
use ledgerno_ledger::bytes::{CircleId, DeviceId, EntryId, Hash, MemberId};
use ledgerno_ledger::entry::Role;
use ledgerno_ledger::genesis::{Inviters, Kind, Rules};
use ledgerno_ledger::op::{Change, Operation};
use ledgerno_ledger::proof::Subject;
use ledgerno_node::store::Store;
use ledgerno_node::{Node, NodeError};
use wasm_bindgen::prelude::*;

/// Answers `ranking` (`lately` or in all), `stamps`, `devices` (of a member), `candidates`, `lost` (the sole witness in
/// whose place this device may settle), `rules`.
pub fn ask<S: Store>(node: &Node<S>, id: CircleId, what: &str, about: &str) -> Result<JsValue, Thrown> {
    let online = online(node, id);
    let member = if what == "devices" { Some(member_of(about)?) } else { None };
    if what == "stamps" {
        // Their notes are in entries that may not be in memory.
        node.bring_stamps(id);
    }
    Ok(node.look(id, |engine| {
        let scene = Scene { engine, online: &online };
        match (what, member) {
            ("ranking", _) => scene.ranking(about == "lately").into(),
            ("stamps", _) => engine.stamps().iter().map(|stamp| scene.stamp(stamp)).collect::<Array>().into(),
            ("devices", Some(member)) => scene.devices(member).into(),
            ("candidates", _) => scene.candidates().into(),
            ("lost", _) => engine.may_renew().map_or_else(String::new, |lost| lost.to_string()).into(),
            _ => scene.rules(),
        }
    })?)
}

/// What the proof module makes a file from, of an `entry`, a `member`, a `stamp` (by the document's hash) or a `fork` (by the member).
pub fn proof<S: Store>(node: &Node<S>, id: CircleId, what: &str, about: &str) -> Result<Uint8Array, Thrown> {
    let about = bytes_of(about)?;
    let subject = match what {
        "entry" => Subject::Entry(EntryId(about)),
        "member" => Subject::Member(MemberId(about)),
        "fork" => Subject::Fork(MemberId(about)),
        _ => Subject::Stamp(Hash(about)),
    };
    Ok(Uint8Array::from(&node.prove(id, subject)?[..]))
}

/// Writes `stamp` (a document's hash, with a note), `revoke` (an own invite, by its link), `vouch`, `retire` (a device), `erase` (an own post), `remove` (a member), `ready`, `renew`, `consent`
/// (to a proposal's entry), `resign` (as a witness), `epoch` (fresh keys), `rules` (in 16 digits each the points on joining,
/// each week, of the witnesses, and the days; a note if the founder alone invites; the rest stays) or `witnesses` (devices, all that shall be).
pub fn act(engine: &mut Engine, what: &str, about: &str, note: &str, now: u64) -> Result<Written, NodeError> {
    let written = match what {
        "stamp" => engine.stamp(Hash(bytes_of(about)?), note, now),
        "revoke" => {
            let given = engine.invitations().find(|one| about.ends_with(&one.token)).map(|one| one.invite);
            let invite = given.ok_or(NodeError::No(No::NoParcel))?;
            engine.revoke(invite.key, invite.issuer, now)
        }
        "vouch" => engine.endorse(Hash(bytes_of(about)?), now),
        "retire" => engine.retire(device_of(about)?, now),
        "remove" => engine.remove(member_of(about)?, now),
        "ready" => engine.offer_to_witness(false, now),
        "renew" => engine.renew(now),
        "erase" => engine.erase(EntryId(bytes_of(about)?), now),
        "consent" => engine.consent(EntryId(bytes_of(about)?), now),
        "resign" => engine.resign(now),
        "epoch" => engine.start_epoch(now),
        "rules" => {
            // Four numbers of eight bytes.
            let numbers: [u8; 32] = bytes_of(about)?;
            let (numbers, _) = numbers.as_chunks();
            let [grant, allowance, reward, days] = [0, 1, 2, 3].map(|at| u64::from_be_bytes(numbers[at]));
            let inviters = if note.is_empty() { Inviters::Members } else { Inviters::Founder };
            let retention_days = days.min(u32::MAX.into()) as u32;
            let rules = Rules { grant, allowance, reward, inviters, retention_days, ..*engine.rules() };
            engine.change_rules(rules, now)
        }
        _ => {
            let wanted = about.split(' ').map(device_of).collect::<Result<Vec<DeviceId>, NodeError>>()?;
            change_witnesses(engine, &wanted, now)
        }
    };
    Ok(written?)
}

/// Names the whole set in one step.
fn change_witnesses(engine: &mut Engine, wanted: &[DeviceId], now: u64) -> Result<Written, WriteError> {
    let voting: Vec<DeviceId> = engine.witnesses().iter().filter(|one| one.votes).map(|one| one.device).collect();
    let promote = wanted.iter().filter(|device| !voting.contains(device)).copied().collect();
    let demote = voting.iter().filter(|device| !wanted.contains(device)).copied().collect();
    engine.change_witnesses(promote, demote, now)
}

/// The devices that can be heard.
pub fn online<S: Store>(node: &Node<S>, id: CircleId) -> Vec<DeviceId> {
    let linked = node.links().into_iter().map(|(peer, _)| peer);
    node.present(id).into_iter().map(|(device, _)| device).chain(linked).collect()
}

/// The fields of `CircleView` that are about the order.
pub fn circle_fields(engine: &Engine, online: &[DeviceId]) -> Vec<(&'static str, JsValue)> {
    let scene = Scene { engine, online };
    let witnesses = engine.witnesses();
    let voting = witnesses.iter().filter(|one| one.votes).map(|one| scene.place(one, true));
    vec![
        ("allowance", (engine.allowance(Date::now() as u64) as f64).into()),
        ("witnesses", voting.collect::<Array>().into()),
        ("quorum", engine.quorum().into()),
        ("proposals", engine.motions().iter().map(|motion| scene.proposal(motion)).collect::<Array>().into()),
    ]
}

struct Scene<'a> {
    engine: &'a Engine,
    online: &'a [DeviceId],
}

impl Scene<'_> {
    fn is_own(&self, device: &DeviceId) -> bool {
        self.engine.device() == Some(*device)
    }

    fn is_me(&self, member: &MemberId) -> bool {
        self.engine.own_member() == Some(*member)
    }

    fn name_of(&self, device: &DeviceId, devices: &[ShownDevice]) -> String {
        let device = devices.iter().find(|one| one.id == *device && one.role == Role::Write);
        device.map_or_else(String::new, |device| self.engine.settled_name(&device.member))
    }

    /// `WitnessView` and `CandidateView`. A relay votes and does nothing else, so it is shown as nobody's.
    fn place(&self, witness: &ShownWitness, ready: bool) -> JsValue {
        let member = witness.member.filter(|_| witness.role == Some(Role::Write));
        let own = self.is_own(&witness.device);
        object(vec![
            ("device", witness.device.to_string().into()),
            ("member", member.map_or_else(String::new, |member| member.to_string()).into()),
            ("name", (if member.is_some() { &witness.name[..] } else { "" }).into()),
            ("own", own.into()),
            ("always", witness.always_on.into()),
            ("online", (own || self.online.contains(&witness.device)).into()),
            ("ready", ready.into()),
        ])
    }

    fn candidates(&self) -> Array {
        let mut all = self.engine.witnesses();
        let places: Array = all.iter().map(|witness| self.place(witness, true)).collect();
        for device in self.engine.devices() {
            if device.retired || all.iter().any(|one| one.device == device.id) {
                continue;
            }
            let name = self.engine.settled_name(&device.member);
            let (member, role) = (Some(device.member), Some(device.role));
            let other = ShownWitness { device: device.id, member, name, role, always_on: false, votes: false };
            places.push(&self.place(&other, false));
            all.push(other);
        }
        places
    }

    fn ranking(&self, lately: bool) -> Array {
        let mut ranking = self.engine.ranking(Date::now() as u64);
        if lately {
            ranking.retain(|ranked| ranked.lately > 0);
            ranking.sort_by_key(|ranked| core::cmp::Reverse(ranked.lately));
        }
        let view = |ranked: &ledgerno_engine::council::Ranked| {
            object(vec![
                ("member", ranked.member.to_string().into()),
                ("name", ranked.name.as_str().into()),
                ("me", self.is_me(&ranked.member).into()),
                ("points", ((if lately { ranked.lately } else { ranked.in_all }) as f64).into()),
            ])
        };
        ranking.iter().map(view).collect()
    }

    fn stamp(&self, stamp: &ShownStamp) -> JsValue {
        let voucher = |(member, name): &(MemberId, String)| {
            object(vec![("member", member.to_string().into()), ("name", name.as_str().into())])
        };
        let me = self.engine.own_member();
        let vouched = stamp.vouchers.iter().any(|(member, _)| Some(*member) == me)
            || self
                .engine
                .has_written(|operation| matches!(operation, Operation::Endorse(of) if *of == stamp.document));
        let time = stamp.settled.as_ref().map_or_else(|| self.engine.time_of(&stamp.entry), |settled| settled.time);
        let status = stamp.status.unwrap_or(Status::Settled);
        object(vec![
            ("id", stamp.entry.to_string().into()),
            ("hash", stamp.document.to_string().into()),
            ("note", stamp.note.as_str().into()),
            ("member", stamp.by.to_string().into()),
            ("name", stamp.name.as_str().into()),
            ("mine", self.is_me(&stamp.by).into()),
            ("time", (time as f64).into()),
            ("status", status.name().into()),
            ("vouchers", stamp.vouchers.iter().map(voucher).collect::<Array>().into()),
            ("vouched", vouched.into()),
        ])
    }

    fn devices(&self, member: MemberId) -> Array {
        let devices = self.engine.devices();
        let members = self.engine.members();
        // In the order of their coming; those that are not settled too. A relay that votes is nobody's.
        let ids = members.iter().find(|one| one.id == member).map_or(&[][..], |one| &one.devices);
        let view = |id: &DeviceId| {
            let known = devices.iter().find(|device| device.id == *id);
            if known.is_some_and(|device| device.role == Role::Vote) {
                return None;
            }
            Some(object(vec![
                ("id", id.to_string().into()),
                ("own", self.is_own(id).into()),
                ("online", (self.is_own(id) || self.online.contains(id)).into()),
                ("settled", known.is_some().into()),
                ("retired", known.is_some_and(|device| device.retired).into()),
                ("witness", known.is_some_and(|device| device.votes).into()),
            ]))
        };
        ids.iter().filter_map(view).collect()
    }

    fn proposal(&self, motion: &ShownMotion) -> JsValue {
        let devices = self.engine.devices();
        let names = |ids: &[DeviceId]| -> JsValue {
            ids.iter().map(|id| JsValue::from(self.name_of(id, &devices))).collect::<Array>().into()
        };
        let (kind, mut fields) = match &motion.change {
            Change::Config(_) => ("rules", Vec::new()),
            Change::Remove { member, .. } => ("remove", vec![("subject", self.engine.settled_name(member).into())]),
            Change::Witnesses { promote, demote } => {
                ("witnesses", vec![("promote", names(promote)), ("demote", names(demote))])
            }
        };
        let consented = motion.consented
            || self.engine.has_written(|operation| matches!(operation, Operation::Consent(to) if *to == motion.id));
        fields.extend([
            ("id", motion.id.to_string().into()),
            ("kind", kind.into()),
            ("name", motion.name.as_str().into()),
            ("mine", self.is_me(&motion.by).into()),
            ("agreed", motion.consents.into()),
            ("needed", motion.needed.into()),
            ("consented", consented.into()),
        ]);
        object(fields)
    }

    fn rules(&self) -> JsValue {
        let rules = self.engine.rules();
        let inviters = if rules.inviters == Inviters::Members { "members" } else { "founder" };
        object(vec![
            ("grant", (rules.grant as f64).into()),
            ("allowance", (rules.allowance as f64).into()),
            ("reward", (rules.reward as f64).into()),
            ("inviters", inviters.into()),
            ("retention", rules.retention_days.into()),
            ("readable", (self.engine.genesis().kind == Kind::Readable).into()),
        ])
    }
}
