#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pixel_server::api::fuzzing::data_uri(data));
