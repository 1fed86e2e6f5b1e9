//! What a killed process had acknowledged is there afterwards. In a binary of its own: while a child is started, it holds
//! the locks of every file that is open here.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use ledgerno_node::store::redb::Redb;
use ledgerno_node::store::{Batch, Loaded, Space, Store};

/// Set for the child: the folder in which it writes until it is killed.
const CHILD: &str = "LEDGERNO_STORE_CHILD";

/// Run as a child: writes one item after the other, and says so when it was told that the item is durable.
#[tokio::test]
async fn child_that_writes_until_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let store = Redb::open(PathBuf::from(folder)).await.unwrap();
    let space = store.space("a").await.unwrap();
    let start = space.load().await.unwrap().log.len() as u64;
    for number in start.. {
        let item = Bytes::from(number.to_string());
        let records = vec![("last".to_string(), Some(item.clone()))];
        space.write(Batch { log: vec![item], records, ..Batch::default() }).await.unwrap();
        let mut out = std::io::stderr();
        writeln!(out, "durable {number}").unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0u64;
    // Different numbers of writes, so that the kill falls before, within and after compactions.
    for writes in [1, 5, 60, 70, 33] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_killed", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut durable = lines.filter_map(|line| line.strip_prefix("durable ").map(|number| number.parse().unwrap()));
        for _ in 0..writes {
            acknowledged = durable.next().expect("the child writes until it is killed");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before the kill reached it counts too.
        acknowledged = durable.last().unwrap_or(acknowledged);

        let loaded = load(folder.path()).await;
        let numbers: Vec<u64> =
            loaded.log.iter().map(|item| std::str::from_utf8(item).unwrap().parse().unwrap()).collect();
        assert!(numbers.len() as u64 > acknowledged, "{} items, but {acknowledged} was durable", numbers.len());
        assert!(numbers.iter().copied().eq(0..numbers.len() as u64));
        assert_eq!(loaded.records["last"], loaded.log.last().unwrap(), "log and records are of one write");
    }
}

async fn load(folder: &Path) -> Loaded {
    let store = Redb::open(folder).await.unwrap();
    let loaded = store.space("a").await.unwrap().load().await.unwrap();
    store.close().await;
    loaded
}
