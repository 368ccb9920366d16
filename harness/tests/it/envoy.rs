//! The harness answers as Envoy 1.40.0 did. The `.envoy.txt` files are Envoy's own log of the same
//! guests, in front of an upstream that answers in two chunked pieces, the second one empty; where
//! Envoy starts several VMs, of the first.

use crate::guests::{guest, lines};
use gaugeway_harness::{End, Module};

#[test]
fn what_can_be_read_when() {
    let found = transcript(&guest(include_str!("lifetimes.wat")));
    assert_eq!(found, include_str!("lifetimes.envoy.txt"));
}

#[test]
fn what_can_be_changed_when_and_what_the_other_calls_answer() {
    let found = transcript(&guest(include_str!("changes.wat")));
    assert_eq!(found, include_str!("changes.envoy.txt"));
}

/// The very exchange that went through Envoy.
fn transcript(module: &Module) -> String {
    let vm = module.configure("cfg").unwrap();
    let mut stream = vm.stream();
    stream.request_headers(&[(":method", "POST"), ("x-kind", "question")], End::More).unwrap();
    stream.request_body(b"hello", End::More).unwrap();
    stream.request_body(b"", End::Last).unwrap();
    stream.set_property(&["response", "code_details"], "via_upstream");
    stream.response_headers(&[(":status", "200"), ("x-kind", "answer")], End::More).unwrap();
    stream.response_body(b"abcdef", End::More).unwrap();
    stream.response_body(b"", End::Last).unwrap();
    stream.finish().unwrap();
    lines(&vm.logs()).join("\n") + "\n"
}
