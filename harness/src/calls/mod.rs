//! The `env.proxy_*` functions of ABI 0.2.1, as Envoy registers them (`WasmBase::registerCallbacks`,
//! proxy-wasm-cpp-host).

mod stream;
mod vm;

use wasmtime::{Caller, Linker};

pub(crate) use vm::nanoseconds;

use crate::memory::{CallResult, Failure, Host};
use crate::state::HostState;

/// Writes the table of host calls twice: as the list of names, and as their registration.
macro_rules! host_calls {
    ($($name:ident => $method:ident($($argument:ident: $kind:ty),*);)*) => {
        /// Every host call that Envoy offers, by the name of its import.
        pub const HOST_CALLS: &[&str] = &[$(stringify!($name)),*];

        pub(crate) fn register(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
            $(linker.func_wrap(
                "env",
                stringify!($name),
                |caller: Caller<'_, HostState>, $($argument: $kind),*| {
                    answer(caller, stringify!($name), |host| host.$method($($argument),*))
                },
            )?;)*
            // Two that modules built with Emscripten import; they are no part of proxy-wasm.
            linker.func_wrap("env", "pthread_equal", |a: u32, b: u32| u32::from(a == b))?;
            linker.func_wrap("env", "emscripten_notify_memory_growth", |_: u32| ())?;
            Ok(())
        }
    };
}

host_calls! {
    proxy_log => log(level: u32, text: u32, size: u32);
    proxy_get_log_level => get_log_level(out: u32);
    proxy_get_current_time_nanoseconds => get_current_time(out: u32);
    proxy_set_tick_period_milliseconds => set_tick_period(milliseconds: u32);
    proxy_set_effective_context => set_effective_context(id: u32);
    proxy_done => done();

    proxy_define_metric => define_metric(kind: u32, name: u32, size: u32, id_out: u32);
    proxy_increment_metric => increment_metric(id: u32, offset: i64);
    proxy_record_metric => record_metric(id: u32, value: u64);
    proxy_get_metric => get_metric(id: u32, out: u32);

    proxy_get_property => get_property(path: u32, size: u32, value_out: u32, size_out: u32);
    proxy_set_property => set_property(path: u32, size: u32, value: u32, value_size: u32);

    proxy_get_header_map_value => get_header(map: u32, key: u32, size: u32, value_out: u32, size_out: u32);
    proxy_add_header_map_value => add_header(map: u32, key: u32, size: u32, value: u32, value_size: u32);
    proxy_replace_header_map_value => replace_header(map: u32, key: u32, size: u32, value: u32, value_size: u32);
    proxy_remove_header_map_value => remove_header(map: u32, key: u32, size: u32);
    proxy_get_header_map_pairs => get_headers(map: u32, pairs_out: u32, size_out: u32);
    proxy_set_header_map_pairs => set_headers(map: u32, pairs: u32, size: u32);
    proxy_get_header_map_size => get_headers_size(map: u32, out: u32);

    proxy_get_buffer_bytes => get_buffer(buffer: u32, start: u32, length: u32, bytes_out: u32, size_out: u32);
    proxy_get_buffer_status => get_buffer_status(buffer: u32, length_out: u32, flags_out: u32);
    proxy_set_buffer_bytes => set_buffer(buffer: u32, start: u32, length: u32, bytes: u32, size: u32);

    proxy_continue_stream => continue_stream(kind: u32);
    proxy_close_stream => close_stream(kind: u32);
    proxy_send_local_response => send_local_response(
        status: u32, details: u32, details_size: u32, body: u32, body_size: u32,
        headers: u32, headers_size: u32, grpc_status: u32
    );

    proxy_get_shared_data => get_shared_data(key: u32, size: u32, value_out: u32, size_out: u32, cas_out: u32);
    proxy_set_shared_data => set_shared_data(key: u32, size: u32, value: u32, value_size: u32, cas: u32);
    proxy_register_shared_queue => register_shared_queue(name: u32, size: u32, out: u32);
    proxy_resolve_shared_queue => resolve_shared_queue(vm: u32, vm_size: u32, name: u32, size: u32, out: u32);
    proxy_dequeue_shared_queue => dequeue_shared_queue(queue: u32, value_out: u32, size_out: u32);
    proxy_enqueue_shared_queue => enqueue_shared_queue(queue: u32, value: u32, size: u32);

    proxy_http_call => http_call(
        cluster: u32, cluster_size: u32, headers: u32, headers_size: u32, body: u32, body_size: u32,
        trailers: u32, trailers_size: u32, timeout: u32, out: u32
    );
    proxy_grpc_call => grpc_call(
        service: u32, service_size: u32, name: u32, name_size: u32, method: u32, method_size: u32,
        metadata: u32, metadata_size: u32, message: u32, message_size: u32, timeout: u32, out: u32
    );
    proxy_grpc_stream => grpc_stream(
        service: u32, service_size: u32, name: u32, name_size: u32, method: u32, method_size: u32,
        metadata: u32, metadata_size: u32, out: u32
    );
    proxy_grpc_send => grpc_send(token: u32, message: u32, size: u32, end: u32);
    proxy_grpc_cancel => unknown_token(token: u32);
    proxy_grpc_close => unknown_token(token: u32);
    proxy_get_status => get_status(code_out: u32, message_out: u32, size_out: u32);
    proxy_call_foreign_function => call_foreign_function(
        name: u32, name_size: u32, arguments: u32, arguments_size: u32, results_out: u32, size_out: u32
    );
}

/// Runs one call, unless a fault takes its place or the guest's constructors still run.
fn answer<'a>(
    mut caller: Caller<'a, HostState>,
    name: &'static str,
    call: impl FnOnce(&mut Host<'a>) -> CallResult,
) -> wasmtime::Result<u32> {
    let state = caller.data_mut();
    // `startVm`: of the host calls, constructors may only log; the rest ends the VM.
    if state.starting && name != "proxy_log" {
        return Err(wasmtime::Error::msg(format!("{name} was called before proxy_on_vm_start")));
    }
    if let Some(status) = state.faults.strike(name) {
        return Ok(status.code());
    }
    match call(&mut Host { caller }) {
        Ok(()) => Ok(0),
        Err(Failure::Status(status)) => Ok(status.code()),
        Err(Failure::Trap(trap)) => Err(trap),
    }
}
