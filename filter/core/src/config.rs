//! The plugin configuration: JSON in, checked values out.

use serde::Deserialize;
use std::time::Duration;

/// How the filter is to work. Made by [`Config::parse`] only, so it is always valid.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) models: Vec<ModelRule>,
    pub(crate) max_models: u16,
    pub(crate) tenant: Option<Tenant>,
    pub(crate) slos: Vec<Slo>,
    pub(crate) max_series: u32,
    /// Whether each gap between generated events is recorded.
    pub inter_chunk: bool,
}

/// Gives models whose name matches one label.
#[derive(Clone, Debug)]
pub(crate) struct ModelRule {
    pub(crate) pattern: Pattern,
    pub(crate) label: String,
}

/// Where the tenant is named.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    /// Lower-case header name.
    pub(crate) header: String,
    pub(crate) allow: Vec<String>,
    /// Tenants that are admitted besides the allowed ones.
    pub(crate) max: u16,
    pub(crate) hash: bool,
}

/// What counts as good for models whose name matches.
#[derive(Clone, Debug)]
pub(crate) struct Slo {
    pub(crate) pattern: Pattern,
    pub(crate) ttft: Option<Duration>,
    pub(crate) tpot: Option<Duration>,
    pub(crate) duration: Option<Duration>,
}

/// A model name in which each `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl Pattern {
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        let mut parts = self.0.split('*').map(str::as_bytes);
        let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            let tail = (0..=rest.len()).find_map(|at| rest.get(at..)?.strip_prefix(part));
            let Some(tail) = tail else { return false };
            rest = tail;
        }
        true
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConfig {
    models: Vec<RawModel>,
    max_models: u16,
    max_series: u32,
    inter_chunk: bool,
    tenant: Option<RawTenant>,
    slos: Vec<RawSlo>,
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            models: Vec::new(),
            max_models: 64,
            max_series: 20_000,
            inter_chunk: true,
            tenant: None,
            slos: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    r#match: String,
    label: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTenant {
    header: String,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default = "default_max_tenants")]
    max: u16,
    #[serde(default)]
    hash: bool,
}

const fn default_max_tenants() -> u16 {
    100
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlo {
    models: String,
    ttft_ms: Option<u32>,
    tpot_ms: Option<u32>,
    duration_ms: Option<u32>,
}

impl Config {
    /// Reads a configuration; an empty one is the defaults.
    ///
    /// # Errors
    /// One line that names the offending key and the reason.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let raw = if json.trim_ascii().is_empty() {
            RawConfig::default()
        } else {
            serde_json::from_slice(json).map_err(|error| describe(json, &error))?
        };
        raw.check()
    }

    /// The request header that names the tenant, in lower case.
    pub fn tenant_header(&self) -> Option<&str> {
        self.tenant.as_ref().map(|tenant| tenant.header.as_str())
    }
}

/// The error with the key at which it arose: the last one that begins before it.
fn describe(json: &[u8], error: &serde_json::Error) -> String {
    let lines = json.split_inclusive(|byte| *byte == b'\n');
    let before = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len);
    let offset = before.fold(error.column(), usize::saturating_add);
    let text = String::from_utf8_lossy(json.get(..offset).unwrap_or(json));
    let key = text.rsplit_once("\":").and_then(|(head, _)| head.rsplit_once('"'));
    match key {
        Some((_, key)) if error.is_data() && !error.to_string().starts_with("unknown") => {
            format!("{key}: {error}")
        }
        Some(_) | None => error.to_string(),
    }
}

impl RawConfig {
    fn check(self) -> Result<Config, String> {
        Ok(Config {
            models: numbered(self.models, "models", RawModel::check)?,
            max_models: at_most(self.max_models, 4_096, "max_models")?,
            max_series: at_most(self.max_series, 1_000_000, "max_series")?,
            inter_chunk: self.inter_chunk,
            tenant: self.tenant.map(RawTenant::check).transpose()?,
            slos: numbered(self.slos, "slos", RawSlo::check)?,
        })
    }
}

fn numbered<R, T>(
    raw: Vec<R>,
    key: &str,
    check: impl Fn(R) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let checked = raw.into_iter().enumerate();
    checked.map(|(n, raw)| check(raw).map_err(|why| format!("{key}[{n}].{why}"))).collect()
}

fn at_most<N: PartialOrd + std::fmt::Display>(value: N, max: N, key: &str) -> Result<N, String> {
    if value <= max { Ok(value) } else { Err(format!("{key}: {value} is more than {max}")) }
}

