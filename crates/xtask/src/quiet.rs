//! Empties what nobody reads in the page: the module says nothing of a panic but that it stopped, and libraries' texts
//! about their own errors and values are not written.
//!
//! The page shows errors by code and facts (`ledgerno-node`), in its own languages. Our own `Display` and `Debug` stay, for
//! they are a fact now and then; so do the standard library's, numbers among them, and those of `idb`, which carry the
//! browser's reason. Panics end the module as before, by a trap, which the browser's console shows. So would BLAKE3's code
//! for processors without SIMD, which is never chosen where that with SIMD is there.
//!
//! It works on the names of functions, before wasm-bindgen takes them away: what is emptied is called as before, and
//! whatever was called from it alone goes with the next optimization.

use std::collections::HashSet;

use anyhow::{Context, Result};
use rustc_demangle::demangle;
use walrus::ir::{Instr, InstrLocId, Unreachable, VisitorMut, dfs_pre_order_mut};
use walrus::{FunctionBuilder, FunctionId, Module, ValType};

/// Whose `Display` and `Debug` are read, beside our own.
const READ: [&str; 8] = ["alloc", "blake3", "core", "idb", "js_sys", "std", "wasm_bindgen", "percent_encoding"];
/// The functions of the standard library that begin a panic, or prepare its text. None of them comes back.
const PANICS: [&str; 17] = [
    "alloc::alloc::handle_alloc_error",
    "alloc::raw_vec::capacity_overflow",
    "alloc::raw_vec::handle_error",
    "core::cell::panic_already_borrowed",
    "core::cell::panic_already_mutably_borrowed",
    "core::option::expect_failed",
    "core::option::unwrap_failed",
    "core::panicking::panic",
    "core::panicking::panic_bounds_check",
    "core::panicking::panic_fmt",
    "core::panicking::panic_nounwind",
    "core::panicking::panic_nounwind_fmt",
    "core::result::unwrap_failed",
    "core::slice::index::slice_index_fail",
    "core::str::slice_error_fail",
    "core::panicking::assert_failed",
    "core::panicking::panic_display",
];

/// What is chosen in its place if the other is there.
const PORTABLE: &str = "blake3::portable::compress_in_place";
const WITH_SIMD: &str = "blake3::wasm32_simd::compress_in_place";

/// What a function becomes.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Emptied {
    /// It writes nothing and says that it wrote: `Ok(())`.
    Silent,
    /// It traps.
    Stop,
}

/// A compiled module, emptied.
pub fn module(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut module = Module::from_buffer(bytes).context("the compiled module can not be read")?;
    let named: Vec<(FunctionId, String)> = module
        .funcs
        .iter_local()
        .filter_map(|(id, _)| Some((id, format!("{:#}", demangle(module.funcs.get(id).name.as_deref()?)))))
        .collect();
    let has_simd = named.iter().any(|(_, name)| name == WITH_SIMD);
    let found: Vec<(FunctionId, Emptied)> =
        named.iter().filter_map(|(id, name)| Some((*id, emptied(name, has_simd)?))).collect();
    for (id, emptied) in &found {
        empty(&mut module, *id, *emptied);
    }
    let mut stop = Stop(found.iter().filter(|(_, emptied)| *emptied == Emptied::Stop).map(|(id, _)| *id).collect());
    for (_, function) in module.funcs.iter_local_mut() {
        let entry = function.entry_block();
        dfs_pre_order_mut(&mut stop, function, entry);
    }
    Ok(module.emit_wasm())
}

/// Traps where a panic was called, so that what it would have been told need not be brought there.
struct Stop(HashSet<FunctionId>);

impl VisitorMut for Stop {
    fn visit_instr_mut(&mut self, instruction: &mut Instr, _: &mut InstrLocId) {
        if matches!(instruction, Instr::Call(call) if self.0.contains(&call.func)) {
            *instruction = Unreachable {}.into();
        }
    }
}

