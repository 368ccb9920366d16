//! Guest memory, always checked: a pointer that leaves it is a status for the guest, never a fault here.

use wasmtime::Caller;

use crate::abi::{Status, size32};
use crate::state::HostState;

/// Why a host call did not succeed.
pub(crate) enum Failure {
    /// The guest gets this answer.
    Status(Status),
    /// The guest has trapped while it allocated memory for the answer.
    Trap(wasmtime::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// What a host call gives back.
pub(crate) type CallResult<T = ()> = Result<T, Failure>;

/// The host, as a call from the guest sees it.
pub(crate) struct Host<'a> {
    pub caller: Caller<'a, HostState>,
}

impl Host<'_> {
    pub(crate) fn state(&mut self) -> &mut HostState {
        self.caller.data_mut()
    }

    pub(crate) fn read(&self, pointer: u32, size: u32) -> CallResult<Vec<u8>> {
        let bytes = self.slice(pointer, size).ok_or(Status::InvalidMemoryAccess)?;
        Ok(bytes.to_owned())
    }

    pub(crate) fn read_u32(&self, pointer: u32) -> CallResult<u32> {
        let bytes = self.slice(pointer, 4).and_then(|bytes| bytes.first_chunk());
        Ok(u32::from_le_bytes(*bytes.ok_or(Status::InvalidMemoryAccess)?))
    }

    pub(crate) fn write(&mut self, pointer: u32, bytes: &[u8]) -> CallResult {
        let place = self.slice_mut(pointer, bytes.len()).ok_or(Status::InvalidMemoryAccess)?;
        place.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn write_u32(&mut self, pointer: u32, number: u32) -> CallResult {
        self.write(pointer, &number.to_le_bytes())
    }

    /// Copies `bytes` into memory that the guest allocates, and tells it where they are. Nothing is
    /// allocated for no bytes: the pointer is then 0 (`copyToPointerSize`, proxy-wasm-cpp-host).
    pub(crate) fn give(&mut self, bytes: &[u8], pointer_out: u32, size_out: u32) -> CallResult {
        let size = size32(bytes.len());
        let pointer = if size == 0 { 0 } else { self.allocate(size)? };
        self.write(pointer, bytes)?;
        self.write_u32(pointer_out, pointer)?;
        self.write_u32(size_out, size)
    }

    fn allocate(&mut self, size: u32) -> CallResult<u32> {
        let allocate = self.state().allocate.clone().ok_or(Status::InvalidMemoryAccess)?;
        match allocate.call(&mut self.caller, size) {
            Ok(0) => Err(Status::InvalidMemoryAccess.into()),
            Ok(pointer) => Ok(pointer),
            Err(trap) => Err(Failure::Trap(trap)),
        }
    }

    fn slice(&self, pointer: u32, size: u32) -> Option<&[u8]> {
        let start = usize::try_from(pointer).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        self.caller.data().memory?.data(&self.caller).get(start..end)
    }

    fn slice_mut(&mut self, pointer: u32, size: usize) -> Option<&mut [u8]> {
        let start = usize::try_from(pointer).ok()?;
        let memory = self.caller.data().memory?;
        memory.data_mut(&mut self.caller).get_mut(start..start.checked_add(size)?)
    }
}
