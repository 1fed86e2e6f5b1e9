//! Stories of liars: what is wrong is refused with a clear word, harms nothing that is right, and costs a bounded amount.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/alone.rs"]
mod alone;

use alone::{Alone, Friends, LIAR, NOW, fork, knows};
use ledgerno_engine::wire::{Answer, Ask, MAX_ANSWER, MAX_ASK, No, Range};
use ledgerno_engine::{Event, Limits};
use ledgerno_ledger::bytes::{Hash, HeaderHash, Signature};
use ledgerno_ledger::entry::{Head, Invite, Packed};
use ledgerno_ledger::epoch::{Handout, Marks, NewEpoch};
use ledgerno_ledger::hostile::{Circle, Person};
use ledgerno_ledger::op::Operation;
use ledgerno_ledger::seal::{LaneKey, LaneKeys};
use ledgerno_ledger::settle::{CertificateError, Refusal, Root};

#[test]
fn wrong_entries_are_refused_and_the_right_one_still_comes() {
    let mut friends = Friends::new();
    let mut relay = Alone::keeper(&friends.circle);
    friends.feed(&mut relay);
    let held = relay.held();
    let good = friends.post("good");

    let mut forged = good.clone();
    forged.signed.signature = Signature([3; 64]);
    let mut edited = good.clone();
    edited.signed.entry.time += 1;
    let mut other_body = good.clone();
    other_body.body.as_mut().unwrap()[40] ^= 1;
    let stranger = {
        let mut stranger = Person::new(50);
        stranger.seq = 1;
        stranger.head = friends.friend.head;
        friends.circle.post(&mut stranger, &[], "let me in")
    };
    let mut uninvited = Person::new(51);
    let unadmitted = friends.circle.enrol(&mut uninvited);
    let foreign = Circle::new(99).founders_join();
    let over_the_limit = {
        let mut strict = Circle::new(7);
        strict.genesis.rules.body_limit = 256;
        strict
    };
    assert_ne!(over_the_limit.genesis.id(), friends.circle.id);
    for wrong in [forged, edited, other_body, stranger, unadmitted, foreign] {
        relay.gossip(&wrong);
        let answer = relay.give(LIAR, vec![wrong.clone()]);
        assert_eq!(answer, Some(Answer::No(No::NotAdmitted)));
        // A member who brings it gets the count of what was refused or waits.
        let member = friends.friend.device.id();
        assert!(matches!(relay.give(member, vec![wrong]), Some(Answer::Held { entries: 0, refused: 1, .. })));
        assert_eq!(relay.held(), held);
    }
    relay.gossip(&good);
    assert!(knows(&relay, &friends, &good));
    // Played again, it is there once.
    relay.gossip(&good);
    assert_eq!((relay.held(), relay.log.len()), (held + 1, held + 1));
    assert!(relay.reopen().is_ok());
}

#[test]
fn a_body_over_the_circles_limit_is_refused() {
    let mut circle = Circle::new(5);
    circle.genesis.rules.body_limit = 512;
    circle.id = circle.genesis.id();
    circle.keys.epoch = circle.id.into();
    let join = circle.founders_join();
    let mut founder = std::mem::replace(&mut circle.founder, Person::new(0));
    let short = circle.post(&mut founder, &[], "short");
    let long = circle.post(&mut founder, &[], &"long".repeat(1_000));
    circle.founder = founder;
    let mut relay = Alone::keeper(&circle);
    for packed in [&join, &short, &long] {
        relay.gossip(packed);
    }
    assert_eq!(relay.held(), 2);
    let mut engine = Alone::founder(&circle);
    engine.act(|engine, _| engine.present(None)).unwrap();
    engine.act(|engine, now| engine.enter(Some("Anna"), now)).unwrap();
    let refused = engine.act(|engine, now| engine.post(&"long".repeat(1_000), now));
    assert!(matches!(refused, Err(ledgerno_engine::WriteError::TooLong { limit: 512, .. })), "{refused:?}");
}

