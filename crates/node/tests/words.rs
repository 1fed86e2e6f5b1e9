//! Coming back with 24 words: a fresh device, a relay, and nothing else.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Relay, agree, code, memory, nobody_forked, person, status, story, texts, two, until};
use ledgerno_engine::Engine;
use ledgerno_engine::status::Status;
use ledgerno_ledger::keys::Identity;
use ledgerno_node::Alert;

#[test]
fn with_24_words_a_fresh_device_has_everything_again() {
    story(async {
        let relay = Relay::start(memory()).await;
        let (anna, ben, circle) = two(&relay, memory(), memory()).await;
        ben.post(circle, "before").await.unwrap();
        agree(&anna, &ben, circle).await;
        // The circle is in its second epoch when Ben loses his device.
        anna.act(circle, Engine::start_epoch).await.unwrap();
        until("the epoch begins", || ben.look(circle, Engine::epochs) == Ok(2)).await;
        ben.post(circle, "in the second epoch").await.unwrap();
        agree(&anna, &ben, circle).await;
        let (words, member) = (ben.words(), ben.look(circle, Engine::own_member).unwrap());
        ben.close().await;

        let fresh = person(memory(), None).await;
        assert_eq!(fresh.restore(&words, relay.address()).await, Ok(vec![circle]));
        until("it is in", || fresh.look(circle, Engine::is_in) == Ok(true)).await;
        assert_eq!(fresh.look(circle, Engine::own_member).unwrap(), member);
        agree(&anna, &fresh, circle).await;
        assert_eq!(texts(&fresh, circle), ["before", "in the second epoch"]);
        fresh.post(circle, "I am back").await.unwrap();
        until("Anna reads it", || texts(&anna, circle).contains(&"I am back".to_owned())).await;
        agree(&anna, &fresh, circle).await;
        assert!(nobody_forked(&anna, circle));
        let devices = anna.look(circle, Engine::devices).unwrap();
        assert_eq!(devices.iter().filter(|device| Some(device.member) == member).count(), 2);
        relay.off();
    });
}

#[test]
fn a_keybox_outlives_the_relays_restart_and_words_of_nobody_get_a_clear_word() {
    story(async {
        let store = memory();
        let relay = Relay::start(store.clone()).await;
        let (anna, ben, circle) = two(&relay, memory(), memory()).await;
        agree(&anna, &ben, circle).await;
        let words = ben.words();
        // What is said after the keybox was kept comes after it.
        let again = ben.post(circle, "hello").await.unwrap();
        until("it is settled", || {
            ben.look(circle, |engine| engine.status(&again)).ok().flatten()
                == Some(ledgerno_engine::status::Status::Settled)
        })
        .await;
        ben.close().await;
        anna.close().await;
        let at = relay.at;
        relay.off();
        let relay = Relay::start_at(store, at, ledgerno_node::PROTOCOL).await;
        let fresh = person(memory(), None).await;
        let nobody = Identity::from_secret([77; 32]).words();
        assert_eq!(code(fresh.restore(&nobody, relay.address()).await), "invite-unknown");
        let swapped = words.split(' ').rev().collect::<Vec<_>>().join(" ");
        let wrong = code(fresh.restore(&swapped, relay.address()).await);
        assert!(["words-wrong", "invite-unknown"].contains(&wrong), "{wrong}");
        assert_eq!(code(fresh.restore("a few words", relay.address()).await), "words-wrong");
        assert!(fresh.circles().is_empty());
        assert_eq!(fresh.restore(&words, relay.address()).await, Ok(vec![circle]));
        until("it is in", || fresh.look(circle, Engine::is_in) == Ok(true)).await;
        assert_eq!(code(fresh.restore(&words, relay.address()).await), "occupied");
        relay.off();
    });
}

/// The founder's device settled alone, and is lost with what it settled out of everybody's reach. It is found again later.
#[test]
fn a_founder_who_comes_back_lets_the_new_device_settle() {
    story(async {
        let (store, annas) = (memory(), memory());
        let relay = Relay::start(store.clone()).await;
        let (anna, ben, circle) = two(&relay, annas.clone(), memory()).await;
        agree(&anna, &ben, circle).await;
        let words = anna.words();
        // A keybox is at the relay once Anna and the relay hold the same.
        let known = person(memory(), None).await;
        while known.restore(&words, relay.address()).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        known.close().await;
        let at = relay.at;
        relay.off();
        let alone = anna.post(circle, "nobody hears me").await.unwrap();
        until("it is settled out of reach", || anna.look(circle, |engine| engine.settlement().unsettled) == Ok(0))
            .await;
        assert_eq!(status(&anna, circle, alone), Some(Status::Here), "but not sent");
        anna.close().await;

        let relay = Relay::start_at(store, at, ledgerno_node::PROTOCOL).await;
        let fresh = person(memory(), None).await;
        fresh.restore(&words, relay.address()).await.unwrap();
        let post = ben.post(circle, "who settles now?").await.unwrap();
        until("the new device may settle", || fresh.look(circle, |engine| engine.may_renew().is_some()) == Ok(true))
            .await;
        assert_ne!(status(&ben, circle, post), Some(Status::Settled));
        assert_eq!(code(ben.act(circle, Engine::renew).await), "no-renewal", "Ben is not the founder");
        fresh.act(circle, Engine::renew).await.unwrap();
        until("it is settled", || status(&ben, circle, post) == Some(Status::Settled)).await;
        agree(&fresh, &ben, circle).await;

        let anna = person(annas, None).await;
        let overruled = |alert: &Alert| matches!(alert, Alert::Overruled { .. });
        until("the old device hears of it", || anna.alerts(circle).iter().any(overruled)).await;
        agree(&fresh, &anna, circle).await;
        until("what it wrote alone is settled", || status(&ben, circle, alone) == Some(Status::Settled)).await;
        for node in [&fresh, &ben] {
            agree(node, &anna, circle).await;
            assert_eq!(node.alerts(circle), [], "nobody is alarmed");
            assert_eq!(texts(node, circle), texts(&anna, circle));
        }
        relay.off();
    });
}
