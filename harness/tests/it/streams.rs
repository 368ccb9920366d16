//! Streams: order, interleaving, holding and changing.

use crate::guests::{guest, lines};
use gaugeway_harness::{Action, End, HeaderMap, Module};

const REQUEST: &[(&str, &str)] = &[(":method", "POST"), ("x-id", "a")];

/// Notes each callback with its stream's id.
fn names_callbacks() -> Module {
    let callback = |name: &str, parameters: &str, result: &str| {
        format!(
            r#"(func (export "proxy_on_{name}") (param {parameters}) {result}
                 (call $note «{name}» (local.get 0)) {})"#,
            if result.is_empty() { "" } else { "(i32.const 0)" }
        )
    };
    let three = "i32 i32 i32";
    let answer = "(result i32)";
    guest(
        &[
            callback("context_create", "i32 i32", ""),
            callback("request_headers", three, answer),
            callback("request_body", three, answer),
            callback("request_trailers", "i32 i32", answer),
            callback("response_headers", three, answer),
            callback("response_body", three, answer),
            callback("response_trailers", "i32 i32", answer),
            callback("log", "i32", ""),
            callback("done", "i32", answer),
            callback("delete", "i32", ""),
        ]
        .concat(),
    )
}

#[test]
fn callbacks_come_in_envoys_order_and_streams_interleave() {
    let vm = names_callbacks().configure("").unwrap();
    let (mut a, mut b) = (vm.stream(), vm.stream());
    a.request_headers(REQUEST, End::More).unwrap();
    b.request_headers(REQUEST, End::Last).unwrap();
    a.request_body(b"x", End::More).unwrap();
    a.request_trailers(&[("t", "1")]).unwrap();
    b.response_headers(&[(":status", "204")], End::Last).unwrap();
    b.finish().unwrap();
    a.response_headers(&[(":status", "200")], End::More).unwrap();
    a.response_body(b"y", End::More).unwrap();
    a.response_trailers(&[("t", "1")]).unwrap();
    let a = a.finish().unwrap();
    assert!(a.passthrough());
    let expected = [
        "context_create=01",
        "context_create=02",
        "request_headers=02",
        "context_create=03",
        "request_headers=03",
        "request_body=02",
        "request_trailers=02",
        "response_headers=03",
        "log=03",
        "done=03",
        "delete=03",
        "response_headers=02",
        "response_body=02",
        "response_trailers=02",
        "log=02",
        "done=02",
        "delete=02",
    ];
    assert_eq!(lines(&vm.logs()), expected);
    let names: Vec<_> = a.callbacks.iter().map(|callback| callback.name).collect();
    assert_eq!(names.first(), Some(&"proxy_on_context_create"));
    assert_eq!(a.callbacks[1].action, Some(Action::Continue));
    assert_eq!((a.request_body.as_slice(), a.response_body.as_slice()), (&b"x"[..], &b"y"[..]));
}

#[test]
fn a_stream_that_envoy_answered_before_the_filter_is_only_logged() {
    let vm = names_callbacks().configure("").unwrap();
    let mut stream = vm.stream();
    stream.response_headers(&[(":status", "400")], End::Last).unwrap();
    stream.response_body(b"", End::Last).unwrap();
    stream.finish().unwrap();
    let expected = ["context_create=01", "context_create=02", "log=02", "done=02", "delete=02"];
    assert_eq!(lines(&vm.logs()), expected);
}

#[test]
fn the_log_phase_of_such_a_stream_has_no_headers_and_takes_no_filter_state() {
    let vm = guest(
        r#"(func (export "proxy_on_log") (param i32)
             (call $note «header» (call $get_header (i32.const 0) «x» (i32.const 0) (i32.const 4)))
             (call $note «set» (call $set_property «k» «v»)))"#,
    )
    .configure("")
    .unwrap();
    vm.stream().finish().unwrap();
    assert_eq!(lines(&vm.logs()), ["header=01", "set=01"]);
}

#[test]
fn properties_are_raw_bytes_of_one_stream_or_of_all() {
    let vm = guest(
        r#"(func (export "proxy_on_log") (param i32)
             (call $note «node» (call $get_property «node\00id» (i32.const 0) (i32.const 4)))
             (call $note «flags» (call $get_property «response\00flags» (i32.const 0) (i32.const 4))))"#,
    )
    .configure("")
    .unwrap();
    vm.set_property(&["node", "id"], "n1");
    let (a, b) = (vm.stream(), vm.stream());
    a.set_property(&["response", "flags"], u64::from_le_bytes(*b"abcdefgh").to_le_bytes());
    b.set_property(&["response", "flags"], "gone");
    b.remove_property(&["response", "flags"]);
    a.finish().unwrap();
    b.finish().unwrap();
    assert_eq!(lines(&vm.logs()), ["node=00 n1", "flags=00 abcdefgh", "node=00 n1", "flags=01"]);
}

