//! What every store must do, as cases that run on each of them: natively as tests, in a browser from a test page.

use bytes::Bytes;
use futures::future::join_all;

use super::{Batch, MAX_ITEM, MAX_NAME, MAX_RECORD, Space, Store, StoreError};

/// A place for one store, empty at first, that can be opened again after the store was closed.
#[allow(async_fn_in_trait, reason = "cases run on one thread")]
pub trait Place {
    type Store: Store;
    async fn open(&self) -> Result<Self::Store, StoreError>;
}

/// Why a case failed.
pub type Failure = String;
type Case = Result<(), Failure>;

macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        /// The names of all cases.
        pub const NAMES: &[&str] = &[$(stringify!($name)),+];

        /// Runs the case of this name in a fresh place.
        pub async fn run<P: Place>(name: &str, place: &P) -> Result<(), String> {
            match name {
                $(stringify!($name) => $name(place).await,)+
                other => Err(format!("no case is named {other}")),
            }
        }
    };
}

cases!(
    an_unused_space_is_empty,
    what_is_written_is_read,
    order_outlives_restarts,
    log_and_records_change_together,
    thousands_of_items_keep_their_order,
    many_small_writes_keep_their_order,
    large_items_are_kept,
    records_are_replaced_and_deleted,
    spaces_are_apart,
    a_removed_space_is_empty,
    what_is_too_large_is_refused,
    odd_names_are_refused,
    an_empty_batch_does_nothing,
    concurrent_writes_keep_their_order,
    every_write_is_there_after_each_restart,
    the_end_of_a_log_is_loaded_alone_and_the_rest_is_read,
    old_items_are_emptied_and_keep_their_places,
    items_give_way_to_shorter_ones,
);

macro_rules! ensure_eq {
    ($left:expr, $right:expr, $($what:tt)+) => {
        let (left, right) = (&$left, &$right);
        if left != right {
            return Err(format!("{}: {left:.200?} is not {right:.200?}", format!($($what)+)));
        }
    };
}

fn failed(error: StoreError) -> Failure {
    error.to_string()
}

/// Items that differ from each other, of lengths from 0 to 300 bytes.
fn items(numbers: std::ops::Range<usize>) -> Vec<Bytes> {
    numbers.map(|number| Bytes::from(format!("{number:0>width$}", width = number % 301))).collect()
}

fn log(items: Vec<Bytes>) -> Batch {
    Batch { log: items, ..Batch::default() }
}

fn record(key: &str, value: &'static str) -> (String, Option<Bytes>) {
    (key.into(), Some(Bytes::from_static(value.as_bytes())))
}

async fn expect_log<S: Store>(store: &S, space: &str, count: usize, when: &str) -> Case {
    let loaded = store.space(space).await.map_err(failed)?.load().await.map_err(failed)?;
    ensure_eq!(loaded.log.len(), count, "items {when}");
    let wrong = loaded.log.iter().zip(items(0..count)).position(|(found, written)| *found != written);
    ensure_eq!(wrong, None, "first wrong item {when}");
    Ok(())
}

async fn an_unused_space_is_empty<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    let loaded = store.space("unused").await.map_err(failed)?.load().await.map_err(failed)?;
    ensure_eq!(loaded, Default::default(), "an unused space");
    ensure_eq!(store.spaces().await.map_err(failed)?, Vec::<String>::new(), "names of spaces");
    store.close().await;
    Ok(())
}

async fn what_is_written_is_read<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    let space = store.space("a").await.map_err(failed)?;
    let records = vec![record("vote", "yes"), record("empty", "")];
    space.write(Batch { log: items(0..3), records, ..Batch::default() }).await.map_err(failed)?;
    for when in ["at once", "after a restart"] {
        let store = if when == "at once" { store.clone() } else { place.open().await.map_err(failed)? };
        expect_log(&store, "a", 3, when).await?;
        let loaded = store.space("a").await.map_err(failed)?.load().await.map_err(failed)?;
        let records: Vec<_> = loaded.records.into_iter().collect();
        let written = vec![("empty".into(), Bytes::new()), ("vote".into(), Bytes::from_static(b"yes"))];
        ensure_eq!(records, written, "records {when}");
        store.close().await;
    }
    Ok(())
}

