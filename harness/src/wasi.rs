//! The WASI functions that Envoy offers, and what it answers. Both tables were read off Envoy 1.40.0 by
//! loading a module that imports all of preview 1 and calls each with arguments of 256. There is no
//! file system, no network and no way to wait; `proc_raise` does not exist, and `path_link` and
//! `path_symlink` have other parameters there, so a module that imports one of the three does not load.

use wasmtime::{Caller, FuncType, Linker, Val, ValType};

use crate::abi::{LogLevel, size32};
use crate::calls::nanoseconds;
use crate::memory::{CallResult, Failure, Host};
use crate::state::{HostState, MAX_LOG_LINE_BYTES};

/// The names under which modules import WASI; Envoy registers every function under both.
pub(crate) const MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

const SUCCESS: u32 = 0;
const BADF: u32 = 8;
const FAULT: u32 = 21;
const INVAL: u32 = 28;
const NOENT: u32 = 44;
const NOSYS: u32 = 52;
const NOTSUP: u32 = 58;

/// Functions with one fixed answer: name, parameters (`i` 32 bits, `l` 64 bits), errno.
const FIXED: &[(&str, &str, u32)] = &[
    ("args_get", "ii", SUCCESS),
    ("clock_res_get", "ii", NOTSUP),
    ("environ_get", "ii", SUCCESS),
    ("fd_advise", "illi", SUCCESS),
    ("fd_allocate", "ill", BADF),
    ("fd_close", "i", SUCCESS),
    ("fd_datasync", "i", BADF),
    ("fd_fdstat_set_flags", "ii", NOSYS),
    ("fd_fdstat_set_rights", "ill", BADF),
    ("fd_filestat_get", "ii", BADF),
    ("fd_filestat_set_size", "il", BADF),
    ("fd_filestat_set_times", "illi", BADF),
    ("fd_pread", "iiili", NOSYS),
    ("fd_prestat_dir_name", "iii", NOSYS),
    ("fd_prestat_get", "ii", BADF),
    ("fd_pwrite", "iiili", BADF),
    ("fd_read", "iiii", NOSYS),
    ("fd_readdir", "iiili", 20),
    ("fd_renumber", "ii", BADF),
    ("fd_seek", "ilii", SUCCESS),
    ("fd_sync", "i", BADF),
    ("fd_tell", "ii", BADF),
    ("path_create_directory", "iii", NOTSUP),
    ("path_filestat_get", "iiiii", NOTSUP),
    ("path_filestat_set_times", "iiiilli", NOTSUP),
    ("path_open", "iiiiillii", NOENT),
    ("path_readlink", "iiiiii", NOTSUP),
    ("path_remove_directory", "iii", NOTSUP),
    ("path_rename", "iiiiii", NOTSUP),
    ("path_unlink_file", "iii", NOTSUP),
    ("poll_oneoff", "iiii", SUCCESS),
    ("sched_yield", "", SUCCESS),
    ("sock_accept", "iii", NOTSUP),
    ("sock_recv", "iiiiii", NOTSUP),
    ("sock_send", "iiiii", NOTSUP),
    ("sock_shutdown", "ii", NOTSUP),
];

pub(crate) fn register(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    for module in MODULES {
        for &(name, parameters, errno) in FIXED {
            let parameters = parameters
                .chars()
                .map(|kind| if kind == 'l' { ValType::I64 } else { ValType::I32 });
            let signature = FuncType::new(linker.engine(), parameters, [ValType::I32]);
            linker.func_new(module, name, signature, move |_, _, results| {
                if let Some(result) = results.first_mut() {
                    *result = Val::I32(errno.cast_signed());
                }
                Ok(())
            })?;
        }
        register_working(linker, module)?;
    }
    Ok(())
}

