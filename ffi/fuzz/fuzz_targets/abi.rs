#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stockade_ffi_fuzz::abi(bytes));
