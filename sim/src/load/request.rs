//! One request, decided before it is sent: a pure function of the seed and its index.

use std::ops::RangeInclusive;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::LoadConfig;
use crate::outcome::Mode;
use crate::plan::Plan;
use crate::wire::Api;

/// A request to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestPlan {
    /// The id under which both sides record it.
    pub id: String,
    /// The model to ask for.
    pub model: String,
    /// The API to ask.
    pub api: Api,
    /// Streamed or in one piece.
    pub mode: Mode,
    /// How it shall go.
    pub plan: Plan,
    /// Whether a stream asks for usage.
    pub include_usage: bool,
    /// Whether it offers a tool.
    pub tools: bool,
    /// Words of the prompt.
    pub prompt_words: u32,
    /// Output tokens: exactly so many from the simulator, at most so many from a real server.
    pub output_tokens: u32,
    /// Whether the server is told id, plan and length.
    pub sim: bool,
}

impl RequestPlan {
    /// The request number `index` of a load.
    pub fn draw(config: &LoadConfig, index: u64) -> Self {
        // Neighbouring seeds must not share requests, hence the odd multiplier (2^64 divided by the golden ratio).
        let mut rng =
            StdRng::seed_from_u64(config.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index);
        let model = pick(&config.models, &mut rng).cloned().unwrap_or_default();
        let mut api = pick(&config.apis, &mut rng).copied().unwrap_or(Api::Chat);
        let output_tokens = rng.random_range(config.output_tokens.clone());
        let plan = config.mix.draw(output_tokens, &mut rng);
        let wanted = if rng.random_bool(config.stream_share) { Mode::Stream } else { Mode::Unary };
        if api == Api::Embeddings && plan.needs_stream() {
            api = Api::Chat;
        }
        let mode = if api == Api::Embeddings { Mode::Unary } else { plan.mode(wanted) };
        let include_usage = rng.random_bool(config.include_usage_share);
        let offers_tool = rng.random_bool(config.tool_share);
        Self {
            id: format!("{}-{index}", config.seed),
            model,
            api,
            mode,
            plan,
            include_usage: include_usage && mode == Mode::Stream,
            tools: offers_tool && api == Api::Chat,
            prompt_words: draw_range(&config.prompt_words, &mut rng),
            output_tokens,
            sim: config.sim,
        }
    }

    /// The JSON body.
    pub fn body(&self) -> String {
        let model = serde_json::Value::from(self.model.as_str());
        let prompt = serde_json::Value::from(prompt(self.prompt_words));
        let mut body = match self.api {
            Api::Chat => {
                format!(r#"{{"model":{model},"messages":[{{"role":"user","content":{prompt}}}]"#)
            }
            Api::Completions => format!(r#"{{"model":{model},"prompt":{prompt}"#),
            Api::Embeddings => return format!(r#"{{"model":{model},"input":{prompt}}}"#),
        };
        // A limit that is reached makes the answer end with `length`, so in two of three it lies beyond.
        let limit = match self.sim && !self.output_tokens.is_multiple_of(3) {
            true => self.output_tokens.saturating_mul(2),
            false => self.output_tokens,
        };
        body.push_str(&format!(r#","max_tokens":{limit}"#));
        if self.tools {
            body.push_str(r#","tools":[{"type":"function","function":{"name":"lookup","parameters":{"type":"object","properties":{"key":{"type":"string"}}}}}]"#);
        }
        if self.mode == Mode::Stream {
            body.push_str(r#","stream":true"#);
        }
        if self.include_usage {
            body.push_str(r#","stream_options":{"include_usage":true}"#);
        }
        body.push('}');
        body
    }
}

fn pick<'a, T>(all: &'a [T], rng: &mut StdRng) -> Option<&'a T> {
    all.get(rng.random_range(0..all.len().max(1)))
}

fn draw_range(range: &RangeInclusive<u32>, rng: &mut StdRng) -> u32 {
    rng.random_range(range.clone())
}

/// A prompt of so many words; also a sensible one for a real model.
fn prompt(words: u32) -> String {
    const QUESTION: [&str; 12] = [
        "Tell",
        "me",
        "a",
        "long",
        "story",
        "about",
        "a",
        "river,",
        "a",
        "gate",
        "and",
        "\"time\".",
    ];
    let count = usize::try_from(words).unwrap_or(usize::MAX);
    QUESTION.iter().copied().cycle().take(count).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(seed: u64) -> LoadConfig {
        LoadConfig {
            seed,
            apis: Api::ALL.to_vec(),
            mix: "ok=50,abort=10,truncate=10,error_in_stream=10,http=10,stall=10".parse().unwrap(),
            ..LoadConfig::new("http://localhost:1".parse().unwrap(), vec!["a".into(), "b".into()])
        }
    }

    #[test]
    fn a_seed_decides_every_request() {
        let plans =
            |seed| (0..200).map(|i| RequestPlan::draw(&config(seed), i)).collect::<Vec<_>>();
        assert_eq!(plans(5), plans(5));
        let plans_only = |seed| plans(seed).into_iter().map(|plan| plan.plan).collect::<Vec<_>>();
        assert_ne!(plans_only(5), plans_only(6));
    }

    #[test]
    fn bodies_are_json_and_ask_for_what_is_planned() {
        for index in 0..300 {
            let plan = RequestPlan::draw(&config(1), index);
            let body: serde_json::Value = serde_json::from_str(&plan.body()).unwrap();
            assert_eq!(body["model"], plan.model.as_str());
            assert_eq!(body["stream"] == true, plan.mode == Mode::Stream);
            assert_eq!(body["stream_options"]["include_usage"] == true, plan.include_usage);
            assert!(plan.mode == Mode::Stream || !plan.plan.needs_stream());
        }
    }
}
