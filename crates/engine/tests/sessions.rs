//! Sessions with liars: they rest, they are bounded, and what is right arrives all the same.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/alone.rs"]
mod alone;

use alone::{Alone, Friends, LIAR, NOW, fork, knows, twin_before, twin_of};
use ledgerno_engine::status::Status;
use ledgerno_engine::wire::{Answer, Ask, MAX_ASK, MAX_GOSSIP, No, Place, Topic};
use ledgerno_engine::{Engine, Item, store};
use ledgerno_ledger::bytes::DeviceId;
use ledgerno_ledger::entry::{Head, Invite};
use ledgerno_ledger::hostile::{Circle, Person};

/// Lets an engine ask a liar until it rests, and then its clock until it wants no more; how many questions it asked.
fn besieged(alone: &mut Alone, mut lie: impl FnMut(&Ask, u64) -> Option<Answer>) -> usize {
    let mut asked = 0;
    loop {
        while !alone.asks.is_empty() {
            let (_, no, ask) = alone.asks.remove(0);
            asked += 1;
            assert!(asked < 2_000, "an endless session");
            let answer = lie(&ask, asked as u64);
            alone.act(|engine, now| engine.answered(no, answer, now));
        }
        match alone.engine.due() {
            // An hour is enough to see whether it ever rests.
            Some(due) if due < NOW + 3_600_000 => {
                alone.now = due;
                alone.act(Engine::tick);
            }
            _ => return asked,
        }
    }
}

#[test]
fn no_liar_keeps_a_session_going() {
    let mut friends = Friends::new();
    friends.post("one");
    let missing = friends.founders_post("never sent");
    let proof = friends.witness().settle();
    friends.entries.retain(|packed| *packed != missing);
    let device = friends.friend.device.id();
    let differ = |height| Answer::Differ { height, bits: 0, buckets: vec![7] };
    let place = |device, seq, tag| Place { device, seq, tag };
    type Lie = Box<dyn FnMut(&Ask, u64) -> Option<Answer>>;
    let held = |ask: &Ask| match ask {
        Ask::Give { entries, .. } => Some(Answer::Held { entries: entries.len() as u32, refused: 0, height: 0 }),
        Ask::Ranges(_) | Ask::Entries(_) => Some(Answer::Entries { entries: vec![], more: true }),
        Ask::Branches { .. } => Some(Answer::Branches(vec![])),
        _ => Some(Answer::Headers { proofs: vec![], more: true }),
    };
    let lies: Vec<(&str, Lie)> = vec![
        (
            "holds nothing and takes everything",
            Box::new(move |ask, _| match ask {
                Ask::Frontier { .. } => Some(differ(0)),
                Ask::Devices { .. } => Some(Answer::Devices(vec![])),
                ask => held(ask),
            }),
        ),
        (
            "holds more and gives nothing",
            Box::new(move |ask, n| match ask {
                Ask::Frontier { .. } => Some(differ(u64::MAX)),
                Ask::Devices { .. } => Some(Answer::Devices(vec![place(device, u64::MAX, n), place(LIAR, n, n)])),
                ask => held(ask),
            }),
        ),
        (
            "has other branches",
            Box::new(move |ask, n| match ask {
                Ask::Frontier { .. } => Some(differ(0)),
                Ask::Devices { .. } => Some(Answer::Devices(vec![place(device, 1, n)])),
                Ask::Branches { .. } => Some(Answer::Branches(vec![ledgerno_ledger::bytes::EntryId([n as u8; 32])])),
                ask => held(ask),
            }),
        ),
        (
            "gives a header without its entries",
            Box::new(move |ask, _| match ask {
                Ask::Frontier { .. } => Some(Answer::Same { height: 1 }),
                Ask::Headers { .. } => Some(Answer::Headers { proofs: vec![proof.clone()], more: true }),
                ask => held(ask),
            }),
        ),
        (
            "is ahead without end",
            Box::new(move |ask, _| match ask {
                Ask::Frontier { .. } => Some(Answer::Same { height: u64::MAX }),
                ask => held(ask),
            }),
        ),
        ("answers something else", Box::new(|_, _| Some(Answer::Kept))),
        (
            "lets in and does not",
            Box::new(|ask, _| match ask {
                Ask::Frontier { .. } => Some(Answer::No(No::NotAdmitted)),
                _ => Some(Answer::Kept),
            }),
        ),
        ("says nothing", Box::new(|_, _| None)),
    ];
    for (name, lie) in lies {
        let mut ben = Alone::member(&friends.circle, &Person::new(70));
        friends.feed(&mut ben);
        ben.act(|engine, now| engine.connected(LIAR, now));
        let asked = besieged(&mut ben, lie);
        assert!(asked < 500, "{name}: {asked} questions within an hour");
        // And a friend still syncs.
        let mut relay = Alone::keeper(&friends.circle);
        friends.feed(&mut relay);
        let more = friends.post(name);
        relay.gossip(&more);
        ben.asks.clear();
        ben.act(|engine, now| engine.connected(device, now));
        let calls = ben.asks.len();
        assert!(calls > 0, "{name}");
        // The friend's engine does not know this device; it is asked in the name of one that it knows.
        ben.talk_to(&mut relay, device);
        assert!(knows(&ben, &friends, &more), "{name}");
        friends.entries.pop();
        friends.friend = twin_before(&friends);
    }
}