async fn order_outlives_restarts<P: Place>(place: &P) -> Case {
    let mut count = 0;
    for round in 1..=5 {
        let store = place.open().await.map_err(failed)?;
        expect_log(&store, "a", count, "before writing").await?;
        let space = store.space("a").await.map_err(failed)?;
        for _ in 0..round {
            space.write(log(items(count..count + 7))).await.map_err(failed)?;
            count += 7;
        }
        store.close().await;
    }
    let store = place.open().await.map_err(failed)?;
    expect_log(&store, "a", count, "in the end").await?;
    store.close().await;
    Ok(())
}

/// A batch whose last record is refused must leave no trace of its log.
async fn log_and_records_change_together<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    let space = store.space("a").await.map_err(failed)?;
    space
        .write(Batch { log: items(0..2), records: vec![record("k", "old")], ..Batch::default() })
        .await
        .map_err(failed)?;
    let before = space.load().await.map_err(failed)?;
    let large = (String::from("large"), Some(Bytes::from(vec![0; MAX_RECORD + 1])));
    let refused =
        space.write(Batch { log: items(2..4), records: vec![record("k", "new"), large], ..Batch::default() }).await;
    ensure_eq!(refused.is_err_and(|error| error.is_refusal()), true, "refusal");
    ensure_eq!(space.load().await.map_err(failed)?, before, "after the refusal");
    store.close().await;
    Ok(())
}

async fn thousands_of_items_keep_their_order<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    let space = store.space("a").await.map_err(failed)?;
    space.write(log(items(0..2_500))).await.map_err(failed)?;
    expect_log(&store, "a", 2_500, "after one write").await?;
    for start in (2_500..4_200).step_by(170) {
        space.write(log(items(start..start + 170))).await.map_err(failed)?;
    }
    store.close().await;
    let store = place.open().await.map_err(failed)?;
    expect_log(&store, "a", 4_200, "after a restart").await?;
    store.close().await;
    Ok(())
}

async fn many_small_writes_keep_their_order<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    let space = store.space("a").await.map_err(failed)?;
    for number in 0..200 {
        space.write(log(items(number..number + 1))).await.map_err(failed)?;
    }
    expect_log(&store, "a", 200, "at once").await?;
    store.close().await;
    let store = place.open().await.map_err(failed)?;
    expect_log(&store, "a", 200, "after a restart").await?;
    store.close().await;
    Ok(())
}

async fn large_items_are_kept<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    let space = store.space("a").await.map_err(failed)?;
    let large: Vec<_> = (0..30u8).map(|fill| Bytes::from(vec![fill; MAX_ITEM])).collect();
    for part in large.chunks(10) {
        space.write(log(part.to_vec())).await.map_err(failed)?;
    }
    let record = (String::from("large"), Some(Bytes::from(vec![7; MAX_RECORD])));
    space.write(Batch { records: vec![record], ..Batch::default() }).await.map_err(failed)?;
    store.close().await;
    let store = place.open().await.map_err(failed)?;
    let loaded = store.space("a").await.map_err(failed)?.load().await.map_err(failed)?;
    ensure_eq!(loaded.log.len(), large.len(), "items");
    ensure_eq!(loaded.log == large, true, "same items");
    ensure_eq!(loaded.records.get("large").map(Bytes::len), Some(MAX_RECORD), "record");
    store.close().await;
    Ok(())
}

async fn records_are_replaced_and_deleted<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    let space = store.space("a").await.map_err(failed)?;
    let write = |records| space.write(Batch { records, ..Batch::default() });
    write(vec![record("kept", "1"), record("replaced", "1"), record("deleted", "1")]).await.map_err(failed)?;
    write(vec![record("replaced", "2"), ("deleted".into(), None), ("never-there".into(), None)])
        .await
        .map_err(failed)?;
    write(vec![record("twice", "1"), record("twice", "2"), record("gone", "1"), ("gone".into(), None)])
        .await
        .map_err(failed)?;
    store.close().await;
    let store = place.open().await.map_err(failed)?;
    let loaded = store.space("a").await.map_err(failed)?.load().await.map_err(failed)?;
    let records: Vec<_> = loaded.records.iter().map(|(key, value)| (key.as_str(), &value[..])).collect();
    ensure_eq!(records, vec![("kept", &b"1"[..]), ("replaced", b"2"), ("twice", b"2")], "records");
    store.close().await;
    Ok(())
}

