//! Values as the page sees them.

use crate::ledger;
use js_sys::{Array, Object, Reflect};
use ledgerno_engine::view::{Content, Shown, ShownMember};
use ledgerno_engine::{Engine, Invitation};
use ledgerno_ledger::bytes::{CircleId, DeviceId, MemberId};
use ledgerno_ledger::genesis::Kind;
use ledgerno_ledger::state::VoidReason;
use ledgerno_node::store::Store;
use ledgerno_node::{Alert, LinkState, Node, NodeError, Path, Preview};
use wasm_bindgen::prelude::*;

/// `{code, facts}`.
pub struct Thrown(JsValue);

impl From<NodeError> for Thrown {
    fn from(error: NodeError) -> Self {
        Thrown(failure(error.code(), error.facts()))
    }
}

impl From<Thrown> for JsValue {
    fn from(thrown: Thrown) -> Self {
        thrown.0
    }
}

/// An object of named values.
pub fn object(fields: impl IntoIterator<Item = (&'static str, JsValue)>) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        // Setting a field of a fresh plain object never fails.
        Reflect::set(&object, &name.into(), &value).ok();
    }
    object.into()
}

fn failure(code: &str, facts: Vec<(&'static str, String)>) -> JsValue {
    let facts = object(facts.into_iter().map(|(name, value)| {
        // As f64 it would cost 10 KB of powers of ten.
        (name, value.parse::<u64>().map_or_else(|_| value.into(), |number| (number as f64).into()))
    }));
    object([("code", code.into()), ("facts", facts)])
}

/// A circle's id from its hexadecimal digits.
pub fn circle_of(text: &str) -> Result<CircleId, NodeError> {
    bytes_of(text).map(CircleId)
}

/// A member's id from its hexadecimal digits.
pub fn member_of(text: &str) -> Result<MemberId, NodeError> {
    bytes_of(text).map(MemberId)
}

/// A device's id from its hexadecimal digits.
pub fn device_of(text: &str) -> Result<DeviceId, NodeError> {
    bytes_of(text).map(DeviceId)
}

/// The 32 bytes of hexadecimal digits.
pub fn bytes_of(text: &str) -> Result<[u8; 32], NodeError> {
    let bytes = base16ct::mixed::decode_vec(text).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(NodeError::NoCircle)
}

/// `CircleInfo`.
pub fn circle_info(id: CircleId, name: &str) -> JsValue {
    object([("id", id.to_string().into()), ("name", name.into())])
}

/// `InvitePreview`.
pub fn preview(preview: &Preview) -> JsValue {
    object([
        ("circle", preview.circle.to_string().into()),
        ("name", preview.name.as_str().into()),
        ("by", preview.by.as_str().into()),
        ("expires", (preview.invite.expiry as f64).into()),
        ("left", preview.invite.uses.into()),
        ("readable", (preview.kind == Kind::Readable).into()),
    ])
}

/// `InviteView`.
pub fn invite(invitation: &Invitation, used: u32, page: &str) -> JsValue {
    object([
        ("url", format!("{page}#/join/{}", invitation.token).into()),
        ("uses", invitation.invite.uses.into()),
        ("left", invitation.invite.uses.saturating_sub(used).into()),
        ("expires", (invitation.invite.expiry as f64).into()),
    ])
}

/// `EntryView`.
pub fn entry(shown: &Shown) -> JsValue {
    let (kind, content): (&str, Vec<(&'static str, JsValue)>) = match &shown.content {
        Content::Post(text) => ("post", vec![("text", text.as_str().into())]),
        Content::Join(name) => ("join", vec![("text", name.as_str().into())]),
        Content::Enrol => ("device", Vec::new()),
        Content::Invite(_) => ("invite", Vec::new()),
        Content::Done { deed, note } => ("done", vec![("deed", deed.name().into()), ("text", note.as_str().into())]),
        Content::Erased => ("erased", Vec::new()),
        Content::Silent | Content::Sealed => ("sealed", Vec::new()),
        Content::Thanks { to, to_name, amount, reason } => (
            "thanks",
            vec![
                ("to", to.to_string().into()),
                ("toName", to_name.as_str().into()),
                ("amount", (*amount as f64).into()),
                ("reason", reason.as_str().into()),
            ],
        ),
    };
    let height = shown.height.map_or(JsValue::NULL, |height| (height as f64).into());
    let void = void(shown.void);
    object(
        [
            ("id", shown.id.to_string().into()),
            ("kind", kind.into()),
            ("member", shown.member.to_string().into()),
            ("name", shown.name.as_str().into()),
            ("mine", shown.mine.into()),
            ("time", (shown.time as f64).into()),
            ("status", shown.status.name().into()),
            ("seenBy", shown.seen_by.into()),
            ("settledHeight", height),
            ("void", void),
        ]
        .into_iter()
        .chain(content),
    )
}

/// A reason's code: its name in kebab case.
fn void(reason: Option<VoidReason>) -> JsValue {
    let Some(reason) = reason else { return JsValue::NULL };
    let mut code = String::new();
    for letter in format!("{reason:?}").chars() {
        if letter.is_ascii_uppercase() && !code.is_empty() {
            code.push('-');
        }
        code.push(letter.to_ascii_lowercase());
    }
    code.into()
}

/// `CircleView`.
pub fn circle<S: Store>(node: &Node<S>, id: CircleId, page: &str) -> Result<JsValue, Thrown> {
    let relay = node.relay_state(id);
    let present = node.present(id);
    let online = ledger::online(node, id);
    let (view, order, members) = node.look(id, |engine| {
        (circle_fields(engine, id, page, &present), ledger::circle_fields(engine, &online), engine.members())
    })?;
    let links = node.links();
    let name = |device: &DeviceId| {
        members.iter().find(|member| member.devices.contains(device)).map_or("", |member| &member.name[..])
    };
    let linked =
        links.iter().filter(|(peer, up)| up.path == Path::Relay || !name(peer).is_empty()).map(|(peer, up)| {
            let path = match up.path {
                Path::Relay => "relay",
                Path::Relayed { .. } => "relayed",
                Path::Direct => "direct",
            };
            let by = match &up.path {
                Path::Relayed { by } => name(by),
                _ => "",
            };
            peer_view(node, *peer, name(peer), path, by, up.since)
        });
    // Who is not linked is heard of by way of the relay, or of other friends.
    let others = present.iter().filter(|(device, _)| links.iter().all(|(peer, _)| peer != device));
    let others = others.map(|(device, since)| peer_view(node, *device, name(device), "heard", "", *since));
    let peers: Array = linked.chain(others).collect();
    let alerts: Array = node.alerts(id).into_iter().map(alert).collect();
    let relay = match relay {
        LinkState::Connected => "connected",
        LinkState::Connecting => "connecting",
        LinkState::Off => "off",
    };
    Ok(object(view.into_iter().chain(order).chain([
        ("peers", peers.into()),
        ("alerts", alerts.into()),
        ("relay", relay.into()),
    ])))
}

fn peer_view<S: Store>(node: &Node<S>, peer: DeviceId, name: &str, path: &str, by: &str, since: u64) -> JsValue {
    // Why no carrier had it says nothing any more once one has it.
    let tried = node.last_try(&peer).filter(|tried| path == "heard" || path == "relayed" && tried.direct);
    object([
        ("id", peer.to_string().into()),
        ("name", name.into()),
        ("path", path.into()),
        ("by", by.into()),
        ("since", (since as f64).into()),
        ("why", tried.map_or("", |tried| tried.why.code()).into()),
        ("way", tried.map_or("", |tried| if tried.direct { "direct" } else { "circuit" }).into()),
        ("tried", tried.map_or(JsValue::NULL, |tried| (tried.at as f64).into())),
    ])
}

fn circle_fields(
    engine: &Engine,
    id: CircleId,
    page: &str,
    present: &[(DeviceId, u64)],
) -> Vec<(&'static str, JsValue)> {
    let settlement = engine.settlement();
    let me = engine.own_member();
    let members = engine.members();
    let founder = engine.genesis().founder;
    let own = members.iter().find(|member| Some(member.id) == me);
    let invites: Array = engine
        .invitations()
        .filter(|invitation| invitation.kept && !engine.is_revoked(&invitation.invite))
        .map(|invitation| invite(invitation, engine.invite_used(&invitation.invite), page))
        .collect();
    let state_root =
        settlement.state_root.map(|root| ledgerno_ledger::bytes::Hash(root).to_string()).unwrap_or_default();
    vec![
        ("id", id.to_string().into()),
        ("name", engine.title().1.into()),
        ("me", me.map(|me| me.to_string()).unwrap_or_default().into()),
        ("balance", (own.map_or(0, |own| own.balance) as f64).into()),
        ("height", (settlement.height as f64).into()),
        ("headerHash", settlement.header.to_string().into()),
        ("stateRoot", state_root.into()),
        ("entries", settlement.entries.into()),
        ("keptElsewhere", engine.kept_elsewhere().into()),
        ("unsettled", settlement.unsettled.into()),
        ("joined", own.is_some_and(|own| own.settled).into()),
        ("syncing", engine.is_syncing().into()),
        (
            "members",
            members
                .iter()
                .map(|one| member(one, engine.is_removed(&one.id), me, founder, present))
                .collect::<Array>()
                .into(),
        ),
        ("invites", invites.into()),
    ]
}

fn member(
    member: &ShownMember,
    removed: bool,
    me: Option<MemberId>,
    founder: MemberId,
    present: &[(DeviceId, u64)],
) -> JsValue {
    let online = Some(member.id) == me || present.iter().any(|(device, _)| member.devices.contains(device));
    object([
        ("id", member.id.to_string().into()),
        ("name", member.name.as_str().into()),
        ("balance", (member.balance as f64).into()),
        ("settled", member.settled.into()),
        ("me", (Some(member.id) == me).into()),
        ("online", online.into()),
        ("void", void(if removed { Some(VoidReason::Removed) } else { member.void })),
        ("founder", (member.id == founder).into()),
        ("forked", member.forked.into()),
    ])
}

fn alert(alert: Alert) -> JsValue {
    match alert {
        Alert::Store(error) | Alert::Relay(error) => failure(error.code(), error.facts()),
        Alert::Unkept => failure("not-kept", Vec::new()),
        Alert::Overruled { height } => failure("settlement-renewed", vec![("height", height.to_string())]),
        Alert::Divided { height, name } => {
            failure("settlement-divided", vec![("height", height.to_string()), ("name", name)])
        }
        Alert::Twice { height } => failure("settlement-twice", vec![("height", height.to_string())]),
        Alert::Settlement { height, why } => {
            failure("settlement-refused", vec![("height", height.to_string()), ("detail", why.to_string())])
        }
    }
}
