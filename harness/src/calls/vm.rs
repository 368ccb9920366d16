//! Calls about the VM: log, clock, stats, shared data, and the calls out of the VM, which meet an Envoy
//! without clusters, queues and foreign functions.

use std::time::Duration;

use crate::abi::{LogLevel, Status};
use crate::memory::{CallResult, Host};
use crate::state::ROOT;

impl Host<'_> {
    pub(super) fn log(&mut self, level: u32, text: u32, size: u32) -> CallResult {
        let level = LogLevel::from_code(level).ok_or(Status::BadArgument)?;
        let message = self.read(text, size)?;
        self.state().log(level, &message);
        Ok(())
    }

    pub(super) fn get_log_level(&mut self, out: u32) -> CallResult {
        let level = self.state().log_level as u32;
        self.write_u32(out, level)
    }

    /// Wall time: it can step (`getCurrentTimeNanoseconds`).
    pub(super) fn get_current_time(&mut self, out: u32) -> CallResult {
        let now = nanoseconds(self.state().clock.wall);
        self.write(out, &now.to_le_bytes())
    }

    pub(super) fn set_tick_period(&mut self, milliseconds: u32) -> CallResult {
        self.state().tick_period = Duration::from_millis(milliseconds.into());
        Ok(())
    }

    /// Later calls of this callback belong to that context.
    pub(super) fn set_effective_context(&mut self, id: u32) -> CallResult {
        let state = self.state();
        if id > ROOT && !state.contexts.contains_key(&id) {
            return Err(Status::BadArgument.into());
        }
        state.effective = Some(id);
        Ok(())
    }

    /// Only a root context that is being shut down can be done.
    pub(super) fn done(&self) -> CallResult {
        Err(Status::NotFound.into())
    }

    pub(super) fn define_metric(
        &mut self,
        kind: u32,
        name: u32,
        size: u32,
        id_out: u32,
    ) -> CallResult {
        let name = String::from_utf8_lossy(&self.read(name, size)?).into_owned();
        let id = self.state().metrics.define(kind, name)?;
        self.write_u32(id_out, id)
    }

    pub(super) fn increment_metric(&mut self, id: u32, offset: i64) -> CallResult {
        Ok(self.state().metrics.increment(id, offset)?)
    }

    pub(super) fn record_metric(&mut self, id: u32, value: u64) -> CallResult {
        Ok(self.state().metrics.record(id, value)?)
    }

    pub(super) fn get_metric(&mut self, id: u32, out: u32) -> CallResult {
        let value = self.state().metrics.get(id)?;
        self.write(out, &value.to_le_bytes())
    }

    pub(super) fn get_shared_data(
        &mut self,
        key: u32,
        size: u32,
        value_out: u32,
        size_out: u32,
        cas_out: u32,
    ) -> CallResult {
        let key = self.read(key, size)?;
        let (value, cas) = self.state().shared_data.get(&key).ok_or(Status::NotFound)?.clone();
        self.give(&value, value_out, size_out)?;
        self.write_u32(cas_out, cas)
    }

    /// A `cas` of 0 always writes; any other must be the one that was last read
    /// (`SharedData::set`, proxy-wasm-cpp-host).
    pub(super) fn set_shared_data(
        &mut self,
        key: u32,
        size: u32,
        value: u32,
        value_size: u32,
        cas: u32,
    ) -> CallResult {
        let (key, value) = (self.read(key, size)?, self.read(value, value_size)?);
        let data = &mut self.state().shared_data;
        let current = data.get(&key).map_or(0, |(_, current)| *current);
        if cas != 0 && current != 0 && cas != current {
            return Err(Status::CasMismatch.into());
        }
        data.insert(key, (value, current.wrapping_add(1).max(1)));
        Ok(())
    }

    /// A queue joins VMs, and there is only one here.
    pub(super) fn register_shared_queue(&self, _: u32, _: u32, _: u32) -> CallResult {
        Err(Status::Unimplemented.into())
    }

    pub(super) fn resolve_shared_queue(
        &self,
        vm: u32,
        vm_size: u32,
        name: u32,
        size: u32,
        _out: u32,
    ) -> CallResult {
        self.read(vm, vm_size)?;
        self.read(name, size)?;
        Err(Status::NotFound.into())
    }

    pub(super) fn dequeue_shared_queue(&self, _: u32, _: u32, _: u32) -> CallResult {
        Err(Status::NotFound.into())
    }

    pub(super) fn enqueue_shared_queue(&self, _: u32, value: u32, size: u32) -> CallResult {
        self.read(value, size)?;
        Err(Status::NotFound.into())
    }

    /// `httpCall` to a cluster that Envoy does not know.
    #[expect(clippy::too_many_arguments, reason = "the ABI has ten")]
    pub(super) fn http_call(
        &mut self,
        cluster: u32,
        cluster_size: u32,
        headers: u32,
        headers_size: u32,
        body: u32,
        body_size: u32,
        trailers: u32,
        trailers_size: u32,
        _timeout: u32,
        out: u32,
    ) -> CallResult {
        self.read(cluster, cluster_size)?;
        self.read(headers, headers_size)?;
        self.read(body, body_size)?;
        self.read(trailers, trailers_size)?;
        self.write_u32(out, 0)?;
        Err(Status::BadArgument.into())
    }

    /// `grpcCall` to a service that Envoy does not know.
    #[expect(clippy::too_many_arguments, reason = "the ABI has twelve")]
    pub(super) fn grpc_call(
        &self,
        service: u32,
        service_size: u32,
        name: u32,
        name_size: u32,
        method: u32,
        method_size: u32,
        metadata: u32,
        metadata_size: u32,
        message: u32,
        message_size: u32,
        _timeout: u32,
        out: u32,
    ) -> CallResult {
        self.read(message, message_size)?;
        self.grpc_stream(
            service,
            service_size,
            name,
            name_size,
            method,
            method_size,
            metadata,
            metadata_size,
            out,
        )
    }

    /// `grpcStream` to a service that Envoy does not know.
    #[expect(clippy::too_many_arguments, reason = "the ABI has nine")]
    pub(super) fn grpc_stream(
        &self,
        service: u32,
        service_size: u32,
        name: u32,
        name_size: u32,
        method: u32,
        method_size: u32,
        metadata: u32,
        metadata_size: u32,
        _out: u32,
    ) -> CallResult {
        self.read(service, service_size)?;
        self.read(name, name_size)?;
        self.read(method, method_size)?;
        self.read(metadata, metadata_size)?;
        Err(Status::ParseFailure.into())
    }

    pub(super) fn grpc_send(&self, token: u32, message: u32, size: u32, _: u32) -> CallResult {
        self.read(message, size)?;
        Err(if token & 3 == 2 { Status::NotFound } else { Status::BadArgument }.into())
    }

    /// No gRPC call was ever begun. The two low bits of a token say what it is for: 1 a call, 2 a
    /// stream, else nothing that could be ended (`isGrpcCallToken`, `isGrpcStreamToken`).
    pub(super) fn unknown_token(&self, token: u32) -> CallResult {
        Err(if matches!(token & 3, 1 | 2) { Status::NotFound } else { Status::BadArgument }.into())
    }

    /// The status of the last gRPC call: none, and no message.
    pub(super) fn get_status(
        &mut self,
        code_out: u32,
        message_out: u32,
        size_out: u32,
    ) -> CallResult {
        self.write_u32(code_out, 0)?;
        self.give(&[], message_out, size_out)
    }

    pub(super) fn call_foreign_function(
        &self,
        name: u32,
        name_size: u32,
        arguments: u32,
        arguments_size: u32,
        _results_out: u32,
        _size_out: u32,
    ) -> CallResult {
        self.read(name, name_size)?;
        self.read(arguments, arguments_size)?;
        Err(Status::NotFound.into())
    }
}

/// A clock reading in the ABI's unit.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