/// Names that are prefixes of each other, and one that comes before all.
async fn spaces_are_apart<P: Place>(place: &P) -> Case {
    let longest = "z".repeat(MAX_NAME);
    let names = ["-", "0", "a", "a-", "a0", "aa", "b", longest.as_str()];
    let store = place.open().await.map_err(failed)?;
    for (count, name) in names.into_iter().enumerate() {
        let space = store.space(name).await.map_err(failed)?;
        let records = vec![record(name, "here"), (String::from("number"), Some(Bytes::from(vec![count as u8])))];
        space.write(Batch { log: items(0..count), records, ..Batch::default() }).await.map_err(failed)?;
    }
    store.close().await;
    let store = place.open().await.map_err(failed)?;
    ensure_eq!(store.spaces().await.map_err(failed)?, names.map(String::from).to_vec(), "names of spaces");
    for (count, name) in names.into_iter().enumerate() {
        expect_log(&store, name, count, name).await?;
        let loaded = store.space(name).await.map_err(failed)?.load().await.map_err(failed)?;
        ensure_eq!(loaded.records.len(), 2, "records of {name}");
        ensure_eq!(loaded.records.get("number"), Some(&Bytes::from(vec![count as u8])), "record of {name}");
    }
    store.close().await;
    Ok(())
}

async fn a_removed_space_is_empty<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    for name in ["a", "aa", "b"] {
        let space = store.space(name).await.map_err(failed)?;
        space
            .write(Batch { log: items(0..70), records: vec![record("k", "v")], ..Batch::default() })
            .await
            .map_err(failed)?;
    }
    let removed = store.space("a").await.map_err(failed)?;
    store.remove("a").await.map_err(failed)?;
    store.remove("never-there").await.map_err(failed)?;
    ensure_eq!(removed.load().await.map_err(failed)?, Default::default(), "the removed space");
    ensure_eq!(store.spaces().await.map_err(failed)?, vec!["aa", "b"], "names of spaces");
    removed.write(log(items(0..1))).await.map_err(failed)?;
    store.close().await;
    let store = place.open().await.map_err(failed)?;
    expect_log(&store, "a", 1, "written after the removal").await?;
    expect_log(&store, "aa", 70, "of the neighbour").await?;
    store.close().await;
    Ok(())
}

async fn what_is_too_large_is_refused<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    let space = store.space("a").await.map_err(failed)?;
    let item = Bytes::from(vec![0; MAX_ITEM + 1]);
    let many = vec![Bytes::new(); super::MAX_BATCH_ITEMS + 1];
    let value = Bytes::from(vec![0; MAX_RECORD]);
    let much = (0..5).map(|number| (format!("k{number}"), Some(value.clone()))).collect();
    for batch in [log(vec![item]), log(many), Batch { records: much, ..Batch::default() }] {
        match space.write(batch).await {
            Err(StoreError::TooLarge { len, max, .. }) if len > max => {}
            other => return Err(format!("too large, yet {other:?}")),
        }
    }
    ensure_eq!(space.load().await.map_err(failed)?, Default::default(), "after refusals");
    store.close().await;
    Ok(())
}

async fn odd_names_are_refused<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    let space = store.space("a").await.map_err(failed)?;
    let long = "a".repeat(MAX_NAME + 1);
    for name in ["", "A", "a b", "a/b", "é", "~", "a\0", &long] {
        let refused = |error: StoreError| matches!(error, StoreError::Name { len } if len == name.len());
        ensure_eq!(store.space(name).await.is_err_and(refused), true, "a space named {name:?} is refused");
        ensure_eq!(store.remove(name).await.is_err_and(refused), true, "to remove {name:?} is refused");
        let batch = Batch { log: items(0..1), records: vec![record(name, "")], ..Batch::default() };
        ensure_eq!(space.write(batch).await.is_err_and(refused), true, "a record named {name:?} is refused");
    }
    ensure_eq!(store.spaces().await.map_err(failed)?, Vec::<String>::new(), "names of spaces");
    store.close().await;
    Ok(())
}

async fn an_empty_batch_does_nothing<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    let space = store.space("a").await.map_err(failed)?;
    space.write(Batch::default()).await.map_err(failed)?;
    ensure_eq!(store.spaces().await.map_err(failed)?, Vec::<String>::new(), "names of spaces");
    space.write(log(items(0..1))).await.map_err(failed)?;
    space.write(Batch::default()).await.map_err(failed)?;
    expect_log(&store, "a", 1, "beside empty batches").await?;
    store.close().await;
    Ok(())
}