impl RawModel {
    fn check(self) -> Result<ModelRule, String> {
        if self.r#match.is_empty() {
            return Err("match: is empty".to_owned());
        }
        let label = match self.label {
            Some(label) if label.is_empty() => return Err("label: is empty".to_owned()),
            Some(label) => label,
            None if self.r#match.contains('*') => {
                return Err("label: is needed where match holds a *".to_owned());
            }
            None => self.r#match.clone(),
        };
        Ok(ModelRule { pattern: Pattern(self.r#match), label })
    }
}

impl RawTenant {
    fn check(self) -> Result<Tenant, String> {
        let header = self.header.to_ascii_lowercase();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if header.is_empty() || !header.bytes().all(token) {
            return Err(format!("tenant.header: {header:?} is no header name"));
        }
        if matches!(header.as_str(), "authorization" | "cookie" | "x-api-key" | "api-key")
            && !self.hash
        {
            return Err(format!("tenant.header: {header} holds secrets: set tenant.hash to true"));
        }
        if self.hash && !self.allow.is_empty() {
            return Err("tenant.allow: names cannot be allowed when they are hashed".to_owned());
        }
        let max = at_most(self.max, 4_096, "tenant.max")?;
        Ok(Tenant { header, allow: self.allow, max, hash: self.hash })
    }
}

impl RawSlo {
    fn check(self) -> Result<Slo, String> {
        if self.models.is_empty() {
            return Err("models: is empty".to_owned());
        }
        let span = |ms: Option<u32>| ms.map(|ms| Duration::from_millis(ms.into()));
        let slo = Slo {
            pattern: Pattern(self.models),
            ttft: span(self.ttft_ms),
            tpot: span(self.tpot_ms),
            duration: span(self.duration_ms),
        };
        if slo.ttft.is_none() && slo.tpot.is_none() && slo.duration.is_none() {
            return Err(
                "ttft_ms: at least one of ttft_ms, tpot_ms, duration_ms is needed".to_owned()
            );
        }
        Ok(slo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(json: &str, expected: &str) {
        let error = Config::parse(json.as_bytes()).unwrap_err();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }

    #[test]
    fn nothing_is_a_configuration() {
        let config = Config::parse(b" ").unwrap();
        assert_eq!((config.max_models, config.inter_chunk), (64, true));
        assert!(Config::parse(b"{}").is_ok());
    }

    #[test]
    fn everything_is_read() {
        let json =
            br#"{"models":[{"match":"gpt-4o*","label":"gpt-4o"},{"match":"llama"}],"max_models":8,
            "inter_chunk":false,"tenant":{"header":"X-Team","allow":["a"]},
            "slos":[{"models":"*","ttft_ms":500,"tpot_ms":50}]}"#;
        let config = Config::parse(json).unwrap();
        assert_eq!(config.tenant_header(), Some("x-team"));
        assert_eq!((config.models.len(), config.slos.len()), (2, 1));
    }

    #[test]
    fn errors_name_the_key_and_the_reason() {
        check_error(r#"{"max_modles":1}"#, "unknown field `max_modles`, expected one of `models`");
        check_error(r#"{"max_models":"x"}"#, "max_models: invalid type: string");
        check_error(r#"{"max_models":5000}"#, "max_models: 5000 is more than 4096");
        check_error(r#"{"models":[{"match":"a"},{"match":"b*"}]}"#, "models[1].label: is needed");
        check_error(r#"{"tenant":{"header":"a b"}}"#, "tenant.header");
        check_error(r#"{"tenant":{"header":"Authorization"}}"#, "tenant.hash");
        check_error(r#"{"slos":[{"models":"*"}]}"#, "slos[0].ttft_ms");
        check_error(r#"{"slos":[{"models":"*","ttft_ms":-1}]}"#, "ttft_ms: invalid value");
        check_error("{\n \"slos\" : [\n{\"models\":1}]}", "models: invalid type: integer `1`");
        check_error(r#"{"tenant":{}}"#, "missing field `header`");
        check_error("[", "EOF");
    }

    #[test]
    fn patterns() {
        for (pattern, name, matches) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o-mini", true),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("*mini", "gpt-mini", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(
                Pattern(pattern.into()).matches(name.as_bytes()),
                matches,
                "{pattern} {name}"
            );
        }
    }
}
