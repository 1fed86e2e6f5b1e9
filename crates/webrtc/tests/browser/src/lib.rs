//! The transport in a real browser: two nodes in one page, whose first connection runs in memory, link directly. A page
//! loads this module and awaits [`run`].
//!
//! A test is an async function that gives `Err` with what is wrong; one that panics ends the page, and so the run.
#![cfg(target_arch = "wasm32")]

#[path = "../../common/mod.rs"]
mod common;
mod tests;

use js_sys::{Array, Object, Reflect};
use wasm_bindgen::prelude::*;

/// Runs the tests whose names contain the filter: `Promise<Array<{ name: string, ok: boolean, error: string }>>`.
#[wasm_bindgen]
pub async fn run(filter: Option<String>) -> Result<Array, JsValue> {
    let filter = filter.unwrap_or_default();
    let list = Array::new();
    for (name, test) in tests::all() {
        if !name.contains(&filter) {
            continue;
        }
        let result = test().await;
        let outcome = Object::new();
        Reflect::set(&outcome, &"name".into(), &name.into())?;
        Reflect::set(&outcome, &"ok".into(), &result.is_ok().into())?;
        Reflect::set(&outcome, &"error".into(), &result.err().unwrap_or_default().into())?;
        list.push(&outcome);
    }
    Ok(list)
}
