//! Stories of people and a relay: real network, real stores, and disks that fail when told.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Relay, TOKEN, agree, balances, code, memory, nobody_forked, person, status, story, texts, two, until};
use ledgerno_engine::status::Status;
use ledgerno_ledger::genesis::Kind;
use ledgerno_ledger::proof::Subject;
use ledgerno_ledger::seal::LaneKeys;
use ledgerno_node::store::redb::Redb;
use ledgerno_node::store::{Memory, Store, StoreError};
use ledgerno_node::{Alert, Node, NodeError, PROTOCOL};

async fn people_share_a_circle(relay: impl Store + Send, anna: impl Store, ben: impl Store) {
    let relay = Relay::start(relay).await;
    let (anna, ben, circle) = two(&relay, anna, ben).await;
    let hello = anna.post(circle, "hello").await.unwrap();
    until("Ben reads it", || texts(&ben, circle) == ["hello"]).await;
    let reply = ben.post(circle, "hi Anna").await.unwrap();
    agree(&anna, &ben, circle).await;
    let to = ben.look(circle, |engine| engine.own_member()).unwrap().unwrap();
    anna.thank(circle, to, 7, "for coming").await.unwrap();
    until("the points moved", || balances(&anna, circle) == [93, 107] && balances(&ben, circle) == [93, 107]).await;
    agree(&anna, &ben, circle).await;
    assert_eq!(texts(&anna, circle), texts(&ben, circle));
    for entry in [hello, reply] {
        until("settled on both", || {
            [status(&anna, circle, entry), status(&ben, circle, entry)] == [Some(Status::Settled); 2]
        })
        .await;
    }
    anna.close().await;
    ben.close().await;
    relay.off();
}

#[test]
fn people_share_a_circle_in_memory() {
    story(people_share_a_circle(memory(), memory(), memory()));
}

#[test]
fn people_share_a_circle_on_disks() {
    story(async {
        let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        let mut stores = Vec::new();
        for folder in &folders {
            stores.push(Redb::open(folder.path()).await.unwrap());
        }
        let (relay, anna, ben) = (stores.remove(0), stores.remove(0), stores.remove(0));
        people_share_a_circle(relay, anna, ben).await;
    });
}

#[test]
fn who_comes_back_has_everything_and_writes_on() {
    story(async {
        let relay = Relay::start(memory()).await;
        let folder = tempfile::tempdir().unwrap();
        let (anna, ben, circle) = two(&relay, memory(), Redb::open(folder.path()).await.unwrap()).await;
        ben.post(circle, "before").await.unwrap();
        agree(&anna, &ben, circle).await;
        ben.close().await;
        anna.post(circle, "meanwhile").await.unwrap();
        let ben = person(Redb::open(folder.path()).await.unwrap(), None).await;
        assert_eq!(ben.circles(), [(circle, "Garden".to_owned())]);
        assert!(texts(&ben, circle).contains(&"before".to_owned()));
        until("Ben reads what he missed", || texts(&ben, circle).len() == 2).await;
        ben.post(circle, "after").await.unwrap();
        agree(&anna, &ben, circle).await;
        assert_eq!(texts(&anna, circle), ["before", "meanwhile", "after"]);
        assert!(nobody_forked(&anna, circle));
        relay.off();
    });
}

/// Three friends vote over a real network: their votes go by the witnesses' own topic, and a fourth hears none of them.
#[test]
fn votes_go_by_the_witnesses_own_topic() {
    story(async {
        let relay = Relay::start(memory()).await;
        let (anna, ben, circle) = two(&relay, memory(), memory()).await;
        let invite = anna.invite(circle, 10, 7).await.unwrap();
        let (carl, dora) = (person(memory(), None).await, person(memory(), None).await);
        for (node, name) in [(&carl, "Carl"), (&dora, "Dora")] {
            assert_eq!(node.join(&invite.token, name).await, Ok(circle));
        }
        for node in [&ben, &carl] {
            node.act(circle, |engine, now| engine.offer_to_witness(false, now)).await.unwrap();
            agree(&anna, node, circle).await;
        }
        let devices = |node: &Node<Memory>| node.look(circle, |engine| engine.device()).unwrap().unwrap();
        let promoted = vec![devices(&ben), devices(&carl)];
        anna.act(circle, |engine, now| engine.change_witnesses(promoted, Vec::new(), now)).await.unwrap();
        let all = [&anna, &ben, &carl, &dora];
        for (node, votes) in all.into_iter().zip([true, true, true, false]) {
            let hears = || node.look(circle, |engine| engine.hears_witnesses()) == Ok(votes);
            until("each knows who votes", || node.look(circle, |engine| engine.witness_count()) == Ok(3) && hears())
                .await;
        }
        // The first height may be voted on before all have joined the topic.
        let reach = || all[..3].iter().all(|node| node.look(circle, |engine| engine.votes_reach()) == Ok(true));
        for _ in 0..10 {
            dora.post(circle, "who settles this?").await.unwrap();
            for node in &all[..3] {
                agree(node, &dora, circle).await;
            }
            if reach() {
                break;
            }
        }
        assert!(reach(), "they hear each other on their own topic");
        relay.off();
    });
}

