//! The plugin configuration: JSON in, checked values out.

mod section;

use section::{Section, Tree};
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
    /// Whether servers are asked to report the usage of streams.
    pub inject_usage: bool,
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

impl Config {
    /// Reads a configuration; an empty one is the defaults.
    ///
    /// # Errors
    /// One line that names the offending key and the reason.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let json = if json.trim_ascii().is_empty() { b"{}" } else { json };
        let tree: Tree = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        Section::of(tree, String::new())?.read(&Self::read)
    }

    fn read(section: &mut Section) -> Result<Self, String> {
        Ok(Self {
            models: section.each("models", ModelRule::read)?,
            max_models: labels(section.number("max_models", MAX_LABELS)?.unwrap_or(64)),
            tenant: section.section("tenant", Tenant::read)?,
            slos: section.each("slos", Slo::read)?,
            max_series: section.number("max_series", 1_000_000)?.unwrap_or(20_000),
            inter_chunk: section.flag("inter_chunk")?.unwrap_or(true),
            inject_usage: section.section("usage", read_usage)?.unwrap_or(false),
        })
    }

    /// The request header that names the tenant, in lower case.
    pub fn tenant_header(&self) -> Option<&str> {
        self.tenant.as_ref().map(|tenant| tenant.header.as_str())
    }
}

/// `usage.request`: `observe`, or `inject`.
fn read_usage(section: &mut Section) -> Result<bool, String> {
    match section.text("request")?.as_deref() {
        None | Some("observe") => Ok(false),
        Some("inject") => Ok(true),
        Some(other) => {
            let name = section.name("request");
            Err(format!("{name}: '{other}' is neither observe nor inject"))
        }
    }
}

/// The most values that a label may be configured to have.
const MAX_LABELS: u32 = 4_096;

fn labels(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

impl ModelRule {
    fn read(section: &mut Section) -> Result<Self, String> {
        let pattern = section.needed_text("match")?;
        let label = match section.text("label")? {
            Some(label) => label,
            None if pattern.contains('*') => {
                let label = section.name("label");
                return Err(format!("{label}: is needed where match holds a *"));
            }
            None => pattern.clone(),
        };
        Ok(Self { pattern: Pattern(pattern), label })
    }
}

impl Tenant {
    fn read(section: &mut Section) -> Result<Self, String> {
        let tenant = Self {
            header: section.needed_text("header")?.to_ascii_lowercase(),
            allow: section.texts("allow")?,
            max: labels(section.number("max", MAX_LABELS)?.unwrap_or(100)),
            hash: section.flag("hash")?.unwrap_or(false),
        };
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let header = tenant.header.as_str();
        if !header.bytes().all(token) {
            return Err(format!("tenant.header: '{header}' is no header name"));
        }
        if matches!(header, "authorization" | "cookie" | "x-api-key" | "api-key") && !tenant.hash {
            return Err(format!("tenant.hash: must be true, because {header} holds secrets"));
        }
        if tenant.hash && !tenant.allow.is_empty() {
            return Err("tenant.allow: names cannot be allowed when they are hashed".to_owned());
        }
        Ok(tenant)
    }
}

impl Slo {
    fn read(section: &mut Section) -> Result<Self, String> {
        let pattern = Pattern(section.needed_text("models")?);
        let mut span = |key| {
            let ms = section.number(key, u32::MAX)?;
            Ok::<_, String>(ms.map(|ms| Duration::from_millis(ms.into())))
        };
        let (ttft, tpot, duration) = (span("ttft_ms")?, span("tpot_ms")?, span("duration_ms")?);
        if ttft.is_none() && tpot.is_none() && duration.is_none() {
            let key = section.name("ttft_ms");
            return Err(format!("{key}: one of ttft_ms, tpot_ms and duration_ms is needed"));
        }
        Ok(Self { pattern, ttft, tpot, duration })
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
        check_error(r#"{"max_modles":1}"#, "max_modles: unknown key; known are models, max_models");
        check_error(r#"{"max_models":"x"}"#, "max_models: must be a whole number, not text");
        check_error(r#"{"max_models":5000}"#, "max_models: 5000 is more than 4096");
        check_error(r#"{"models":[{"match":"a"},{"match":"b*"}]}"#, "models[1].label: is needed");
        check_error(r#"{"models":[{"match":"a","labl":"b"}]}"#, "models[0].labl: unknown key");
        check_error(r#"{"models":{}}"#, "models: must be a list, not an object");
        check_error(r#"{"tenant":{}}"#, "tenant.header: is missing");
        check_error(r#"{"tenant":{"header":"a b"}}"#, "tenant.header");
        check_error(r#"{"tenant":{"header":"Authorization"}}"#, "tenant.hash: must be true");
        check_error(
            r#"{"tenant":{"header":"x","hash":"yes"}}"#,
            "tenant.hash: must be true or false",
        );
        check_error(r#"{"slos":[{"models":"*"}]}"#, "slos[0].ttft_ms: one of");
        check_error(
            r#"{"slos":[{"models":"*","ttft_ms":-1}]}"#,
            "slos[0].ttft_ms: must be a whole",
        );
        check_error(r#"{"usage":{"request":"take"}}"#, "usage.request: 'take' is neither");
        check_error("[]", "the configuration: must be an object, not a list");
        check_error("{\n\"max_models\": }", "line 2 column 15");
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
