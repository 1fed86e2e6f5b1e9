//! The common cases on memory and redb, and what only a file can suffer.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::redb::StorageBackend;
use ::redb::backends::FileBackend;
use bytes::Bytes;

use super::cases::{NAMES, Place, run};
use super::redb::{Opener, Redb};
use super::{Batch, Loaded, Memory, Space, Store, StoreError};

impl Place for Memory {
    type Store = Memory;
    async fn open(&self) -> Result<Memory, StoreError> {
        Ok(self.clone())
    }
}

pub(super) struct Folder(pub PathBuf);

impl Place for Folder {
    type Store = Redb;
    async fn open(&self) -> Result<Redb, StoreError> {
        Redb::open(&self.0).await
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("ledgerno.redb")
}

fn batch(items: &[&'static [u8]]) -> Batch {
    Batch { log: items.iter().map(|item| Bytes::from_static(item)).collect(), ..Batch::default() }
}

async fn load(folder: &Path) -> Result<Loaded, StoreError> {
    let store = Redb::open(folder).await?;
    let loaded = store.space("a").await?.load().await;
    store.close().await;
    loaded
}

#[tokio::test]
async fn memory_passes_all_cases() {
    for name in NAMES {
        run(name, &Memory::new()).await.unwrap_or_else(|failure| panic!("{name}: {failure}"));
    }
}

#[tokio::test]
async fn redb_passes_all_cases() {
    for name in NAMES {
        let folder = tempfile::tempdir().unwrap();
        let place = Folder(folder.path().join("new"));
        run(name, &place).await.unwrap_or_else(|failure| panic!("{name}: {failure}"));
    }
}

#[tokio::test]
async fn held_writes_are_not_durable_before_their_release() {
    let store = Memory::new();
    let space = store.space("a").await.unwrap();
    store.hold();
    let writing = tokio::spawn({
        let space = space.clone();
        async move { space.write(batch(&[b"kept"])).await }
    });
    store.until_held(1).await;
    assert_eq!(space.load().await.unwrap(), Loaded::default());
    assert!(!writing.is_finished());
    store.release();
    writing.await.unwrap().unwrap();
    assert_eq!(space.load().await.unwrap().log, ["kept"]);

    store.hold();
    let losing = tokio::spawn({
        let space = space.clone();
        async move { space.write(batch(&[b"lost"])).await }
    });
    store.until_held(1).await;
    store.lose_unsynced();
    assert_eq!(losing.await.unwrap(), Err(StoreError::Closed));
    assert_eq!(space.load().await.unwrap().log, ["kept"]);

    let full = StoreError::Full { path: "memory".into() };
    store.fail_next(full.clone());
    assert_eq!(space.write(batch(&[b"refused"])).await, Err(full));
    space.write(batch(&[b"after"])).await.unwrap();
    assert_eq!(space.load().await.unwrap().log, ["kept", "after"]);
}

#[tokio::test]
async fn a_file_in_use_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = Redb::open(folder.path()).await.unwrap();
    let path = file(folder.path()).display().to_string();
    assert_eq!(Redb::open(folder.path()).await.err(), Some(StoreError::InUse { path }));
    store.close().await;
    assert_eq!(store.spaces().await, Err(StoreError::Closed));
    Redb::open(folder.path()).await.unwrap();
}

/// A closed store with something in it.
async fn written(folder: &Path) -> Loaded {
    let store = Redb::open(folder).await.unwrap();
    let space = store.space("a").await.unwrap();
    for number in 0..5u8 {
        let records = vec![(format!("k{number}"), Some(Bytes::from(vec![number; 100])))];
        space.write(Batch { log: vec![Bytes::from(vec![number; 3_000])], records, ..Batch::default() }).await.unwrap();
    }
    let loaded = space.load().await.unwrap();
    store.close().await;
    loaded
}

fn assert_damaged<T: std::fmt::Debug>(result: Result<T, StoreError>, folder: &Path, how: &str) {
    match result {
        Err(StoreError::Damaged { path, detail }) => {
            assert_eq!(path, file(folder).display().to_string(), "{how}");
            assert!(!detail.is_empty(), "{how}");
        }
        other => panic!("{how}: {other:?}"),
    }
}

#[tokio::test]
async fn a_damaged_file_is_reported_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path()).await;
    let whole = fs::read(file(folder.path())).unwrap();
    let garbage: Vec<u8> = (0..whole.len()).map(|at| (at * 31 % 251) as u8).collect();
    let mut headless = whole.clone();
    headless[..64].fill(0);
    let damages = [
        ("empty", Vec::new()),
        ("one byte", whole[..1].to_vec()),
        ("header only", whole[..320].to_vec()),
        ("half", whole[..whole.len() / 2].to_vec()),
        ("a page short", whole[..whole.len() - 4096].to_vec()),
        ("garbage", garbage),
        ("text", b"not a database".to_vec()),
        ("no header", headless),
    ];
    for (how, bytes) in damages {
        fs::write(file(folder.path()), &bytes).unwrap();
        assert_damaged(load(folder.path()).await, folder.path(), how);
        assert_damaged(load(folder.path()).await, folder.path(), how);
        assert!(fs::read(file(folder.path())).unwrap() == bytes, "{how}: the file was changed");
    }
    fs::write(file(folder.path()), &whole).unwrap();
    assert_eq!(load(folder.path()).await.unwrap().log.len(), 5);
}