#[test]
fn an_entry_without_its_body_hides_nothing() {
    let mut friends = Friends::new();
    let mut ben = Alone::member(&friends.circle, &Person::new(70));
    friends.feed(&mut ben);
    let post = friends.post("read me");
    let bare = Packed { body: None, ..post.clone() };
    ben.gossip(&bare);
    ben.give(friends.friend.device.id(), vec![bare.clone(), post.clone(), bare]);
    ben.gossip(&post);
    let shown = ben.engine.timeline(10);
    assert!(shown.iter().any(|one| one.content == ledgerno_engine::view::Content::Post("read me".to_owned())));
    assert!(ben.reopen().is_ok(), "{:?}", ben.reopen().err());
    assert_eq!(ben.held(), ben.log.len());
}

#[test]
fn branches_let_in_by_anothers_word_are_there_after_a_restart() {
    let mut friends = Friends::new();
    let mut relay = Alone::keeper(&friends.circle);
    friends.feed(&mut relay);
    let forks: Vec<_> = (0..20).map(|n| fork(&friends.circle, &friends.friend, &n.to_string())).collect();
    for (branch, _) in &forks {
        relay.gossip(branch);
    }
    assert!(relay.held() < 20, "forking is no way to fill the relay");
    let mut founder = std::mem::replace(&mut friends.circle.founder, Person::new(0));
    for (_, head) in &forks {
        relay.gossip(&friends.circle.post(&mut founder, &[*head], "I saw this one"));
    }
    assert_eq!(relay.held(), 3 + 20 + 20);
    let again = relay.reopen();
    assert_eq!(again.map(|engine| engine.settlement()), Ok(relay.engine.settlement()));
}

#[test]
fn a_certified_cut_lets_in_the_branch_that_it_names() {
    let mut friends = Friends::new();
    let mut ben = Alone::member(&friends.circle, &Person::new(70));
    friends.feed(&mut ben);
    let forks: Vec<_> = (0..12).map(|n| fork(&friends.circle, &friends.friend, &n.to_string()).0).collect();
    let (settled, others) = forks.split_last().unwrap();
    for branch in others {
        ben.gossip(branch);
    }
    friends.entries.push(settled.clone());
    let proof = friends.witness().settle();
    ben.vote(&proof);
    assert_eq!(ben.engine.settlement().height, 0);
    ben.gossip(settled);
    assert_eq!(ben.engine.settlement().height, 1);
    let again = ben.reopen();
    assert_eq!(again.map(|engine| engine.settlement()), Ok(ben.engine.settlement()));
}

#[test]
fn what_the_witness_settled_goes_over_the_bound_of_an_invite() {
    let mut friends = Friends::new();
    let bound = friends.invite.uses + friends.circle.genesis.rules.unsettled_joins;
    let mut relay = Alone::keeper(&friends.circle);
    friends.feed(&mut relay);
    let joins = |from: u64| (from..from + u64::from(bound)).map(Person::new);
    // The relay took other newcomers than the founder did.
    for mut person in joins(1_000) {
        relay.gossip(&friends.circle.join(&mut person, &friends.secret, friends.invite));
    }
    assert_eq!(relay.held() as u32, 2 + bound);
    let mut late = Person::new(5_000);
    let join = friends.circle.join(&mut late, &friends.secret, friends.invite);
    relay.gossip(&join);
    assert!(!knows(&relay, &friends, &join), "a leaked link does not flood");
    friends.entries.push(join.clone());
    let proof = friends.witness().settle();
    relay.vote(&proof);
    relay.gossip(&join);
    assert_eq!(relay.engine.settlement().height, 1);
    assert!(relay.reopen().is_ok());
}

