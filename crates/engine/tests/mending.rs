//! Votes that a liar spoiled within a run are fetched anew from who has them right; then all headers are given on again.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/alone.rs"]
mod alone;
mod common;
#[path = "common/story.rs"]
mod story;

use alone::{Alone, LIAR};
use common::four::Four;
use common::{RELAY, START, WEEK, World};
use ledgerno_engine::wire::{Answer, Ask, No};
use ledgerno_engine::{Item, Limits};
use ledgerno_ledger::bytes::DeviceId;
use ledgerno_ledger::codec;
use ledgerno_ledger::hostile::{Circle, Person};
use ledgerno_ledger::keys::VoteSecret;
use ledgerno_ledger::settle::{Certificate, Checkpoint, Proof, Refusal};
use story::{Story, check_all, eager};

/// So many headers there are.
const ALL: u64 = 100;
const OTHER: DeviceId = DeviceId([77; 32]);

fn story() -> Story {
    Story::new().tell(ALL as usize - 1, 2, 20)
}

/// What becomes of an answer on the way.
type OnTheWay = dyn Fn(&Ask, &mut Option<Answer>);

/// A peer that answers what a relay would, as altered on the way.
struct Giver {
    id: DeviceId,
    relay: Alone,
    alter: Box<OnTheWay>,
    /// How often it was asked for headers that are settled at the reader, but for what stands below all, and in all.
    asked: usize,
    questions: usize,
}

impl Giver {
    fn of(id: DeviceId, relay: Alone, alter: impl Fn(&Ask, &mut Option<Answer>) + 'static) -> Self {
        Giver { id, relay, alter: Box::new(alter), asked: 0, questions: 0 }
    }

    fn honest(story: &Story, id: DeviceId) -> Self {
        Self::of(id, story.relay(), |_, _| {})
    }

    /// The votes that it gives with these heights do not hold.
    fn lies(story: &Story, id: DeviceId, heights: &'static [u64]) -> Self {
        Self::of(id, story.relay(), move |_, answer| {
            each_proof(answer, |proof| {
                if heights.contains(&proof.height()) {
                    proof.checkpoint.certificate.votes[0].1.0[5] ^= 1;
                }
            });
        })
    }

    /// It says this when it is asked for headers.
    fn says(story: &Story, id: DeviceId, answer: Option<Answer>) -> Self {
        Self::of(id, story.relay(), move |ask, given| {
            if matches!(ask, Ask::Headers { .. }) {
                *given = answer.clone();
            }
        })
    }
}

fn each_proof(answer: &mut Option<Answer>, alter: impl Fn(&mut Proof)) {
    match answer {
        Some(Answer::Settled(came)) => came.iter_mut().filter_map(|one| one.proof.as_deref_mut()).for_each(alter),
        Some(Answer::Headers { proofs, .. }) => proofs.iter_mut().for_each(alter),
        _ => {}
    }
}

/// All questions are answered, till nothing is asked.
fn talk(reader: &mut Alone, own: DeviceId, givers: &mut [Giver]) {
    for _ in 0..2_000 {
        let Some((to, no, ask)) = (!reader.asks.is_empty()).then(|| reader.asks.remove(0)) else { return };
        let mut answer = None;
        if let Some(giver) = givers.iter_mut().find(|giver| giver.id == to) {
            giver.questions += 1;
            giver.asked += usize::from(matches!(ask, Ask::Headers { from } if (2..=ALL).contains(&from)));
            answer = giver.relay.ask(own, ask.clone());
            (giver.alter)(&ask, &mut answer);
        }
        reader.act(|engine, now| engine.answered(no, answer, now));
    }
    panic!("an endless session");
}

/// An hour passes.
fn pass(reader: &mut Alone, own: DeviceId, givers: &mut [Giver]) {
    let end = reader.now + 3_600_000;
    for _ in 0..2_000 {
        talk(reader, own, givers);
        let Some(due) = reader.engine.due().filter(|due| *due <= end) else {
            reader.now = end;
            return;
        };
        reader.now = reader.now.max(due);
        reader.act(|engine, now| engine.tick(now));
    }
    panic!("it never rests");
}

fn meet(reader: &mut Alone, own: DeviceId, givers: &mut [Giver]) {
    for giver in &*givers {
        reader.act(|engine, now| engine.met(giver.id, now));
    }
    talk(reader, own, givers);
}

