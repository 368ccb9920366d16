#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| gaugeway_agent::fuzz::prometheus_text(input));
