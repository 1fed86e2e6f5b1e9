//! What few pages need, and then without a node: proof files are made and verified, documents hashed, and 24 words checked as they
//! are typed. A module of its own, so that nobody loads it who does not ask; the npm package wraps it as `ledgerno/proof`.
//!
//! No input panics: what is wrong is said by a value.

#![cfg(target_arch = "wasm32")]
#![deny(missing_docs)]

mod finding;

use js_sys::{Array, Object, Reflect};
use ledgerno_ledger::keys::Identity;
use ledgerno_ledger::proof::{FileError, Parts, ProofFile};
use ledgerno_ledger::words::{self, WordsError};
use wasm_bindgen::prelude::*;

/// What a proof file proves, or why it proves nothing: see `Finding` in the npm package.
#[wasm_bindgen]
pub fn verify(file: &[u8]) -> JsValue {
    match ProofFile::verify(file) {
        Ok(proven) => finding::of(&proven),
        Err(why) => {
            let kind = match why {
                FileError::NotOne => "no-proof-file",
                FileError::Version(_) => "newer",
                FileError::Damaged => "damaged",
                _ => "forged",
            };
            object([("holds", false.into()), ("why", kind.into()), ("detail", why.to_string().into())])
        }
    }
}

/// The proof file of the parts that a node gave; undefined where they make none.
#[wasm_bindgen]
pub fn make(parts: &[u8]) -> Option<Vec<u8>> {
    Some(Parts::decode(parts).ok()?.make().ok()?.encode())
}

/// BLAKE3 of a document, piece by piece.
#[wasm_bindgen]
#[derive(Default)]
pub struct Hasher(blake3::Hasher);

#[wasm_bindgen]
impl Hasher {
    /// Of nothing yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Hasher {
        Hasher::default()
    }

    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The hash of all pieces, in hexadecimal.
    pub fn hex(&self) -> String {
        self.0.finalize().to_hex().as_str().into()
    }
}

/// The 24 words of 32 secret bytes; undefined for another number of bytes.
#[wasm_bindgen]
pub fn words(secret: &[u8]) -> Option<String> {
    let secret = secret.try_into().ok()?;
    Some(Identity::from_secret(secret).words().as_str().into())
}

/// The 32 secret bytes that 24 words are, or what is wrong with them: see `Words` in the npm package.
#[wasm_bindgen]
pub fn secret(text: &str) -> JsValue {
    match Identity::from_words(text) {
        Ok(identity) => object([
            ("right", true.into()),
            ("secret", js_sys::Uint8Array::from(&identity.secret()[..]).into()),
            ("member", identity.member().to_string().into()),
        ]),
        Err(why) => object([("right", false.into())].into_iter().chain(wrong(&why))),
    }
}

fn wrong(why: &WordsError) -> Vec<(&'static str, JsValue)> {
    match why {
        WordsError::TooLong { .. } => vec![("why", "too-long".into())],
        WordsError::Count { found } => vec![("why", "count".into()), ("found", number(*found as u64))],
        WordsError::Unknown { place, word, near } => vec![
            ("why", "unknown".into()),
            ("place", number(*place as u64)),
            ("word", word.as_str().into()),
            ("near", near.iter().map(|word| JsValue::from(*word)).collect::<Array>().into()),
        ],
        WordsError::Checksum => vec![("why", "checksum".into())],
    }
}

/// The words of the list that begin as somebody types, at most so many.
#[wasm_bindgen]
pub fn beginning(typed: &str, most: usize) -> Array {
    // Nobody reads more, and a word has at most eight letters.
    let typed: String = typed.chars().take(16).collect();
    words::beginning_with(&typed, most.min(64)).into_iter().map(JsValue::from).collect()
}

/// An object of named values; what is undefined is left out.
fn object(fields: impl IntoIterator<Item = (&'static str, JsValue)>) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        if !value.is_undefined() {
            // Setting a field of a fresh plain object never fails.
            Reflect::set(&object, &name.into(), &value).ok();
        }
    }
    object.into()
}

/// Heights, times and amounts stay below 2^53 for as long as there are people.
fn number(value: u64) -> JsValue {
    (value as f64).into()
}