/// One who took all from a liar, which is connected, and has not checked the votes.
fn deceived(story: &Story, limits: Limits, heights: &'static [u64]) -> (Alone, Vec<Giver>) {
    let (mut reader, mut givers) = (story.reader(limits), vec![Giver::lies(story, LIAR, heights)]);
    meet(&mut reader, story.reader.device.id(), &mut givers);
    assert_eq!((reader.engine.settlement().height, reader.engine.withheld()), (ALL, ALL - 1));
    (reader, givers)
}

/// The heights that one gives on, asked in both ways.
fn given(story: &Story, alone: &mut Alone) -> [Vec<u64>; 2] {
    let by = story.friends.friend.device.id();
    [Ask::Headers { from: 1 }, Ask::Settled { from: 1, skip: 0, to: 1_000 }].map(|ask| match alone.ask(by, ask) {
        Some(Answer::Headers { proofs, more: false }) => proofs.iter().map(Proof::height).collect(),
        Some(Answer::Settled(came)) => came.iter().map(|one| one.proof.as_ref().unwrap().height()).collect(),
        other => panic!("{other:?}"),
    })
}

/// All is given on, is in the log as it was settled, and brings a third node to the same root.
fn assert_mended(story: &Story, reader: &mut Alone, limits: Limits) {
    for restart in [false, true] {
        if restart {
            reader.engine = reader.reopen_with(limits).unwrap();
            // What is not in memory is read from there.
            reader.carry();
        }
        assert_eq!(reader.engine.withheld(), 0);
        assert_eq!(given(story, reader), [1, 2].map(|_| (1..=ALL).collect::<Vec<u64>>()), "restart: {restart}");
    }
    assert_eq!(reader.records.get("unvoted"), None);
    let items = reader.log.iter().filter_map(|item| match Item::from_bytes(item) {
        Ok(Item::Proof(proof)) => Some(proof),
        _ => None,
    });
    assert!(items.eq(story.proofs.iter().cloned()), "the log is not as it was settled");

    let own = story.friends.friend.device.id();
    let mut third = Alone::reader(&story.friends.circle, &story.friends.friend, eager());
    third.act(|engine, now| engine.connected(story.reader.device.id(), now));
    third.talk_to(reader, own);
    check_all(&mut third);
    let (ours, theirs) = (reader.engine.settlement(), third.engine.settlement());
    assert_eq!((ours.height, ours.header, ours.state_root), (theirs.height, theirs.header, theirs.state_root));
    assert!(theirs.state_root.is_some() && third.engine.refusals().is_empty());
    assert_eq!(given(story, &mut third), given(story, reader));
}

fn assert_withheld_from(story: &Story, reader: &mut Alone, height: u64) {
    assert_eq!(given(story, reader), [1, 2].map(|_| (1..height).collect::<Vec<u64>>()));
}

#[test]
fn votes_that_a_liar_spoiled_are_fetched_from_who_is_connected() {
    let (story, own) = (story(), story_reader());
    let (mut reader, mut givers) = deceived(&story, eager(), &[70]);
    givers.push(Giver::honest(&story, RELAY));
    meet(&mut reader, own, &mut givers);
    pass(&mut reader, own, &mut givers);
    assert!(matches!(reader.engine.refusals(), [(70, Refusal::BadCertificate(_))]), "{:?}", reader.engine.refusals());
    assert_eq!(givers.iter().map(|giver| giver.asked).collect::<Vec<_>>(), [0, 1]);
    assert_mended(&story, &mut reader, eager());
}

#[test]
fn votes_that_a_liar_spoiled_are_fetched_from_who_comes_later() {
    let (story, own) = (story(), story_reader());
    for restart in [false, true] {
        let (mut reader, mut givers) = deceived(&story, eager(), &[2, 70, 99]);
        pass(&mut reader, own, &mut givers);
        if restart {
            reader.engine = reader.reopen().unwrap();
            pass(&mut reader, own, &mut []);
        }
        assert_withheld_from(&story, &mut reader, 2);
        let mut givers = vec![Giver::honest(&story, RELAY)];
        meet(&mut reader, own, &mut givers);
        pass(&mut reader, own, &mut givers);
        assert_eq!(givers[0].asked, 1);
        assert_mended(&story, &mut reader, eager());
    }
}

fn story_reader() -> DeviceId {
    Person::new(30).device.id()
}

