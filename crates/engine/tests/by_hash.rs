//! Settled history taken in by hash: it ends where the ordinary way ends, and whatever is spoiled on the way is refused.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/alone.rs"]
mod alone;
mod common;
#[path = "common/story.rs"]
mod story;

use alone::{Alone, alter, unpacked};
use common::{RELAY, START, WEEK, World};
use ledgerno_engine::wire::{Answer, Ask, Settled};
use ledgerno_engine::{Event, Limits};
use ledgerno_ledger::bytes::{DeviceId, EntryId};
use ledgerno_ledger::check::check;
use ledgerno_ledger::entry::Invite;
use ledgerno_ledger::hostile::Person;
use ledgerno_ledger::keys::InviteSecret;
use ledgerno_ledger::op::Operation;
use std::collections::BTreeSet;
use story::{Story, assert_same, check_all, digest, eager, ordinary, spoil_votes};

#[test]
fn what_comes_by_hash_is_what_comes_in_the_ordinary_way() {
    let story = Story::new().tell(40, 9, 20);
    let mut relay = story.relay();
    let (mut quick, mut slow) = (story.reader(eager()), story.reader(ordinary()));
    let asked = story.read(&mut quick, &mut relay);
    story.read(&mut slow, &mut relay);
    assert!(asked < 25, "{asked} questions");
    assert_eq!((quick.engine.unchecked(), slow.engine.unchecked()), (364, 0));
    assert_eq!(quick.engine.settlement().height, story.height());
    assert!(quick.engine.settlement().state_root.is_some());
    assert_same(&story, &mut quick, &mut slow);
    check_all(&mut quick);
    assert_same(&story, &mut quick, &mut slow);
    assert_eq!(quick.engine.forgeries(), []);
    quick.engine = quick.reopen().unwrap();
    slow.engine = slow.reopen().unwrap();
    assert_same(&story, &mut quick, &mut slow);
    assert_eq!(quick.engine.unchecked(), 0);

    // A relay, which reads nothing and so folds nothing, fetches it from the member.
    let mut keeper = Alone::small_keeper(&story.friends.circle, eager());
    let member = story.reader.device.id();
    keeper.act(|engine, now| {
        engine.connected(member, now);
        engine.sync(member, now);
    });
    quick.engine.set_keepers(vec![RELAY]);
    keeper.talk_to(&mut quick, RELAY);
    assert_eq!((keeper.engine.unchecked(), keeper.engine.settlement().height), (364, story.height()));
    check_all(&mut keeper);
    assert_eq!(digest(&mut keeper, member), digest(&mut relay, member));
}

/// In settled order a newcomer may stand before who let it in.
#[test]
fn many_who_came_at_once_are_let_in_in_their_order() {
    let mut story = Story::new();
    for seed in 100..120 {
        let (secret, invite, given) = story.friends.circle.invite(seed);
        let mut friend = Person::new(seed);
        let mut entries = vec![given, story.friends.circle.join(&mut friend, &secret, invite)];
        // And whom they let in, with a further device of theirs.
        let secret = InviteSecret::from_secret([seed as u8; 32]);
        let invite = Invite::issue(story.friends.circle.id, &secret, &friend.device, 2, 1_000_000);
        let mut other = Person::new(1_000 + seed);
        entries.push(story.friends.circle.operate(&mut friend, &[], &Operation::Invite(invite)));
        entries.push(story.friends.circle.join(&mut other, &secret, invite));
        entries.push(story.friends.circle.enrol(&mut other.with_new_device()));
        for packed in entries {
            story.witness.dag.insert(check(story.friends.circle.id, packed.clone()).unwrap()).unwrap();
            story.friends.entries.push(packed);
        }
    }
    story.proofs.push(story.witness.settle());
    let story = story.tell(2, 3, 20);
    let (mut relay, mut quick, mut slow) = (story.relay(), story.reader(eager()), story.reader(ordinary()));
    story.read(&mut quick, &mut relay);
    story.read(&mut slow, &mut relay);
    assert_eq!((quick.engine.settlement().height, quick.engine.unchecked()), (4, 110));
    check_all(&mut quick);
    assert_same(&story, &mut quick, &mut slow);
    quick.engine = quick.reopen().unwrap();
    assert_same(&story, &mut quick, &mut slow);
}

