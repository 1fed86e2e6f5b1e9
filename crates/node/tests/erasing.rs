//! What is erased leaves the files of everybody, a relay's too, and stays away.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Relay, person, story, texts, two, until};
use ledgerno_engine::{Item, WriteError};
use ledgerno_ledger::bytes::{CircleId, EntryId};
use ledgerno_node::NodeError;
use ledgerno_node::store::redb::Redb;
use ledgerno_node::store::{Space, Store, StoreError};

async fn store(folder: &Path) -> Redb {
    for _ in 0..1_000 {
        match Redb::open(folder).await {
            // Who held it has not let go yet.
            Err(StoreError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            opened => return opened.unwrap(),
        }
    }
    panic!("never: the store is free");
}

/// Whether an entry's body lies in a folder's log.
async fn has_body(folder: &Path, circle: CircleId, id: EntryId) -> bool {
    let store = store(folder).await;
    let log = store.space(&format!("circle-{circle}")).await.unwrap().load().await.unwrap().log;
    store.close().await;
    let entry = |item: &bytes::Bytes| match Item::from_bytes(item).unwrap() {
        Item::Entry(packed) => (packed.signed.entry.id(circle) == id).then_some(packed),
        Item::Proof(_) => None,
    };
    log.iter().find_map(entry).unwrap().body.is_some()
}

#[test]
fn an_erased_post_is_in_nobodys_file() {
    story(async {
        let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
        let relay = Relay::start(store(folders[0].path()).await).await;
        let (anna, ben, circle) = two(&relay, store(folders[1].path()).await, store(folders[2].path()).await).await;
        let id = anna.post(circle, "taken back").await.unwrap();
        let stays = anna.post(circle, "stays").await.unwrap();
        until("Ben reads both", || texts(&ben, circle).len() == 2).await;
        assert_eq!(ben.erase(circle, id).await, Err(NodeError::Write(WriteError::NotOwn)));
        assert_eq!(anna.erase(circle, id).await, Ok(id));
        until("it is gone at Ben's", || texts(&ben, circle) == ["stays"]).await;
        // Whatever follows is written behind what took the body out.
        anna.post(circle, "after").await.unwrap();
        until("Ben reads on", || texts(&ben, circle).len() == 2).await;
        until("all is settled", || anna.look(circle, |engine| engine.settlement().unsettled == 0).unwrap()).await;
        anna.close().await;
        ben.close().await;
        relay.off();
        for folder in &folders {
            assert!(!has_body(folder.path(), circle, id).await);
            assert!(has_body(folder.path(), circle, stays).await);
        }
        let ben = person(store(folders[2].path()).await, None).await;
        assert_eq!(texts(&ben, circle), ["stays", "after"]);
        ben.close().await;
    });
}