#[test]
fn each_bad_height_is_found_and_mended_in_its_turn() {
    let (story, own) = (story(), story_reader());
    let (mut reader, mut givers) = deceived(&story, eager(), &[10, 12, 40, 41, 90]);
    let short = |_: &Ask, answer: &mut Option<Answer>| {
        if let Some(Answer::Headers { proofs, more }) = answer {
            *more |= proofs.len() > 3;
            proofs.truncate(3);
        }
    };
    givers.push(Giver::of(RELAY, story.relay(), short));
    meet(&mut reader, own, &mut givers);
    pass(&mut reader, own, &mut givers);
    assert_eq!(givers.iter().map(|giver| giver.asked).collect::<Vec<_>>(), [0, 3]);
    let refused = reader.engine.refusals().iter().map(|(height, _)| *height);
    assert_eq!(refused.collect::<Vec<_>>(), [10, 40, 90]);
    assert_mended(&story, &mut reader, eager());
}

#[test]
fn votes_of_headers_that_left_the_memory_are_mended_in_the_store() {
    let (story, own) = (story(), story_reader());
    let limits = Limits { window: 20, snapshot_every: 30, ..eager() };
    let (mut reader, mut givers) = deceived(&story, limits, &[7, 20, 95]);
    pass(&mut reader, own, &mut givers);
    assert!(reader.records.contains_key("snapshot"));
    givers.push(Giver::honest(&story, RELAY));
    reader.engine = reader.reopen_with(limits).unwrap();
    assert_withheld_from(&story, &mut reader, 7);
    meet(&mut reader, own, &mut givers[1..]);
    pass(&mut reader, own, &mut givers[1..]);
    assert_mended(&story, &mut reader, limits);
}

