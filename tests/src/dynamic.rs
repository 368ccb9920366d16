//! The real Envoy as a mesh runs it: its listener and the filter's configuration are discovered, from files or from a
//! control plane, and Istio's bootstrap gives it labels and buckets.

use crate::envoy::{Config, Envoy};
use crate::xds::{ControlPlane, Kind};
use crate::{build, http, istio, manifests, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name under which the filter's configuration is discovered.
const FILTER: &str = "gaugeway";

/// Where Envoy discovers from.
#[derive(Debug)]
pub enum Source {
    /// `path_config_source`: files of this folder, which Envoy watches.
    Files(PathBuf),
    /// Aggregated discovery, as in Istio.
    Ads(ControlPlane),
}

impl Source {
    fn config_source(&self, kind: Kind) -> Value {
        match self {
            Self::Files(dir) => json!({
                "path_config_source": {"path": file(dir, kind)},
                "resource_api_version": "V3",
            }),
            // As istiod writes it: traffic waits for the filter however long it takes.
            Self::Ads(_) => json!({
                "ads": {},
                "initial_fetch_timeout": "0s",
                "resource_api_version": "V3",
            }),
        }
    }

    fn offer(&self, kind: Kind, resource: &Value) {
        match self {
            Self::Ads(plane) => plane.offer(kind, resource),
            Self::Files(dir) => {
                let mut resource = resource.clone();
                resource["@type"] = kind.type_url().into();
                let response = json!({"resources": [resource]}).to_string();
                // Envoy notices a file that is moved into place.
                let new = dir.join("new");
                fs::write(&new, response)
                    .and_then(|()| fs::rename(&new, file(dir, kind)))
                    .expect("the scratch folder can be written");
            }
        }
    }
}

fn file(dir: &Path, kind: Kind) -> PathBuf {
    dir.join(format!("{kind:?}.json"))
}

/// A running Envoy, and what it discovers.
#[derive(Debug)]
pub struct Dynamic {
    source: Source,
    envoy: Envoy,
    /// The listener of the example, with a port of its own and without the filter.
    listener: Value,
}

impl Dynamic {
    /// Starts Envoy in `dir` with a listener that has no filter yet, in front of `upstream`. The cluster `modules` is
    /// where remote code comes from.
    pub fn start(
        binary: &Path,
        dir: &Path,
        source: Source,
        upstream: SocketAddr,
        modules: SocketAddr,
    ) -> Self {
        let mut listener = example_listener();
        listener["address"]["socket_address"]["port_value"] = http::free_port().into();
        source.offer(Kind::Listener, &listener);

        let mut clusters = vec![cluster("llm", upstream), cluster("modules", modules)];
        let mut discovery = json!({"lds_config": source.config_source(Kind::Listener)});
        if let Source::Ads(plane) = &source {
            let mut xds = cluster("xds", plane.address());
            xds["typed_extension_protocol_options"] = json!({
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}},
                },
            });
            clusters.push(xds);
            discovery["ads_config"] = json!({
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
            });
        }
        let bootstrap = json!({
            "node": {"id": "gateway", "cluster": "tests"},
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
            "stats_flush_interval": "1s",
            "stats_config": istio::stats_config(),
            "dynamic_resources": discovery,
            "static_resources": {"clusters": clusters},
        });
        let envoy = Envoy::start(binary, dir, Config::of(&bootstrap)).expect("Envoy starts");
        Self { source, envoy, listener }
    }

    /// The running Envoy.
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }

    /// Puts the filter into the listener, to be configured by discovery. It has to be offered a configuration first,
    /// or the listener waits for it.
    pub fn add_filter(&self) {
        let mut listener = self.listener.clone();
        let discovered = json!({
            "name": FILTER,
            "config_discovery": {
                "config_source": self.source.config_source(Kind::Filter),
                // The second is what Istio's agent puts in place of a module that it cannot get.
                "type_urls": [
                    "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                    "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                ],
            },
        });
        filters(&mut listener).insert(0, discovered);
        self.change_listener(&listener);
    }

    /// Takes the filter out of the listener.
    pub fn remove_filter(&self) {
        self.change_listener(&self.listener);
    }

    fn change_listener(&self, listener: &Value) {
        let before = self.count("listener_manager.listener_in_place_updated");
        self.source.offer(Kind::Listener, listener);
        wait_for("the listener", Duration::from_secs(30), || {
            match self.count("listener_manager.listener_in_place_updated") > before
                && self.count("listener_manager.total_listeners_warming") == 0
            {
                true => Ok(()),
                false => Err(self.envoy.log()),
            }
        });
    }

    /// Offers a configuration of the filter, for when it is put into the listener.
    pub fn offer_filter(&self, config: &Value) {
        self.source.offer(Kind::Filter, &resource(config));
    }

    /// Gives the filter in the listener another configuration. The error is what Envoy has against it.
    pub fn configure_filter(&self, config: &Value) -> Result<(), String> {
        let count =
            |what| self.count(&format!("extension_config_discovery.http_filter.{FILTER}.{what}"));
        let (taken, refused) = (count("update_success"), count("update_rejected"));
        self.offer_filter(config);
        match &self.source {
            Source::Ads(plane) => plane.verdict(Kind::Filter),
            Source::Files(_) => wait_for("an answer", Duration::from_secs(30), || {
                match (count("update_success") > taken, count("update_rejected") > refused) {
                    (true, _) => Ok(Ok(())),
                    (_, true) => Ok(Err(self.envoy.log())),
                    _ => Err(String::new()),
                }
            }),
        }
    }

    /// One of Envoy's own counters or gauges; 0 when there is none yet.
    pub fn count(&self, name: &str) -> u64 {
        let url =
            format!("http://{}/stats?filter=^{}$", self.envoy.admin(), name.replace('.', "\\."));
        let page = http::get_ok(&url).expect("Envoy has a stats page");
        page.trim().rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

/// The configuration of the filter as `envoy/fragments/filter.yaml` has it, with these settings and this code.
pub fn filter(settings: &Value, code: Value) -> Value {
    let fragment = manifests::yaml("envoy/fragments/filter.yaml");
    let mut config = fragment[0]["typed_config"].clone();
    config["config"]["configuration"]["value"] = settings.to_string().into();
    config["config"]["vm_config"]["code"] = code;
    config
}

/// Code from a file, as Istio's agent leaves it for Envoy.
pub fn local_code() -> Value {
    json!({"local": {"filename": build::filter()}})
}

fn resource(config: &Value) -> Value {
    json!({"name": FILTER, "typed_config": config})
}

/// The listener of `envoy/envoy.yaml`, without filter and access log.
fn example_listener() -> Value {
    let example = manifests::yaml("envoy/envoy.yaml");
    let mut listener = example["static_resources"]["listeners"][0].clone();
    filters(&mut listener).remove(0);
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager.as_object_mut().expect("an object").remove("access_log");
    listener
}

fn filters(listener: &mut Value) -> &mut Vec<Value> {
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager["http_filters"].as_array_mut().expect("the example has filters")
}

fn cluster(name: &str, at: SocketAddr) -> Value {
    let address = json!({"socket_address": {"address": at.ip(), "port_value": at.port()}});
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    })
}
