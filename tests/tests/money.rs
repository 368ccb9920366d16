//! A day in the life of a host, compressed: three tenants ask two models on one GPU, some leave early, Envoy is
//! restarted, a GPU falls off the bus and comes back, the agent is killed and started again. In the end
//! the bill is the price times the time, every part of it is accounted for, and Prometheus agrees.

use gaugeway_sim::load::{self, LoadConfig, Mix, Until};
use gaugeway_sim::{ModelProfile, Observation, Served, Server, ServerConfig, Truth};
use gaugeway_tests::agent::{Agent, Launch};
use gaugeway_tests::envoy::{Config, Envoy};
use gaugeway_tests::fake_nvml::FakeNvml;
use gaugeway_tests::page::Page;
use gaugeway_tests::prometheus::{Prometheus, Target};
use gaugeway_tests::{build, http, real, scratch, wait_for};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// High, so that a second is dollars and a lost one shows.
const DOLLARS_PER_HOUR: u64 = 98_320;
const TICK: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);
const MODELS: [&str; 2] = ["llama-3.1-8b", "qwen3-32b"];
const TENANTS: [&str; 3] = ["red", "green", "blue"];

/// GPU 0 serves both models, GPU 1 serves none and is lost while a file is there.
const GPUS: &str = r#"
[[gpus]]
uuid = "GPU-0"
power_milliwatts = 350000
energy_millijoules = { line = [[0, 5000000], [1000, 355000000]] }

[[gpus]]
uuid = "GPU-1"
power_milliwatts = 70000
energy_millijoules = { line = [[0, 1000], [1000, 70001000]] }

[[rules]]
call = "*"
gpu = 1
if_file = "lost"
returns = 15
"#;

/// Which tenant asks is said by the route, as a gateway says it that knows its clients' keys.
const TENANT_FILTER: &str = r#"
          - name: envoy.filters.http.header_mutation
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
"#;

struct Host {
    dir: PathBuf,
    binary: PathBuf,
    envoy: Config,
    agent: Launch,
}

impl Host {
    fn new(binary: PathBuf, server: &Server) -> Self {
        // Not within the time that is measured.
        build::agent();
        let dir = scratch::dir("money");
        let driver = FakeNvml::new(&dir, GPUS);
        let admin = http::free_port();
        let state = dir.join("state");
        fs::create_dir(&state).unwrap();
        let config = format!(
            "state_dir = {state:?}\n[envoy]\nadmin = \"http://127.0.0.1:{admin}\"\n\
             [price]\nusd_per_hour = {DOLLARS_PER_HOUR}.0\n\
             [cost]\nmin_tokens = 1\n[[pools]]\nname = \"chat\"\ngpus = [0]\n\
             [[budgets]]\nname = \"all\"\nlimit_usd = 1e6\n{}",
            driver.config()
        );
        let agent = Launch { tick: TICK, ..Launch::new(&config) };
        Self { dir, binary, envoy: envoy(server, admin), agent }
    }

    fn start_envoy(&self, life: u32) -> Envoy {
        let dir = self.dir.join(format!("envoy-{life}"));
        fs::create_dir(&dir).unwrap();
        Envoy::start(&self.binary, &dir, self.envoy.clone()).unwrap()
    }

    fn start_agent(&self, life: u32) -> Agent {
        let dir = self.dir.join(format!("agent-{life}"));
        fs::create_dir(&dir).unwrap();
        self.agent.start(&dir)
    }
}

