//! A running VM with one configured plugin, as one Envoy worker has it.

use std::cell::{RefCell, RefMut};
use std::time::Duration;

use wasmtime::{Instance, Store, WasmParams, WasmResults};

use crate::abi::{LogLevel, size32};
use crate::calls::HOST_CALLS;
use crate::context::Context;
use crate::error::VmError;
use crate::fault::Fault;
use crate::metrics::Metrics;
use crate::module::{EPOCH, Module};
use crate::state::{HostState, LogLine, ROOT};
use crate::stream::Stream;

/// More than any callback can burn before its deadline: fuel measures here, the deadline limits.
const FULL_TANK: u64 = 1 << 62;

/// What kind of host the guest meets.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether WASI's monotonic clock works. Older Envoys answer ENOTSUP.
    pub monotonic_clock: bool,
    /// Bytes of linear memory that the guest may have. Envoy itself sets no limit below 4 GiB.
    pub memory_limit: usize,
    /// Real time that one callback may take before it is cut as hanging. Measured in steps of 50 ms.
    pub deadline: Duration,
    /// What `proxy_get_log_level` answers. Lines below it are captured all the same.
    pub log_level: LogLevel,
    /// Faults that lie in wait from the first call of `proxy_on_vm_start`.
    pub faults: Vec<Fault>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            monotonic_clock: true,
            memory_limit: 256 << 20,
            deadline: Duration::from_secs(30),
            log_level: LogLevel::Info,
            faults: Vec::new(),
        }
    }
}

/// One VM. It hands out streams that are open side by side; all of them, and the VM itself, are used
/// through shared references, because one thread runs them in turn as an Envoy worker does.
///
/// ```no_run
/// use gaugeway_harness::{End, Module};
///
/// # fn main() -> Result<(), gaugeway_harness::VmError> {
/// let module = Module::load(&std::fs::read("target/gaugeway.wasm").unwrap())?;
/// let vm = module.configure("{}")?;
///
/// let mut stream = vm.stream();
/// stream.request_headers(&[(":method", "POST"), (":path", "/v1/embeddings")], End::More)?;
/// stream.request_body(b"{}", End::Last)?;
/// vm.advance(std::time::Duration::from_millis(250));
/// stream.response_headers(&[(":status", "200")], End::Last)?;
/// let stream = stream.finish()?;
///
/// assert!(stream.passthrough());
/// assert_eq!(vm.metrics().counter("gaugeway_streams_seen_total"), Some(1));
/// # Ok(())
/// # }
/// ```
pub struct Vm {
    inner: RefCell<Inner>,
}

pub(crate) struct Inner {
    pub store: Store<HostState>,
    instance: Instance,
    deadline: u64,
    next_context: u32,
    dead: bool,
    fuel: u64,
}

impl Vm {
    /// Starts the guest as Envoy does (`WasmBase::startVm`, `ContextBase::onStart`, `onConfigure`).
    pub(crate) fn start(
        module: &Module,
        config: &[u8],
        options: &Options,
    ) -> Result<Self, VmError> {
        let engine = module.instance.module().engine();
        let mut store = Store::new(engine, HostState::new(options, config));
        store.limiter(|state| &mut state.limits);
        let epochs = options.deadline.as_millis().div_ceil(EPOCH.as_millis());
        // One more, because the epoch that runs now may end at once.
        let deadline = u64::try_from(epochs).unwrap_or(u64::MAX >> 1).saturating_add(1);
        let failed = |error: wasmtime::Error| VmError::Instantiate(format!("{error:#}"));
        store.set_fuel(FULL_TANK).map_err(failed)?;
        store.set_epoch_deadline(deadline);
        let instance = module.instance.instantiate(&mut store).map_err(failed)?;
        let mut inner =
            Inner { store, instance, deadline, next_context: ROOT + 1, dead: false, fuel: 0 };
        inner.connect()?;
        for fault in &options.faults {
            inner.inject(*fault)?;
        }
        inner.boot(size32(config.len()))?;
        Ok(Self { inner: RefCell::new(inner) })
    }

