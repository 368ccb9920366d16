//! The gateway's count against a real engine's own: to the token where everybody stays to the end; and where
//! clients leave, the waste that the engine does not tell of.

use gaugeway_sim::load::{self, LoadConfig, Until};
use gaugeway_sim::{Observation, Outcome};
use gaugeway_tests::agent::Agent;
use gaugeway_tests::envoy::{Config, Envoy};
use gaugeway_tests::llm::LlmServer;
use gaugeway_tests::page::Page;
use gaugeway_tests::{real, scratch, wait_for};
use std::num::NonZeroU32;
use std::time::Duration;

const MODEL: &str = "smollm2";
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_engine_counts_the_same_and_does_not_tell_of_waste() {
    let (Some(binary), Some(llm)) = (real::envoy(), real::llm()) else { return };
    let dir = scratch::dir("engine_llm");
    let server = LlmServer::start(&llm, &dir, MODEL);
    let envoy = Envoy::start(&binary, &dir, Config::example(server.address())).unwrap();
    let agent = Agent::start(
        &dir,
        &format!(
            "[envoy]\nadmin = \"http://{}\"\n[nvml]\nenabled = false\n[price]\nusd_per_hour = 3600.0\n\
             [[engines]]\nname = \"llama\"\nurl = \"http://{}/metrics\"\nupstream = \"llm\"\n",
            envoy.admin(),
            server.address()
        ),
    );
    // Both sides are counted from the moment that both are there.
    settled(&agent, 0);

    // Some prompts come twice, and the second time out of the engine's cache.
    let first = ask(&envoy, 1, 8, "ok=1");
    let again = ask(&envoy, 1, 8, "ok=1");
    let page = settled(&agent, 16);
    for token_type in ["input", "output"] {
        let labels = [("upstream", "llm"), ("token_type", token_type)];
        let difference = page.sum("gaugeway_engine_token_difference", &labels);
        assert_eq!(difference, Some(0.0), "{token_type}: {}", agent.metrics());
    }
    let cached = page.sum("gen_ai_client_inference_usage_cache_read_input_tokens_total", &[]);
    assert!(cached > Some(0.0), "{cached:?}");
    let asked = first.iter().chain(&again);
    let output: u64 = asked.filter_map(|observed| observed.usage).map(|usage| usage.output).sum();
    assert_eq!(tokens(&page, "success", "reported"), Some(output as f64));
    assert_eq!(wasted(&page), None);

    let left = ask(&envoy, 2, 12, "ok=40,abort=60");
    let page = settled(&agent, 28);
    let left: Vec<_> = left.iter().filter(|o| o.outcome == Outcome::ClientAbort).collect();
    let received: u64 = left.iter().map(|observed| observed.generated_events).sum();
    assert!(received > 0, "{left:?}");
    let seen = tokens(&page, "client_abort", "estimated");
    println!("{} left after {received} tokens, {seen:?} were counted", left.len());
    assert!(seen >= Some(received as f64));
    assert!(wasted(&page) > Some(0.0));
    println!(
        "gateway less engine: {:?}",
        page.sum_by("gaugeway_engine_token_difference", ["token_type"])
    );
}

/// A load as on any server: it is told nothing of ours.
fn ask(envoy: &Envoy, seed: u64, requests: u64, mix: &str) -> Vec<Observation> {
    let url = format!("http://{}", envoy.listener()).parse().unwrap();
    let config = LoadConfig {
        concurrency: NonZeroU32::new(2).unwrap(),
        until: Until::Requests(requests),
        seed,
        mix: mix.parse().unwrap(),
        tool_share: 0.0,
        prompt_words: 20..=60,
        output_tokens: 16..=32,
        sim: false,
        ..LoadConfig::new(url, vec![MODEL.to_owned()])
    };
    load::run(&config, |_| ()).unwrap().observations
}

/// The page once so many requests are counted, the engine is idle and all money has its place.
fn settled(agent: &Agent, requests: u64) -> Page {
    wait_for("a quiet engine", PATIENCE, || {
        let page = agent.page();
        let counted = page.sum("gaugeway_requests_total", &[]).unwrap_or(0.0);
        let quiet = page.sum("gaugeway_engine_requests_running", &[]) == Some(0.0);
        let paid = page.sum("gaugeway_cost_pending_dollars", &[]) == Some(0.0);
        match counted == requests as f64 && quiet && paid {
            true => Ok(page),
            false => Err(agent.metrics()),
        }
    })
}

fn tokens(page: &Page, outcome: &str, source: &str) -> Option<f64> {
    let labels = [("outcome", outcome), ("source", source)];
    page.sum("gen_ai_client_inference_usage_output_tokens_total", &labels)
}

fn wasted(page: &Page) -> Option<f64> {
    page.sum("gaugeway_cost_attributed_dollars_total", &[("outcome", "aborted")])
}
