#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| larder::template::fuzz::legacy_json(data));