#[test]
fn filter_state_is_kept_under_the_path_as_given() {
    let vm = guest(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (drop (call $set_property «my.key» «1»))
             (drop (call $set_property «my.key» «2»))
             (drop (call $set_property «two\00parts» «3»))
             (i32.const 0))"#,
    )
    .configure("")
    .unwrap();
    let mut stream = vm.stream();
    stream.request_headers(REQUEST, End::Last).unwrap();
    assert_eq!(stream.filter_state("my.key").as_deref(), Some(&b"2"[..]));
    assert_eq!(stream.filter_state("other"), None);
    let state = stream.finish().unwrap().filter_state;
    let state: Vec<_> = state.iter().map(|(k, v)| (k.as_str(), v.as_slice())).collect();
    assert_eq!(state, [("my.key", &b"2"[..]), ("two\0parts", &b"3"[..])]);
}

/// Holds the request until its end, then replaces its body.
const HOLDS: &str = r#"
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (if (i32.eqz (local.get 2)) (then (return (i32.const 1))))
    (call $note «held» (call $get_buffer (i32.const 0) (i32.const 0) (local.get 1) (i32.const 0) (i32.const 4)))
    (drop (call $set_buffer (i32.const 0) (i32.const 0) (local.get 1) «new»))
    (i32.const 0))"#;

#[test]
fn a_held_body_is_seen_whole_and_goes_on_as_it_was_replaced() {
    let vm = guest(HOLDS).configure("").unwrap();
    let mut stream = vm.stream();
    stream.request_headers(REQUEST, End::More).unwrap();
    assert_eq!(stream.request_body(b"ab", End::More).unwrap(), Action::Pause);
    assert_eq!(stream.request_body(b"cd", End::Last).unwrap(), Action::Continue);
    let finished = stream.finish().unwrap();
    assert_eq!(lines(&vm.logs()), ["held=00 abcd"]);
    assert_eq!(finished.request_body, b"new");
    assert_eq!(finished.touched_by, Some("proxy_on_request_body"));
}

#[test]
fn paused_headers_stay_readable_and_hold_the_body_back_until_the_guest_continues() {
    let vm = guest(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))
           (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
             (call $note «size» (local.get 1)) (i32.const 0))
           (func (export "proxy_on_tick") (param i32)
             (drop (call $set_context (i32.const 2)))
             (call $note «header» (call $get_header (i32.const 0) «x-id» (i32.const 0) (i32.const 4)))
             (drop (call $continue (i32.const 0))))"#,
    )
    .configure("")
    .unwrap();
    let mut stream = vm.stream();
    assert_eq!(stream.request_headers(REQUEST, End::More).unwrap(), Action::Pause);
    assert_eq!(stream.request_body(b"ab", End::More).unwrap(), Action::Pause);
    vm.tick().unwrap();
    assert_eq!(stream.request_body(b"c", End::Last).unwrap(), Action::Continue);
    assert_eq!(lines(&vm.logs()), ["header=00 a", "size=03"]);
    let finished = stream.finish().unwrap();
    assert_eq!(finished.request_body, b"abc");
    assert_eq!(finished.touched_by, Some("proxy_on_request_headers"));
}

#[test]
fn a_local_response_pauses_whatever_the_callback_returns() {
    let vm = guest(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (drop (call $reply (i32.const 429) «slow_down» «later»
               «\01\00\00\00\01\00\00\00\01\00\00\00a\00b\00» (i32.const -1)))
             (i32.const 0))"#,
    )
    .configure("")
    .unwrap();
    let mut stream = vm.stream();
    assert_eq!(stream.request_headers(REQUEST, End::Last).unwrap(), Action::Pause);
    let finished = stream.finish().unwrap();
    assert_eq!(finished.touched_by, Some("proxy_send_local_response"));
    let reply = finished.local_response.unwrap();
    assert_eq!((reply.status, reply.details.as_str()), (429, "slow_down"));
    assert_eq!(
        (reply.body.as_slice(), reply.headers),
        (&b"later"[..], HeaderMap::new(&[("a", "b")]))
    );
}

#[test]
fn changed_headers_go_on_and_even_a_failed_change_is_no_passthrough() {
    let vm = guest(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (drop (call $replace_header (i32.const 0) «X-Id» «b»)) (i32.const 0))
           (func (export "proxy_on_log") (param i32)
             (drop (call $add_header (i32.const 2) «x» «y»)))"#,
    )
    .configure("")
    .unwrap();
    let mut changed = vm.stream();
    changed.request_headers(REQUEST, End::Last).unwrap();
    let changed = changed.finish().unwrap();
    assert_eq!(changed.request_headers.unwrap().get(b"x-id"), Some(&b"b"[..]));
    assert_eq!(changed.touched_by, Some("proxy_replace_header_map_value"));
    let failed = vm.stream().finish().unwrap();
    assert_eq!(failed.touched_by, Some("proxy_add_header_map_value"));
}