#[test]
fn old_talk_passes_and_is_read_back_where_it_is_asked_for() {
    let story = Story::new().tell(60, 9, 20);
    let short = Limits { window: 40, ..eager() };
    let (mut relay, mut quick, mut slow) = (story.relay(), story.reader(short), story.reader(ordinary()));
    story.read(&mut quick, &mut relay);
    story.read(&mut slow, &mut relay);
    let all = slow.engine.timeline(10_000).len();
    let here = quick.engine.timeline(10_000).len();
    assert!(all > 500 && here < 100, "{here} entries of {all} are in memory");
    let by = story.friends.friend.device.id();
    let same = |one: &mut Alone, other: &mut Alone| {
        assert_eq!(one.engine.settlement(), other.engine.settlement());
        assert_eq!(digest(one, by), digest(other, by));
        // Who has seen what passed is not counted.
        let told = |alone: &mut Alone| {
            (0..20).for_each(|_| alone.act(|engine, _| engine.look_back()));
            let shown = alone.engine.timeline(10_000).into_iter();
            shown.map(|one| (one.id, one.status, one.height, one.content)).collect::<Vec<_>>()
        };
        assert_eq!(told(one), told(other));
    };
    check_all(&mut quick);
    assert_eq!((quick.engine.unchecked(), quick.engine.forgeries().len()), (0, 0));
    same(&mut quick, &mut slow);
    quick.engine = quick.reopen_with(short).unwrap();
    same(&mut quick, &mut slow);
    // What comes later stands on what passed.
    let story = story.tell(3, 9, 20);
    let mut relay = story.relay();
    for reader in [&mut quick, &mut slow] {
        reader.now += 70_000;
        story.read(reader, &mut relay);
    }
    assert_eq!(quick.engine.settlement().height, story.height());
    same(&mut quick, &mut slow);
}

#[test]
fn a_device_that_lost_its_store_is_told_of_all_that_it_wrote_though_it_passes() {
    let story = Story::new().tell(60, 9, 20);
    let twins = |limits: Limits| {
        let mut again = Alone::reader(&story.friends.circle, &story.friends.friend, limits);
        story.read(&mut again, &mut story.relay());
        assert_eq!(again.engine.settlement().height, story.height());
        let told =
            again.events.iter().filter_map(|event| if let Event::Twin { id } = event { Some(*id) } else { None });
        told.collect::<BTreeSet<EntryId>>()
    };
    let (quick, slow) = (twins(Limits { window: 40, ..eager() }), twins(ordinary()));
    assert!(slow.len() > 50, "{} entries are the friend's", slow.len());
    assert_eq!(quick, slow);
}

#[test]
fn a_height_longer_than_an_answer_comes_in_parts() {
    let story = Story::new().tell(2, 120, 30_000).tell(3, 2, 10);
    let (mut relay, mut reader) = (story.relay(), story.reader(eager()));
    story.read(&mut reader, &mut relay);
    assert_eq!((reader.engine.settlement().height, reader.engine.unchecked()), (story.height(), 250));
    check_all(&mut reader);
    assert_eq!(reader.engine.forgeries(), []);
}

/// What a peer makes of an honest answer.
type Spoil = fn(&mut Vec<Settled>);

