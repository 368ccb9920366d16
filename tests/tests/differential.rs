//! The core as it is and the core as wasm come to the same, stat for stat; and so do whole and cut bodies.

use gaugeway_harness::replay::replay;
use gaugeway_harness::split::Split;
use gaugeway_tests::harness::module;
use gaugeway_tests::native::Seen;
use gaugeway_tests::{fixture, native};

#[test]
fn the_filter_in_wasm_says_what_the_core_says() {
    let module = module();
    for fixture in fixture::all() {
        let native = native::replay(&fixture.exchange);
        for split in [Split::Whole, Split::Bytes, Split::Random(1), Split::Random(2)] {
            let wasm = replay(&module, b"", &fixture.exchange, split).unwrap();
            assert!(wasm.passthrough, "{} split {split:?}: traffic was touched", fixture.name);
            let wasm = Seen { filter_state: wasm.filter_state, stats: wasm.stats };
            assert_eq!(wasm, native, "{} split {split:?}", fixture.name);
        }
    }
}

#[test]
fn in_wasm_each_single_cut_gives_the_same() {
    let module = module();
    for fixture in fixture::all() {
        let seen = replay(&module, b"", &fixture.exchange, Split::Every).unwrap();
        assert_eq!(seen.splits_differ, Some(Vec::new()), "{}", fixture.name);
    }
}

#[test]
fn in_the_core_each_single_cut_gives_the_same() {
    for fixture in fixture::all() {
        let whole = native::record(&fixture.exchange, &[]);
        for cut in 1..fixture.exchange.body.len() {
            let once = native::record(&fixture.exchange, &[cut]);
            assert_eq!(once, whole, "{} cut at {cut}", fixture.name);
            let with_an_empty_piece = native::record(&fixture.exchange, &[cut, cut]);
            assert_eq!(with_an_empty_piece, whole, "{} cut twice at {cut}", fixture.name);
        }
    }
}