#[test]
fn a_lying_header_is_refused_aloud_and_the_honest_one_is_taken() {
    let mut friends = Friends::new();
    friends.post("one");
    let mut ben = Alone::member(&friends.circle, &Person::new(70));
    friends.feed(&mut ben);
    let witness = friends.witness();
    let honest = witness.next();
    let lie = |change: fn(&mut ledgerno_ledger::settle::Header)| {
        let mut block = honest.clone();
        change(&mut block.header);
        witness.certify(&block)
    };
    let wrong_signature = {
        let mut proof = witness.certify(&honest);
        proof.checkpoint.certificate.votes[0].1 = Signature([5; 64]);
        proof
    };
    let key = wrong_signature.checkpoint.certificate.votes[0].0;
    let wrong_cut = {
        let mut proof = witness.certify(&honest);
        proof.cut.truncate(1);
        proof
    };
    let root = |which| Refusal::WrongRoot { which };
    let lies = [
        (lie(|header| header.state_root = Hash([1; 32])), root(Root::State)),
        (lie(|header| header.entries_root = Hash([1; 32])), root(Root::Entries)),
        (lie(|header| header.history_root = Hash([1; 32])), root(Root::History)),
        (wrong_cut, root(Root::Cut)),
        (lie(|header| header.witnesses = Hash([1; 32])), root(Root::Witnesses)),
        (lie(|header| header.prev = HeaderHash([1; 32])), Refusal::WrongPrev),
        (wrong_signature, Refusal::BadCertificate(CertificateError::BadVote(key))),
        (lie(|header| header.entries += 1), Refusal::WrongCount { says: 5, are: 4 }),
    ];
    for (proof, why) in &lies {
        ben.vote(proof);
        assert!(
            ben.events.iter().any(
                |event| matches!(event, Event::Refused { height: 1, why: said, from } if said == why && *from == LIAR)
            ),
            "{why}"
        );
        assert!(ben.engine.refusals().contains(&(1, why.clone())));
        assert_eq!(ben.engine.settlement().height, 0);
    }
    // However often they are told, they are remembered once, and no more than a few.
    for (proof, _) in &lies {
        ben.vote(proof);
    }
    for n in 0..100 {
        let mut block = honest.clone();
        block.header.time = NOW + 1_000_000 + n;
        ben.vote(&witness.certify(&block));
    }
    assert!(ben.engine.refusals().len() <= 8);
    ben.vote(&witness.certify(&honest));
    assert_eq!(ben.engine.settlement().height, 1);
    assert!(ben.reopen().is_ok());
}

#[test]
fn an_unknown_device_is_told_so() {
    let friends = Friends::new();
    let mut relay = Alone::keeper(&friends.circle);
    friends.feed(&mut relay);
    let (device, nonce) = (friends.friend.device.id(), [0; 16]);
    let asks = [
        Ask::Frontier { digest: Hash([0; 32]), height: 0 },
        Ask::Devices { bits: 0, buckets: vec![0], nonce },
        Ask::Branches { device },
        Ask::Ranges(vec![Range { device, from: 0, to: 9 }]),
        Ask::Entries(vec![friends.id(&friends.entries[0])]),
        Ask::Headers { from: 1 },
        Ask::Give { entries: Vec::new(), proofs: Vec::new() },
        Ask::PutParcel { address: Hash([1; 32]), invite: friends.invite, parcel: vec![1] },
    ];
    for ask in asks {
        assert_eq!(relay.ask(LIAR, ask.clone()), Some(Answer::No(No::NotAdmitted)), "{ask:?}");
    }
    // Only the issuer brings an invite's parcel, and no bigger one than fits.
    let put = |parcel| Ask::PutParcel { address: Hash([1; 32]), invite: friends.invite, parcel };
    assert_eq!(relay.ask(device, put(vec![1])), Some(Answer::No(No::NotAdmitted)));
    let founder = friends.circle.founder.device.id();
    assert_eq!(relay.ask(founder, put(vec![0; 5_000])), Some(Answer::No(No::Malformed)));
    assert_eq!(relay.ask(founder, put(vec![1])), Some(Answer::Kept));
    let mut forged = friends.invite;
    forged.uses += 1;
    let ask = Ask::PutParcel { address: Hash([2; 32]), invite: forged, parcel: vec![1] };
    assert_eq!(relay.ask(founder, ask), Some(Answer::No(No::NotAdmitted)));
}