#[test]
fn what_is_spoiled_on_the_way_is_refused_and_fetched_in_the_ordinary_way() {
    let spoils: [(&str, Spoil); 10] = [
        ("another entry", |came| came[1].entries[0] = came[2].entries[0].clone()),
        ("a missing entry", |came| drop(came[1].entries.remove(2))),
        ("an entry too many", |came| {
            let more = came[2].entries[0].clone();
            came[1].entries.push(more);
        }),
        ("two entries swapped", |came| came[1].entries.swap(0, 1)),
        ("two bodies swapped", |came| {
            let [one, other] = [0, 1].map(|at| unpacked(&came[1].entries[at]).body);
            alter(&mut came[1].entries[0], |packed| packed.body = other);
            alter(&mut came[1].entries[1], |packed| packed.body = one);
        }),
        ("a body left out", |came| alter(&mut came[1].entries[0], |packed| packed.body = None)),
        ("the last vote spoiled", |came| spoil_votes(came.last_mut().unwrap())),
        ("a vote left out", |came| came[1].proof.as_mut().unwrap().checkpoint.certificate.votes.clear()),
        ("another cut", |came| came[1].proof.as_mut().unwrap().cut.clear()),
        ("a height left out", |came| drop(came.remove(1))),
    ];
    let story = Story::new().tell(6, 5, 20);
    for (what, spoil) in spoils {
        let (mut relay, mut reader) = (story.relay(), story.reader(eager()));
        reader.act(|engine, now| engine.connected(RELAY, now));
        let own = story.reader.device.id();
        let mut heights = 0;
        while !reader.asks.is_empty() {
            let (_, no, ask) = reader.asks.remove(0);
            let mut answer = relay.ask(own, ask);
            let before = reader.held();
            if let Some(Answer::Settled(came)) = &mut answer {
                heights += 1;
                // Heights are taken whole, up to the one that is wrong.
                let (lot, right) = (came.len(), if what == "the last vote spoiled" { came.len() - 1 } else { 1 });
                let right: usize = came[..right].iter().map(|one| one.entries.len()).sum();
                spoil(came);
                reader.act(|engine, now| engine.answered(no, answer, now));
                let taken = reader.held() - before;
                assert!(taken == 0 || taken == right, "{what}: {taken} entries were taken of {lot} heights");
                continue;
            }
            reader.act(|engine, now| engine.answered(no, answer, now));
        }
        assert!(heights > 0, "{what}: nothing was asked for by hash");
        // The pause after a failure.
        for _ in 0..5 {
            reader.now += 70_000;
            reader.act(|engine, now| engine.tick(now));
            reader.talk_to(&mut relay, own);
        }
        assert_eq!(reader.engine.settlement().height, story.height(), "{what}");
        let mut slow = story.reader(ordinary());
        story.read(&mut slow, &mut relay);
        check_all(&mut reader);
        assert_same(&story, &mut reader, &mut slow);
    }
}

/// What each of several peers does when it is asked.
#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Honest,
    Lies,
    Silent,
}

fn read_from_many(story: &Story, peers: &[Peer]) -> (Alone, Vec<usize>) {
    let mut reader = story.reader(eager());
    let mut relays: Vec<Alone> = peers.iter().map(|_| story.relay()).collect();
    let (own, name) = (story.reader.device.id(), |at: usize| DeviceId([200 + at as u8; 32]));
    let mut asked = vec![0; peers.len()];
    for at in 0..peers.len() {
        reader.act(|engine, now| engine.connected(name(at), now));
    }
    for round in 0..10_000 {
        if reader.asks.is_empty() {
            if reader.engine.settlement().height == story.height() && reader.engine.unchecked() == 0 {
                return (reader, asked);
            }
            reader.now = reader.engine.due().expect("it waits for nothing").max(reader.now);
            reader.act(|engine, now| engine.tick(now));
            continue;
        }
        // The newest question first, every third time: answers come in any order.
        let (to, no, ask) = if round % 3 == 0 { reader.asks.pop().unwrap() } else { reader.asks.remove(0) };
        let at = (0..peers.len()).find(|at| name(*at) == to).unwrap();
        let mut answer = relays[at].ask(own, ask);
        if let Some(Answer::Settled(came)) = &mut answer {
            asked[at] += 1;
            match peers[at] {
                Peer::Honest => {}
                Peer::Lies => came.iter_mut().for_each(|one| one.entries.reverse()),
                Peer::Silent => answer = None,
            }
        }
        reader.act(|engine, now| engine.answered(no, answer, now));
    }
    panic!("it never ends");
}

