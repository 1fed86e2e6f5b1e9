//! What the ledger's own checks say here: the same functions that run natively.

use ledgerno_ledger::{conformance, vectors};
use wasm_bindgen::JsValue;

use crate::Outcomes;

pub async fn run(outcomes: &mut Outcomes) -> Result<(), JsValue> {
    let judged = async { vectors::check().map(drop) };
    outcomes.test("published signatures are judged by the one rule", judged).await?;
    let hold = async { conformance::check(conformance::TOPICS).map(drop) };
    outcomes.test("the conformance fixtures of the ledger hold", hold).await?;
    let hold = async { conformance::check(ledgerno_engine::conformance::TOPICS).map(drop) };
    outcomes.test("the conformance fixtures of the wire hold", hold).await?;
    let hold = async { conformance::check(ledgerno_node::conformance::TOPICS).map(drop) };
    outcomes.test("the conformance fixtures of the key file hold", hold).await
}