#[test]
fn one_member_does_not_fill_the_mailbox_for_all() {
    let friends = Friends::new();
    let mut relay = Alone::keeper(&friends.circle);
    friends.feed(&mut relay);
    let mut put = |person: &Person, n: u16| {
        let secret = ledgerno_ledger::keys::InviteSecret::from_secret([n as u8; 32]);
        let invite = Invite::issue(friends.circle.id, &secret, &person.device, 1, u64::MAX);
        let mut address = [0; 32];
        address[..2].copy_from_slice(&n.to_le_bytes());
        relay.ask(person.device.id(), Ask::PutParcel { address: Hash(address), invite, parcel: vec![1] })
    };
    let full = (0..2_000).filter(|n| put(&friends.friend, *n) == Some(Answer::No(No::Full))).count();
    assert!(full > 0);
    assert_eq!(put(&friends.circle.founder, 3_000), Some(Answer::Kept));
}

#[test]
fn a_knock_with_an_expired_or_foreign_invite_gets_a_clear_word() {
    let friends = Friends::new();
    let mut relay = Alone::keeper(&friends.circle);
    friends.feed(&mut relay);
    let person = Person::new(31);
    let knock = |circle: &Circle, invite| {
        let invited = friends.secret.invited(circle.id, person.member(), person.device.id(), invite);
        let role = ledgerno_ledger::entry::Role::Write;
        Ask::Knock(Box::new(person.identity.admit(circle.id, &person.device, role, Some(invited))))
    };
    let peer = person.device.id();
    assert_eq!(relay.ask(peer, knock(&Circle::new(8), friends.invite)), Some(Answer::No(No::NotAdmitted)));
    let mut longer = friends.invite;
    longer.expiry += 1;
    assert_eq!(relay.ask(peer, knock(&friends.circle, longer)), Some(Answer::No(No::NotAdmitted)));
    // Somebody else's knock is no key.
    assert_eq!(relay.ask(LIAR, knock(&friends.circle, friends.invite)), Some(Answer::No(No::NotAdmitted)));
    relay.now = friends.invite.expiry + 1;
    assert_eq!(relay.ask(peer, knock(&friends.circle, friends.invite)), Some(Answer::No(No::Expired)));
    relay.now = friends.invite.expiry;
    assert_eq!(relay.ask(peer, knock(&friends.circle, friends.invite)), Some(Answer::Kept));
    assert!(matches!(relay.ask(peer, Ask::Headers { from: 1 }), Some(Answer::Headers { .. })));
    relay.act(|engine, _| engine.disconnected(peer));
    assert_eq!(relay.ask(peer, Ask::Headers { from: 1 }), Some(Answer::No(No::NotAdmitted)));
}

