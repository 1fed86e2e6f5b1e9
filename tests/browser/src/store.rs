//! The stores' common cases on IndexedDB, and what only a browser's storage does.

use std::pin::pin;

use bytes::Bytes;
use futures::FutureExt;
use idb::{Database, Factory, Query, TransactionMode};
use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use ledgerno_node::store::cases::{self, Place};
use ledgerno_node::store::idb::{IndexedDb, VERSION};
use ledgerno_node::store::{Batch, MAX_ITEM, Space, Store, StoreError};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::Outcomes;

type Outcome = Result<(), String>;

macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}

pub async fn run(outcomes: &mut Outcomes) -> Result<(), JsValue> {
    for name in cases::NAMES {
        let place = Named::new();
        outcomes.test(&format!("store: {name}"), cases::run(name, &place)).await?;
        place.forget();
    }
    outcomes.test("store: a_full_origin_is_full", a_full_origin_is_full()).await?;
    outcomes.test("store: another_version_blocks", another_version_blocks()).await?;
    outcomes.test("store: a_newer_database_is_refused", a_newer_database_is_refused()).await?;
    outcomes.test("store: gives_way_to_a_newer_version", gives_way_to_a_newer_version()).await?;
    outcomes.test("store: without_indexeddb_it_says_so", without_indexeddb_it_says_so()).await?;
    outcomes.test("store: damage_is_reported", damage_is_reported()).await?;
    outcomes.test("store: a_second_writer_is_stopped", a_second_writer_is_stopped()).await?;
    outcomes.test("store: a_dropped_write_leaves_order", a_dropped_write_leaves_order()).await?;
    outcomes.test("store: writes_are_strict", writes_are_strict()).await
}

/// A database of its own for each test.
struct Named(String);

impl Named {
    fn new() -> Self {
        Self(format!("test-{}-{}", js_sys::Date::now(), js_sys::Math::random()))
    }

    /// The browser deletes it when the last connection is closed.
    fn forget(&self) {
        Factory::new().and_then(|factory| factory.delete(&self.0)).ok();
    }

    async fn raw(&self, version: u32) -> Result<Database, String> {
        Factory::new().map_err(shown)?.open(&self.0, Some(version)).map_err(shown)?.await.map_err(shown)
    }
}

impl Place for Named {
    type Store = IndexedDb;
    async fn open(&self) -> Result<IndexedDb, StoreError> {
        IndexedDb::open(&self.0).await
    }
}

