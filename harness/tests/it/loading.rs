//! What is not loaded, and what each refusal says.

use crate::guests::{guest, wasm};
use gaugeway_harness::{Module, Options, VmError, inspect};

const ALLOCATE: &str =
    r#"(func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 8))"#;
const ABI: &str = r#"(func (export "proxy_abi_version_0_2_1"))"#;

fn load(source: &str) -> Result<Module, VmError> {
    Module::load(&wat::parse_str(format!("(module {source})")).unwrap())
}

fn refusal(source: &str) -> String {
    load(source).err().unwrap().to_string()
}

#[test]
fn an_import_that_envoy_does_not_offer_is_named() {
    for (import, name) in [
        (r#"(import "env" "proxy_get_weather" (func))"#, "env.proxy_get_weather"),
        // Of ABI 0.1.0.
        (
            r#"(import "env" "proxy_clear_route_cache" (func (result i32)))"#,
            "env.proxy_clear_route_cache",
        ),
        (r#"(import "env" "proxy_done" (func (param i64) (result i32)))"#, "env.proxy_done"),
        (
            r#"(import "wasi_snapshot_preview1" "proc_raise" (func (param i32) (result i32)))"#,
            "wasi_snapshot_preview1.proc_raise",
        ),
        (r#"(import "env" "memory" (memory 1))"#, "env.memory"),
    ] {
        let said = refusal(&format!("{import} {ABI} {ALLOCATE}"));
        assert!(said.contains(name), "{name}: {said}");
    }
}

#[test]
fn both_names_of_wasi_are_offered() {
    for module in ["wasi_snapshot_preview1", "wasi_unstable"] {
        let imports = format!(
            r#"(import "{module}" "path_open"
                 (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
               (import "{module}" "sched_yield" (func (result i32)))
               (import "{module}" "random_get" (func (param i32 i32) (result i32)))"#
        );
        assert!(load(&format!("{imports} {ABI} {ALLOCATE}")).is_ok(), "{module}");
    }
}

#[test]
fn what_is_no_module_of_this_abi_is_refused_with_the_reason() {
    assert!(matches!(Module::load(b"not wasm"), Err(VmError::Invalid(_))));
    assert!(refusal(ALLOCATE).contains("exports no version"));
    let old = format!(r#"(func (export "proxy_abi_version_0_1_0")) {ALLOCATE}"#);
    assert!(refusal(&old).contains("exports 0_1_0"), "{}", refusal(&old));
    assert!(refusal(ABI).contains("proxy_on_memory_allocate"));
    let without_memory = load(&format!("{ABI} {ALLOCATE}")).unwrap().configure("");
    assert!(matches!(without_memory, Err(VmError::Export("memory"))));
}

#[test]
fn a_callback_of_another_type_is_refused_when_it_is_due() {
    let module = guest(r#"(func (export "proxy_on_configure") (param i64))"#);
    assert!(matches!(module.configure(""), Err(VmError::Export("proxy_on_configure"))));
}

#[test]
fn a_refused_configuration_comes_with_the_reason_that_was_logged() {
    let module = guest(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
             (call $note «bad key» (call $get_buffer (i32.const 7) (i32.const 0) (local.get 1)
               (i32.const 0) (i32.const 4)))
             (i32.const 0))"#,
    );
    let error = module.configure("{\"colour\": 1}").err().unwrap();
    assert!(matches!(error, VmError::Refused { callback: "proxy_on_configure", .. }), "{error}");
    assert_eq!(error.logs().len(), 1);
    assert!(error.to_string().contains("bad key=00 {\"colour\": 1}"), "{error}");
}

#[test]
fn constructors_may_log_but_call_nothing_else() {
    let logs = guest(r#"(func (export "_initialize") (call $note «hello» (i32.const 0)))"#);
    assert_eq!(logs.configure("").unwrap().logs().len(), 1);
    let defines = guest(
        r#"(func (export "_initialize")
             (drop (call $define (i32.const 0) «early» (i32.const 0))))"#,
    );
    let error = defines.configure("").err().unwrap().to_string();
    assert!(error.contains("proxy_define_metric was called before proxy_on_vm_start"), "{error}");
}

#[test]
fn a_module_larger_than_the_memory_limit_does_not_start() {
    let options = Options { memory_limit: 64 << 10, ..Options::default() };
    let started = guest("").configure_with("", &options);
    assert!(matches!(started, Err(VmError::Instantiate(_))));
}

#[test]
fn inspection_lists_what_a_module_asks_for_and_gives() {
    let inspection = inspect(&wasm("")).unwrap();
    assert_eq!(inspection.abi_versions, ["0_2_1"]);
    assert_eq!(inspection.missing, [] as [&str; 0]);
    assert_eq!(inspection.memory_bytes, Some(128 << 10));
    assert!(inspection.imports.contains(&"env.proxy_log".to_owned()));
    assert!(inspection.exports.contains(&"proxy_on_memory_allocate".to_owned()));
    let strange = wat::parse_str(r#"(module (import "env" "x" (func)))"#).unwrap();
    assert_eq!(inspect(&strange).unwrap().missing, ["env.x"]);
}