#[test]
fn so_many_guests_come_in_by_an_admitted_devices_invite_that_has_uses_left() {
    let friends = Friends::new();
    let mut relay = Alone::keeper(&friends.circle);
    friends.feed(&mut relay);
    let knock = |person: &Person, invite| {
        let invited = friends.secret.invited(friends.circle.id, person.member(), person.device.id(), invite);
        let role = ledgerno_ledger::entry::Role::Write;
        Ask::Knock(Box::new(person.identity.admit(friends.circle.id, &person.device, role, Some(invited))))
    };
    let stranger = Person::new(200);
    let strangers = Invite::issue(friends.circle.id, &friends.secret, &stranger.device, 9, friends.invite.expiry);
    let peer = stranger.device.id();
    assert_eq!(relay.ask(peer, knock(&stranger, strangers)), Some(Answer::No(No::NotAdmitted)));
    for seed in 30..94 {
        let guest = Person::new(seed);
        assert_eq!(relay.ask(guest.device.id(), knock(&guest, friends.invite)), Some(Answer::Kept));
    }
    assert_eq!(relay.ask(peer, knock(&stranger, friends.invite)), Some(Answer::No(No::Busy)));
    relay.act(|engine, _| engine.disconnected(Person::new(30).device.id()));
    for seed in 100..99 + u64::from(friends.invite.uses) {
        relay.gossip(&friends.circle.join(&mut Person::new(seed), &friends.secret, friends.invite));
    }
    assert_eq!(relay.ask(peer, knock(&stranger, friends.invite)), Some(Answer::No(No::UsedUp)));
}

/// Whoever starts an epoch or hands its keys out may seal others than its start commits to.
#[test]
fn keys_that_an_epochs_start_did_not_commit_to_are_not_kept() {
    let mut friends = Friends::new();
    let mut anna = Alone::founder(&friends.circle);
    friends.feed(&mut anna);
    let (circle, founder) = (friends.circle.id, &friends.circle.founder.device);
    let to = [(founder.id(), founder.box_key(), ledgerno_ledger::entry::Role::Write)];
    let keys = |epoch, seed: u8| LaneKeys {
        epoch,
        state: LaneKey::from_secret([seed; 32]),
        talk: Some(LaneKey::from_secret([seed + 1; 32])),
    };
    let sealed = |keys: LaneKeys| Handout::seal(circle, &[keys], &to, [9; 32], &mut || [8; 24]).unwrap();
    let nobody = Handout { to: Vec::new(), ..sealed(keys(circle.into(), 50)) };
    let mut say = |friends: &mut Friends, operation| {
        let packed = friends.circle.operate(&mut friends.friend, &[], &operation);
        anna.gossip(&packed);
        (friends.id(&packed), anna.engine.lane_keys().len())
    };
    let starts = |keys_told: Handout| {
        let marks = Marks::of(&keys(circle.into(), 50));
        Operation::Epoch(NewEpoch { after: circle.into(), marks, keys: keys_told })
    };
    assert_eq!(say(&mut friends, starts(sealed(keys(circle.into(), 60)))).1, 1, "others than it commits to");
    let (epoch, held) = say(&mut friends, starts(nobody));
    assert_eq!(held, 1);
    let hands = |given| Operation::Keys { epoch, keys: sealed(given) };
    assert_eq!(say(&mut friends, hands(keys(epoch, 60))).1, 1);
    assert_eq!(say(&mut friends, hands(keys(circle.into(), 50))).1, 1, "of another epoch");
    assert_eq!(say(&mut friends, hands(keys(epoch, 50))).1, 2);
    assert_eq!(say(&mut friends, starts(sealed(keys(circle.into(), 50)))).1, 3);
}

#[test]
fn a_flood_of_orphans_is_bounded() {
    let mut friends = Friends::new();
    let mut limits = Limits::default();
    (limits.waiting.waiting_per_device, limits.waiting.waiting) = (50, 100);
    let mut relay = Alone::small_keeper(&friends.circle, limits);
    friends.feed(&mut relay);
    let held = relay.held();
    let missing = friends.post("not sent");
    let posts: Vec<_> = (0..200).map(|n| friends.post(&n.to_string())).collect();
    let mut strangers = (100..400).map(Person::new);
    for post in &posts {
        relay.gossip(post);
        let mut stranger = strangers.next().unwrap();
        relay.gossip(&friends.circle.enrol(&mut stranger));
    }
    assert_eq!(relay.held(), held);
    relay.gossip(&missing);
    assert_eq!(relay.held(), held + 1 + 50, "the nearest ones of a friend waited");
    for post in &posts {
        relay.gossip(post);
    }
    assert_eq!(relay.held(), held + 201);
}

