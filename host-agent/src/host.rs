//! The machine itself: CPU, memory, disks, network, as `/proc` tells them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use procfs::net::InterfaceDeviceStatus;
use procfs::{DiskStats, FromRead, FromReadSI, KernelStats, Meminfo, ProcError};

/// The unit of `/proc/diskstats`, whatever the disk's own sectors are.
const SECTOR_BYTES: u64 = 512;
/// Most disks and most network devices that are shown.
const MAX_DEVICES: usize = 256;

/// The machine at one moment. Counters run from boot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostStats {
    /// Seconds over all CPUs, by mode.
    pub cpu_seconds: Vec<(&'static str, f64)>,
    /// CPUs that are online.
    pub cpus: usize,
    /// Memory and swap.
    pub memory: HostMemory,
    /// Bytes read and written, by disk.
    pub disks: BTreeMap<String, Traffic>,
    /// Bytes received and sent, by network device.
    pub networks: BTreeMap<String, Traffic>,
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostMemory {
    /// Installed.
    pub total: u64,
    /// What programs could still get without swapping; absent before Linux 3.14.
    pub available: Option<u64>,
    /// Swap space.
    pub swap_total: u64,
    /// Swap space that is free.
    pub swap_free: u64,
}

/// Bytes in and out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Read or received.
    pub input: u64,
    /// Written or sent.
    pub output: u64,
}

/// Reads the machine's figures under one root.
#[derive(Clone, Debug)]
pub struct HostSource {
    proc: PathBuf,
}

impl HostSource {
    /// Usually `/proc`.
    pub fn new(proc: PathBuf) -> Self {
        Self { proc }
    }

    /// Reads all of it; these are short files that never block.
    pub fn read(&self) -> Result<HostStats, ProcError> {
        let file = |name: &str| self.proc.join(name);
        let info = procfs::current_system_info();
        let kernel = KernelStats::from_file(file("stat"), info)?;
        let meminfo = Meminfo::from_file(file("meminfo"))?;
        Ok(HostStats {
            cpu_seconds: cpu_seconds(&kernel.total, info.ticks_per_second()),
            cpus: kernel.cpu_time.len(),
            memory: HostMemory {
                total: meminfo.mem_total,
                available: meminfo.mem_available,
                swap_total: meminfo.swap_total,
                swap_free: meminfo.swap_free,
            },
            disks: disks(&file("diskstats"))?,
            networks: networks(&file("net/dev"))?,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "ticks of a hundredth of a second, below 2^53")]
fn cpu_seconds(total: &procfs::CpuTime, per_second: u64) -> Vec<(&'static str, f64)> {
    // Guests' time is part of user and nice already.
    let modes = [
        ("user", Some(total.user)),
        ("nice", Some(total.nice)),
        ("system", Some(total.system)),
        ("idle", Some(total.idle)),
        ("iowait", total.iowait),
        ("irq", total.irq),
        ("softirq", total.softirq),
        ("steal", total.steal),
    ];
    let per_second = per_second.max(1) as f64;
    modes.into_iter().filter_map(|(mode, ticks)| Some((mode, ticks? as f64 / per_second))).collect()
}

/// Disks that have done something; the loop and memory devices are none.
fn disks(file: &Path) -> Result<BTreeMap<String, Traffic>, ProcError> {
    let disks = DiskStats::from_file(file)?.0.into_iter().filter(|disk| {
        disk.reads + disk.writes > 0
            && !["loop", "ram", "zram"].iter().any(|p| disk.name.starts_with(p))
    });
    let traffic = disks.map(|disk| {
        let bytes = |sectors: u64| sectors.saturating_mul(SECTOR_BYTES);
        (
            disk.name,
            Traffic { input: bytes(disk.sectors_read), output: bytes(disk.sectors_written) },
        )
    });
    Ok(traffic.take(MAX_DEVICES).collect())
}

fn networks(file: &Path) -> Result<BTreeMap<String, Traffic>, ProcError> {
    // Sorted first, so that a cap leaves the same ones out each time.
    let devices: BTreeMap<_, _> = InterfaceDeviceStatus::from_file(file)?.0.into_iter().collect();
    let traffic = devices.into_iter().map(|(name, device)| {
        (name, Traffic { input: device.recv_bytes, output: device.sent_bytes })
    });
    Ok(traffic.take(MAX_DEVICES).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_cpus_memory_and_a_loopback() {
        let stats = HostSource::new("/proc".into()).read().unwrap();
        assert!(stats.cpus > 0);
        assert!(stats.cpu_seconds.iter().any(|(mode, seconds)| *mode == "user" && *seconds > 0.0));
        assert!(stats.memory.total > 0 && stats.memory.available <= Some(stats.memory.total));
        assert!(stats.networks.contains_key("lo"), "{:?}", stats.networks);
    }

    #[test]
    fn units_and_what_is_left_out() {
        let folder = std::env::temp_dir().join(format!("gaugeway-host-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("net")).unwrap();
        for (name, text) in [
            (
                "stat",
                "cpu  200 0 100 1000 50 0 0 0 0 0\ncpu0 200 0 100 1000 50 0 0 0 0 0\nintr 1\nctxt 1\nbtime 1700000000\nprocesses 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0\n",
            ),
            (
                "meminfo",
                "MemTotal: 1024 kB\nMemFree: 1 kB\nMemAvailable: 512 kB\nBuffers: 0 kB\nCached: 0 kB\nSwapCached: 0 kB\nActive: 0 kB\nInactive: 0 kB\nSwapTotal: 4 kB\nSwapFree: 2 kB\nDirty: 0 kB\nWriteback: 0 kB\nMapped: 0 kB\nSlab: 0 kB\nCommitted_AS: 0 kB\nVmallocTotal: 0 kB\nVmallocUsed: 0 kB\nVmallocChunk: 0 kB\n",
            ),
            (
                "diskstats",
                " 259 0 nvme0n1 5 0 8 0 3 0 16 0 0 0 0\n 7 0 loop0 5 0 8 0 0 0 0 0 0 0 0\n 259 1 nvme1n1 0 0 0 0 0 0 0 0 0 0 0\n",
            ),
            (
                "net/dev",
                "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n  eth0: 1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n",
            ),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let stats = HostSource::new(folder.clone()).read().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            stats.cpu_seconds.iter().find(|(mode, _)| *mode == "user"),
            Some(&("user", 2.0))
        );
        assert_eq!((stats.memory.total, stats.memory.available), (1 << 20, Some(1 << 19)));
        let disk = Traffic { input: 8 * 512, output: 16 * 512 };
        assert_eq!(stats.disks, [("nvme0n1".to_owned(), disk)].into());
        let network = Traffic { input: 1000, output: 2000 };
        assert_eq!(stats.networks, [("eth0".to_owned(), network)].into());
    }

    #[test]
    fn without_the_kernels_files_there_is_an_error() {
        assert!(HostSource::new("/nonexistent".into()).read().is_err());
    }
}
