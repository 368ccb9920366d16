//! One VM: clocks, limits, traps, costs.

use crate::guests::{guest, lines};
use gaugeway_harness::{End, LogLevel, Options, Vm, VmError};
use std::time::Duration;

/// Does `body` in the log phase.
fn in_log(body: &str) -> gaugeway_harness::Module {
    guest(&format!(r#"(func (export "proxy_on_log") (param i32) {body})"#))
}

/// Reads three clocks and records their nanoseconds as counters.
const READS_CLOCKS: &str = r#"
  (func $keep (param $id i32) (param $status i32)
    (if (i32.eqz (local.get $status))
      (then (drop (call $record (local.get $id) (i64.load (i32.const 16)))))))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
    (drop (call $define (i32.const 1) «realtime» (i32.const 0)))
    (drop (call $define (i32.const 1) «monotonic» (i32.const 0)))
    (drop (call $define (i32.const 1) «proxy» (i32.const 0)))
    (drop (call $set_tick (i32.const 1500)))
    (i32.const 1))
  (func (export "proxy_on_tick") (param i32)
    (call $keep (i32.const 5) (call $clock (i32.const 0) (i64.const 0) (i32.const 16)))
    (call $keep (i32.const 9) (call $clock (i32.const 1) (i64.const 0) (i32.const 16)))
    (call $keep (i32.const 13) (call $get_time (i32.const 16))))"#;

fn clocks(vm: &Vm) -> [Duration; 3] {
    vm.tick().unwrap();
    let metrics = vm.metrics();
    ["realtime", "monotonic", "proxy"]
        .map(|clock| Duration::from_nanos(metrics.gauge(clock).unwrap()))
}

#[test]
fn clocks_move_when_told_and_only_the_wall_clock_steps() {
    let vm = guest(READS_CLOCKS).configure("").unwrap();
    assert_eq!(vm.tick_period(), Duration::from_millis(1500));
    let [wall, monotonic, proxy] = clocks(&vm);
    assert_eq!(wall, proxy);
    assert_eq!(monotonic, vm.monotonic_time());
    assert!(!monotonic.is_zero());
    assert_eq!(clocks(&vm), [wall, monotonic, proxy], "time stands still");
    let step = Duration::from_millis(7);
    vm.advance(step);
    assert_eq!(clocks(&vm), [wall + step, monotonic + step, proxy + step]);
    vm.set_wall_time(Duration::from_secs(1));
    assert_eq!(clocks(&vm), [Duration::from_secs(1), monotonic + step, Duration::from_secs(1)]);
}

#[test]
fn an_older_host_has_no_monotonic_clock() {
    let options = Options { monotonic_clock: false, ..Options::default() };
    let vm = guest(READS_CLOCKS).configure_with("", &options).unwrap();
    let [wall, monotonic, proxy] = clocks(&vm);
    assert_eq!((monotonic, wall), (Duration::ZERO, proxy));
}

#[test]
fn a_trap_is_a_value_that_names_the_function_and_ends_the_vm() {
    let module = guest(
        r#"(func $divides_by_zero (drop (i32.div_u (i32.const 1) (i32.const 0))))
           (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
             (call $note «before» (i32.const 0))
             (call $divides_by_zero)
             (i32.const 0))"#,
    );
    let vm = module.configure("").unwrap();
    let mut stream = vm.stream();
    let other = vm.stream();
    stream.request_headers(&[(":path", "/")], End::Last).unwrap();
    let error = stream.response_headers(&[(":status", "200")], End::Last).unwrap_err();
    let VmError::Trap { callback, backtrace, logs } = error else { panic!("{error}") };
    assert_eq!(callback, "proxy_on_response_headers");
    assert!(backtrace.contains("divides_by_zero"), "{backtrace}");
    assert!(backtrace.contains("divide by zero"), "{backtrace}");
    assert_eq!(lines(&logs), ["before=00"]);
    assert!(matches!(other.finish(), Err(VmError::Dead)));
    assert!(matches!(vm.tick(), Err(VmError::Dead)));
}

#[test]
fn a_hang_is_cut() {
    let options = Options { deadline: Duration::from_millis(100), ..Options::default() };
    let vm = in_log("(loop $for_ever (br $for_ever))").configure_with("", &options).unwrap();
    let error = vm.stream().finish().unwrap_err();
    assert!(matches!(error, VmError::Trap { callback: "proxy_on_log", .. }), "{error}");
}

#[test]
fn memory_grows_to_its_limit_and_no_further() {
    let module = in_log("(call $note «grew» (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))");
    let options = Options { memory_limit: 3 * 65536, ..Options::default() };
    let vm = module.configure_with("", &options).unwrap();
    assert_eq!(vm.memory_bytes(), 2 * 65536);
    vm.stream().finish().unwrap();
    assert_eq!(vm.memory_bytes(), 3 * 65536);
    vm.stream().finish().unwrap();
    assert_eq!(vm.memory_bytes(), 3 * 65536);
    assert_eq!(lines(&vm.logs()), ["grew=01", "grew=00"]);
}

#[test]
fn fuel_counts_instructions_and_repeats() {
    let loops = |rounds: u32| {
        let body = format!(
            "(local $i i32) (loop $again
               (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                 (i32.const {rounds}))))"
        );
        let vm = in_log(&body).configure("").unwrap();
        let finished = vm.stream().finish().unwrap();
        assert_eq!(finished.callbacks.len(), 1, "only what the guest exports is called");
        assert_eq!(finished.fuel(), vm.fuel());
        finished.fuel()
    };
    assert_eq!(loops(1000), loops(1000));
    let per_round = (loops(2000) - loops(1000)) / 1000;
    assert!((1..10).contains(&per_round), "{per_round}");
}

#[test]
fn random_bytes_are_the_same_in_every_run() {
    let bytes = || {
        let body = "(drop (call $random (i32.const 16) (i32.const 8)))
                    (drop (call $define (i32.const 0) «r» (i32.const 0)))
                    (drop (call $record (i32.const 4) (i64.load (i32.const 16))))";
        let vm = in_log(body).configure("").unwrap();
        vm.stream().finish().unwrap();
        vm.metrics().counter("r").unwrap()
    };
    assert_eq!(bytes(), bytes());
    assert_ne!(bytes(), 0);
}

#[test]
fn standard_error_is_a_log_line_and_keeps_its_parts_together() {
    let body = "(i32.store (i32.const 16) (i32.const 48)) (i32.store (i32.const 20) (i32.const 3))
                (i32.store (i32.const 24) (i32.const 51)) (i32.store (i32.const 28) (i32.const 2))
                (i64.store (i32.const 48) (i64.const 0x0a64636261))
                (drop (call $fd_write (i32.const 2) (i32.const 16) (i32.const 2) (i32.const 32)))";
    let vm = in_log(body).configure("").unwrap();
    vm.stream().finish().unwrap();
    let logs = vm.logs();
    assert_eq!((logs[0].level, logs[0].message.as_str()), (LogLevel::Error, "abcd"));
}

#[test]
fn of_endless_log_lines_the_last_ones_are_kept() {
    let body = "(local $i i32) (loop $again
        (drop (call $log (i32.const 0) «line»))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
          (i32.const 10005))))
        (drop (call $log (i32.const 0) «last»))";
    let vm = in_log(body).configure("").unwrap();
    vm.stream().finish().unwrap();
    assert_eq!(vm.logs().len(), 10_000);
    assert_eq!(vm.logs().last().unwrap().message, "last");
}