#[test]
fn wrong_questions_get_an_answer_of_bounded_size() {
    let mut friends = Friends::new();
    let mut relay = Alone::keeper(&friends.circle);
    for n in 0..300 {
        friends.post(&n.to_string());
    }
    friends.feed(&mut relay);
    let (peer, nonce) = (friends.friend.device.id(), [0; 16]);
    let no = Some(Answer::No(No::Malformed));
    assert_eq!(relay.ask(peer, Ask::Devices { bits: 13, buckets: vec![], nonce }), no);
    assert_eq!(relay.ask(peer, Ask::Devices { bits: 255, buckets: vec![0], nonce }), no);
    assert_eq!(relay.ask(peer, Ask::Devices { bits: 0, buckets: vec![0, 0], nonce }), no);
    assert_eq!(relay.ask(peer, Ask::Devices { bits: 1, buckets: vec![9], nonce }), Some(Answer::Devices(vec![])));
    let all = Range { device: peer, from: 0, to: u64::MAX };
    assert_eq!(relay.ask(peer, Ask::Ranges(vec![all; 4_097])), no);
    assert_eq!(relay.ask(peer, Ask::Ranges(vec![all; 4_096])), no, "a device is asked for once");
    let backwards = Range { device: peer, from: u64::MAX, to: 0 };
    assert_eq!(relay.ask(peer, Ask::Ranges(vec![backwards])), Some(Answer::Entries { entries: vec![], more: false }));
    assert_eq!(relay.ask(peer, Ask::Entries(vec![friends.id(&friends.entries[0]); 1_025])), no);
    assert!(matches!(relay.ask(peer, Ask::Branches { device: LIAR }), Some(Answer::Branches(ids)) if ids.is_empty()));
    for from in [0, u64::MAX] {
        let empty = Answer::Headers { proofs: vec![], more: false };
        assert_eq!(relay.ask(peer, Ask::Headers { from }), Some(empty));
    }
    let differ = relay.ask(peer, Ask::Frontier { digest: Hash([9; 32]), height: u64::MAX });
    assert!(matches!(differ, Some(Answer::Differ { bits: 0, .. })));
}

#[test]
fn a_batch_fits_its_bound_whatever_its_entries_approve() {
    let mut friends = Friends::new();
    let mut others: Vec<Person> = (200..208).map(Person::new).collect();
    for person in &mut others {
        friends.entries.push(friends.circle.join(person, &friends.secret, friends.invite));
    }
    let heads: Vec<Head> = others.iter().map(|person| person.head.unwrap()).collect();
    for n in 0..900 {
        let packed = friends.circle.post(&mut friends.friend, &heads, &n.to_string());
        friends.entries.push(packed);
    }
    let mut relay = Alone::keeper(&friends.circle);
    friends.feed(&mut relay);
    let device = friends.friend.device.id();
    let answer = relay.ask(device, Ask::Ranges(vec![Range { device, from: 0, to: u64::MAX }])).unwrap();
    assert!(answer.to_bytes().len() <= MAX_ANSWER, "{} bytes", answer.to_bytes().len());
    let mut newcomer = Alone::member(&friends.circle, &friends.friend);
    newcomer.act(|engine, now| engine.connected(LIAR, now));
    newcomer.talk_to(&mut relay, device);
    assert_eq!(newcomer.held(), relay.held());
    // And the way back: a relay that lost everything.
    let mut empty = Alone::keeper(&friends.circle);
    for packed in &friends.entries[..3] {
        empty.gossip(packed);
    }
    newcomer.act(|engine, now| engine.sync(LIAR, now));
    assert!(newcomer.asks.iter().all(|(_, _, ask)| ask.to_bytes(friends.circle.id).len() <= MAX_ASK));
    newcomer.talk_to(&mut empty, device);
    assert_eq!(empty.held(), relay.held());
}