/// The header's flags and sizes, many bits of its commit slots and of the pages behind it: either all that was written is read, or damage is reported.
#[tokio::test]
async fn a_flipped_bit_loses_nothing_silently() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = written(folder.path()).await;
    let whole = fs::read(file(folder.path())).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let slots = (64 * 8..320 * 8).step_by(7);
    let pages = (320 * 8..used * 8).step_by((used * 8 / 150) | 1);
    let mut damaged = 0;
    for bit in (0..28 * 8).chain(slots).chain(pages) {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(file(folder.path()), &bytes).unwrap();
        match load(folder.path()).await {
            Ok(found) => assert!(found == loaded, "bit {} of byte {} was lost", bit % 8, bit / 8),
            Err(StoreError::Damaged { .. }) => damaged += 1,
            Err(other) => panic!("bit {} of byte {}: {other}", bit % 8, bit / 8),
        }
    }
    assert!(damaged > 150, "only {damaged} flips were found");
}

/// A disk with room for so many bytes.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    room: Arc<AtomicU64>,
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.room.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

#[tokio::test]
async fn a_full_disk_says_so_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    Redb::open(folder.path()).await.unwrap().close().await;
    let room = Arc::new(AtomicU64::new(12_000_000));
    let opener: Opener = Arc::new({
        let room = room.clone();
        move |path: &Path| {
            let file = FileBackend::new(OpenOptions::new().read(true).write(true).open(path)?)?;
            ::redb::Builder::new().create_with_backend(Disk { file, room: room.clone() })
        }
    });
    let store = Redb::open_with(folder.path().into(), opener).await.unwrap();
    let space = store.space("a").await.unwrap();
    let item = |number: usize| Bytes::from(vec![number as u8; super::MAX_ITEM]);
    let write = |number| space.write(Batch { log: vec![item(number)], ..Batch::default() });
    let mut written = 0;
    let full = loop {
        match write(written).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100, "never full");
    };
    assert_eq!(full, StoreError::Full { path: file(folder.path()).display().to_string() });
    assert!(written > 5, "full after {written}");
    let all = |count| (0..count).map(item).collect::<Vec<_>>();
    assert!(space.load().await.unwrap().log == all(written), "what was acknowledged is there");

    room.store(u64::MAX, Ordering::SeqCst);
    write(written).await.unwrap();
    store.close().await;
    assert!(load(folder.path()).await.unwrap().log == all(written + 1));
}
