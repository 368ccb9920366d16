//! Injected faults.

use crate::guests::{guest, lines};
use gaugeway_harness::{End, Fault, HOST_CALLS, Module, Options, Status, VmError};

/// Asks for a header twice and notes the answers.
fn asks_twice() -> Module {
    guest(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
             (call $note «1» (call $get_header (i32.const 0) «x» (i32.const 0) (i32.const 4)))
             (call $note «2» (call $get_header (i32.const 0) «x» (i32.const 0) (i32.const 4)))
             (i32.const 0))"#,
    )
}

fn fault(nth: u32, status: Status) -> Fault {
    Fault { call: "proxy_get_header_map_value", nth, status }
}

#[test]
fn every_status_reaches_the_guest_and_nothing_else_does() {
    for (code, status) in Status::ALL.into_iter().enumerate() {
        let vm = asks_twice().configure("").unwrap();
        vm.inject(fault(1, status)).unwrap();
        vm.stream().request_headers(&[("x", "v")], End::Last).unwrap();
        assert_eq!(lines(&vm.logs()), [format!("1={code:02}"), "2=00 v".to_owned()], "{status:?}");
    }
}

#[test]
fn the_nth_call_fails_and_what_was_not_reached_stays_pending() {
    let options = Options {
        faults: vec![fault(2, Status::Empty), fault(9, Status::Empty)],
        ..Options::default()
    };
    let vm = asks_twice().configure_with("", &options).unwrap();
    vm.stream().request_headers(&[("x", "v")], End::Last).unwrap();
    assert_eq!(lines(&vm.logs()), ["1=00 v", "2=07"]);
    assert_eq!(vm.pending_faults(), [fault(9, Status::Empty)]);
}

#[test]
fn a_fault_needs_a_call_that_exists() {
    let vm = asks_twice().configure("").unwrap();
    for call in HOST_CALLS {
        vm.inject(Fault { call, nth: 1, status: Status::InternalFailure }).unwrap();
    }
    let unknown = Fault { call: "proxy_get_weather", nth: 1, status: Status::Ok };
    assert!(matches!(vm.inject(unknown), Err(VmError::UnknownCall("proxy_get_weather"))));
}
