//! What a file proves, as JavaScript sees it: `Finding` in the npm package.

use crate::{number, object};
use js_sys::Array;
use ledgerno_ledger::op::{Operation, Talk};
use ledgerno_ledger::proof::{Content, Limit, Person, Proven, Rests, Statement, Voucher};
use wasm_bindgen::prelude::*;

type Fields = Vec<(&'static str, JsValue)>;

pub fn of(proven: &Proven) -> JsValue {
    let limits: Array = proven.limits().into_iter().map(limit).map(JsValue::from).collect();
    let mut fields = vec![
        ("holds", true.into()),
        ("circle", proven.circle.to_string().into()),
        ("circleName", proven.circle_name.as_str().into()),
        ("limits", limits.into()),
    ];
    fields.extend(statement(&proven.statement, proven.trust.as_ref()));
    fields.extend(trust(proven.trust.as_ref()));
    object(fields)
}

/// What the finding rests on; a fork needs no witness.
fn trust(rests: Option<&Rests>) -> Fields {
    let Some(Rests { start, changes, newest, time, votes, witnesses }) = rests else {
        return vec![("votes", number(0)), ("witnesses", number(0)), ("changes", number(0))];
    };
    let header =
        object([("height", number(newest.height)), ("hash", newest.hash.to_string().into()), ("time", number(*time))]);
    let pinned = || object([("height", number(start.height)), ("hash", start.hash.to_string().into())]);
    vec![
        ("votes", number(*votes as u64)),
        ("witnesses", number(*witnesses as u64)),
        ("changes", number(*changes as u64)),
        ("newest", header),
        ("pinned", if start.height == 0 { JsValue::UNDEFINED } else { pinned() }),
    ]
}

fn statement(statement: &Statement, rests: Option<&Rests>) -> Fields {
    let newest = |kind: &'static str, name: &str| {
        let (height, time) = rests.map_or((0, 0), |rests| (rests.newest.height, rests.time));
        let mut fields = settled(kind, height, time, &[]);
        fields.push(("name", name.into()));
        fields
    };
    match statement {
        Statement::Header(header) => {
            let mut fields = newest("header", "");
            fields.push(("count", number(u64::from(header.entries))));
            fields
        }
        Statement::NoMember(id) => {
            let mut fields = newest("no-member", "");
            fields.push(("member", id.to_string().into()));
            fields
        }
        Statement::Member { id, name, joined_height, balance, removed } => {
            let mut fields = newest("member", name);
            fields.extend([
                ("member", id.to_string().into()),
                ("joined", number(*joined_height)),
                ("points", number(*balance)),
                ("removed", removed.map_or(JsValue::UNDEFINED, number)),
            ]);
            fields
        }
        Statement::Entry { id, author, seq, written, settled: at, settled_time, content } => {
            let mut fields = settled("entry", at.height, *settled_time, &[]);
            fields.extend(person(author));
            fields.extend([("entry", id.to_string().into()), ("seq", number(*seq)), ("written", number(*written))]);
            fields.extend(says(content));
            fields
        }
        Statement::Stamp { document, by, entry, height, time, vouchers } => {
            let mut fields = settled("stamp", *height, *time, vouchers);
            fields.extend(person(by));
            fields.extend([("entry", entry.to_string().into()), ("hash", document.to_string().into())]);
            fields
        }
        Statement::Fork { device, author, seq, entries } => {
            let mut fields = newest("fork", "");
            match author {
                Some(author) => fields.extend(person(author)),
                None => fields.push(("device", device.to_string().into())),
            }
            fields.push(("seq", number(*seq)));
            let both: Array = entries.iter().map(|id| JsValue::from(id.to_string())).collect();
            fields.push(("entries", both.into()));
            fields
        }
    }
}

/// What it is, when it was settled, and who vouched.
fn settled(kind: &'static str, height: u64, time: u64, vouchers: &[Voucher]) -> Fields {
    let names: Array = vouchers.iter().map(|voucher| JsValue::from(voucher.person.name.as_str())).collect();
    let each = |voucher: &Voucher| {
        let mut fields = person(&voucher.person);
        fields.extend([("height", number(voucher.height)), ("time", number(voucher.time))]);
        object(fields)
    };
    vec![
        ("kind", kind.into()),
        ("height", number(height)),
        ("time", number(time)),
        ("vouchers", names.into()),
        ("vouched", vouchers.iter().map(each).collect::<Array>().into()),
    ]
}

fn person(person: &Person) -> Fields {
    vec![
        ("name", person.name.as_str().into()),
        ("member", person.member.to_string().into()),
        ("device", person.device.to_string().into()),
        ("removed", person.removed.map_or(JsValue::UNDEFINED, number)),
    ]
}

fn says(content: &Content) -> Fields {
    let text = |text: &Option<String>| text.as_deref().map_or(JsValue::UNDEFINED, JsValue::from);
    match content {
        Content::Sealed(_) => vec![("content", "sealed".into())],
        Content::Unknown(_) => vec![("content", "unknown".into())],
        Content::Talk(Talk::Post { text }) => vec![("content", "post".into()), ("text", text.as_str().into())],
        Content::Operation(Operation::Transfer { to, amount, .. }, reason) => vec![
            ("content", "thanks".into()),
            ("to", to.to_string().into()),
            ("amount", number(*amount)),
            ("text", text(reason)),
        ],
        Content::Operation(Operation::Stamp { document, .. }, note) => {
            vec![("content", "stamp".into()), ("hash", document.to_string().into()), ("text", text(note))]
        }
        Content::Operation(operation, _) => {
            vec![("content", "operation".into()), ("operation", name_of(operation).into())]
        }
    }
}

fn name_of(operation: &Operation) -> &'static str {
    match operation {
        Operation::Join { .. } => "join",
        Operation::Enrol => "enrol",
        Operation::Invite(_) => "invite",
        Operation::Transfer { .. } => "thanks",
        Operation::Revoke { .. } => "revoke",
        Operation::Retire(_) => "retire",
        Operation::Epoch(_) => "epoch",
        Operation::Keys { .. } => "keys",
        Operation::Lacking => "lacking",
        Operation::Ready { .. } => "ready",
        Operation::Resign => "resign",
        Operation::Evidence(_) => "evidence",
        Operation::Propose(_) => "propose",
        Operation::Consent(_) => "consent",
        Operation::Stamp { .. } => "stamp",
        Operation::Endorse(_) => "vouch",
        Operation::Merge => "merge",
    }
}

fn limit(limit: Limit) -> &'static str {
    match limit {
        Limit::Circle => "circle",
        Limit::Pinned => "pinned",
        Limit::SoleWitness => "sole-witness",
        Limit::Names => "names",
        Limit::AuthorsClock => "authors-clock",
        Limit::Reading => "reading",
        Limit::Effect => "effect",
        Limit::NoAuthor => "no-author",
    }
}
