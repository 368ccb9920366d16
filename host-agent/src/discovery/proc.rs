//! Which ports a process listens on, as `/proc` tells.
//!
//! A listening socket belongs to every process that holds it open, so the children of a server that
//! share its socket are found too. Reading other users' descriptors needs the same user, or
//! CAP_DAC_READ_SEARCH to list them and CAP_SYS_PTRACE to follow them; what may not be read is no answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use procfs::FromReadSI;
use procfs::net::{TcpNetEntries, TcpNetEntry, TcpState};

/// Most descriptors that are looked at of one process.
const MAX_DESCRIPTORS: usize = 65_536;
/// Most ancestors that are asked: an engine's worker holds the GPU, its parent listens.
const MAX_ANCESTORS: usize = 4;

/// The addresses that each process, or one of its parents, listens on. Processes without one are
/// left out.
pub fn listeners(proc: &Path, pids: &BTreeSet<u32>) -> BTreeMap<u32, BTreeSet<SocketAddr>> {
    let found = pids.iter().map(|pid| (*pid, of_family(proc, *pid)));
    found.filter(|(_, addresses)| !addresses.is_empty()).collect()
}

/// The nearest of a process and its ancestors that listens. A process that listens is not asked for
/// its parent: an init system listens too.
fn of_family(proc: &Path, pid: u32) -> BTreeSet<SocketAddr> {
    let mut pid = pid;
    for _ in 0..=MAX_ANCESTORS {
        // Process 1 starts everything and serves nothing.
        if pid <= 1 {
            break;
        }
        let addresses = of_process(proc, pid);
        if !addresses.is_empty() {
            return addresses;
        }
        let Some(parent) = parent(proc, pid) else { break };
        pid = parent;
    }
    BTreeSet::new()
}

fn of_process(proc: &Path, pid: u32) -> BTreeSet<SocketAddr> {
    let process = proc.join(pid.to_string());
    let sockets = sockets(&process);
    if sockets.is_empty() {
        return BTreeSet::new();
    }
    // The tables are those of the process' own network namespace.
    let tables = ["net/tcp", "net/tcp6"].map(|table| table_of(&process.join(table)));
    let entries = tables.into_iter().flatten();
    let own = entries
        .filter(|entry| entry.state == TcpState::Listen && sockets.contains(&entry.inode))
        .map(|entry| entry.local_address);
    reachable(own, &own_addresses(proc, &process))
}

/// The addresses that lead to a listener: its own, and for one on all addresses each of them.
fn reachable(
    listeners: impl Iterator<Item = SocketAddr>,
    own: &BTreeSet<IpAddr>,
) -> BTreeSet<SocketAddr> {
    let mut reachable = BTreeSet::new();
    for listener in listeners {
        let ip = listener.ip().to_canonical();
        let leads_here = |to: &&IpAddr| match ip {
            // A socket on :: takes IPv4 too, unless it was told not to.
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => to.is_ipv4(),
            _ => **to == ip,
        };
        let addresses = own.iter().filter(leads_here);
        reachable.extend(addresses.map(|to| SocketAddr::new(*to, listener.port())));
    }
    reachable
}

/// The addresses of a process' network namespace. Loopback is among them only where the namespace
/// is the agent's own: every namespace has a loopback, and Envoy means one of them.
fn own_addresses(proc: &Path, process: &Path) -> BTreeSet<IpAddr> {
    let read = |table| fs::read_to_string(process.join(table)).unwrap_or_default();
    let mut addresses = ipv4_addresses(&read("net/fib_trie"));
    addresses.extend(ipv6_addresses(&read("net/if_inet6")));
    let namespace = |process: &Path| fs::read_link(process.join("ns/net")).ok();
    if namespace(process) == namespace(&proc.join("self")) {
        addresses.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    } else {
        addresses.retain(|ip| !ip.is_loopback());
    }
    addresses
}

/// The kernel's routing tree names an address, and on the line below what it is.
fn ipv4_addresses(fib_trie: &str) -> BTreeSet<IpAddr> {
    let lines = fib_trie.lines().zip(fib_trie.lines().skip(1));
    let local = lines.filter(|(_, below)| below.trim_end().ends_with("/32 host LOCAL"));
    local.filter_map(|(line, _)| line.trim().strip_prefix("|-- ")?.parse().ok()).collect()
}

/// One address a line: 32 hexadecimal digits first.
fn ipv6_addresses(if_inet6: &str) -> BTreeSet<IpAddr> {
    let digits = if_inet6.lines().filter_map(|line| line.split_whitespace().next());
    let bits = digits.filter_map(|digits| u128::from_str_radix(digits, 16).ok());
    bits.map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))).collect()
}

fn table_of(file: &Path) -> Vec<TcpNetEntry> {
    let entries = TcpNetEntries::from_file(file, procfs::current_system_info());
    entries.map(|entries| entries.0).unwrap_or_default()
}

/// Inodes of the sockets that a process holds open.
fn sockets(process: &Path) -> BTreeSet<u64> {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return BTreeSet::new() };
    descriptors
        .take(MAX_DESCRIPTORS)
        .filter_map(|descriptor| {
            let target = fs::read_link(descriptor.ok()?.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

fn parent(proc: &Path, pid: u32) -> Option<u32> {
    let status = fs::read_to_string(proc.join(pid.to_string()).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_kernels_tables_of_addresses() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     |-- 10.0.0.5\n        /32 host LOCAL\n     |-- 10.0.0.255\n        /32 link BROADCAST\n";
        assert_eq!(ipv4_addresses(trie), ["10.0.0.5".parse().unwrap()].into());
        let table = "00000000000000000000000000000001 01 80 10 80       lo\nnonsense\n";
        assert_eq!(ipv6_addresses(table), ["::1".parse().unwrap()].into());
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_each() {
        let own: BTreeSet<IpAddr> =
            ["127.0.0.1", "10.0.0.5", "::1"].map(|ip| ip.parse().unwrap()).into();
        for (listener, expected) in [
            ("127.0.0.1:80", &["127.0.0.1:80"][..]),
            ("0.0.0.0:80", &["10.0.0.5:80", "127.0.0.1:80"]),
            ("[::]:80", &["10.0.0.5:80", "127.0.0.1:80", "[::1]:80"]),
            ("[::ffff:127.0.0.1]:80", &["127.0.0.1:80"]),
            // The loopback of another namespace is not ours.
            ("127.0.0.2:80", &[]),
        ] {
            let listeners = [listener.parse().unwrap()].into_iter();
            let expected = expected.iter().map(|at| at.parse().unwrap()).collect();
            assert_eq!(reachable(listeners, &own), expected, "{listener}");
        }
    }

    #[test]
    fn our_own_listener_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pid = std::process::id();
        let found = listeners(Path::new("/proc"), &[pid].into());
        assert!(found[&pid].contains(&listener.local_addr().unwrap()), "{found:?}");
    }

    #[test]
    fn a_child_has_the_port_that_its_parent_listens_on() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let found = listeners(Path::new("/proc"), &[child.id()].into());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found[&child.id()].contains(&listener.local_addr().unwrap()), "{found:?}");
    }

    #[test]
    fn who_is_not_there_or_listens_nowhere_is_left_out() {
        let nowhere = Path::new("/nonexistent");
        assert!(listeners(nowhere, &[1, 2, 3].into()).is_empty());
        assert!(listeners(Path::new("/proc"), &[u32::MAX, 0, 1].into()).is_empty());
    }
}