pub fn shown(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

fn batch(items: &[&'static str]) -> Batch {
    Batch { log: items.iter().map(|item| Bytes::from_static(item.as_bytes())).collect(), ..Batch::default() }
}

/// Calls a method that gives a promise, of an object that has it.
async fn call(object: &JsValue, method: &str, arguments: &Array) -> Result<JsValue, String> {
    let method: Function = Reflect::get(object, &method.into()).map_err(shown)?.dyn_into().map_err(shown)?;
    let promise: Promise = method.apply(object, arguments).map_err(shown)?.dyn_into().map_err(shown)?;
    JsFuture::from(promise).await.map_err(shown)
}

/// A storage bucket's databases have a quota of their own; the whole origin's is most of the disk.
async fn a_full_origin_is_full() -> Outcome {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).map_err(shown)?;
    let buckets = Reflect::get(&navigator, &"storageBuckets".into()).map_err(shown)?;
    let options = Object::new();
    Reflect::set(&options, &"quota".into(), &4_000_000.into()).map_err(shown)?;
    let bucket = call(&buckets, "open", &Array::of2(&"full".into(), &options)).await?;
    let factory = Reflect::get(&bucket, &"indexedDB".into()).map_err(shown)?;
    let factory = Factory::try_from(factory).map_err(shown)?;

    let store = IndexedDb::open_in(&factory, "full", VERSION).await.map_err(shown)?;
    let space = store.space("a").await.map_err(shown)?;
    let mut written = 0;
    let full = loop {
        // What a browser cannot make small.
        let item: Vec<u8> = (0..MAX_ITEM).map(|_| (js_sys::Math::random() * 256.0) as u8).collect();
        match space.write(Batch { log: vec![item.into()], ..Batch::default() }).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        ensure!(written < 200, "never full");
    };
    ensure!(full == StoreError::Full { path: "full".into() }, "{full:?}");
    ensure!(written > 5, "full after {written}");
    let loaded = space.load().await.map_err(shown)?;
    ensure!(loaded.log.len() == written, "{} items where {written} were acknowledged", loaded.log.len());
    // A small write goes on in the right place, if there is room for it, or is refused whole.
    let small = space.write(batch(&["small"])).await;
    let expected = written + usize::from(small.is_ok());
    let loaded = space.load().await.map_err(shown)?;
    ensure!(loaded.log.len() == expected, "{} items where {expected} are", loaded.log.len());
    store.close().await;
    call(&buckets, "delete", &Array::of1(&"full".into())).await?;
    Ok(())
}

async fn another_version_blocks() -> Outcome {
    let name = Named::new();
    // Another tab that does not give way.
    let other = name.raw(VERSION).await?;
    let factory = Factory::new().map_err(shown)?;
    match IndexedDb::open_in(&factory, &name.0, VERSION + 1).await {
        Err(StoreError::Blocked { path }) if path == name.0 => {}
        other => return Err(format!("{:?}", other.err())),
    }
    // What was blocked opens late, unwanted, and is closed: so the next version is not blocked.
    other.close();
    let store = IndexedDb::open_in(&factory, &name.0, VERSION + 2).await.map_err(shown)?;
    store.space("a").await.map_err(shown)?.write(batch(&["x"])).await.map_err(shown)?;
    store.close().await;
    name.forget();
    Ok(())
}

async fn a_newer_database_is_refused() -> Outcome {
    let name = Named::new();
    name.raw(VERSION + 1).await?.close();
    let refused = name.open().await.err();
    ensure!(matches!(&refused, Some(StoreError::Newer { path, .. }) if *path == name.0), "{refused:?}");
    name.forget();
    Ok(())
}

async fn gives_way_to_a_newer_version() -> Outcome {
    let name = Named::new();
    let store = name.open().await.map_err(shown)?;
    let space = store.space("a").await.map_err(shown)?;
    space.write(batch(&["x"])).await.map_err(shown)?;
    let newer = name.raw(VERSION + 1).await?;
    ensure!(space.write(batch(&["y"])).await == Err(StoreError::Closed), "written after it gave way");
    ensure!(space.load().await == Err(StoreError::Closed), "read after it gave way");
    newer.close();
    name.forget();
    Ok(())
}

async fn without_indexeddb_it_says_so() -> Outcome {
    let none = Object::new();
    Reflect::set(&none, &"value".into(), &JsValue::UNDEFINED).map_err(shown)?;
    Reflect::set(&none, &"configurable".into(), &true.into()).map_err(shown)?;
    let global: Object = js_sys::global();
    let before = Object::get_own_property_descriptor(&global, &"indexedDB".into());
    Object::define_property(&global, &"indexedDB".into(), &none);
    let opened = IndexedDb::open("none").await.err();
    if before.is_undefined() {
        Reflect::delete_property(&global, &"indexedDB".into()).map_err(shown)?;
    } else {
        Object::define_property(&global, &"indexedDB".into(), before.unchecked_ref());
    }
    ensure!(matches!(opened, Some(StoreError::Unavailable { .. })), "{opened:?}");
    Factory::new().map_err(shown).map(drop)
}

/// Whatever is changed in the database's tables is found, and the space named.
async fn damage_is_reported() -> Outcome {
    type Damage = fn(&JsValue) -> JsValue;
    let flipped: Damage = |value| {
        let bytes = Uint8Array::new(value);
        bytes.set_index(12, bytes.get_index(12) ^ 1);
        bytes.into()
    };
    let cut: Damage = |value| Uint8Array::new(value).slice(0, 20).into();
    let text: Damage = |_| "text".into();
    let gone: Damage = |_| JsValue::UNDEFINED;
    let log = |number: u32| Array::of2(&"a".into(), &number.into());
    let record = Array::of2(&"a".into(), &"k".into());
    let damages = [
        ("log flipped", "log", log(1), flipped),
        ("log cut", "log", log(0), cut),
        ("log text", "log", log(2), text),
        ("log gone", "log", log(1), gone),
        ("record flipped", "records", record.clone(), flipped),
        ("record text", "records", record, text),
    ];
    for (how, table, key, damage) in damages {
        let name = Named::new();
        let store = name.open().await.map_err(shown)?;
        let space = store.space("a").await.map_err(shown)?;
        for item in ["one", "two", "three"] {
            let records = vec![("k".into(), Some(Bytes::from_static(b"a value")))];
            space.write(Batch { records, ..batch(&[item]) }).await.map_err(shown)?;
        }
        store.close().await;
        change(&name, table, &key, damage).await?;
        let store = name.open().await.map_err(shown)?;
        match store.space("a").await.map_err(shown)?.load().await {
            Err(StoreError::Damaged { path, detail }) if path == name.0 && detail.contains("space a") => {}
            other => return Err(format!("{how}: {other:?}")),
        }
        store.close().await;
        name.forget();
    }
    Ok(())
}

async fn change(name: &Named, table: &str, key: &JsValue, damage: fn(&JsValue) -> JsValue) -> Outcome {
    let database = name.raw(VERSION).await?;
    let running = database.transaction(&[table], TransactionMode::ReadWrite).map_err(shown)?;
    let store = running.object_store(table).map_err(shown)?;
    let value = store.get(Query::Key(key.clone())).map_err(shown)?.await.map_err(shown)?;
    let value = damage(&value.ok_or("nothing to damage")?);
    if value.is_undefined() {
        store.delete(Query::Key(key.clone())).map_err(shown)?.await.map_err(shown)?;
    } else {
        store.put(&value, Some(key)).map_err(shown)?.await.map_err(shown)?;
    }
    running.await.map_err(shown)?;
    database.close();
    Ok(())
}

/// Two nodes on one database would overwrite each other's log.
async fn a_second_writer_is_stopped() -> Outcome {
    let name = Named::new();
    let (first, second) = (name.open().await.map_err(shown)?, name.open().await.map_err(shown)?);
    let (a, b) = (first.space("a").await.map_err(shown)?, second.space("a").await.map_err(shown)?);
    b.load().await.map_err(shown)?;
    a.write(batch(&["first"])).await.map_err(shown)?;
    let stopped = b.write(batch(&["second"])).await;
    ensure!(stopped == Err(StoreError::InUse { path: name.0.clone() }), "{stopped:?}");
    let loaded = a.load().await.map_err(shown)?;
    ensure!(loaded.log == ["first"], "{:?}", loaded.log);
    first.close().await;
    second.close().await;
    name.forget();
    Ok(())
}

async fn a_dropped_write_leaves_order() -> Outcome {
    let name = Named::new();
    let store = name.open().await.map_err(shown)?;
    let space = store.space("a").await.map_err(shown)?;
    space.write(batch(&["one"])).await.map_err(shown)?;
    {
        let mut dropped = pin!(space.write(batch(&["dropped"])));
        ensure!((&mut dropped).now_or_never().is_none(), "written at once");
    }
    space.write(batch(&["two"])).await.map_err(shown)?;
    let loaded = space.load().await.map_err(shown)?;
    let whole = loaded.log == ["one", "two"] || loaded.log == ["one", "dropped", "two"];
    ensure!(whole, "{:?}", loaded.log);
    store.close().await;
    name.forget();
    Ok(())
}

/// Asks each transaction for its durability as it begins.
async fn writes_are_strict() -> Outcome {
    let watch = js_sys::Function::new_no_args(
        "const begin = IDBDatabase.prototype.transaction; const seen = [];
         IDBDatabase.prototype.transaction = function (...options) {
           const transaction = begin.apply(this, options);
           if (transaction.mode === 'readwrite') seen.push(transaction.durability);
           return transaction;
         };
         return () => { IDBDatabase.prototype.transaction = begin; return seen.join(); };",
    );
    let unwatch: Function = watch.call0(&JsValue::NULL).map_err(shown)?.dyn_into().map_err(shown)?;
    let name = Named::new();
    let store = name.open().await.map_err(shown)?;
    let space = store.space("a").await.map_err(shown)?;
    let written = space.write(batch(&["one"])).await.and(store.remove("a").await);
    let seen = unwatch.call0(&JsValue::NULL).map_err(shown)?;
    written.map_err(shown)?;
    ensure!(seen.as_string().as_deref() == Some("strict,strict"), "{seen:?}");
    store.close().await;
    name.forget();
    Ok(())
}
