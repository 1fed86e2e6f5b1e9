//! Every target is built from this file; which one it is, its binary's name says.
#![no_main]

libfuzzer_sys::fuzz_target!(init: ledgerno_fuzz_targets::prepare(env!("CARGO_BIN_NAME")), |bytes: &[u8]| {
    ledgerno_fuzz_targets::run(env!("CARGO_BIN_NAME"), bytes);
});