fn empty(module: &mut Module, id: FunctionId, emptied: Emptied) {
    let ty = module.types.get(module.funcs.get(id).ty());
    let (params, results) = (ty.params().to_vec(), ty.results().to_vec());
    // A `fmt` takes the value, in one word or, if LLVM took it apart, in more, and the formatter; anything else of the name
    // is not what we mean.
    if emptied == Emptied::Silent && (params.len() < 2 || results != [ValType::I32]) {
        return;
    }
    let args = params.iter().map(|param| module.locals.add(*param)).collect();
    let mut builder = FunctionBuilder::new(&mut module.types, &params, &results);
    match emptied {
        Emptied::Silent => builder.func_body().i32_const(0),
        Emptied::Stop => builder.func_body().unreachable(),
    };
    *module.funcs.get_mut(id).kind.unwrap_local_mut() = builder.local_func(args);
}

/// By its name, what becomes of a function.
fn emptied(name: &str, has_simd: bool) -> Option<Emptied> {
    let is_never_run = has_simd && name == PORTABLE;
    if is_never_run || PANICS.contains(&name) || name.starts_with("core::panicking::panic_const::") {
        return Some(Emptied::Stop);
    }
    let (of, method) = name.strip_prefix('<')?.rsplit_once(" as core::fmt::")?;
    let krate = of.split("::").next().unwrap_or(of);
    let named = of.contains("::") && krate.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let read = krate.starts_with("ledgerno") || READ.contains(&krate);
    (named && !read && matches!(method, "Debug>::fmt" | "Display>::fmt")).then_some(Emptied::Silent)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a function of a name, with so many words for its arguments, answers once the module is emptied.
    fn answers(name: &str, words: usize) -> Option<i32> {
        let mut module = Module::default();
        let params = vec![ValType::I32; words];
        let mut builder = FunctionBuilder::new(&mut module.types, &params, &[ValType::I32]);
        builder.name(name.to_owned()).func_body().i32_const(7);
        let args = params.iter().map(|param| module.locals.add(*param)).collect();
        let function = builder.finish(args, &mut module.funcs);
        module.exports.add("function", function);
        let read = Module::from_buffer(&super::module(&module.emit_wasm()).ok()?).ok()?;
        let (_, function) = read.funcs.iter_local().next()?;
        match function.block(function.entry_block()).instrs.first()? {
            (Instr::Const(walrus::ir::Const { value: walrus::ir::Value::I32(value) }), _) => Some(*value),
            _ => None,
        }
    }

    #[test]
    fn a_text_is_emptied_however_its_value_is_handed_over() {
        let theirs = "<multiaddr::Multiaddr as core::fmt::Display>::fmt";
        assert_eq!([1, 2, 3].map(|words| answers(theirs, words)), [Some(7), Some(0), Some(0)]);
        assert_eq!(answers("<ledgerno_ledger::bytes::CircleId as core::fmt::Display>::fmt", 2), Some(7));
    }

    #[test]
    fn texts_of_libraries_and_panics_go_and_ours_stay() {
        for gone in [
            "<multiaddr::protocol::Protocol as core::fmt::Display>::fmt",
            "<yamux::error::ConnectionError as core::fmt::Debug>::fmt",
        ] {
            assert_eq!(emptied(gone, true), Some(Emptied::Silent), "{gone}");
        }
        for stops in ["core::panicking::panic_fmt", "core::panicking::panic_const::panic_const_div_by_zero"] {
            assert_eq!(emptied(stops, false), Some(Emptied::Stop), "{stops}");
        }
        assert_eq!([true, false].map(|has_simd| emptied(PORTABLE, has_simd)), [Some(Emptied::Stop), None]);
        for stays in [
            WITH_SIMD,
            "<ledgerno_ledger::bytes::CircleId as core::fmt::Display>::fmt",
            "<ledgerno_ledger::state::VoidReason as core::fmt::Debug>::fmt",
            "<idb::error::Error as core::fmt::Debug>::fmt",
            "<idb::error::Error as core::fmt::Display>::fmt",
            "<&T as core::fmt::Display>::fmt",
            "<u64 as core::fmt::Display>::fmt",
            "<alloc::string::String as core::fmt::Display>::fmt",
            "core::fmt::write",
        ] {
            assert_eq!(emptied(stays, false), None, "{stays}");
        }
    }
}
