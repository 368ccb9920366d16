use super::*;
use crate::cost::TokenType;
use crate::price::Basis;

const ENVOY: &str = "[envoy]\nadmin = \"http://127.0.0.1:9901\"\n";

#[track_caller]
fn refused(text: &str, key: &str, reason: &str) {
    let refusal = Config::parse(text).unwrap_err();
    assert_eq!(refusal.key, key, "{text}");
    assert!(refusal.reason.contains(reason), "{}", refusal.reason);
    assert!(!refusal.reason.contains('\n'));
}

#[test]
fn the_smallest_file_has_the_documented_defaults() {
    let config = Config::parse(ENVOY).unwrap();
    assert_eq!(config.listen, SocketAddr::from(([127, 0, 0, 1], 9464)));
    assert_eq!(config.tick, Duration::from_secs(5));
    assert_eq!(config.log, log::LevelFilter::Info);
    assert_eq!(config.nvml, Some(NvmlConfig::default()));
    assert!(config.price.is_none(), "a price is never guessed");
}

#[test]
fn the_example_file_is_valid_and_uses_every_key() {
    let text = include_str!("../../gaugeway-agent.example.toml");
    let config = Config::parse(text).unwrap();
    let Basis::Configured(price) = config.price.unwrap().basis else { panic!("configured") };
    assert_eq!(price.dollars(), 6.88);
    let cost = config.cost;
    assert_eq!(cost.weights.of("meta-llama/Llama-3.1-70B").weight(TokenType::Output), 5.0 * 8.0);
    assert_eq!(cost.pools.len(), 2);
    assert_eq!(cost.pools[0].gpus.as_ref().map(Vec::len), Some(2));
}

#[test]
fn every_commented_key_of_the_example_is_valid_too() {
    let text = include_str!("../../gaugeway-agent.example.toml");
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(code) if code.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{code}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_ne!(uncommented.trim_end(), text.trim_end(), "the example has commented keys");
    assert!(Config::parse(&uncommented).unwrap().nvml.unwrap().library.is_some());
}

#[test]
fn bad_files_are_refused_with_key_and_reason() {
    let with = |rest: &str| format!("{ENVOY}{rest}");
    let before = |rest: &str| format!("{rest}\n{ENVOY}");
    refused("", "line 1", "missing field `envoy`");
    refused("listen = \n", "line 1", "");
    refused("['']", "line 1", "unknown field");
    refused(&before("lisen = \"127.0.0.1:1\""), "lisen", "unknown field `lisen`");
    refused(&before("listen = \"localhost\""), "listen", "");
    refused(&before("tick = \"5\""), "tick", "no duration");
    refused(&before("tick = 5"), "tick", "expected a string");
    refused(&before("tick = \"99999999999999999999h\""), "tick", "no duration");
    refused(&before("tick = \"0s\""), "tick", "must be from 100ms to 60s");
    refused(&before("log = \"loud\""), "log", "unknown variant");
    refused(
        "[envoy]\nadmin = \"https://x\"",
        "envoy.admin",
        "neither http://HOST:PORT nor unix:/PATH",
    );
    refused("[envoy]\nadmin = \"unix:a\"", "envoy.admin", "must be absolute");
    refused(&with("[nvml]\nenable = true"), "nvml.enable", "unknown field");
    refused(&with("[price]\nusd_per_hour = \"6\""), "price.usd_per_hour", "invalid type");
    refused(&with("[price]\nusd_per_hour = -1.0"), "price.usd_per_hour", "above 0");
    refused(&with("[price]\nusd_per_hour = nan"), "price.usd_per_hour", "above 0");
    refused(
        &with("[price]\nusd_per_hour = 1.0\noverhead_usd_per_hour = 0.0"),
        "price.overhead_usd_per_hour",
        "above 0",
    );
    refused(&with("[cost.weights]\noutput = -1.0"), "cost.weights", "weights must be");
    refused(&with("[cost.models.\"a b\"]\noutput = 1e9"), "cost.models.\"a b\"", "weights must be");
    refused(&with("[cost]\nwindow = \"1s\""), "cost.window", "must be from");
    refused(&with("[[pools]]\nname = \"\""), "pools[0].name", "must not be empty");
    refused(&with("[[pools]]\nname = \"none\""), "pools[0].name", "must not be");
    refused(&with("[[pools]]\nname = \"a\"\nmodel = []"), "pools[0].model", "unknown field");
    refused(
        &with("[[pools]]\nname = \"a\"\ngpus = [true]"),
        "pools[0].gpus[0]",
        "a GPU's index, its UUID or a MIG instance's UUID",
    );
    refused(
        &with(
            "[[pools]]\nname = \"a\"\nmodels = [\"x\"]\n[[pools]]\nname = \"a\"\nmodels = [\"y\"]",
        ),
        "pools[1].name",
        "another pool",
    );
    refused(
        &with("[[pools]]\nname = \"a\"\nmodels = [\"x\"]\n[[pools]]\nname = \"b\""),
        "pools[1].upstreams",
        "cannot be told",
    );
    refused(
        &with(
            "[[pools]]\nname = \"a\"\nmodels = [\"x\"]\ngpus = [0]\n[[pools]]\nname = \"b\"\nmodels = [\"y\"]",
        ),
        "pools[1].gpus",
        "every pool or of none",
    );
    refused(&with("[[pools]]\nname = \"a\"\ngpus = [0, 1, 0]"), "pools[0].gpus", "listed twice");
}

#[test]
fn nvml_can_be_switched_off() {
    let config = Config::parse(&format!("{ENVOY}[nvml]\nenabled = false")).unwrap();
    assert_eq!(config.nvml, None);
}