    /// A new stream. The guest hears of it with its request headers.
    pub fn stream(&self) -> Stream<'_> {
        let mut inner = self.inner.borrow_mut();
        let id = inner.next_context;
        inner.next_context += 1;
        inner.state().contexts.insert(id, Context::default());
        drop(inner);
        Stream::new(self, id)
    }

    /// Runs `proxy_on_tick`. Nothing ticks by itself.
    ///
    /// # Errors
    /// [`VmError::Trap`], [`VmError::Dead`] and [`VmError::Export`].
    pub fn tick(&self) -> Result<(), VmError> {
        self.inner.borrow_mut().call::<_, ()>(ROOT, "proxy_on_tick", (ROOT,)).map(drop)
    }

    /// How often the guest asked to be ticked; zero when it did not.
    pub fn tick_period(&self) -> Duration {
        self.inner.borrow_mut().state().tick_period
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        self.inner.borrow_mut().state().clock.advance(by);
    }

    /// Since when the monotonic clock runs, as the guest reads it.
    pub fn monotonic_time(&self) -> Duration {
        self.inner.borrow_mut().state().clock.monotonic
    }

    /// Sets the wall clock alone, forwards or back, to a time since the Unix epoch.
    pub fn set_wall_time(&self, since_epoch: Duration) {
        self.inner.borrow_mut().state().clock.wall = since_epoch;
    }

    /// A property that is readable in every context, the root's among them: `["node", "id"]`.
    pub fn set_property(&self, path: &[&str], value: impl Into<Vec<u8>>) {
        self.inner.borrow_mut().state().properties.insert(property_path(path), value.into());
    }

    /// Adds a fault; its count begins now.
    ///
    /// # Errors
    /// [`VmError::UnknownCall`].
    pub fn inject(&self, fault: Fault) -> Result<(), VmError> {
        self.inner.borrow_mut().inject(fault)
    }

    /// Faults that have not happened: the guest has not made that call so often.
    pub fn pending_faults(&self) -> Vec<Fault> {
        self.inner.borrow_mut().state().faults.pending()
    }

    /// All stats so far.
    pub fn metrics(&self) -> Metrics {
        self.inner.borrow_mut().state().metrics.clone()
    }

    /// What the guest has logged, oldest first; of more than 10 000 lines the last ones.
    pub fn logs(&self) -> Vec<LogLine> {
        self.inner.borrow_mut().logs()
    }

    /// Fuel that all callbacks have burnt since the start: about one unit per instruction, the same in
    /// every run.
    pub fn fuel(&self) -> u64 {
        self.inner.borrow().fuel
    }

    /// Bytes of linear memory now. It only grows.
    pub fn memory_bytes(&self) -> usize {
        let inner = self.inner.borrow();
        inner.store.data().memory.map_or(0, |memory| memory.data_size(&inner.store))
    }

    pub(crate) fn inner(&self) -> RefMut<'_, Inner> {
        self.inner.borrow_mut()
    }
}

impl Inner {
    pub(crate) fn state(&mut self) -> &mut HostState {
        self.store.data_mut()
    }

    fn logs(&mut self) -> Vec<LogLine> {
        self.state().logs.iter().cloned().collect()
    }

    fn inject(&mut self, fault: Fault) -> Result<(), VmError> {
        if !HOST_CALLS.contains(&fault.call) {
            return Err(VmError::UnknownCall(fault.call));
        }
        self.state().faults.inject(fault);
        Ok(())
    }

    /// Finds the memory and the allocator: `malloc` first, then the name of the ABI
    /// (`WasmBase::getFunctions`).
    fn connect(&mut self) -> Result<(), VmError> {
        let memory = self.instance.get_memory(&mut self.store, "memory");
        let malloc = self.instance.get_func(&mut self.store, "malloc");
        let allocate = malloc
            .or_else(|| self.instance.get_func(&mut self.store, "proxy_on_memory_allocate"))
            .ok_or(VmError::Export("proxy_on_memory_allocate"))?
            .typed(&self.store)
            .map_err(|_| VmError::Export("proxy_on_memory_allocate"))?;
        let state = self.state();
        state.memory = Some(memory.ok_or(VmError::Export("memory"))?);
        state.allocate = Some(allocate);
        Ok(())
    }

    fn boot(&mut self, config_size: u32) -> Result<(), VmError> {
        if self.call::<_, ()>(ROOT, "_initialize", ())?.is_none() {
            self.call::<_, ()>(ROOT, "_start", ())?;
        }
        self.state().starting = false;
        self.state().config_open = true;
        self.call::<_, ()>(ROOT, "proxy_on_context_create", (ROOT, 0))?;
        self.state().config_open = false;
        self.accepts("proxy_on_vm_start", 0)?;
        self.state().config_open = true;
        self.accepts("proxy_on_configure", config_size)?;
        self.state().config_open = false;
        Ok(())
    }

    fn accepts(&mut self, callback: &'static str, size: u32) -> Result<(), VmError> {
        match self.call::<_, u32>(ROOT, callback, (ROOT, size))? {
            Some(0) => Err(VmError::Refused { callback, logs: self.logs() }),
            Some(_) | None => Ok(()),
        }
    }

    /// Runs one callback in `context`. `None` when the guest does not export it: Envoy then goes on as
    /// if it had answered Continue or true.
    pub(crate) fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        context: u32,
        callback: &'static str,
        parameters: P,
    ) -> Result<Option<R>, VmError> {
        if self.dead {
            return Err(VmError::Dead);
        }
        let Some(function) = self.instance.get_func(&mut self.store, callback) else {
            return Ok(None);
        };
        let function =
            function.typed::<P, R>(&self.store).map_err(|_| VmError::Export(callback))?;
        let state = self.state();
        state.current = context;
        state.effective = None;
        state.stop_iteration = false;
        self.store.set_epoch_deadline(self.deadline);
        let result = self
            .store
            .set_fuel(FULL_TANK)
            .and_then(|()| function.call(&mut self.store, parameters));
        let left = self.store.get_fuel().unwrap_or(FULL_TANK);
        self.fuel = self.fuel.saturating_add(FULL_TANK.saturating_sub(left));
        result.map(Some).map_err(|trap| {
            self.dead = true;
            VmError::Trap { callback, backtrace: format!("{trap:?}"), logs: self.logs() }
        })
    }

    pub(crate) const fn fuel(&self) -> u64 {
        self.fuel
    }
}

/// A property path as the ABI writes it: elements joined by NUL.
pub(crate) fn property_path(elements: &[&str]) -> Vec<u8> {
    elements.join("\0").into_bytes()
}
