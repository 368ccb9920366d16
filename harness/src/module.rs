//! A compiled module: compile once, start many VMs from it.

use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use wasmtime::{
    Config, Engine, EngineWeak, Extern, ExternType, ImportType, InstancePre, Linker, Store,
};

use crate::error::VmError;
use crate::state::HostState;
use crate::vm::{Options, Vm};
use crate::{calls, wasi};

const ABI_EXPORT: &str = "proxy_abi_version_";

/// How often the hang watch looks at running guests.
pub(crate) const EPOCH: Duration = Duration::from_millis(50);

/// A proxy-wasm module that Envoy would load. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    pub(crate) instance: InstancePre<HostState>,
}

impl Module {
    /// Compiles `wasm` and links it against exactly what Envoy offers.
    ///
    /// # Errors
    /// [`VmError::Invalid`], [`VmError::AbiVersion`], [`VmError::MissingImports`], or
    /// [`VmError::Export`] when the guest has no `proxy_on_memory_allocate` and no `malloc`.
    pub fn load(wasm: &[u8]) -> Result<Self, VmError> {
        let engine = engine()?;
        let module = compile(engine, wasm)?;
        let versions = abi_versions(&module);
        if !versions.iter().any(|version| version == "0_2_1") {
            let found = match versions.as_slice() {
                [] => "it exports no version".to_owned(),
                versions => format!("it exports {}", versions.join(", ")),
            };
            return Err(VmError::AbiVersion { found });
        }
        if !["malloc", "proxy_on_memory_allocate"]
            .iter()
            .any(|name| module.get_export(name).is_some())
        {
            return Err(VmError::Export("proxy_on_memory_allocate"));
        }
        let linker = linker(engine)?;
        let imports = missing_imports(linker, &module);
        if !imports.is_empty() {
            return Err(VmError::MissingImports { imports });
        }
        let instance = linker.instantiate_pre(&module);
        Ok(Self { instance: instance.map_err(|error| VmError::Invalid(error.to_string()))? })
    }

    /// What the module imports, as `module.name`, in its order.
    pub fn imports(&self) -> Vec<String> {
        self.instance.module().imports().map(|import| import_name(&import)).collect()
    }

    /// Starts a VM with default [`Options`] and configures its plugin.
    ///
    /// # Errors
    /// As [`Self::configure_with`].
    pub fn configure(&self, config: impl AsRef<[u8]>) -> Result<Vm, VmError> {
        self.configure_with(config, &Options::default())
    }

    /// Starts a VM and configures its plugin.
    ///
    /// # Errors
    /// [`VmError::Refused`] when the guest refuses, [`VmError::Trap`] when it traps,
    /// [`VmError::Instantiate`] when it needs more memory than the options allow,
    /// [`VmError::Export`] when an export has the wrong type, [`VmError::UnknownCall`] for a fault that
    /// names no host call.
    pub fn configure_with(
        &self,
        config: impl AsRef<[u8]>,
        options: &Options,
    ) -> Result<Vm, VmError> {
        Vm::start(self, config.as_ref(), options)
    }
}

/// What a module asks for and gives, whether or not Envoy would load it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Version numbers it exports: `0_2_1`.
    pub abi_versions: Vec<String>,
    /// `module.name` of everything it imports, in its order.
    pub imports: Vec<String>,
    /// Those that Envoy does not offer, or offers with another type.
    pub missing: Vec<String>,
    /// Names that it exports, in its order.
    pub exports: Vec<String>,
    /// Bytes of linear memory it starts with; `None` when it exports no memory.
    pub memory_bytes: Option<u64>,
}

/// Reads a module's interface.
///
/// # Errors
/// [`VmError::Invalid`].
pub fn inspect(wasm: &[u8]) -> Result<Inspection, VmError> {
    let engine = engine()?;
    let module = compile(engine, wasm)?;
    Ok(Inspection {
        abi_versions: abi_versions(&module),
        imports: module.imports().map(|import| import_name(&import)).collect(),
        missing: missing_imports(linker(engine)?, &module),
        exports: module.exports().map(|export| export.name().to_owned()).collect(),
        memory_bytes: module.exports().find_map(|export| match export.ty() {
            ExternType::Memory(memory) => memory.minimum().checked_mul(memory.page_size()),
            _ => None,
        }),
    })
}

fn abi_versions(module: &wasmtime::Module) -> Vec<String> {
    let names = module.exports().filter_map(|export| export.name().strip_prefix(ABI_EXPORT));
    names.map(str::to_owned).collect()
}

fn missing_imports(linker: &Linker<HostState>, module: &wasmtime::Module) -> Vec<String> {
    let mut store = Store::new(linker.engine(), HostState::new(&Options::default(), &[]));
    let mut offered = |import: &ImportType<'_>| {
        let found = linker.get(&mut store, import.module(), import.name()).ok();
        match (found.and_then(Extern::into_func), import.ty()) {
            (Some(found), ExternType::Func(wanted)) => found.ty(&store).matches(&wanted),
            _ => false,
        }
    };
    module.imports().filter(|import| !offered(import)).map(|import| import_name(&import)).collect()
}

fn import_name(import: &ImportType<'_>) -> String {
    format!("{}.{}", import.module(), import.name())
}

fn compile(engine: &Engine, wasm: &[u8]) -> Result<wasmtime::Module, VmError> {
    wasmtime::Module::new(engine, wasm).map_err(|error| VmError::Invalid(format!("{error:#}")))
}

/// One engine for the process, so that modules and VMs of all tests share it. Instances come from the
/// on-demand allocator: a pool only pays off far above the number of VMs that tests hold.
fn engine() -> Result<&'static Engine, VmError> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config.consume_fuel(true);
        config.epoch_interruption(true);
        let engine = Engine::new(&config).map_err(|error| error.to_string())?;
        watch(engine.weak()).map_err(|error| error.to_string())?;
        Ok(engine)
    });
    engine.as_ref().map_err(|error| VmError::Invalid(error.clone()))
}

/// Moves the epoch on, at which callbacks past their deadline are cut.
fn watch(engine: EngineWeak) -> std::io::Result<()> {
    let watch = thread::Builder::new().name("epoch".to_owned());
    watch.spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(EPOCH);
        }
    })?;
    Ok(())
}

fn linker(engine: &'static Engine) -> Result<&'static Linker<HostState>, VmError> {
    static LINKER: OnceLock<Result<Linker<HostState>, String>> = OnceLock::new();
    let linker = LINKER.get_or_init(|| {
        let mut linker = Linker::new(engine);
        calls::register(&mut linker).map_err(|error| error.to_string())?;
        wasi::register(&mut linker).map_err(|error| error.to_string())?;
        Ok(linker)
    });
    linker.as_ref().map_err(|error| VmError::Invalid(error.clone()))
}