async fn concurrent_writes_keep_their_order<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    let (a, b) = (store.space("a").await.map_err(failed)?, store.space("b").await.map_err(failed)?);
    // Two handles of one space write in turn with another space.
    let again = store.space("a").await.map_err(failed)?;
    let writes = (0..300).map(|number| {
        let space = [&a, &b, &again][number % 3];
        let position = if number % 3 == 1 { number / 3 } else { number - (number + 1) / 3 };
        let last = (String::from("last"), Some(Bytes::from(position.to_string())));
        space.write(Batch { log: items(position..position + 1), records: vec![last], ..Batch::default() })
    });
    for result in join_all(writes).await {
        result.map_err(failed)?;
    }
    store.close().await;
    let store = place.open().await.map_err(failed)?;
    for (name, count) in [("a", 200), ("b", 100)] {
        expect_log(&store, name, count, name).await?;
        let loaded = store.space(name).await.map_err(failed)?.load().await.map_err(failed)?;
        ensure_eq!(loaded.records.get("last"), Some(&Bytes::from((count - 1).to_string())), "last record of {name}");
    }
    store.close().await;
    Ok(())
}

async fn every_write_is_there_after_each_restart<P: Place>(place: &P) -> Case {
    // Around the bounds at which the log's tail is compacted.
    let sizes = [1, 62, 1, 1, 1, 936, 1, 999, 1000, 1001, 1, 64];
    let mut count = 0;
    for size in sizes {
        let store = place.open().await.map_err(failed)?;
        let space = store.space("a").await.map_err(failed)?;
        space.write(log(items(count..count + size))).await.map_err(failed)?;
        count += size;
        store.close().await;
        let store = place.open().await.map_err(failed)?;
        expect_log(&store, "a", count, &format!("after {count}")).await?;
        store.close().await;
    }
    Ok(())
}

async fn the_end_of_a_log_is_loaded_alone_and_the_rest_is_read<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    let space = store.space("a").await.map_err(failed)?;
    let all = items(0..4_321);
    // Another space's log lies on both sides.
    for (name, from, to) in [("9", 0, 3), ("b", 0, 3), ("a", 0, 700), ("a", 700, 4_300)] {
        store.space(name).await.map_err(failed)?.write(log(all[from..to].to_vec())).await.map_err(failed)?;
    }
    for at in 4_300..4_321 {
        space.write(log(all[at..at + 1].to_vec())).await.map_err(failed)?;
    }
    store.close().await;
    let froms: [super::First; 6] = [|_| 0, |_| 1, |_| 2_999, |_| 4_305, |_| 4_320, |_| 4_321];
    for (from, ask) in [0, 1, 2_999, 4_305, 4_320, 4_321].into_iter().zip(froms) {
        let store = place.open().await.map_err(failed)?;
        let space = store.space("a").await.map_err(failed)?;
        let loaded = space.load_from(ask).await.map_err(failed)?;
        ensure_eq!(loaded.first <= from, true, "what is loaded from {from} begins at {}", loaded.first);
        // Behind all stands what earlier rounds wrote.
        ensure_eq!(loaded.log.starts_with(&all[loaded.first as usize..]), true, "the log from {from}");
        let wanted: Vec<u64> = (0..4_321).filter(|at| at % 613 < 3 || *at == 4_320).collect();
        let read = space.read(wanted.clone()).await.map_err(failed)?;
        ensure_eq!(read.iter().eq(wanted.iter().map(|at| &all[*at as usize])), true, "what is read back");
        ensure_eq!(space.read(vec![5_000]).await.is_err(), true, "past the end");
        // What was loaded in part is written on.
        space.write(log(all[..1].to_vec())).await.map_err(failed)?;
        let whole = space.load().await.map_err(failed)?;
        ensure_eq!(whole.log[..4_321] == all, true, "the whole log after a write");
        store.close().await;
    }
    Ok(())
}