#[test]
fn sent_is_said_only_after_the_relays_durable_write() {
    story(async {
        let store = memory();
        let relay = Relay::start(store.clone()).await;
        let (anna, ben, circle) = two(&relay, memory(), memory()).await;
        agree(&anna, &ben, circle).await;

        store.hold();
        let post = anna.post(circle, "careful").await.unwrap();
        store.until_held(1).await;
        // The relay has it, and has said so to nobody; Ben may have it by gossip, and that is no durable word either.
        assert_eq!(status(&anna, circle, post), Some(Status::Here));
        store.release();
        until("sent", || status(&anna, circle, post) >= Some(Status::Sent)).await;

        // Now the power fails at that moment.
        agree(&anna, &ben, circle).await;
        ben.close().await;
        store.hold();
        let lost = anna.post(circle, "lost on the way").await.unwrap();
        store.until_held(1).await;
        let at = relay.at;
        relay.off();
        store.lose_unsynced();
        assert_eq!(status(&anna, circle, lost), Some(Status::Here));
        until("Anna notices", || anna.relay_state(circle) != ledgerno_node::LinkState::Connected).await;
        let more = anna.post(circle, "alone").await.unwrap();
        assert_eq!(status(&anna, circle, more), Some(Status::Here));

        let relay = Relay::start_at(store, at, PROTOCOL).await;
        for entry in [lost, more] {
            until("sent after all", || status(&anna, circle, entry) >= Some(Status::Sent)).await;
        }
        assert_eq!(texts(&anna, circle), ["careful", "lost on the way", "alone"]);
        relay.off();
    });
}

#[test]
fn a_full_store_says_so_and_the_device_never_forks_itself() {
    story(async {
        let relay = Relay::start(memory()).await;
        let store = memory();
        let (anna, ben, circle) = two(&relay, store.clone(), memory()).await;
        anna.post(circle, "one").await.unwrap();
        agree(&anna, &ben, circle).await;
        store.fail_next(StoreError::Full { path: "here".to_owned() });
        let refused = anna.post(circle, "no room for this").await;
        assert_eq!(refused, Err(NodeError::Store(StoreError::Full { path: "here".to_owned() })));
        assert_eq!(code(refused), "store-full");
        until("a warning or none is needed any more", || texts(&anna, circle) == ["one"]).await;
        anna.post(circle, "two").await.unwrap();
        assert!(!anna.alerts(circle).iter().any(|alert| matches!(alert, Alert::Store(_))), "it is over");
        agree(&anna, &ben, circle).await;
        assert_eq!(texts(&ben, circle), ["one", "two"]);
        assert!(nobody_forked(&ben, circle));
        relay.off();
    });
}

#[test]
fn a_relay_whose_store_failed_once_serves_again() {
    story(async {
        let store = memory();
        let relay = Relay::start(store.clone()).await;
        let (anna, ben, circle) = two(&relay, memory(), memory()).await;
        agree(&anna, &ben, circle).await;
        store.fail_next(StoreError::Full { path: "there".to_owned() });
        let post = anna.post(circle, "try again").await.unwrap();
        until("sent", || status(&anna, circle, post) >= Some(Status::Sent)).await;
        agree(&anna, &ben, circle).await;
        assert_eq!(texts(&ben, circle), ["try again"]);
        relay.off();
    });
}

#[test]
fn a_readable_circle_is_told_before_one_joins() {
    story(async {
        let relay = Relay::start(memory()).await;
        let (anna, ben) = (person(memory(), None).await, person(memory(), None).await);
        for kind in [Kind::Private, Kind::Readable] {
            let circle = anna.found_as(kind, "Accounts", "Anna", TOKEN, relay.address()).await.unwrap();
            let invite = anna.invite(circle, 1, 7).await.unwrap();
            assert_eq!(ben.preview(&invite.token).await.unwrap().kind, kind);
            ben.join(&invite.token, "Ben").await.unwrap();
            anna.post(circle, "for the record").await.unwrap();
            until("Ben reads it", || texts(&ben, circle) == ["for the record"]).await;
            agree(&anna, &ben, circle).await;
            let public = LaneKeys::readable(circle, circle.into());
            let keys = ben.look(circle, |engine| engine.lane_keys().to_vec()).unwrap();
            assert_eq!(keys == [public], kind == Kind::Readable, "its keys are those that everybody can work out");
        }
        relay.off();
    });
}

