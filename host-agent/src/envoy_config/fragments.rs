//! What is added: the fragments of `envoy/fragments`, which tests hold to the catalogue.

use serde_json::Value;

use super::Refusal;
use super::tree::{self, Node};

const STATS: &str = include_str!("../../../envoy/fragments/stats.yaml");
const FILTER: &str = include_str!("../../../envoy/fragments/filter.yaml");
const ACCESS_LOG: &str = include_str!("../../../envoy/fragments/access-log.yaml");

/// Where the fragment has the filter.
pub(super) const DEFAULT_WASM: &str = "/etc/envoy/gaugeway.wasm";
pub(super) const DEFAULT_SETTINGS: &str = "{}";

/// Items for a list, or a whole section, in both ways of writing them.
#[derive(Debug)]
pub(super) struct Part {
    /// As lines of a block, from column 0.
    pub(super) block: String,
    /// As a value.
    pub(super) value: Value,
}

/// The fragments, with the user's settings in them.
#[derive(Debug)]
pub(super) struct Fragments {
    /// The whole section `stats_config`.
    pub(super) stats: Part,
    /// Items of `stats_config.stats_tags`.
    pub(super) tags: Part,
    /// Items of `stats_config.histogram_bucket_settings`.
    pub(super) buckets: Part,
    /// An item of `http_filters`.
    pub(super) filter: Part,
    /// An item of `access_log`.
    pub(super) access_log: Part,
}

impl Fragments {
    /// With the filter at `wasm` and `settings` as its configuration.
    pub(super) fn new(wasm: &str, settings: &str) -> Result<Self, Refusal> {
        let stats = body(STATS);
        let tree = tree::parse(stats)?;
        let list = |key| tree.get("stats_config").and_then(|section| section.get(key));
        Ok(Self {
            tags: part(items(stats, list("stats_tags")))?,
            buckets: part(items(stats, list("histogram_bucket_settings")))?,
            filter: part(filter(wasm, settings))?,
            access_log: part(body(ACCESS_LOG).to_owned())?,
            stats: part(stats.to_owned())?,
        })
    }
}

/// A fragment without the comment at its head, which tells a reader where it goes.
fn body(fragment: &str) -> &str {
    let head = fragment.lines().take_while(|line| line.starts_with('#'));
    fragment.get(head.map(|line| line.len() + 1).sum()..).unwrap_or_default()
}

/// The lines of a list, moved to column 0.
fn items(text: &str, list: Option<&Node>) -> String {
    let Some(list) = list else { return String::new() };
    let before = text.get(..list.start).unwrap_or_default();
    let first = before.rfind('\n').map_or(0, |at| at + 1);
    let lines = text.get(first..list.end).unwrap_or_default();
    let indent = lines.len() - lines.trim_start_matches(' ').len();
    lines.lines().map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect()
}

fn filter(wasm: &str, settings: &str) -> String {
    let mut filter = body(FILTER).to_owned();
    if wasm != DEFAULT_WASM {
        filter = filter.replace(DEFAULT_WASM, &Value::from(wasm).to_string());
    }
    if settings != DEFAULT_SETTINGS {
        let settings = settings.replace('\'', "''");
        filter = filter.replace("value: '{}'", &format!("value: '{settings}'"));
    }
    filter
}

fn part(block: String) -> Result<Part, Refusal> {
    let value = serde_saphyr::from_str(&block)
        .map_err(|error| Refusal { line: None, reason: format!("cannot be put in: {error}") })?;
    Ok(Part { block, value })
}
