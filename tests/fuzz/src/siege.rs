//! The engine's intake of votes, besieged: three honest witnesses of four are engines with disks, in the middle of a
//! settlement; the fourth has a vote key and lies. The bytes are a script. They say in which order what is on its way
//! arrives, comes twice or is lost, when time goes by, who crashes or is parted from the others, and what the liar says:
//! what it heard, replayed or altered; votes, bundles, proposals and settled headers of its own, which hold or do not; and
//! any bytes.
//!
//! At any time an honest witness signs at most one header a view to notarize and one to finalize, never finalizes and
//! nullifies one view, is accused of nothing, gives its vote up for nothing, settles the same headers as the others, never
//! fewer than before, and keeps no more than it may. Once the siege is over they settle what is written then, though the liar
//! has them ask it in vain.

mod circle;
mod liar;
mod script;

#[path = "../../../crates/engine/tests/common/mod.rs"]
mod common;

use crate::Target;
use circle::{HONEST, Scene, Siege};
use ledgerno_engine::Engine;
use ledgerno_engine::wire::{Topic, Votes};
use ledgerno_ledger::hostile::mutate;
use script::Script;
use std::cell::OnceCell;

/// More steps make a run slow and find no more.
const MOST_STEPS: usize = 160;
/// More entries do so too.
const MOST_POSTS: usize = 6;
/// How long time goes by, in milliseconds: less than a beat, a view, the time for which a witness counts as heard, and more.
const PAUSES: [u64; 8] = [50, 150, 400, 1_000, 2_100, 4_000, 21_000, 61_000];

/// The steps, by the first byte of each.
mod step {
    pub const DELIVER: u8 = 0;
    pub const LOSE: u8 = 2;
    pub const TWICE: u8 = 3;
    pub const REST: u8 = 4;
    pub const PASS: u8 = 5;
    pub const REPLAY: u8 = 7;
    pub const ALTERED: u8 = 8;
    pub const ANY_BYTES: u8 = 9;
    pub const VOTE: u8 = 10;
    pub const BUNDLE: u8 = 11;
    pub const PROPOSAL: u8 = 12;
    pub const SETTLED: u8 = 13;
    pub const FAULT: u8 = 14;
    pub const WRITE: u8 = 15;
    pub const KINDS: u8 = 16;
}

/// What the target is called.
const NAME: &str = "engine_votes";

/// From scripts in which the circle settles, crashes, is parted and is lied to; the fixtures of what is said about votes
/// come in some.
pub fn target() -> Target {
    let scene = OnceCell::new();
    let body = move |bytes: &[u8]| besiege(scene.get_or_init(Scene::new), bytes);
    Target { name: NAME.to_owned(), seeds: seeds(), cost: 20, body: Box::new(body) }
}

fn besiege(scene: &Scene, bytes: &[u8]) {
    let mut siege = Siege::new(scene);
    let (mut script, mut posts) = (Script(bytes), 0);
    // It begins in the middle: a header was put to the vote a moment ago, and that is on its way.
    write(&mut siege, 0, &mut posts);
    siege.rest();
    siege.pass(PAUSES[1]);
    for _ in 0..MOST_STEPS {
        if script.0.is_empty() {
            break;
        }
        play(&mut siege, &mut script, &mut posts);
    }
    siege.settles_at_last();
}

fn play(siege: &mut Siege, script: &mut Script, posts: &mut usize) {
    match script.byte() % step::KINDS {
        step::DELIVER | 1 => siege.deliver(script.byte().into(), false),
        step::LOSE => siege.lose(script.byte().into()),
        step::TWICE => siege.deliver(script.byte().into(), true),
        step::REST => siege.rest(),
        step::PASS | 6 => siege.pass(PAUSES[usize::from(script.byte() % 8)]),
        step::REPLAY => {
            if let Some((topic, bytes)) = heard(siege, script) {
                say(siege, script, topic, &bytes);
            }
        }
        step::ALTERED => {
            if let Some((topic, bytes)) = heard(siege, script) {
                let altered = mutate(&bytes, script.number());
                say(siege, script, topic, &altered);
            }
        }
        step::ANY_BYTES => {
            let bytes = script.bytes();
            say(siege, script, Topic::Votes, bytes);
        }
        step::VOTE => {
            let to = script.byte();
            let votes = liar::vote(siege, usize::from(to) % HONEST, script);
            say_votes(siege, script, votes);
        }
        step::BUNDLE => {
            let bundle = liar::bundle(siege, script);
            say_votes(siege, script, bundle.map(|bundle| Votes::Bundle(Box::new(bundle))));
        }
        step::PROPOSAL => {
            let votes = liar::proposal(siege, script);
            say_votes(siege, script, votes);
        }
        step::SETTLED => {
            let votes = liar::settled(siege, script);
            say_votes(siege, script, votes);
        }
        step::FAULT => {
            let how = script.byte();
            let who = usize::from(how / 4) % HONEST;
            match how % 4 {
                0 => siege.crash(who),
                1 => siege.part_or_link(who),
                _ => siege.hold_or_flush(who),
            }
        }
        _ => match script.byte() % 6 {
            0..=2 => write(siege, script.byte(), posts),
            3 => {
                let (to, ask) = (usize::from(script.byte()) % HONEST, liar::ask(siege, script));
                siege.ask_as_liar(to, ask);
            }
            4 => siege.is_silent = !siege.is_silent,
            _ => siege.answer_as_liar(|siege, ask| liar::answer(siege, ask, script)),
        },
    }
}