#[test]
fn who_has_none_of_it_is_not_asked_again() {
    let (story, own) = (story(), story_reader());
    let (mut reader, mut givers) = deceived(&story, eager(), &[70, 90]);
    // One that is behind, and one that says it is not.
    let mut behind = Story::new().tell(49, 2, 20).relay();
    behind.now = reader.now;
    givers.push(Giver::of(DeviceId([3; 32]), behind, |_, _| {}));
    let nothing = Answer::Headers { proofs: Vec::new(), more: false };
    givers.push(Giver::says(&story, DeviceId([4; 32]), Some(nothing)));
    meet(&mut reader, own, &mut givers);
    for _ in 0..3 {
        pass(&mut reader, own, &mut givers);
        reader.act(|engine, now| engine.sync(DeviceId([4; 32]), now));
    }
    assert_eq!(givers.iter().map(|giver| giver.asked).collect::<Vec<_>>(), [0, 0, 1]);
    assert_withheld_from(&story, &mut reader, 70);
    givers.push(Giver::honest(&story, RELAY));
    meet(&mut reader, own, &mut givers);
    pass(&mut reader, own, &mut givers);
    assert_eq!(givers.iter().map(|giver| giver.asked).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert_mended(&story, &mut reader, eager());
}

#[test]
fn a_liar_alone_is_not_asked_over_and_over() {
    let (story, own) = (story(), story_reader());
    let (mut reader, mut givers) = deceived(&story, eager(), &[70, 90]);
    let before = givers[0].questions;
    for _ in 0..5 {
        pass(&mut reader, own, &mut givers);
        reader.act(|engine, now| engine.sync(LIAR, now));
    }
    assert_eq!(givers[0].asked, 0);
    assert!(givers[0].questions - before < 30, "{} questions", givers[0].questions - before);
    // After a restart it is one like all, once.
    reader.engine = reader.reopen().unwrap();
    for _ in 0..5 {
        meet(&mut reader, own, &mut givers);
        pass(&mut reader, own, &mut givers);
    }
    assert_eq!(givers[0].asked, 1);
    assert_withheld_from(&story, &mut reader, 70);
    let mut givers = vec![Giver::honest(&story, RELAY)];
    meet(&mut reader, own, &mut givers);
    pass(&mut reader, own, &mut givers);
    assert_mended(&story, &mut reader, eager());
}

#[test]
fn who_is_busy_or_silent_is_asked_again_when_it_is_compared_with_and_another_meanwhile() {
    let (story, own) = (story(), story_reader());
    for answer in [None, Some(Answer::No(No::Busy))] {
        let (mut reader, mut givers) = deceived(&story, eager(), &[70]);
        givers.push(Giver::says(&story, DeviceId([3; 32]), answer));
        meet(&mut reader, own, &mut givers);
        pass(&mut reader, own, &mut givers);
        let asked = givers[1].asked;
        assert!((1..4).contains(&asked), "{asked} questions");
        assert_withheld_from(&story, &mut reader, 70);
        for again in 1..4 {
            reader.act(|engine, now| engine.sync(DeviceId([3; 32]), now));
            pass(&mut reader, own, &mut givers);
            assert_eq!(givers[1].asked, asked + again);
        }
        let asked = givers[1].asked;
        givers.push(Giver::honest(&story, RELAY));
        meet(&mut reader, own, &mut givers);
        pass(&mut reader, own, &mut givers);
        assert_eq!(givers.iter().map(|giver| giver.asked).collect::<Vec<_>>(), [0, asked, 1]);
        assert_mended(&story, &mut reader, eager());
    }
}

#[test]
fn who_goes_without_an_answer_is_followed_by_another() {
    let (story, own) = (story(), story_reader());
    let (mut reader, mut givers) = deceived(&story, eager(), &[70]);
    for giver in [Giver::honest(&story, RELAY), Giver::honest(&story, OTHER)] {
        givers.push(giver);
    }
    meet(&mut reader, own, &mut givers);
    let asks_for_votes = |reader: &Alone| {
        let asks = reader.asks.iter().find(|(_, _, ask)| matches!(ask, Ask::Headers { from: 70 }));
        asks.map(|(to, no, _)| (*to, *no))
    };
    let (gone, no) = loop {
        if let Some(asked) = asks_for_votes(&reader) {
            break asked;
        }
        if reader.asks.is_empty() {
            reader.now = reader.engine.due().unwrap().max(reader.now);
            reader.act(|engine, now| engine.tick(now));
        } else {
            let (to, no, ask) = reader.asks.remove(0);
            let answer = givers.iter_mut().find(|giver| giver.id == to).unwrap().relay.ask(own, ask);
            reader.act(|engine, now| engine.answered(no, answer, now));
        }
    };
    reader.asks.retain(|(to, _, _)| *to != gone);
    reader.act(|engine, _| engine.disconnected(gone));
    reader.act(|engine, now| engine.answered(no, None, now));
    pass(&mut reader, own, &mut givers);
    assert_eq!(givers.iter().filter(|giver| giver.asked == 1).count(), 1);
    assert_mended(&story, &mut reader, eager());
}

type Alter = fn(&mut Vec<Proof>);

#[test]
fn what_is_not_the_header_or_does_not_hold_mends_nothing() {
    let (story, own) = (story(), story_reader());
    let alters: [(&str, Alter); 7] = [
        ("the same bad votes", |proofs| proofs[0].checkpoint.certificate.votes[0].1.0[5] ^= 1),
        ("no votes", |proofs| proofs[0].checkpoint.certificate.votes.clear()),
        ("another view", |proofs| proofs[0].checkpoint.certificate.view += 1),
        ("another header", |proofs| drop(proofs.remove(0))),
        ("a changed header", |proofs| proofs[0].checkpoint.header.time += 1),
        ("another cut", |proofs| proofs[0].cut = proofs[1].cut.clone()),
        ("other witnesses", |proofs| {
            let (header, vote) = (&proofs[0].checkpoint.header, proofs[0].checkpoint.certificate.votes[0].0);
            let one = ledgerno_ledger::settle::Witness { device: header.proposer, vote_key: vote, always_on: false };
            proofs[0].witnesses = Some(ledgerno_ledger::settle::Witnesses::new(vec![one], None));
        }),
    ];
    for (what, alter) in alters {
        let (mut reader, mut givers) = deceived(&story, eager(), &[70]);
        let alter = move |ask: &Ask, answer: &mut Option<Answer>| {
            if let (Ask::Headers { .. }, Some(Answer::Headers { proofs, .. })) = (ask, answer) {
                alter(proofs);
            }
        };
        givers.push(Giver::of(DeviceId([3; 32]), story.relay(), alter));
        meet(&mut reader, own, &mut givers);
        let log = reader.log.clone();
        pass(&mut reader, own, &mut givers);
        assert_eq!((givers[1].asked, reader.log == log), (1, true), "{what}");
        assert_withheld_from(&story, &mut reader, 70);
    }
}

#[test]
fn a_relay_mends_too() {
    let story = story();
    let mut keeper = Alone::small_keeper(&story.friends.circle, eager());
    let mut givers = vec![Giver::lies(&story, LIAR, &[70, 90])];
    // A member's, which lets the relay that it chose read; here a relay stands for it.
    givers[0].relay.engine.set_keepers(vec![RELAY]);
    keeper.act(|engine, now| {
        engine.connected(LIAR, now);
        engine.sync(LIAR, now);
    });
    talk(&mut keeper, RELAY, &mut givers);
    assert_eq!(keeper.engine.settlement().height, ALL);
    pass(&mut keeper, RELAY, &mut givers);
    assert_withheld_from(&story, &mut keeper, 70);
    givers.push(Giver::honest(&story, OTHER));
    givers[1].relay.engine.set_keepers(vec![RELAY]);
    meet(&mut keeper, RELAY, &mut givers);
    pass(&mut keeper, RELAY, &mut givers);
    assert_eq!(given(&story, &mut keeper), [1, 2].map(|_| (1..=ALL).collect::<Vec<u64>>()));
}

#[test]
fn a_crash_between_log_and_record_costs_another_question() {
    let (story, own) = (story(), story_reader());
    let (mut reader, mut givers) = deceived(&story, eager(), &[70, 90]);
    pass(&mut reader, own, &mut givers);
    let record = reader.records["unvoted"].clone();
    for crashed in [false, true] {
        if crashed {
            reader.records.insert("unvoted".to_owned(), record.clone());
            reader.engine = reader.reopen().unwrap();
            assert_withheld_from(&story, &mut reader, 70);
        }
        let mut givers = vec![Giver::honest(&story, if crashed { OTHER } else { RELAY })];
        meet(&mut reader, own, &mut givers);
        pass(&mut reader, own, &mut givers);
        assert_eq!(givers[0].asked, 1);
        assert_mended(&story, &mut reader, eager());
    }
}

#[test]
fn what_an_older_version_gave_up_is_mended() {
    let (story, own) = (story(), story_reader());
    let (mut reader, mut givers) = deceived(&story, eager(), &[70, 90]);
    pass(&mut reader, own, &mut givers);
    // It did not keep which above that it had not checked.
    reader.records.insert("unvoted".to_owned(), codec::encode(&(Vec::<(u64, u64, DeviceId)>::new(), Some(70_u64))));
    reader.engine = reader.reopen().unwrap();
    assert_withheld_from(&story, &mut reader, 70);
    let mut givers = vec![Giver::honest(&story, RELAY)];
    meet(&mut reader, own, &mut givers);
    pass(&mut reader, own, &mut givers);
    assert_mended(&story, &mut reader, eager());
}

/// What the relay of a world holds, for others who keep it.
struct Kept {
    circle: Circle,
    log: Vec<Vec<u8>>,
    end: u64,
    now: u64,
}

impl Kept {
    fn by_relay(world: &World) -> Self {
        let relay = world.engine(RELAY);
        let (circle, end) = (Circle { genesis: relay.genesis().clone(), ..Circle::new(1) }, relay.settlement().height);
        Kept { circle, log: world.hosts[&RELAY].disk.log.clone(), end, now: world.now }
    }

    fn keeper(&self, log: &[Vec<u8>]) -> Alone {
        let mut keeper = Alone::small_keeper(&self.circle, eager());
        keeper.log = log.to_vec();
        keeper.engine = keeper.reopen_with(eager()).unwrap();
        keeper.engine.set_keepers(vec![RELAY]);
        keeper.now = self.now;
        keeper
    }
}

/// A keeper takes all from the first.
fn begin(reader: &mut Alone, givers: &mut [Giver]) {
    let first = givers[0].id;
    reader.act(|engine, now| engine.connected(first, now));
    reader.act(|engine, now| engine.sync(first, now));
    talk(reader, RELAY, givers);
}

/// Who leaves the renewal out of an answer takes it out of nobody's log.
#[test]
fn a_header_that_a_renewal_settled_stays_what_it_is() {
    let mut world = World::new(40);
    let old = world.found("Anna");
    world.link(old, RELAY);
    let (token, _) = world.invite(old, 10, START + WEEK);
    let ben = world.join("Ben", &token);
    for at in 0..5 {
        world.post(ben, &at.to_string());
        world.pass(5_000);
    }
    let renewed = world.engine(RELAY).settlement().height + 1;
    world.unlink(old, RELAY);
    let new = world.further(old);
    world.pass(60_000);
    world.act(new, |engine, now| engine.renew(now)).unwrap();
    world.pass(5_000);
    for at in 0..5 {
        world.post(ben, &at.to_string());
        world.pass(5_000);
    }
    let kept = Kept::by_relay(&world);
    let of = |log: &[Vec<u8>]| {
        let proofs = log.iter().filter_map(|item| match Item::from_bytes(item) {
            Ok(Item::Proof(proof)) => Some(proof),
            _ => None,
        });
        proofs.collect::<Vec<Proof>>()
    };
    let brings = |proof: &Proof| proof.renewal.is_some();
    assert_eq!(of(&kept.log).iter().position(brings), Some(renewed as usize - 1));
    let lies = |_: &Ask, answer: &mut Option<Answer>| {
        each_proof(answer, |proof| {
            if proof.height() == 2 {
                proof.checkpoint.certificate.votes[0].1.0[5] ^= 1;
            }
        });
    };
    let strips = |ask: &Ask, answer: &mut Option<Answer>| {
        if matches!(ask, Ask::Headers { .. }) {
            each_proof(answer, |proof| proof.renewal = None);
        }
    };
    let mut givers =
        vec![Giver::of(LIAR, kept.keeper(&kept.log), lies), Giver::of(OTHER, kept.keeper(&kept.log), strips)];
    let mut reader = kept.keeper(&[]);
    begin(&mut reader, &mut givers);
    assert_eq!(reader.engine.settlement().height, kept.end);
    meet(&mut reader, RELAY, &mut givers);
    pass(&mut reader, RELAY, &mut givers);
    assert_eq!((givers[1].asked, reader.records.get("unvoted")), (1, None));
    assert_eq!(of(&reader.log), of(&kept.log));
    assert!(reader.reopen().is_ok());
}

/// Of more votes than a quorum as many are kept as take no more room than those that they replace.
#[test]
fn votes_of_several_witnesses_are_mended_whoever_of_them_voted() {
    let mut four = Four::elected(5, 4);
    for at in 0..12 {
        let post = four.post(at % 4, &at.to_string());
        four.all_settle(post, 120_000);
    }
    let secrets: Vec<VoteSecret> =
        four.all.iter().map(|id| four.world.engine(*id).vote_secret().unwrap().clone()).collect();
    let kept = Kept::by_relay(&four.world);
    let (end, keeper) = (kept.end, |log: &[Vec<u8>]| kept.keeper(log));
    let log = &kept.log;
    let id = kept.circle.genesis.id();
    let all_vote = move |_: &Ask, answer: &mut Option<Answer>| {
        each_proof(answer, |proof| {
            let Checkpoint { header, certificate } = &mut proof.checkpoint;
            if certificate.votes.len() > 1 {
                let vote = Certificate::vote(id, header.height, certificate.view, header.hash());
                certificate.votes = secrets.iter().map(|secret| (secret.key(), vote.sign(secret))).collect();
                certificate.votes.sort_unstable_by_key(|(key, _)| *key);
            }
        });
    };
    let lies = move |_: &Ask, answer: &mut Option<Answer>| {
        each_proof(answer, |proof| {
            if [2, end - 6, end - 3].contains(&proof.height()) {
                proof.checkpoint.certificate.votes.last_mut().unwrap().1.0[5] ^= 1;
            }
        });
    };
    let mut givers = vec![Giver::of(LIAR, keeper(log), lies), Giver::of(OTHER, keeper(log), all_vote)];
    let mut reader = keeper(&[]);
    begin(&mut reader, &mut givers);
    let heights = |alone: &mut Alone| match alone.ask(RELAY, Ask::Headers { from: 1 }) {
        Some(Answer::Headers { proofs, .. }) => proofs.iter().map(Proof::height).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!((reader.engine.settlement().height, reader.engine.withheld()), (end, end - 1));
    pass(&mut reader, RELAY, &mut givers);
    assert_eq!(heights(&mut reader), [1]);
    meet(&mut reader, RELAY, &mut givers);
    pass(&mut reader, RELAY, &mut givers);
    // Where others vote next one stops.
    assert_eq!(givers.iter().map(|giver| giver.asked).collect::<Vec<_>>(), [0, 2]);
    for _ in 0..2 {
        assert_eq!(heights(&mut reader), (1..=end).collect::<Vec<_>>());
        reader.engine = reader.reopen().unwrap();
        reader.engine.set_keepers(vec![RELAY]);
    }
    let mut third = keeper(&[]);
    third.act(|engine, now| engine.connected(OTHER, now));
    third.act(|engine, now| engine.sync(OTHER, now));
    third.talk_to(&mut reader, RELAY);
    check_all(&mut third);
    assert_eq!((heights(&mut third), third.engine.refusals()), ((1..=end).collect(), &[][..]));
}
