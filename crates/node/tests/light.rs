//! Who joins by a snapshot, and who lets go of what is old, on real stores and from a real relay: both come to the root that
//! an archive has which took everything in, start with it again, and show what they no longer have.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use common::{Relay, TOKEN, memory, person, story, two, until};
use ledgerno_engine::Engine;
use ledgerno_engine::view::Content;
use ledgerno_ledger::bytes::{CircleId, DeviceId, HeaderHash};
use ledgerno_node::store::redb::Redb;
use ledgerno_node::store::{Loaded, Space, Store, StoreError};
use ledgerno_node::{Limits, Node};

/// As small as circles in tests are.
fn small() -> Limits {
    Limits { by_hash: 1, snapshot_every: 8, window: 8, ..Limits::default() }
}

async fn light(folder: &Path, limits: Limits) -> Node<Redb> {
    let store = Redb::open(folder).await.unwrap();
    Node::member_within(store, "test", None, ledgerno_node::Settings { limits, ..Default::default() }, Box::new(|| ()))
        .await
        .unwrap()
}

/// The store of a relay that lost its power, as soon as its thread has let go of the file.
async fn freed(folder: &Path) -> Redb {
    for _ in 0..1_000 {
        match Redb::open(folder).await {
            Err(StoreError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            opened => return opened.unwrap(),
        }
    }
    panic!("never: the store is free");
}

/// What a closed node left of a circle in its store.
async fn left(folder: &Path, circle: CircleId) -> Loaded {
    let store = Redb::open(folder).await.unwrap();
    let loaded = store.space(&format!("circle-{circle}")).await.unwrap().load().await.unwrap();
    store.close().await;
    loaded
}

fn height<S: Store>(node: &Node<S>, circle: CircleId) -> u64 {
    node.look(circle, |engine| engine.settlement().height).unwrap()
}

/// Posts, each settled before the next, till so many heights are.
async fn live<S: Store>(node: &Node<S>, circle: CircleId, heights: u64) -> Vec<String> {
    let mut said = Vec::new();
    while height(node, circle) < heights {
        said.push(format!("at {}", height(node, circle)));
        node.post(circle, said.last().unwrap()).await.unwrap();
        until("it is settled", || node.look(circle, |engine| engine.settlement().unsettled == 0).unwrap()).await;
    }
    said
}

/// What is shown now of all posts; older ones follow.
fn shown<S: Store>(node: &Node<S>, circle: CircleId) -> HashSet<String> {
    let text = |content| if let Content::Post(text) = content { Some(text) } else { None };
    node.timeline(circle, 2_000).unwrap().into_iter().filter_map(|one| text(one.content)).collect()
}

/// Scrolls back till all of these are shown.
async fn scroll<S: Store>(node: &Node<S>, circle: CircleId, said: &[String]) {
    until("all is shown", || {
        let shown = shown(node, circle);
        said.iter().all(|text| shown.contains(text))
    })
    .await;
}

/// What all agree on: height, header and state root. How many entries a node holds is its own affair.
fn root<S: Store>(node: &Node<S>, circle: CircleId) -> (u64, HeaderHash, Option<[u8; 32]>) {
    let settled = node.look(circle, Engine::settlement).unwrap();
    (settled.height, settled.header, settled.state_root)
}

/// Waits until two nodes have settled everything at one root.
async fn agree<A: Store, B: Store>(one: &Node<A>, other: &Node<B>, circle: CircleId) {
    let open = || {
        one.look(circle, Engine::settlement).unwrap().unsettled
            + other.look(circle, Engine::settlement).unwrap().unsettled
    };
    let agrees = || root(one, circle) == root(other, circle) && root(one, circle).2.is_some();
    until("both settle on one root", || agrees() && open() == 0).await;
}

/// The relay votes alone from now on, with the keys to give a snapshot.
async fn enlist<S: Store>(founder: &Node<S>, circle: CircleId, relay: DeviceId) {
    founder.enlist(circle, TOKEN).await.unwrap();
    let device = founder.look(circle, Engine::device).unwrap().unwrap();
    let votes = |of: DeviceId, already: bool| {
        let witnesses = founder.look(circle, Engine::witnesses).unwrap();
        witnesses.iter().any(|one| one.device == of && one.votes == already)
    };
    until("the relay is ready", || votes(relay, false)).await;
    founder.act(circle, |engine, now| engine.change_witnesses(vec![relay], vec![device], now)).await.unwrap();
    until("the relay votes", || votes(relay, true)).await;
}

#[test]
fn who_joins_by_a_snapshot_comes_to_an_archives_root_and_starts_with_it_again() {
    story(async {
        let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        let relay = Relay::start(Redb::open(folders[0].path()).await.unwrap()).await;
        let anna = person(memory(), None).await;
        let circle = anna.found("Garden", "Anna", TOKEN, relay.address()).await.unwrap();
        enlist(&anna, circle, relay.address().peer).await;
        let mut said = live(&anna, circle, 40).await;
        let invite = anna.invite(circle, 10, 7).await.unwrap();
        said.extend(live(&anna, circle, 50).await);

        let (joins, keeps) = (Limits { join_from: 20, ..small() }, Limits { archive: true, join_from: 20, ..small() });
        let carl = light(folders[1].path(), joins).await;
        assert_eq!(carl.join(&invite.token, "Carl").await, Ok(circle));
        let held = carl.look(circle, Engine::settlement).unwrap().entries;
        assert!(held < 20, "{held} entries: he did not join by the snapshot");
        let dora = light(folders[2].path(), keeps).await;
        assert_eq!(dora.join(&invite.token, "Dora").await, Ok(circle));
        agree(&anna, &carl, circle).await;
        agree(&carl, &dora, circle).await;
        scroll(&carl, circle, &said).await;

        for again in ["first", "second"] {
            carl.post(circle, again).await.unwrap();
            said.push(again.to_owned());
            agree(&carl, &dora, circle).await;
        }
        carl.close().await;
        dora.close().await;
        let (carls, doras) = (left(folders[1].path(), circle).await, left(folders[2].path(), circle).await);
        assert!(carls.records.contains_key("joined") && !doras.records.contains_key("joined"));
        assert!(carls.log.len() < said.len() && doras.log.len() > said.len(), "one took all in, and one did not");

        // Alone, each starts with the root that both had; back among others they go on from it.
        let at = relay.at;
        relay.off();
        let carl = light(folders[1].path(), joins).await;
        let dora = light(folders[2].path(), keeps).await;
        assert_eq!(root(&carl, circle), root(&dora, circle));
        assert_eq!(root(&carl, circle), root(&anna, circle));
        let store = freed(folders[0].path()).await;
        let relay = Relay::start_at(store, at, ledgerno_node::PROTOCOL).await;
        scroll(&carl, circle, &said).await;
        anna.post(circle, "back").await.unwrap();
        agree(&anna, &carl, circle).await;
        agree(&anna, &dora, circle).await;
        relay.off();
    });
}

#[test]
fn who_lets_go_keeps_the_root_and_shows_what_the_archive_gives_back() {
    story(async {
        let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        let relay = Relay::start(Redb::open(folders[0].path()).await.unwrap()).await;
        let ben = Redb::open(folders[1].path()).await.unwrap();
        let (anna, ben, circle) = two(&relay, memory(), ben).await;
        agree(&anna, &ben, circle).await;
        // A store empties what is in full records, of 1,000 items.
        let mut said: Vec<String> = (0..700).map(|at| format!("early {at}")).collect();
        for text in &said {
            anna.post(circle, text).await.unwrap();
        }
        let limits = Limits { retention: Some(0), ..small() };
        agree(&anna, &ben, circle).await;
        ben.close().await;
        let ben = light(folders[1].path(), limits).await;
        let from = height(&anna, circle);
        for round in 1..5 {
            said.extend(live(&anna, circle, from + 60 * round).await);
            said.push(format!("Ben's {round}"));
            ben.post(circle, said.last().unwrap()).await.unwrap();
            agree(&anna, &ben, circle).await;
        }
        until("Ben lets go", || ben.look(circle, Engine::let_go).unwrap() > 20).await;
        scroll(&ben, circle, &said).await;
        let gone = ben.look(circle, Engine::let_go).unwrap();
        ben.close().await;
        let left = left(folders[1].path(), circle).await;
        assert!(left.log.iter().filter(|item| item.is_empty()).count() >= gone, "what is let go is not in the store");

        // Without the archive the newest are there, and the root.
        let at = relay.at;
        relay.off();
        let ben = light(folders[1].path(), limits).await;
        assert_eq!(root(&ben, circle), root(&anna, circle));
        assert!(ben.look(circle, Engine::kept_elsewhere).unwrap() > 20);
        assert!(shown(&ben, circle).len() < said.len());
        let store = freed(folders[0].path()).await;
        let relay = Relay::start_at(store, at, ledgerno_node::PROTOCOL).await;
        scroll(&ben, circle, &said).await;
        anna.post(circle, "back").await.unwrap();
        agree(&anna, &ben, circle).await;
        // Who takes everything in comes to the same.
        let invite = anna.invite(circle, 10, 7).await.unwrap();
        let dora = light(folders[2].path(), Limits { archive: true, ..small() }).await;
        assert_eq!(dora.join(&invite.token, "Dora").await, Ok(circle));
        agree(&dora, &ben, circle).await;
        agree(&anna, &ben, circle).await;
        relay.off();
    });
}

/// What came by hash is on the disk when the snapshot is made that stands for it.
#[test]
fn who_is_told_to_keep_less_lets_go_at_the_next_start() {
    story(async {
        let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
        let relay = Relay::start(Redb::open(folders[0].path()).await.unwrap()).await;
        let anna = person(memory(), None).await;
        let circle = anna.found("Garden", "Anna", TOKEN, relay.address()).await.unwrap();
        let said: Vec<String> = (0..1_400).map(|at| format!("early {at}")).collect();
        for text in &said {
            anna.post(circle, text).await.unwrap();
        }
        // What is settled with something of his own stays: all of it, if his coming is settled with it.
        until("what was said is settled", || anna.look(circle, Engine::settlement).unwrap().unsettled == 0).await;
        let invite = anna.invite(circle, 10, 7).await.unwrap();
        let ben = light(folders[1].path(), Limits::default()).await;
        assert_eq!(ben.join(&invite.token, "Ben").await, Ok(circle));
        agree(&anna, &ben, circle).await;
        // Only what a snapshot stands for is let go. One is made when the next is settled, if all came faster than the disk
        // took it.
        for more in 0..50 {
            if ben.look(circle, |engine| engine.timeline(5_000).len()).unwrap() < 1_200 {
                break;
            }
            anna.post(circle, &format!("more {more}")).await.unwrap();
            agree(&anna, &ben, circle).await;
        }
        ben.close().await;
        let ben = light(folders[1].path(), Limits { retention: Some(0), ..Limits::default() }).await;
        until("Ben lets go", || ben.look(circle, Engine::let_go).unwrap() > 200).await;
        assert_eq!(root(&ben, circle), root(&anna, circle));
        scroll(&ben, circle, &said).await;
        relay.off();
    });
}
