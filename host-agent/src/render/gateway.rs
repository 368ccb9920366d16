//! The filter's stats under their merged names: OpenTelemetry's GenAI names where it has them, ours
//! in base units elsewhere.
//!
//! GenAI names replace the labels `api` and `model` by operation, provider and request model, and
//! keep the others: `upstream`, and on the stats that have them `mode`, `source`, `outcome` and
//! `tenant`. Wire APIs that share an operation and provider are added up.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use gaugeway_core::stat::{Kind, Label, Stat, Unit};

use super::page::Page;
use crate::envoy::{EnvoyStats, Labels, Value};

/// Where a stat goes on the page.
struct Target {
    name: Cow<'static, str>,
    labels: Naming,
    /// From the stat's unit to the page's.
    divisor: f64,
}

/// Which label names a family has.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Naming {
    GenAi,
    Filter,
}

pub(super) fn add(page: &mut Page, stats: &EnvoyStats) {
    for stat in Stat::ALL {
        add_stat(page, *stat, stats);
    }
    // Beside gaugeway_streams_seen_total these show a filter that has gone blind on some worker.
    for (prefix, count) in &stats.requests_completed {
        page.counter(
            "gaugeway_envoy_requests_completed_total",
            "Requests that Envoy finished, LLM traffic or not, by HTTP stat prefix.",
            &[("stat_prefix", prefix)],
            *count,
        );
    }
    for (upstream, count) in &stats.requests_active {
        page.gauge(
            "gaugeway_envoy_requests_active",
            "Requests that Envoy has in flight to an upstream, LLM traffic or not.",
            &[("upstream", upstream)],
            *count,
        );
    }
}

fn add_stat(page: &mut Page, stat: Stat, stats: &EnvoyStats) {
    let target = target(stat);
    let mut merged = BTreeMap::<BTreeMap<Cow<'_, str>, &str>, Cow<'_, Value>>::new();
    for (series, value) in stats.of(stat) {
        let labels = &series.labels;
        let labels = match target.labels {
            Naming::Filter => labels.iter().map(|(name, value)| (name.into(), value)).collect(),
            Naming::GenAi => gen_ai_labels(labels),
        };
        match merged.entry(labels) {
            Entry::Vacant(entry) => drop(entry.insert(Cow::Borrowed(value))),
            Entry::Occupied(mut entry) => match (entry.get_mut().to_mut(), value) {
                (Value::Number(sum), Value::Number(number)) => *sum += number,
                (Value::Histogram(sum), Value::Histogram(histogram)) => sum.merge(histogram),
                // A stat is one or the other.
                (Value::Number(_), Value::Histogram(_))
                | (Value::Histogram(_), Value::Number(_)) => {}
            },
        }
    }
    let help = stat.spec().help;
    for (labels, value) in &merged {
        let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_ref(), *value)).collect();
        match (value.as_ref(), stat.spec().kind) {
            (Value::Histogram(histogram), _) => {
                page.histogram(&target.name, help, &labels, histogram, target.divisor);
            }
            (Value::Number(number), Kind::Gauge) => {
                page.gauge(&target.name, help, &labels, number / target.divisor);
            }
            (Value::Number(number), _) => {
                page.counter(&target.name, help, &labels, number / target.divisor);
            }
        }
    }
}

fn target(stat: Stat) -> Target {
    let spec = stat.spec();
    let gen_ai = match stat {
        Stat::Ttft => Some("gen_ai_server_time_to_first_token_seconds"),
        Stat::Tpot => Some("gen_ai_server_time_per_output_token_seconds"),
        Stat::Duration => Some("gen_ai_server_request_duration_seconds"),
        Stat::InputTokens => Some("gen_ai_client_inference_usage_input_tokens_total"),
        Stat::OutputTokens => Some("gen_ai_client_inference_usage_output_tokens_total"),
        Stat::CacheReadInputTokens => {
            Some("gen_ai_client_inference_usage_cache_read_input_tokens_total")
        }
        Stat::CacheWriteInputTokens => {
            Some("gen_ai_client_inference_usage_cache_write_input_tokens_total")
        }
        Stat::ReasoningOutputTokens => {
            Some("gen_ai_client_inference_usage_reasoning_output_tokens_total")
        }
        _ => None,
    };
    let (name, labels) = match gen_ai {
        Some(name) => (Cow::Borrowed(name), Naming::GenAi),
        None => (in_base_units(spec.name, spec.unit), Naming::Filter),
    };
    Target { name, labels, divisor: if spec.unit == Unit::Micros { 1e6 } else { 1.0 } }
}

fn in_base_units(name: &'static str, unit: Unit) -> Cow<'static, str> {
    match unit {
        Unit::Micros => name.replace("_us", "_seconds").into(),
        Unit::Count | Unit::Tokens => name.into(),
    }
}

fn gen_ai_labels(labels: &Labels) -> BTreeMap<Cow<'_, str>, &str> {
    let mut renamed = BTreeMap::new();
    for (name, value) in labels.iter() {
        if name == Label::Api.name() {
            let (operation, provider) = operation_and_provider(value);
            renamed.insert(Cow::Borrowed("gen_ai_operation_name"), operation);
            renamed.insert(Cow::Borrowed("gen_ai_provider_name"), provider);
        } else if name == Label::Model.name() {
            renamed.insert(Cow::Borrowed("gen_ai_request_model"), value);
        } else {
            renamed.insert(Cow::Borrowed(name), value);
        }
    }
    renamed
}

/// OpenTelemetry's `gen_ai.operation.name` and `gen_ai.provider.name` for a wire API, which is
/// called provider, underscore, endpoint. What the conventions have no word for stands as it is.
fn operation_and_provider(api: &str) -> (&str, &str) {
    let (provider, endpoint) = api.split_once('_').unwrap_or((api, api));
    let operation = match endpoint {
        "chat" | "messages" | "responses" | "converse" => "chat",
        "completions" | "generate" => "text_completion",
        "generate_content" => "generate_content",
        "embeddings" => "embeddings",
        other => other,
    };
    let provider = match provider {
        "gemini" => "gcp.gemini",
        "vertex" => "gcp.vertex_ai",
        "bedrock" => "aws.bedrock",
        "mistral" => "mistral_ai",
        other => other,
    };
    (operation, provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stat_is_in_base_units_under_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> =
            Stat::ALL.iter().map(|stat| target(*stat).name).collect();
        assert_eq!(names.len(), Stat::ALL.len());
        for stat in Stat::ALL {
            let name = target(*stat).name;
            let is_time = stat.spec().unit == Unit::Micros;
            assert_eq!(is_time, name.contains("_seconds"), "{name}");
            assert!(!name.ends_with("_us") && !name.contains("_us_"), "{name}");
        }
    }

    #[test]
    fn wire_apis_in_the_words_of_the_conventions() {
        for (api, operation, provider) in [
            ("openai_chat", "chat", "openai"),
            ("openai_completions", "text_completion", "openai"),
            ("openai_responses", "chat", "openai"),
            ("openai_embeddings", "embeddings", "openai"),
            ("anthropic_messages", "chat", "anthropic"),
            ("gemini_generate_content", "generate_content", "gcp.gemini"),
            ("bedrock_converse", "chat", "aws.bedrock"),
            ("ollama_generate", "text_completion", "ollama"),
            ("something_else", "else", "something"),
            ("unknown", "unknown", "unknown"),
        ] {
            assert_eq!(operation_and_provider(api), (operation, provider), "{api}");
        }
    }
}