/// One of them writes; its entry is on its way.
fn write(siege: &mut Siege, by: u8, posts: &mut usize) {
    if *posts < MOST_POSTS {
        *posts += 1;
        let written = siege.act(usize::from(by) % HONEST, |engine: &mut Engine, now| engine.post("a post", now));
        assert!(written.is_ok(), "a member may write");
    }
}

fn heard(siege: &Siege, script: &mut Script) -> Option<(Topic, Vec<u8>)> {
    let said = &siege.ear.said;
    // The newest first.
    let at = usize::from(script.byte()).checked_rem(said.len())?;
    said.iter().rev().nth(at).cloned()
}

fn say_votes(siege: &mut Siege, script: &mut Script, votes: Option<Votes>) {
    if let Some(votes) = votes {
        say(siege, script, Topic::Witnesses, &votes.to_bytes());
    }
}

/// The liar says something to one of them, or to all.
fn say(siege: &mut Siege, script: &mut Script, topic: Topic, bytes: &[u8]) {
    let (how, liar) = (script.byte(), siege.scene.liars_device());
    // What is said to everybody is answered so.
    let topic = if how & 0x80 != 0 && topic == Topic::Witnesses { Topic::Votes } else { topic };
    let one = usize::from(how % 4);
    for to in (0..HONEST).filter(|to| one == HONEST || *to == one) {
        siege.act(to, |engine, now| engine.gossip(topic, liar, bytes, now));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    use step::{
        ALTERED, ANY_BYTES, BUNDLE, DELIVER, FAULT, LOSE, PASS, PROPOSAL, REPLAY, REST, SETTLED, TWICE, VOTE, WRITE,
    };
    const ALL: u8 = HONEST as u8;
    // The liar is for nothing in view 0, and is heard; the others hear the header, and not each other.
    let nullifies = [VOTE, 0, 0, 2, 0, ALL];
    let hears = [DELIVER, 0, DELIVER, 0];
    let view_over = [PASS, 4, PASS, 4];
    let next = [WRITE, 0, 1, REST, PASS, 1];
    // The leader is parted from the others, who are against its view; the liar leads the next.
    let in_view_1 = [&[FAULT, 5][..], &nullifies, &[PASS, 3, REST, PASS, 4, REST, PASS, 4, REST]].concat();
    let scripts: [&[u8]; 12] = [
        // One by one, late and twice.
        &[TWICE, 0, DELIVER, 2, DELIVER, 0, DELIVER, 1, TWICE, 3, DELIVER, 0, LOSE, 1, PASS, 3, DELIVER, 5, REST],
        // The votes for a header come when its view is over.
        &[&nullifies[..], &hears, &view_over, &[REST]].concat(),
        // Two headers notarized in view 0, by the liar; then one finalized, and the view nullified.
        &[VOTE, 0, 0, 0, 0, 0, ALL, VOTE, 0, 0, 0, 0, 250, ALL, REST, PASS, 3, REST],
        &[&[VOTE, 0, 0, 1, 0, 0, ALL][..], &nullifies, &[REST, PASS, 3, REST]].concat(),
        // It proposes two headers in view 1, each to some of them.
        &[
            &in_view_1[..],
            &[PROPOSAL, 0, 8, 0, 0, 0, PROPOSAL, 0, 1, 0, 0, 2, DELIVER, 0, REST, FAULT, 5, REST],
            &view_over,
        ]
        .concat(),
        // Others' bundles in its name, and in theirs.
        &[BUNDLE, 0, 0x40, 0, 0, 0, 0, ALL, BUNDLE, 1, 0x28, 15, ALL, BUNDLE, 0, 0x84, 1, 0, 0, 2, 3, ALL, REST],
        &[&in_view_1[..], &[BUNDLE, 0, 0, 0, ALL, BUNDLE, 0, 1, 0, 0, BUNDLE, 1, 2, 0, ALL, REST]].concat(),
        // Altered headers, as proposal and as opening.
        &[PROPOSAL, 0, 1, 1, 0, ALL, PROPOSAL, 0, 8, 3, ALL, PROPOSAL, 0, 4, 4, 0, 3, 1, REST],
        // Settled by too few.
        &[&hears[..], &[SETTLED, 0, 0, 0, 0, ALL, SETTLED, 0, 3, 1, 1, 1, REST]].concat(),
        // Disks that wait, crashes between vote and word, and answers of the liar.
        &[
            WRITE, 4, FAULT, 2, FAULT, 6, DELIVER, 0, PASS, 3, FAULT, 0, WRITE, 5, 2, 3, 0, 0x40, 0, 0, 0, 0, FAULT, 4,
            REST,
        ],
        // A crash after a vote that another one heard.
        &[&in_view_1[..], &[PASS, 5, REST, PASS, 5, REST, PASS, 4, REST, FAULT, 8, REST, FAULT, 5, REST]].concat(),
        // Parted, written to, replayed, altered.
        &[
            FAULT, 1, WRITE, 0, 1, REST, PASS, 6, REST, FAULT, 1, REPLAY, 3, ALL, ALTERED, 0, 1, 7, ALL, ALTERED, 2, 0,
            9, 0,
        ],
    ];
    let twice = scripts.iter().map(|script| [*script, &next, *script].concat());
    let fixtures = ledgerno_engine::conformance::TOPICS.iter().flat_map(|topic| (topic.formats)());
    let votes = fixtures.filter(|format| format.name == "votes");
    let votes: Vec<Vec<u8>> =
        votes.flat_map(|format| format.accepted().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect();
    let fixtures = votes.iter().map(|bytes| {
        let len = bytes.len() as u16;
        [&[ANY_BYTES][..], &len.to_be_bytes(), bytes, &[ALL]].concat()
    });
    twice.chain([fixtures.collect::<Vec<_>>().concat()]).collect()
}