/// Functions that do something.
fn register_working(linker: &mut Linker<HostState>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap(
        module,
        "args_sizes_get",
        |caller: Caller<'_, HostState>, a: u32, b: u32| {
            answer(caller, |host| host.write_zeros(a, b))
        },
    )?;
    linker.func_wrap(
        module,
        "environ_sizes_get",
        |caller: Caller<'_, HostState>, a: u32, b: u32| {
            answer(caller, |host| host.write_zeros(a, b))
        },
    )?;
    linker.func_wrap(
        module,
        "clock_time_get",
        |caller: Caller<'_, HostState>, clock: u32, _precision: u64, out: u32| {
            answer(caller, |host| host.clock_time(clock, out))
        },
    )?;
    linker.func_wrap(
        module,
        "random_get",
        |caller: Caller<'_, HostState>, out: u32, size: u32| {
            answer(caller, |host| host.random(out, size))
        },
    )?;
    linker.func_wrap(
        module,
        "fd_write",
        |caller: Caller<'_, HostState>, fd: u32, parts: u32, count: u32, written_out: u32| {
            answer(caller, |host| host.fd_write(fd, parts, count, written_out))
        },
    )?;
    linker.func_wrap(
        module,
        "fd_fdstat_get",
        |caller: Caller<'_, HostState>, fd: u32, out: u32| {
            answer(caller, |host| host.fdstat(fd, out))
        },
    )?;
    // Envoy only notes that it was called, and returns: what ends the guest is the `unreachable`
    // instruction that compilers put behind it.
    linker.func_wrap(module, "proc_exit", |_code: u32| ())?;
    Ok(())
}

fn answer<'a>(
    caller: Caller<'a, HostState>,
    call: impl FnOnce(&mut Host<'a>) -> CallResult<u32>,
) -> wasmtime::Result<u32> {
    match call(&mut Host { caller }) {
        Ok(errno) => Ok(errno),
        Err(Failure::Status(_)) => Ok(FAULT),
        Err(Failure::Trap(trap)) => Err(trap),
    }
}

impl Host<'_> {
    /// No arguments, and no environment: Envoy passes variables only where its configuration names some.
    fn write_zeros(&mut self, count_out: u32, size_out: u32) -> CallResult<u32> {
        self.write_u32(count_out, 0)?;
        self.write_u32(size_out, 0)?;
        Ok(SUCCESS)
    }

    fn clock_time(&mut self, clock: u32, out: u32) -> CallResult<u32> {
        let clocks = self.state().clock;
        let now = match clock {
            0 => clocks.wall,
            1 if clocks.has_monotonic => clocks.monotonic,
            _ => return Ok(NOTSUP),
        };
        self.write(out, &nanoseconds(now).to_le_bytes())?;
        Ok(SUCCESS)
    }

    /// The same bytes in every run (SplitMix64).
    fn random(&mut self, out: u32, size: u32) -> CallResult<u32> {
        // Envoy's own limit.
        if size > 64 * 1024 {
            return Ok(INVAL);
        }
        let state = &mut self.state().random;
        let bytes: Vec<u8> = (0..size)
            .map(|_| {
                let [byte, ..] = splitmix(state).to_le_bytes();
                byte
            })
            .collect();
        self.write(out, &bytes)?;
        Ok(SUCCESS)
    }

    /// Standard output and error become log lines (`writevImpl`, proxy-wasm-cpp-host). As much as a log
    /// line holds is written at once, which `fd_write` may always do; the guest then writes the rest.
    fn fd_write(&mut self, fd: u32, parts: u32, count: u32, written_out: u32) -> CallResult<u32> {
        let level = match fd {
            1 => LogLevel::Info,
            2 => LogLevel::Error,
            _ => return Ok(BADF),
        };
        let mut text = Vec::new();
        for part in 0..count {
            let place = parts.saturating_add(part.saturating_mul(8));
            let (pointer, size) = (self.read_u32(place)?, self.read_u32(place.saturating_add(4))?);
            let room = size32(MAX_LOG_LINE_BYTES.saturating_sub(text.len()));
            text.extend(self.read(pointer, size.min(room))?);
            if size >= room {
                break;
            }
        }
        if !text.is_empty() {
            self.state().log(level, text.strip_suffix(b"\n").unwrap_or(&text));
        }
        self.write_u32(written_out, size32(text.len()))?;
        Ok(SUCCESS)
    }

    /// Only the two outputs exist, and the only right on them is to write (bit 6).
    fn fdstat(&mut self, fd: u32, out: u32) -> CallResult<u32> {
        if fd != 1 && fd != 2 {
            return Ok(BADF);
        }
        let mut stat = [0; 24];
        if let Some(rights) = stat.get_mut(8) {
            *rights = 64;
        }
        self.write(out, &stat)?;
        Ok(SUCCESS)
    }
}

/// The next number of the generator, which `random_get` and nothing else draws from.
pub(crate) const fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