/// The example with a fixed admin port, which the agent finds again after a restart, and a route for each tenant.
fn envoy(server: &Server, admin: u16) -> Config {
    let route = |tenant: &str| {
        format!(
            r#"
              - match: {{prefix: /{tenant}/}}
                route: {{cluster: llm, timeout: 0s, prefix_rewrite: /}}
                typed_per_filter_config:
                  envoy.filters.http.header_mutation:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute
                    mutations: {{request_mutations: [{{append: {{header: {{key: x-team, value: {tenant}}}}}}}]}}"#
        )
    };
    let routes: String = TENANTS.map(route).concat();
    let filter = "\n          - name: gaugeway\n";
    Config::example(server.addr())
        .replace(
            "\n  address: {socket_address: {address: 127.0.0.1, port_value: 0}}",
            &format!(
                "\n  address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}"
            ),
        )
        .replace("\n              routes:", &format!("\n              routes:{routes}"))
        .replace(filter, &format!("{}{}", TENANT_FILTER.trim_end(), filter))
        .filter(r#"{"tenant": {"header": "x-team"}}"#)
}

/// What each tenant asked, in all.
type Asked = BTreeMap<&'static str, Vec<Observation>>;

/// All tenants ask at once, each with requests of its own.
fn ask(envoy: &Envoy, seed: u64, each: u64, mix: &str, asked: &mut Asked) {
    let run = |place: usize, tenant: &str| {
        let url = format!("http://{}/{tenant}", envoy.listener()).parse().unwrap();
        let config = LoadConfig {
            concurrency: NonZeroU32::new(8).unwrap(),
            until: Until::Requests(each),
            seed: seed + place as u64,
            mix: mix.parse::<Mix>().unwrap(),
            output_tokens: 16..=48,
            ..LoadConfig::new(url, MODELS.map(str::to_owned).to_vec())
        };
        load::run(&config, |_| ()).unwrap().observations
    };
    thread::scope(|scope| {
        let runs = TENANTS.iter().enumerate();
        let runs: Vec<_> = runs
            .map(|(place, tenant)| (*tenant, scope.spawn(move || run(place, tenant))))
            .collect();
        for (tenant, run) in runs {
            asked.entry(tenant).or_default().extend(run.join().unwrap());
        }
    });
}

#[test]
fn the_bill_is_the_price_times_the_time_and_adds_up_across_restarts() {
    let (Some(binary), Some(prometheus)) = (real::envoy(), real::prometheus()) else { return };
    let models = ModelProfile::catalogue();
    let models = models.into_iter().filter(|model| MODELS.contains(&model.name.as_str()));
    let server =
        Server::start(ServerConfig { models: models.collect(), ..ServerConfig::default() })
            .unwrap();
    let host = Host::new(binary, &server);
    let targets = [Target { job: "gaugeway", address: &host.agent.address, path: "/metrics" }];
    let prometheus = Prometheus::start(&prometheus, &host.dir, &targets);
    // From here on it asks for the page each second, and so sees it from its first tick on.
    prometheus.query_until("up", PATIENCE, |samples| !samples.is_empty());
    let envoy = host.start_envoy(1);
    let began = Instant::now();
    let agent = host.start_agent(1);

    // All is well, but for clients that leave and answers that fail.
    let mut first_envoy = Asked::new();
    ask(&envoy, 1, 40, "ok=70,abort=20,truncate=5,error_in_stream=5", &mut first_envoy);
    let before_restart = settled(&agent, &server, &first_envoy);
    adds_up(&before_restart);

    // Envoy is restarted.
    drop(envoy);
    let down = [("reason", "gateway_down")];
    until(&agent, "a gateway that is down", |page| {
        page.sum("gaugeway_cost_unattributed_dollars_total", &down) > Some(0.0)
    });
    let envoy = host.start_envoy(2);
    let mut second_envoy = Asked::new();
    ask(&envoy, 11, 20, "ok=80,abort=20", &mut second_envoy);
    adds_up(&settled(&agent, &server, &second_envoy));

    // A GPU is lost and comes back.
    let lost = |page: &Page| page.sum("gaugeway_nvml_devices", &[("state", "lost")]);
    fs::write(host.dir.join("lost"), "").unwrap();
    adds_up(&until(&agent, "a lost GPU", |page| lost(page) == Some(1.0)));
    fs::remove_file(host.dir.join("lost")).unwrap();
    adds_up(&until(&agent, "the GPU again", |page| lost(page) == Some(0.0)));

    // The agent is killed right after Prometheus has read what it said.
    let (first_life, _) = read_by(&prometheus, &agent);
    drop(agent);
    let agent = host.start_agent(2);
    ask(&envoy, 21, 20, "ok=80,abort=20", &mut second_envoy);
    settled(&agent, &server, &second_envoy);
    let away = [("reason", "agent_down")];
    until(&agent, "a bill for the agent's absence", |page| {
        page.sum("gaugeway_cost_unattributed_dollars_total", &away) > Some(0.0)
    });
    let (second_life, at) = read_by(&prometheus, &agent);
    let took = began.elapsed();

    let lives = [first_life, second_life];
    lives.iter().for_each(adds_up);
    bill_is_for_all_of_the_time(&lives, took);
    tokens_are_those_of_the_server(&before_restart, &server.truth(), &first_envoy);
    tokens_are_those_of_the_server(&lives[1], &server.truth(), &second_envoy);
    everybody_pays(&lives);
    prometheus_agrees(&prometheus, &at, &lives);
}

/// The first page of the agent that is as it should be.
fn until(agent: &Agent, what: &str, accept: impl Fn(&Page) -> bool) -> Page {
    wait_for(what, PATIENCE, || {
        let page = agent.page();
        if accept(&page) { Ok(page) } else { Err(agent.metrics()) }
    })
}

/// The page once all requests are counted and their money has left what is pending.
fn settled(agent: &Agent, server: &Server, asked: &Asked) -> Page {
    assert!(server.settle(PATIENCE));
    let requests = asked.values().map(Vec::len).sum::<usize>() as f64;
    until(agent, "all requests", |page| {
        page.sum("gaugeway_requests_total", &[]) == Some(requests)
            && page.sum("gaugeway_cost_pending_dollars", &[]) == Some(0.0)
    })
}

/// A page whose bill Prometheus has, and the time of that sample as a query says it.
fn read_by(prometheus: &Prometheus, agent: &Agent) -> (Page, String) {
    const BILL: &str = "gaugeway_cost_bill_dollars_total";
    let first = |query: &str| {
        let samples = prometheus.query(query)?;
        samples.first().map(|sample| sample.value).ok_or_else(|| format!("no {query}"))
    };
    wait_for("Prometheus", PATIENCE, || {
        let at = format!("{:.3}", first(&format!("timestamp({BILL})"))?);
        let (read, page) = (first(&format!("{BILL} @ {at}"))?, agent.page());
        let shown = page.sum(BILL, &[]);
        if shown == Some(read) { Ok((page, at)) } else { Err(format!("{read} of {shown:?}")) }
    })
}

/// A sum of a page in billionths, exact where the page is in whole ones.
fn nano(page: &Page, name: &str) -> u64 {
    page.find(name, &[]).map(|sample| (sample.value * 1e9).round() as u64).sum()
}

/// Every nano-dollar and every millijoule has its place.
fn adds_up(page: &Page) {
    for (whole, parts) in [
        (
            "gaugeway_cost_bill_dollars_total",
            [
                "gaugeway_cost_attributed_dollars_total",
                "gaugeway_cost_idle_dollars_total",
                "gaugeway_cost_unattributed_dollars_total",
                "gaugeway_cost_pending_dollars",
            ],
        ),
        (
            "gaugeway_energy_measured_joules_total",
            [
                "gaugeway_energy_attributed_joules_total",
                "gaugeway_energy_idle_joules_total",
                "gaugeway_energy_unattributed_joules_total",
                "gaugeway_energy_pending_joules",
            ],
        ),
    ] {
        let parts = parts.map(|name| nano(page, name));
        assert_eq!(nano(page, whole), parts.iter().sum::<u64>(), "{whole}: {parts:?}");
    }
    assert_eq!(page.sum("gaugeway_cost_conservation_error_dollars", &[]), Some(0.0));
}

/// To the nano-dollar, by the time that the agent says; and that is the time that has passed.
fn bill_is_for_all_of_the_time(lives: &[Page], took: Duration) {
    const NANOS_PER_HOUR: u128 = 3_600_000_000_000;
    let mut billed = Duration::ZERO;
    for life in lives {
        let time = nano(life, "gaugeway_cost_billed_seconds_total");
        let price = u128::from(DOLLARS_PER_HOUR) * 1_000_000_000;
        let expected = price * u128::from(time) / NANOS_PER_HOUR;
        assert_eq!(u128::from(nano(life, "gaugeway_cost_bill_dollars_total")), expected);
        billed += Duration::from_nanos(time);
    }
    println!("billed {billed:?} of {took:?}");
    assert!(billed <= took, "{billed:?} of {took:?}");
    // Its start, and the tick that was not over.
    assert!(took - billed < TICK * 5, "{billed:?} of {took:?}");
    // The budget is kept across the restart; the tick in which the agent was killed may be lost.
    let spent = lives[1].sum("gaugeway_budget_spent_dollars", &[]).unwrap();
    let lost = dollars(billed) - spent;
    assert!(lost.abs() <= dollars(TICK), "{lost}");
}

fn dollars(time: Duration) -> f64 {
    time.as_secs_f64() * DOLLARS_PER_HOUR as f64 / 3600.0
}

/// By model and tenant: reported tokens exactly, estimated ones within what is known.
fn tokens_are_those_of_the_server(page: &Page, served: &[Served], asked: &Asked) {
    let labels = ["gen_ai_request_model", "tenant", "source"];
    let output = page.sum_by("gen_ai_client_inference_usage_output_tokens_total", labels);
    let input = page.sum_by("gen_ai_client_inference_usage_input_tokens_total", labels);
    for (tenant, observed) in asked {
        let ids: BTreeSet<&str> = observed.iter().map(|o| o.id.as_str()).collect();
        let own = served.iter().filter(|served| ids.contains(served.id.as_str()));
        let truths = Truth::by_model(&own.cloned().collect::<Vec<_>>(), observed);
        assert_eq!(truths.len(), MODELS.len());
        for (model, truth) in truths {
            let key = |source: &str| [model.as_str(), tenant, source].map(str::to_owned);
            let reported = truth.reported.values();
            let (inputs, outputs) = reported
                .fold((0, 0), |(input, output), sums| (input + sums.input, output + sums.output));
            assert_eq!(output[&key("reported")], outputs as f64, "{model} {tenant}");
            assert_eq!(input[&key("reported")], inputs as f64, "{model} {tenant}");
            let received: u64 = truth.unreported.iter().map(|bounds| bounds.received).sum();
            let sent: u64 = truth.unreported.iter().map(|bounds| bounds.sent).sum();
            let estimated = output[&key("estimated")];
            println!("{model}, {tenant}: {received} to {sent} unreported, {estimated} estimated");
            // How many tokens an event of several holds is known to the server alone.
            let most = sent as f64 * 1.1;
            assert!((received as f64..=most).contains(&estimated), "{model} {tenant}");
        }
    }
}

/// Every model and tenant has its part, and waste a line of its own; there is money for nobody else.
fn everybody_pays(lives: &[Page]) {
    for life in lives {
        let lines = life.sum_by("gaugeway_cost_attributed_dollars_total", ["tenant", "model"]);
        let expected = TENANTS.iter().flat_map(|t| MODELS.map(|m| [*t, m].map(str::to_owned)));
        assert_eq!(lines.keys().cloned().collect::<BTreeSet<_>>(), expected.collect());
        assert!(lines.values().all(|sum| *sum > 0.0), "{lines:?}");
        for tenant in TENANTS {
            let wasted = [("tenant", tenant), ("outcome", "aborted")];
            let wasted = life.sum("gaugeway_cost_attributed_dollars_total", &wasted);
            assert!(wasted > Some(0.0), "{tenant}: {wasted:?}");
        }
        // GPU 1 serves nobody, so half of the bill is its own, lost or not.
        let unused = life.sum("gaugeway_cost_idle_dollars_total", &[("reason", "no_model")]);
        assert!(unused > Some(0.0));
    }
}

/// Over both restarts, by every way to sum up: within a tick of what the agent itself said.
fn prometheus_agrees(prometheus: &Prometheus, at: &str, lives: &[Page]) {
    for (name, label) in [
        ("gaugeway_cost_bill_dollars_total", "component"),
        ("gaugeway_cost_attributed_dollars_total", "tenant"),
        ("gaugeway_cost_attributed_dollars_total", "model"),
        ("gaugeway_cost_idle_dollars_total", "reason"),
        ("gaugeway_cost_unattributed_dollars_total", "reason"),
    ] {
        let query = format!("sum by ({label}) (increase({name}[10m] @ {at}))");
        let found: BTreeMap<_, _> = prometheus
            .query(&query)
            .unwrap()
            .iter()
            .map(|sample| ([sample.label(label).to_owned()], sample.value))
            .collect();
        let mut expected = BTreeMap::<_, f64>::new();
        for (key, sum) in lives.iter().flat_map(|life| life.sum_by(name, [label])) {
            *expected.entry(key).or_default() += sum;
        }
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (key, increase) in found {
            let own = expected[&key];
            println!("{name} by {key:?}: {own:.3} $, by Prometheus {increase:.3} $");
            // The kill cuts a tick off, and no tick is on time to the millisecond.
            assert!((increase - own).abs() <= dollars(TICK) * 1.1, "{name} {key:?}");
        }
    }
}