#[test]
fn wrong_words_get_a_clear_answer() {
    story(async {
        let relay = Relay::start(memory()).await;
        let anna = person(memory(), None).await;
        let here = relay.address();
        assert_eq!(code(anna.found("Garden", "Anna", "not the token", here.clone()).await), "token-wrong");
        assert_eq!(code(anna.found("", "Anna", TOKEN, here.clone()).await), "name-invalid");
        assert!(anna.circles().is_empty(), "nothing is left of it");
        let circle = anna.found("Garden", "Anna", TOKEN, here.clone()).await.unwrap();
        assert_eq!(code(anna.post(circle, &"a".repeat(20_000)).await), "body-too-large");
        assert_eq!(code(anna.post(circle, "").await), "body-too-large");
        let me = anna.look(circle, |engine| engine.own_member()).unwrap().unwrap();
        assert_eq!(code(anna.thank(circle, me, 1, "").await), "amount-invalid");
        let stranger = ledgerno_ledger::bytes::MemberId([9; 32]);
        assert_eq!(code(anna.thank(circle, stranger, 1, "").await), "no-member");
        assert_eq!(code(anna.act(circle, |engine, now| engine.renew(now)).await), "no-renewal");
        let prove = |subject| anna.prove(circle, subject);
        assert_eq!(code(prove(Subject::Entry(ledgerno_ledger::bytes::EntryId([9; 32])))), "not-settled");
        assert_eq!(code(prove(Subject::Stamp(ledgerno_ledger::bytes::Hash([9; 32])))), "not-settled");
        assert_eq!(code(prove(Subject::Fork(me))), "no-proof");

        let once = anna.invite(circle, 1, 7).await.unwrap();
        let ben = person(memory(), None).await;
        assert_eq!(code(ben.preview(&once.token[..once.token.len() - 2]).await), "invite-malformed");
        assert_eq!(code(ben.preview("hello").await), "invite-malformed");
        ben.join(&once.token, "Ben").await.unwrap();
        let carl = person(memory(), None).await;
        until("the relay knows of Ben", || {
            ben.look(circle, |engine| engine.timeline(9))
                .unwrap()
                .iter()
                .any(|one| one.mine && one.status >= Status::Sent)
        })
        .await;
        assert_eq!(code(carl.join(&once.token, "Carl").await), "invite-used-up");
        assert!(carl.circles().is_empty());
        relay.off();
    });
}

#[test]
fn a_relay_that_is_off_or_of_another_version_is_told_apart() {
    story(async {
        let relay = Relay::start_at(memory(), "127.0.0.1:0".parse().unwrap(), 99).await;
        let anna = person(memory(), None).await;
        let refused = anna.found("Garden", "Anna", TOKEN, relay.address()).await;
        let version = NodeError::Version { theirs: 99, ours: PROTOCOL };
        assert_eq!(refused, Err(version.clone()));
        // However often one tries, and with a page that knew its relay from the start.
        for _ in 0..3 {
            assert_eq!(anna.found("Garden", "Anna", TOKEN, relay.address()).await, Err(version.clone()));
        }
        let carl = person(memory(), Some(relay.address())).await;
        for _ in 0..3 {
            assert_eq!(carl.found("Garden", "Carl", TOKEN, relay.address()).await, Err(version.clone()));
        }
        let gone = relay.address();
        relay.off();
        let ben = person(memory(), None).await;
        assert_eq!(code(ben.found("Garden", "Ben", TOKEN, gone).await), "relay-unreachable");
    });
}

#[test]
fn a_damaged_log_opens_no_circle_and_is_left_as_it_is() {
    story(async {
        let store: Memory = memory();
        let relay = Relay::start(store.clone()).await;
        let (anna, ben, circle) = two(&relay, memory(), memory()).await;
        agree(&anna, &ben, circle).await;
        relay.off();
        // An item that is none, as a bug or a foreign program would leave it.
        use ledgerno_node::store::{Batch, Space};
        let space = store.space(&format!("circle-{circle}")).await.unwrap();
        let foreign = Batch { log: vec![bytes::Bytes::from_static(b"what is this?")], ..Batch::default() };
        space.write(foreign).await.unwrap();
        let before = space.load().await.unwrap();
        let config = ledgerno_node::KeeperConfig {
            device: [9; 32],
            token: TOKEN.to_owned(),
            agent: String::new(),
            version: PROTOCOL,
            archive: true,
            open: false,
            url: String::new(),
            max_connections: 8,
            listen: Vec::new(),
            relays: Vec::new(),
        };
        let refused = ledgerno_node::Node::keeper(store, config).await.map(|_| ());
        assert!(matches!(refused, Err(NodeError::Open(_))), "{refused:?}");
        assert_eq!(code(refused), "store-damaged");
        assert_eq!(space.load().await.unwrap(), before);
    });
}