/// In full records and in the tail, at once with what is appended; after a restart the tail is gathered as ever.
async fn items_give_way_to_shorter_ones<P: Place>(place: &P) -> Case {
    let mut all = items(0..2_600);
    let store = place.open().await.map_err(failed)?;
    let space = store.space("a").await.map_err(failed)?;
    space.write(log(all[..2_400].to_vec())).await.map_err(failed)?;
    for at in 2_400..2_420 {
        space.write(log(all[at..=at].to_vec())).await.map_err(failed)?;
    }
    let short = |at: u64| (at, Bytes::from(vec![b'x'; (at % 3) as usize]));
    let some: Vec<_> = [3, 999, 1_000, 2_399, 2_401, 2_419].map(short).to_vec();
    space.write(replaced(some.clone())).await.map_err(failed)?;
    let more: Vec<_> = [4, 2_402].map(short).to_vec();
    // What is longer changes nothing, nor what is past the end.
    let longer = Bytes::from(vec![b'x'; 9_000]);
    let mut replace = [&more[..], &[(7, longer.clone()), (2_403, longer), (9_000, Bytes::new())]].concat();
    replace.sort_by_key(|(at, _)| *at);
    let log_on = all[2_420..2_422].to_vec();
    space.write(Batch { log: log_on, ..replaced(replace) }).await.map_err(failed)?;
    for (at, thinner) in some.iter().chain(&more) {
        all[*at as usize] = thinner.clone();
    }
    store.close().await;
    let mut end = 2_422;
    for when in ["after a restart", "after another"] {
        let store = place.open().await.map_err(failed)?;
        let space = store.space("a").await.map_err(failed)?;
        ensure_eq!(space.load().await.map_err(failed)?.log == all[..end], true, "the log {when}");
        // So many writes that the tail is gathered.
        for at in end..end + 70 {
            space.write(log(all[at..=at].to_vec())).await.map_err(failed)?;
        }
        end += 70;
        let newest = short(end as u64 - 2);
        all[end - 2] = newest.1.clone();
        space.write(replaced(vec![newest])).await.map_err(failed)?;
        ensure_eq!(space.load().await.map_err(failed)?.log == all[..end], true, "the log gathered {when}");
        store.close().await;
    }
    Ok(())
}

fn emptied(items: &[u64]) -> Batch {
    replaced(items.iter().map(|item| (*item, Bytes::new())).collect())
}

fn replaced(items: Vec<(u64, Bytes)>) -> Batch {
    let (replace, by) = items.into_iter().unzip();
    Batch { replace, by, ..Batch::default() }
}

/// Nothing else changes: neither the others, nor what is appended after, nor another space.
async fn old_items_are_emptied_and_keep_their_places<P: Place>(place: &P) -> Case {
    let store = place.open().await.map_err(failed)?;
    let space = store.space("a").await.map_err(failed)?;
    let mut all = items(0..4_000);
    for name in ["a", "b"] {
        store.space(name).await.map_err(failed)?.write(log(all[..3_500].to_vec())).await.map_err(failed)?;
    }
    let old: Vec<u64> = (0..2_900).filter(|at| at % 7 < 4).collect();
    let (some, others) = old.split_at(700);
    space.write(emptied(some)).await.map_err(failed)?;
    let others = Batch { log: all[3_500..].to_vec(), records: vec![record("k", "v")], ..emptied(others) };
    space.write(others).await.map_err(failed)?;
    // What is past the end changes nothing.
    space.write(emptied(&[9_000])).await.map_err(failed)?;
    expect_log(&store, "b", 3_500, "in the other space").await?;
    for at in &old {
        all[*at as usize].clear();
    }
    for when in ["at once", "after a restart"] {
        let store = if when == "at once" { store.clone() } else { place.open().await.map_err(failed)? };
        let space = store.space("a").await.map_err(failed)?;
        let loaded = space.load().await.map_err(failed)?;
        ensure_eq!(loaded.log == all, true, "the log {when}");
        ensure_eq!(loaded.records.len(), 1, "records {when}");
        let read = space.read(vec![0, 5, 6, 2_800]).await.map_err(failed)?;
        ensure_eq!(read, [0, 5, 6, 2_800].map(|at: usize| all[at].clone()).to_vec(), "what is read {when}");
        space.write(log(items(0..1))).await.map_err(failed)?;
        all.extend(items(0..1));
        ensure_eq!(space.load().await.map_err(failed)?.log == all, true, "the log after a write {when}");
        store.close().await;
    }
    Ok(())
}
