//! A relay that its owner enlists: it settles while everybody sleeps, after a restart too, and reads nothing.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Relay, TOKEN, agree, code, memory, person, status, story, texts, two, until};
use ledgerno_engine::Engine;
use ledgerno_engine::status::Status;
use ledgerno_ledger::bytes::{CircleId, DeviceId};
use ledgerno_ledger::codec;
use ledgerno_node::store::{Memory, Space, Store};
use ledgerno_node::{Node, PROTOCOL};

/// Who votes, by devices, and whether they are always on.
fn voting<S: Store>(node: &Node<S>, circle: CircleId) -> Vec<(DeviceId, bool)> {
    let witnesses = node.look(circle, Engine::witnesses).unwrap();
    witnesses.iter().filter(|one| one.votes).map(|one| (one.device, one.always_on)).collect()
}

fn is_ready<S: Store>(node: &Node<S>, circle: CircleId, device: DeviceId) -> bool {
    let witnesses = node.look(circle, Engine::witnesses).unwrap();
    witnesses.iter().any(|one| one.device == device && !one.votes && one.always_on)
}

async fn promote<S: Store>(founder: &Node<S>, circle: CircleId, promoted: DeviceId, demoted: DeviceId) {
    founder.act(circle, |engine, now| engine.change_witnesses(vec![promoted], vec![demoted], now)).await.unwrap();
    until("it votes", || voting(founder, circle).iter().map(|(id, _)| *id).eq([promoted])).await;
}

/// All bytes that a store holds, in its log and records.
async fn held(store: &Memory) -> Vec<Vec<u8>> {
    let mut held = Vec::new();
    for name in store.spaces().await.unwrap() {
        let loaded = store.space(&name).await.unwrap().load().await.unwrap();
        held.extend(loaded.log.into_iter().chain(loaded.records.into_values()).map(|bytes| bytes.to_vec()));
    }
    held
}

fn holds(held: &[Vec<u8>], sought: &[u8]) -> bool {
    held.iter().any(|bytes| bytes.windows(sought.len()).any(|window| window == sought))
}

#[test]
fn an_enlisted_relay_settles_while_all_sleep_and_after_its_restart() {
    story(async {
        let store = memory();
        let relay = Relay::start(store.clone()).await;
        let (at, hub) = (relay.at, relay.address().peer);
        let (anna, bens) = (memory(), memory());
        let (anna, ben, circle) = two(&relay, anna, bens.clone()).await;
        agree(&anna, &ben, circle).await;
        let own = anna.look(circle, Engine::device).unwrap().unwrap();

        assert_eq!(code(anna.enlist(circle, "somebody's token").await), "token-wrong");
        assert_eq!(code(anna.enlist(circle, &"x".repeat(1_000)).await), "token-wrong");
        assert!(!is_ready(&anna, circle, hub));
        assert_eq!(anna.enlist(circle, TOKEN).await, Ok(()));
        until("the relay is ready", || is_ready(&anna, circle, hub)).await;
        assert_eq!(anna.enlist(circle, TOKEN).await, Ok(()), "it may be said twice");
        promote(&anna, circle, hub, own).await;
        assert_eq!(voting(&anna, circle), [(hub, true)]);
        agree(&anna, &ben, circle).await;
        // The founder, who settled alone before, is gone for good.
        anna.post(circle, "good night").await.unwrap();
        agree(&anna, &ben, circle).await;
        anna.close().await;

        let post = ben.post(circle, "who is awake?").await.unwrap();
        until("it is sent", || status(&ben, circle, post) >= Some(Status::Sent)).await;
        ben.close().await;
        let ben = person(bens.clone(), None).await;
        until("it was settled", || status(&ben, circle, post) == Some(Status::Settled)).await;

        relay.off();
        let relay = Relay::start_at(store.clone(), at, PROTOCOL).await;
        let post = ben.post(circle, "after the restart").await.unwrap();
        until("it is settled", || status(&ben, circle, post) == Some(Status::Settled)).await;

        // A new epoch: its state key is handed to the relay with all others, and its talk key is not.
        ben.act(circle, Engine::start_epoch).await.unwrap();
        until("the epoch begins", || ben.look(circle, Engine::epochs) == Ok(2)).await;
        let post = ben.post(circle, "in the second epoch").await.unwrap();
        until("it is settled", || status(&ben, circle, post) == Some(Status::Settled)).await;
        relay.off();
        let relay = Relay::start_at(store.clone(), at, PROTOCOL).await;
        let post = ben.post(circle, "and after another restart").await.unwrap();
        until("it is settled", || status(&ben, circle, post) == Some(Status::Settled)).await;

        let keys = ben.look(circle, |engine| engine.lane_keys().to_vec()).unwrap();
        assert_eq!(keys.len(), 2);
        let held = held(&store).await;
        for keys in keys {
            assert!(holds(&held, &codec::encode(&keys.state)), "the relay holds the state keys");
            assert!(!holds(&held, &codec::encode(&keys.talk.unwrap())), "the relay holds a talk key");
        }
        for text in ["good night", "who is awake?", "in the second epoch"] {
            assert!(texts(&ben, circle).contains(&text.to_owned()));
            assert!(!holds(&held, text.as_bytes()), "the relay holds {text}");
        }
        relay.off();
    });
}

#[test]
fn a_dismissed_relay_forgets_the_keys_and_keeps_on() {
    story(async {
        let store = memory();
        let relay = Relay::start(store.clone()).await;
        let hub = relay.address().peer;
        let (anna, ben, circle) = two(&relay, memory(), memory()).await;
        let own = anna.look(circle, Engine::device).unwrap().unwrap();
        let state_key = codec::encode(&anna.look(circle, |engine| engine.lane_keys()[0].state.clone()).unwrap());
        assert!(!holds(&held(&store).await, &state_key));
        anna.enlist(circle, TOKEN).await.unwrap();
        until("the relay is ready", || is_ready(&anna, circle, hub)).await;
        promote(&anna, circle, hub, own).await;
        assert!(holds(&held(&store).await, &state_key));
        assert_eq!(code(anna.dismiss(circle, TOKEN).await), "busy", "it votes");

        anna.act(circle, |engine, now| engine.offer_to_witness(false, now)).await.unwrap();
        until("Anna is ready", || anna.look(circle, |engine| engine.witnesses().len()) == Ok(2)).await;
        promote(&anna, circle, own, hub).await;
        assert_eq!(code(ben.dismiss(circle, "a guess").await), "token-wrong");
        assert_eq!(anna.dismiss(circle, TOKEN).await, Ok(()));
        assert_eq!(anna.dismiss(circle, TOKEN).await, Ok(()));
        assert!(!holds(&held(&store).await, &state_key), "the key is forgotten");

        // It keeps the circle as before, also after a restart, and is enlisted again.
        ben.post(circle, "still here?").await.unwrap();
        agree(&anna, &ben, circle).await;
        let at = relay.at;
        relay.off();
        let relay = Relay::start_at(store, at, PROTOCOL).await;
        ben.post(circle, "and now?").await.unwrap();
        agree(&anna, &ben, circle).await;
        assert_eq!(anna.enlist(circle, TOKEN).await, Ok(()));
        until("the relay is ready again", || is_ready(&anna, circle, hub)).await;
        promote(&anna, circle, hub, own).await;
        ben.post(circle, "settled by the relay").await.unwrap();
        agree(&anna, &ben, circle).await;
        relay.off();
    });
}
