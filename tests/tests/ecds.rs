//! The filter as a mesh brings it: by discovery, into a gateway that is in use. It comes, changes and goes without a
//! request lost; what is wrong is refused, and the filter that was there goes on counting.

use gaugeway_sim::load::{self, LoadConfig, Until};
use gaugeway_sim::{ModelProfile, Observation, Server, ServerConfig};
use gaugeway_tests::digest::sha256;
use gaugeway_tests::dynamic::{Dynamic, Source, filter, local_code};
use gaugeway_tests::page::Page;
use gaugeway_tests::web::{self, Answer};
use gaugeway_tests::xds::ControlPlane;
use gaugeway_tests::{build, real, scratch, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const MIX: &str = "ok=70,abort=15,truncate=5,error_in_stream=5,http=5";

/// Requests that have to end between two changes.
const SOME: u64 = 30;

#[test]
fn a_filter_from_files_comes_changes_and_goes_under_load() {
    let dir = scratch::dir("ecds_files");
    comes_changes_and_goes(Source::Files(dir.clone()), &dir);
}

#[test]
fn a_filter_from_a_control_plane_comes_changes_and_goes_under_load() {
    comes_changes_and_goes(Source::Ads(ControlPlane::start()), &scratch::dir("ecds_ads"));
}

fn comes_changes_and_goes(source: Source, dir: &Path) {
    let Some(binary) = real::envoy() else { return };
    let server = Server::start(ServerConfig::default()).unwrap();
    let gateway = Dynamic::start(&binary, dir, source, server.addr(), module_server());

    // It comes. Connections that are open keep the listener that they came to, for the time that Envoy drains it.
    let load = Load::start(&gateway, 1);
    load.wait_for_more(SOME);
    gateway.offer_filter(&filter(&json!({}), local_code()));
    gateway.add_filter();
    let seen = |page: &Page| page.sum("gaugeway_streams_seen_total", &[]);
    wait_for("new connections", Duration::from_secs(60), || {
        let seen = seen(&gateway.envoy().stats()).unwrap_or(0.0);
        if seen >= SOME as f64 { Ok(()) } else { Err(format!("{seen} of {SOME} requests")) }
    });
    let asked = load.stop().len() as f64;
    let before = settled(&gateway);
    let counted: f64 = difference(&before, &Page::default()).values().sum();
    assert_eq!(Some(counted), seen(&before));
    assert!(counted < asked, "{counted} of {asked}");

    // It changes, and what is wrong is refused: each request is counted once, by the old filter or by the new.
    let load = Load::start(&gateway, 101);
    load.wait_for_more(SOME);
    gateway.configure_filter(&filter(&every(), local_code())).unwrap();
    load.wait_for_more(SOME);
    let wrong = filter(&json!({"max_modles": 1}), local_code());
    gateway.configure_filter(&wrong).unwrap_err();
    assert!(gateway.envoy().log().contains("max_modles: unknown key"), "{}", gateway.envoy().log());
    load.wait_for_more(SOME);
    let asked = load.stop();
    let after = settled(&gateway);
    assert!(after.sum("gaugeway_requests_total", &[("model", "every")]).unwrap() > SOME as f64);
    assert_eq!(difference(&after, &before), expected(&asked));

    // It goes.
    let load = Load::start(&gateway, 201);
    load.wait_for_more(SOME);
    gateway.remove_filter();
    let load_after = Load::start(&gateway, 301);
    load_after.wait_for_more(SOME);
    load.stop();
    load_after.stop();
    let gone = settled(&gateway);
    let load = Load::start(&gateway, 401);
    load.wait_for_more(SOME);
    load.stop();
    assert_eq!(seen(&settled(&gateway)), seen(&gone));
}

/// Envoy fetches the code itself, and the configuration says not to take it before the code is there.
#[test]
fn remote_code_is_taken_by_its_digest_only() {
    let Some(binary) = real::envoy() else { return };
    let dir = scratch::dir("ecds_remote");
    let server = Server::start(ServerConfig::default()).unwrap();
    let source = Source::Ads(ControlPlane::start());
    let gateway = Dynamic::start(&binary, &dir, source, server.addr(), module_server());
    gateway.offer_filter(&filter(&json!({}), local_code()));
    gateway.add_filter();

    let load = Load::start(&gateway, 1);
    load.wait_for_more(SOME);
    // What Envoy has refused it takes when it comes a second time, and does nothing with it: so each differs.
    let right = sha256(&fs::read(build::filter()).unwrap());
    let missing = gateway.configure_filter(&remote(&right, &json!({}))).unwrap_err();
    assert!(missing.contains("Unable to create Wasm plugin gaugeway"), "{missing}");
    wait_for_count(&gateway, "wasm.remote_load_fetch_successes");
    gateway.configure_filter(&remote(&right, &every())).unwrap();
    load.wait_for_more(SOME);

    let wrong = "0".repeat(64);
    gateway.configure_filter(&remote(&wrong, &json!({}))).unwrap_err();
    wait_for_count(&gateway, "wasm.remote_load_fetch_failures");
    gateway.configure_filter(&remote(&wrong, &json!({"max_models": 8}))).unwrap_err();
    load.wait_for_more(SOME);

    let asked = load.stop();
    let page = settled(&gateway);
    assert!(page.sum("gaugeway_requests_total", &[("model", "every")]).unwrap() > SOME as f64);
    assert_eq!(difference(&page, &Page::default()), expected(&asked));

    // Without that word Envoy takes what it cannot get, and has no filter.
    let mut careless = remote(&wrong, &json!({}));
    careless["config"]["vm_config"]["nack_on_code_cache_miss"] = false.into();
    gateway.configure_filter(&careless).unwrap();
    wait_for_the_end(&gateway);
}

/// Waits until the last VM of the filter has gone, and its stats with it.
fn wait_for_the_end(gateway: &Dynamic) {
    wait_for("the filter's end", Duration::from_secs(30), || {
        let left = gateway.envoy().stats().samples;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

fn wait_for_count(gateway: &Dynamic, name: &str) {
    wait_for(name, Duration::from_secs(30), || match gateway.count(name) {
        0 => Err(gateway.envoy().log()),
        _ => Ok(()),
    });
}

/// What is told of Istio: where its agent cannot get a module that fails open, it puts an empty filter in its place
/// (istio/istio, `pkg/wasm/convert.go`). Traffic goes on, and nobody counts it.
#[test]
fn a_filter_that_istio_replaces_takes_its_counters_along() {
    let Some(binary) = real::envoy() else { return };
    let dir = scratch::dir("ecds_istio");
    let server = Server::start(ServerConfig::default()).unwrap();
    let source = Source::Ads(ControlPlane::start());
    let gateway = Dynamic::start(&binary, &dir, source, server.addr(), module_server());
    let ours = filter(&json!({}), local_code());
    gateway.offer_filter(&ours);
    gateway.add_filter();

    let load = Load::start(&gateway, 1);
    load.wait_for_more(SOME);
    let allow_all = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
    gateway.configure_filter(&json!({"@type": allow_all})).unwrap();
    load.wait_for_more(SOME);
    load.stop();
    wait_for_the_end(&gateway);

    gateway.configure_filter(&ours).unwrap();
    let load = Load::start(&gateway, 101);
    load.wait_for_more(SOME);
    let asked = load.stop();
    assert_eq!(difference(&settled(&gateway), &Page::default()), expected(&asked));
}

/// Settings under which every model has the same label, so that one sees them at work.
fn every() -> Value {
    json!({"models": [{"match": "*", "label": "every"}]})
}

/// The filter with code from the cluster `modules`.
fn remote(sha256: &str, settings: &Value) -> Value {
    let uri = json!({"uri": "http://modules/gaugeway.wasm", "cluster": "modules", "timeout": "5s"});
    let mut config = filter(settings, json!({"remote": {"http_uri": uri, "sha256": sha256}}));
    // Otherwise Envoy takes the configuration at once, and is without a filter until it has the code.
    config["config"]["vm_config"]["nack_on_code_cache_miss"] = true.into();
    config
}

/// Serves the filter's code.
fn module_server() -> SocketAddr {
    let module = fs::read(build::filter()).unwrap();
    web::serve(move |_, path| match path {
        "/gaugeway.wasm" => Answer::of("application/wasm", module.clone()),
        _ => Answer::empty(404),
    })
}

/// What the simulated users do until they are told to stop.
struct Load {
    done: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    users: Vec<JoinHandle<Vec<Observation>>>,
}

impl Load {
    /// Two groups, so that one is at work while the other begins anew. Seeds from `seed` on must not be used twice.
    fn start(gateway: &Dynamic, seed: u64) -> Self {
        let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let url: load::Url = format!("http://{}", gateway.envoy().listener()).parse().unwrap();
        let models: Vec<String> =
            ModelProfile::catalogue().into_iter().map(|model| model.name).collect();
        let group = |first: u64| {
            let (done, stop) = (Arc::clone(&done), Arc::clone(&stop));
            let (url, models) = (url.clone(), models.clone());
            thread::spawn(move || {
                let mut observed = Vec::new();
                let mut seeds = (first..).step_by(2);
                while !stop.load(Ordering::SeqCst) {
                    let config = LoadConfig {
                        concurrency: NonZeroU32::new(8).unwrap(),
                        until: Until::Requests(20),
                        seed: seeds.next().unwrap(),
                        mix: MIX.parse().unwrap(),
                        output_tokens: 8..=24,
                        ramp: Duration::ZERO,
                        ..LoadConfig::new(url.clone(), models.clone())
                    };
                    let count = |_: &Observation| {
                        done.fetch_add(1, Ordering::SeqCst);
                    };
                    observed.extend(load::run(&config, count).unwrap().observations);
                }
                observed
            })
        };
        let users = vec![group(seed), group(seed + 1)];
        Self { done, stop, users }
    }

    fn wait_for_more(&self, requests: u64) {
        let enough = self.done.load(Ordering::SeqCst) + requests;
        wait_for("requests", Duration::from_secs(60), || {
            let done = self.done.load(Ordering::SeqCst);
            if done >= enough { Ok(()) } else { Err(format!("{done} of {enough}")) }
        });
    }

    /// What they saw, each of them what was meant for him.
    fn stop(self) -> Vec<Observation> {
        self.stop.store(true, Ordering::SeqCst);
        let observed: Vec<Observation> =
            self.users.into_iter().flat_map(|group| group.join().unwrap()).collect();
        for one in &observed {
            assert_eq!(one.outcome, one.plan.expected(), "{one:?}");
        }
        observed
    }
}

/// The filter's stats once every stream has ended.
fn settled(gateway: &Dynamic) -> Page {
    wait_for("the end of all streams", Duration::from_secs(30), || {
        let page = gateway.envoy().stats();
        let active = page.sum("gaugeway_active_streams", &[]).unwrap_or(0.0);
        let upstream = gateway.count("cluster.llm.upstream_rq_active");
        match active == 0.0 && upstream == 0 {
            true => Ok(page),
            false => Err(format!("{active} streams in the filter, {upstream} in Envoy")),
        }
    })
}

type Counts = BTreeMap<[String; 2], f64>;

/// Requests by outcome and mode that were counted between two pages.
fn difference(after: &Page, before: &Page) -> Counts {
    let by = |page: &Page| page.sum_by("gaugeway_requests_total", ["outcome", "mode"]);
    let mut counts = by(after);
    for (key, count) in by(before) {
        *counts.entry(key).or_default() -= count;
    }
    counts.retain(|_, count| *count != 0.0);
    counts
}

fn expected(asked: &[Observation]) -> Counts {
    let mut counts = Counts::new();
    for Observation { outcome, mode, .. } in asked {
        *counts.entry([outcome.to_string(), mode.to_string()]).or_default() += 1.0;
    }
    counts
}
