//! A relay that folds no state learns from a member who left, keeps that across a restart, and gives them nothing more.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Relay, agree, memory, person, status, story, texts, two, until};
use ledgerno_engine::Engine;
use ledgerno_engine::status::Status;
use ledgerno_node::PROTOCOL;
use ledgerno_node::store::{Memory, Space, Store};
use std::time::Duration;

/// Waits until a record of this name is durable.
async fn written(store: &Memory, record: &str) {
    for _ in 0..9_000 {
        for name in store.spaces().await.unwrap() {
            if store.space(&name).await.unwrap().load().await.unwrap().records.contains_key(record) {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: a record {record}");
}

#[test]
fn a_removed_member_gets_nothing_more_from_a_relay_that_is_not_enlisted() {
    story(async {
        let store = memory();
        let relay = Relay::start(store.clone()).await;
        let at = relay.at;
        let bens = memory();
        let (anna, ben, circle) = two(&relay, memory(), bens.clone()).await;
        ben.post(circle, "hello").await.unwrap();
        agree(&anna, &ben, circle).await;
        let member = ben.look(circle, Engine::own_member).unwrap().unwrap();
        ben.close().await;

        anna.act(circle, |engine, now| engine.remove(member, now)).await.unwrap();
        let is_removed = |engine: &Engine| engine.is_removed(&member);
        until("he is removed", || anna.look(circle, is_removed) == Ok(true)).await;
        let after = anna.post(circle, "among us").await.unwrap();
        until("the relay has it", || status(&anna, circle, after) >= Some(Status::Sent)).await;
        written(&store, "left").await;
        anna.close().await;
        relay.off();

        let relay = Relay::start_at(store.clone(), at, PROTOCOL).await;
        let ben = person(bens, None).await;
        until("he learns it", || ben.look(circle, is_removed) == Ok(true)).await;
        // What he writes is taken; by then he has been given all that he is given.
        let own = ben.post(circle, "and I?").await.unwrap();
        until("the relay has it", || status(&ben, circle, own) >= Some(Status::Sent)).await;
        assert_eq!(status(&ben, circle, after), None);
        assert!(texts(&ben, circle).contains(&"hello".to_owned()));
        relay.off();
    });
}
