//! Asks a cloud's metadata service what machine this is: opt-in, fixed paths, one second, once.
//!
//! The paths of credentials are never asked for. AWS limits answers to one network hop by default,
//! so a bridged container gets none.

use std::time::Duration;

use hyper::Method;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Instance, Market, Provider};
use crate::http::{Address, Ask, FetchError, Limits, fetch};

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(1),
    total: Duration::from_secs(1),
    body: 64 * 1024,
    link_local: true,
};
/// Longest text that is taken for an instance type or a region.
const MAX_TEXT: usize = 128;

/// A metadata service.
#[derive(Clone, Debug)]
pub struct Metadata {
    cloud: Provider,
    address: Address,
}

/// Why the service gave no instance.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// No answer, or none that counts.
    #[error("{cloud} metadata {path}: {source}", cloud = .cloud.as_str())]
    Fetch {
        /// Whose service.
        cloud: Provider,
        /// What was asked for.
        path: &'static str,
        /// What went wrong.
        source: FetchError,
    },
    /// An answer that makes no sense.
    #[error("{} metadata answered with something else than an instance", .0.as_str())]
    Garbage(Provider),
}

impl Metadata {
    /// The service of a cloud, where it always is.
    pub fn of(cloud: Provider) -> Self {
        let address = match cloud {
            Provider::Aws | Provider::Azure => "169.254.169.254:80",
            Provider::Gcp => "metadata.google.internal:80",
        };
        Self { cloud, address: Address::Tcp(address.to_owned()) }
    }

    /// The service of a cloud at another address, for tests.
    pub fn at(cloud: Provider, address: Address) -> Self {
        Self { cloud, address }
    }

    /// Asks what this machine is.
    pub async fn instance(&self) -> Result<Instance, MetadataError> {
        match self.cloud {
            Provider::Aws => self.aws().await,
            Provider::Gcp => self.gcp().await,
            Provider::Azure => self.azure().await,
        }
    }

    async fn aws(&self) -> Result<Instance, MetadataError> {
        const TTL: &[(&str, &str)] = &[("x-aws-ec2-metadata-token-ttl-seconds", "60")];
        let token = self.text(&Method::PUT, "/latest/api/token", TTL).await?;
        let token = [("x-aws-ec2-metadata-token", token.as_str())];
        let read = |path| self.text(&Method::GET, path, &token);
        let instance_type = read("/latest/meta-data/instance-type").await?;
        let region = read("/latest/meta-data/placement/region").await?;
        let life_cycle = read("/latest/meta-data/instance-life-cycle").await?;
        self.found(Some(self.cloud.instance(&instance_type, &region, life_cycle == "spot")))
    }

    async fn gcp(&self) -> Result<Instance, MetadataError> {
        const FLAVOR: &[(&str, &str)] = &[("metadata-flavor", "Google")];
        let read = |path| self.text(&Method::GET, path, FLAVOR);
        let machine = read("/computeMetadata/v1/instance/machine-type").await?;
        let zone = read("/computeMetadata/v1/instance/zone").await?;
        let preemptible = read("/computeMetadata/v1/instance/scheduling/preemptible").await?;
        self.found(of_gcp(&machine, &zone, &preemptible))
    }

    async fn azure(&self) -> Result<Instance, MetadataError> {
        const METADATA: &[(&str, &str)] = &[("metadata", "true")];
        const PATH: &str = "/metadata/instance/compute?api-version=2021-02-01";
        self.found(of_azure(&self.page(&Method::GET, PATH, METADATA).await?))
    }

    fn found(&self, instance: Option<Instance>) -> Result<Instance, MetadataError> {
        instance.ok_or(MetadataError::Garbage(self.cloud))
    }

    /// A short answer of one line; anything else is garbage.
    async fn text(
        &self,
        method: &Method,
        path: &'static str,
        headers: &[(&'static str, &str)],
    ) -> Result<String, MetadataError> {
        let page = self.page(method, path, headers).await?;
        name(&page).map(str::to_owned).ok_or(MetadataError::Garbage(self.cloud))
    }

    async fn page(
        &self,
        method: &Method,
        path: &'static str,
        headers: &[(&'static str, &str)],
    ) -> Result<Vec<u8>, MetadataError> {
        let host = match self.cloud {
            Provider::Aws | Provider::Azure => "169.254.169.254",
            Provider::Gcp => "metadata.google.internal",
        };
        let answer = fetch(&self.address, Ask { method, path, host, headers }, LIMITS).await;
        answer.map_err(|source| MetadataError::Fetch { cloud: self.cloud, path, source })
    }
}

impl Provider {
    fn instance(self, instance_type: &str, region: &str, spot: bool) -> Instance {
        Instance {
            provider: Some(self),
            instance_type: instance_type.to_owned(),
            region: Some(region.to_owned()),
            market: Some(if spot { Market::Spot } else { Market::OnDemand }),
        }
    }
}

/// From `projects/N/machineTypes/TYPE`, `projects/N/zones/REGION-ZONE` and a yes or no.
pub(crate) fn of_gcp(machine: &str, zone: &str, preemptible: &str) -> Option<Instance> {
    let last = |path| str::rsplit(path, '/').next().filter(|last| is_name(last));
    let (machine, zone) = (last(machine)?, last(zone)?);
    let region = zone.rsplit_once('-').map_or(zone, |(region, _)| region);
    let spot = preemptible.eq_ignore_ascii_case("true");
    is_name(region).then(|| Provider::Gcp.instance(machine, region, spot))
}

pub(crate) fn of_azure(page: &[u8]) -> Option<Instance> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Compute {
        vm_size: String,
        location: String,
        #[serde(default)]
        priority: String,
    }
    let Compute { vm_size, location, priority } = serde_json::from_slice(page).ok()?;
    let spot = priority.eq_ignore_ascii_case("spot");
    (is_name(&vm_size) && is_name(&location))
        .then(|| Provider::Azure.instance(&vm_size, &location, spot))
}

/// The short line of printable text that a page is; `None` for all else.
pub(crate) fn name(page: &[u8]) -> Option<&str> {
    std::str::from_utf8(page).ok().map(str::trim).filter(|text| is_name(text))
}

/// Names, paths and tokens of metadata services are short and printable.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Asks in the background until there is an answer, then never again.
#[derive(Debug)]
pub struct Detection {
    metadata: Metadata,
    retry: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    Asking(JoinHandle<Result<Instance, MetadataError>>),
    Known(Instance),
    Failed { why: String, again: Instant },
    Idle,
}

impl Detection {
    /// Will ask this service, and again `retry` after a failure.
    pub fn new(metadata: Metadata, retry: Duration) -> Self {
        Self { metadata, retry, state: State::Idle }
    }

    /// What is known, or why nothing is. Does not wait for the service.
    pub async fn poll(&mut self) -> Result<&Instance, &str> {
        self.advance().await;
        match &self.state {
            State::Known(instance) => Ok(instance),
            State::Failed { why, .. } => Err(why),
            State::Asking(_) | State::Idle => Err("the metadata service is being asked"),
        }
    }

    async fn advance(&mut self) {
        match &mut self.state {
            State::Asking(task) if task.is_finished() => {
                let why = match task.await {
                    Ok(Ok(instance)) => return self.state = State::Known(instance),
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                self.state = State::Failed { why, again: Instant::now() + self.retry };
            }
            State::Failed { again, .. } if *again > Instant::now() => {}
            State::Idle | State::Failed { .. } => {
                let metadata = self.metadata.clone();
                self.state = State::Asking(tokio::spawn(async move { metadata.instance().await }));
            }
            State::Asking(_) | State::Known(_) => {}
        }
    }
}