#[test]
fn what_a_relay_refuses_does_not_hide_that_the_rest_arrived() {
    let mut circle = Circle::new(7);
    let mut anna = Alone::founder(&circle);
    anna.act(|engine, _| engine.present(None)).unwrap();
    anna.act(|engine, now| engine.enter(Some("Anna"), now)).unwrap();
    let device = circle.founder.device.id();
    // Of a forked device, the two hold other branches.
    let mut relay = Alone::keeper(&circle);
    let mut ben = Person::new(40);
    let (secret, invite) = {
        let secret = ledgerno_ledger::keys::InviteSecret::from_secret([5; 32]);
        let invite = Invite::issue(circle.id, &secret, &circle.founder.device, 10, 1_000_000);
        (secret, invite)
    };
    let join = circle.join(&mut ben, &secret, invite);
    circle.founder.name.clear();
    for packed in anna
        .published
        .iter()
        .filter(|(topic, _)| *topic == Topic::Entries)
        .map(|(_, bytes)| bytes.clone())
        .collect::<Vec<_>>()
    {
        relay.act(|engine, now| engine.gossip(Topic::Entries, LIAR, &packed, now));
    }
    for node in [&mut anna, &mut relay] {
        node.gossip(&join);
    }
    for n in 0..20 {
        let (branch, _) = fork(&circle, &ben, &n.to_string());
        if n < 10 { anna.gossip(&branch) } else { relay.gossip(&branch) }
    }
    let post = anna.act(|engine, now| engine.post("did it arrive?", now)).unwrap();
    anna.asks.clear();
    anna.act(|engine, now| engine.connected(LIAR, now));
    anna.talk_to(&mut relay, device);
    assert!(anna.engine.status(&post.id).unwrap() >= Status::Sent);
    assert!(relay.engine.status(&post.id).is_some());
}

/// A relay asks nothing: whoever asks it finds out that it is behind on another branch.
#[test]
fn branches_of_a_fork_come_to_either_side_whichever_is_longer() {
    for (ours, theirs) in [(1, 1), (1, 3), (3, 1)] {
        let mut friends = Friends::new();
        let (mut anna, mut relay) = (Alone::founder(&friends.circle), Alone::keeper(&friends.circle));
        friends.feed(&mut anna);
        friends.feed(&mut relay);
        let mut twin = twin_of(&friends.friend);
        let mut all: Vec<_> = (0..ours).map(|n| friends.post(&format!("ours {n}"))).collect();
        all.iter().for_each(|packed| anna.gossip(packed));
        for n in 0..theirs {
            all.push(friends.circle.post(&mut twin, &[], &format!("theirs {n}")));
            relay.gossip(&all[all.len() - 1]);
        }
        anna.act(|engine, now| engine.connected(LIAR, now));
        anna.talk_to(&mut relay, friends.circle.founder.device.id());
        for (at, packed) in all.iter().enumerate() {
            assert!(knows(&anna, &friends, packed) && knows(&relay, &friends, packed), "{ours} and {theirs}: {at}");
        }
    }
}

#[test]
fn a_branch_that_nobody_builds_on_does_not_spin_the_witness() {
    let mut friends = Friends::new();
    let mut anna = Alone::founder(&friends.circle);
    friends.feed(&mut anna);
    let mut twin = twin_of(&friends.friend);
    friends.post("settled");
    anna.gossip(friends.entries.last().unwrap());
    besieged(&mut anna, |_, _| None);
    let settled = anna.engine.settlement();
    assert_eq!((settled.unsettled, settled.height), (0, 1));
    // The twin's branch parts below what is settled and goes on above it.
    for n in 0..3 {
        anna.gossip(&friends.circle.post(&mut twin, &[], &n.to_string()));
    }
    let mut rings = 0;
    while let Some(due) = anna.engine.due().filter(|due| *due < NOW + 3_600_000) {
        anna.now = due;
        anna.act(Engine::tick);
        rings += 1;
        assert!(rings < 100, "the timer spins");
    }
}

