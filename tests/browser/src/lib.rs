//! Tests that need a real browser. A page loads this module and awaits [`run`]; benchmarks make an [`ingest::Ingest`] or a
//! [`start::Started`].
//!
//! A test is an async function that gives `Err` with what is wrong; one that panics ends the page, and so the run.
#![cfg(target_arch = "wasm32")]

mod ingest;
mod rules;
mod start;
mod store;
mod tasks;

use js_sys::{Array, Object, Reflect};
use wasm_bindgen::prelude::*;

/// Runs the tests whose names contain the filter: `Promise<Array<{ name: string, ok: boolean, error: string }>>`.
#[wasm_bindgen]
pub async fn run(filter: Option<String>) -> Result<Array, JsValue> {
    let mut outcomes = Outcomes { filter: filter.unwrap_or_default(), list: Array::new() };
    rules::run(&mut outcomes).await?;
    store::run(&mut outcomes).await?;
    tasks::run(&mut outcomes).await?;
    Ok(outcomes.list)
}

struct Outcomes {
    filter: String,
    list: Array,
}

impl Outcomes {
    async fn test(&mut self, name: &str, test: impl Future<Output = Result<(), String>>) -> Result<(), JsValue> {
        if !name.contains(&self.filter) {
            return Ok(());
        }
        let result = test.await;
        let outcome = Object::new();
        Reflect::set(&outcome, &"name".into(), &name.into())?;
        Reflect::set(&outcome, &"ok".into(), &result.is_ok().into())?;
        Reflect::set(&outcome, &"error".into(), &result.err().unwrap_or_default().into())?;
        self.list.push(&outcome);
        Ok(())
    }
}
