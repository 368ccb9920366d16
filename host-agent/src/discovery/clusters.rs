//! The addresses behind each of Envoy's clusters, from its admin page.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use crate::http::{Address, Ask, FetchError, Limits, fetch};

const CLUSTERS_PATH: &str = "/clusters?format=json";
/// Most hosts that are kept.
const MAX_HOSTS: usize = 10_000;

/// Cluster name by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clusters(pub BTreeMap<SocketAddr, String>);

/// Why the clusters are not known.
#[derive(Debug, thiserror::Error)]
pub enum ClustersError {
    /// The page could not be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The page is not what Envoy writes.
    #[error("clusters page: {0}")]
    Json(#[from] serde_json::Error),
}

// Protobuf's JSON leaves out whatever is empty.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    cluster_statuses: Vec<Status>,
}

#[derive(Deserialize)]
struct Status {
    name: String,
    #[serde(default)]
    host_statuses: Vec<Host>,
}

#[derive(Deserialize)]
struct Host {
    #[serde(default)]
    address: HostAddress,
}

#[derive(Deserialize, Default)]
struct HostAddress {
    socket_address: Option<SocketAddress>,
}

#[derive(Deserialize)]
struct SocketAddress {
    address: IpAddr,
    port_value: u16,
}

impl Clusters {
    /// Reads the page. An address of two clusters belongs to the first by name.
    pub fn read(page: &[u8]) -> Result<Self, serde_json::Error> {
        let mut page: Page = serde_json::from_slice(page)?;
        page.cluster_statuses.sort_by(|a, b| a.name.cmp(&b.name));
        let hosts = page.cluster_statuses.iter().flat_map(|cluster| {
            cluster.host_statuses.iter().filter_map(|host| {
                let at = host.address.socket_address.as_ref()?;
                Some((SocketAddr::new(at.address.to_canonical(), at.port_value), &cluster.name))
            })
        });
        let mut clusters = BTreeMap::new();
        for (address, name) in hosts.take(MAX_HOSTS) {
            clusters.entry(address).or_insert_with(|| name.clone());
        }
        Ok(Self(clusters))
    }
}

/// Reads the clusters of an Envoy once.
pub(super) async fn collect(admin: &Address) -> Result<Clusters, ClustersError> {
    Ok(Clusters::read(&fetch(admin, Ask::get(CLUSTERS_PATH), Limits::PAGE).await?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_page() {
        let page = br#"{"cluster_statuses":[
            {"name":"llama","added_via_api":false,"host_statuses":[
                {"address":{"socket_address":{"address":"127.0.0.1","port_value":8001}},"weight":1},
                {"address":{"pipe":{"path":"/run/x.sock"}}},
                {"address":{"socket_address":{"address":"::1","port_value":8001}}}]},
            {"name":"empty"}]}"#;
        let clusters = Clusters::read(page).unwrap();
        let expected = ["127.0.0.1:8001", "[::1]:8001"]
            .map(|address| (address.parse().unwrap(), "llama".to_owned()));
        assert_eq!(clusters.0, expected.into());
        assert_eq!(Clusters::read(b"{}").unwrap(), Clusters::default());
    }

    #[test]
    fn garbage_is_an_error() {
        for page in [&b""[..], b"7", b"<html>", br#"{"cluster_statuses":[{"name":7}]}"#] {
            assert!(Clusters::read(page).is_err());
        }
    }
}