#[test]
fn an_answer_to_the_engine_before_is_not_taken_for_ones_own() {
    let friends = Friends::new();
    let mut first = Alone::founder(&friends.circle);
    friends.feed(&mut first);
    first.act(|engine, now| engine.connected(LIAR, now));
    let (_, no, _) = first.asks.remove(0);
    // The store failed, and the node opened its engine anew.
    first.engine = first.reopen().unwrap();
    first.act(|engine, now| engine.connected(LIAR, now));
    assert_ne!(first.asks[0].1, no);
    first.act(|engine, now| engine.answered(no, Some(Answer::Same { height: 0 }), now));
    let own = friends.id(&friends.entries[0]);
    assert_eq!(first.engine.status(&own), Some(Status::Here));
}

#[test]
fn a_header_over_many_devices_fits_the_log_and_no_gossip_is_too_long() {
    let friends = Friends::new();
    let proof = {
        let mut proof = friends.witness().settle();
        let head = |n: u16| {
            let mut device = [0xff; 32];
            device[..2].copy_from_slice(&n.to_be_bytes());
            Head { device: DeviceId(device), seq: u64::MAX, id: ledgerno_ledger::bytes::EntryId(device) }
        };
        proof.cut = (0..ledgerno_ledger::dag::MAX_CUT as u16).map(head).collect();
        proof
    };
    let item = Item::Proof(proof.clone());
    assert!(item.to_bytes().len() <= store::MAX_ITEM);
    assert_eq!(Item::from_bytes(&item.to_bytes()), Ok(item));
    assert!(Ask::Give { entries: vec![], proofs: vec![proof] }.to_bytes(friends.circle.id).len() <= MAX_ASK);
}

#[test]
fn no_gossip_is_over_its_bound() {
    let mut friends = Friends::new();
    friends.circle.genesis.rules.unsettled_joins = 2_000;
    friends.circle.id = friends.circle.genesis.id();
    let mut circle = Circle::new(7);
    circle.genesis = friends.circle.genesis.clone();
    circle.id = circle.genesis.id();
    circle.keys.epoch = circle.id.into();
    let join = circle.founders_join();
    let (secret, invite, given) = circle.invite(8);
    let mut anna = Alone::founder(&circle);
    anna.gossip(&join);
    anna.gossip(&given);
    for n in 0..1_300 {
        anna.gossip(&circle.join(&mut Person::new(10_000 + n), &secret, invite));
    }
    besieged(&mut anna, |_, _| None);
    assert_eq!(anna.engine.settlement().unsettled, 0);
    assert!(anna.published.iter().all(|(_, bytes)| bytes.len() <= MAX_GOSSIP));
    let sizes = anna.log.iter().map(Vec::len).max().unwrap();
    assert!(sizes > 60 * 1024 && sizes <= MAX_GOSSIP, "{sizes}");
}

#[test]
fn a_disk_that_is_never_idle_does_not_keep_a_session_from_asking() {
    let mut friends = Friends::new();
    for n in 0..50 {
        friends.post(&n.to_string());
    }
    let mut ben = Alone::member(&friends.circle, &Person::new(70));
    let mut writes = std::collections::VecDeque::new();
    let mut asked = 0;
    for (n, packed) in friends.entries.iter().enumerate() {
        let bytes = ledgerno_ledger::codec::encode(packed);
        ben.engine.gossip(Topic::Entries, LIAR, &bytes, NOW);
        if n == 3 {
            ben.engine.connected(LIAR, NOW);
        }
        // One write more than is done: something is always on its way.
        if n > 0 {
            let no = writes.pop_front().unwrap();
            ben.engine.written(no, NOW);
        }
        while let Some(output) = ben.engine.output() {
            match output {
                ledgerno_engine::Output::Write { no, .. } => writes.push_back(no),
                ledgerno_engine::Output::Ask { .. } => asked += 1,
                _ => {}
            }
        }
    }
    assert!(!writes.is_empty());
    assert_eq!(asked, 1);
}