#[test]
fn several_peers_share_the_work_and_who_lies_or_is_silent_loses_its_part() {
    let story = Story::new().tell(120, 3, 20);
    let mut slow = story.reader(ordinary());
    story.read(&mut slow, &mut story.relay());
    use Peer::{Honest, Lies, Silent};
    for peers in [[Honest; 3], [Lies, Honest, Honest], [Honest, Silent, Lies], [Lies, Silent, Lies], [Silent; 3]] {
        let (mut reader, asked) = read_from_many(&story, &peers);
        assert!(asked.iter().all(|asked| *asked > 0), "{asked:?}");
        for (peer, asked) in peers.iter().zip(&asked) {
            // A lie is seen once what is below it is settled: till then its teller is asked on.
            let most = [usize::MAX, 4, 1][*peer as usize];
            assert!(*asked <= most, "{asked} questions to one who does not answer well");
        }
        assert_same(&story, &mut reader, &mut slow);
        assert_eq!(reader.engine.load().questions, 0);
    }
}

#[test]
fn who_is_gone_leaves_its_part_to_the_others() {
    let story = Story::new().tell(60, 3, 20);
    let (mut relay, mut reader) = (story.relay(), story.reader(eager()));
    let other = DeviceId([201; 32]);
    reader.act(|engine, now| engine.connected(RELAY, now));
    reader.act(|engine, now| engine.connected(other, now));
    let is_out =
        |reader: &Alone, peer| reader.asks.iter().any(|(to, _, ask)| *to == peer && matches!(ask, Ask::Settled { .. }));
    while !(is_out(&reader, RELAY) && is_out(&reader, other)) {
        let at = reader.asks.iter().position(|(_, _, ask)| !matches!(ask, Ask::Settled { .. })).unwrap();
        let (_, no, ask) = reader.asks.remove(at);
        let answer = relay.ask(story.reader.device.id(), ask);
        reader.act(|engine, now| engine.answered(no, answer, now));
    }
    let at = reader.asks.iter().position(|(to, _, _)| *to == RELAY).unwrap();
    let (_, no, _) = reader.asks.remove(at);
    reader.act(|engine, _| engine.disconnected(RELAY));
    reader.act(|engine, now| engine.answered(no, None, now));
    for _ in 0..5 {
        reader.talk_to(&mut relay, story.reader.device.id());
        reader.act(|engine, now| engine.tick(now));
    }
    assert_eq!(reader.engine.settlement().height, story.height());
}

/// With snapshots on both sides: what is served is read back, and so is what is checked.
#[test]
fn engines_that_forget_give_and_take_by_hash() {
    let mut world = World::new(11);
    let anna = world.found("Anna");
    world.link(anna, RELAY);
    let (token, _) = world.invite(anna, 5, START + WEEK);
    let ben = world.join("Ben", &token);
    for at in 0..120 {
        world.post(if at % 3 == 0 { ben } else { anna }, &format!("post {at}"));
        if at % 4 == 0 {
            world.pass(200);
        }
    }
    world.pass(1_000);
    let carl = world.join("Carl", &token);
    let unchecked = world.engine(carl).unchecked();
    assert!(unchecked > 100, "{unchecked} entries came by hash");
    world.crash(carl);
    assert_eq!(world.engine(carl).unchecked(), unchecked);
    world.link(carl, RELAY);
    world.pass(2_000);
    assert_eq!(world.engine(carl).unchecked(), 0);
    assert_eq!(world.texts(carl), world.texts(anna));
    assert_eq!(world.engine(carl).settlement(), world.engine(anna).settlement());
}
