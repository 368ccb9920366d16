//! The name codec. Envoy stats have no labels, so labels are written into the name, in the encoding
//! that Istio's `extraStatTags` takes apart: `model=.=gpt-4o;.;api=.=openai_chat;.;gaugeway_ttft_us`
//! (istio `tools/packaging/common/envoy_bootstrap.json`).

use super::Label;

/// Longest label value in bytes; what is longer is cut.
pub const MAX_VALUE_BYTES: usize = 96;

const EQUALS: &str = "=.=";
const END: &str = ";.;";

/// Writes `labels` and `stat` as one Envoy stat name. Values are cleaned first.
pub fn encode<'a>(stat: &str, labels: impl IntoIterator<Item = (Label, &'a str)>) -> String {
    let mut name = String::with_capacity(128);
    for (label, value) in labels {
        name.push_str(label.name());
        name.push_str(EQUALS);
        name.push_str(&clean_value(value.as_bytes()));
        name.push_str(END);
    }
    name.push_str(stat);
    name
}

/// Makes any bytes a safe label value: at most [`MAX_VALUE_BYTES`] bytes of `[A-Za-z0-9._:/@+-]`,
/// every other byte becoming `_`, so that no value can forge a tag. An empty value becomes `unknown`.
pub fn clean_value(value: &[u8]) -> String {
    if value.is_empty() {
        return "unknown".to_owned();
    }
    let clean = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => char::from(*byte),
        b'.' | b'_' | b':' | b'/' | b'@' | b'+' | b'-' => char::from(*byte),
        _ => '_',
    };
    value.iter().take(MAX_VALUE_BYTES).map(clean).collect()
}

/// A stat name taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedName<'a> {
    /// The stat's own name, without labels.
    pub stat: &'a str,
    /// Labels in the order in which they stand.
    pub labels: Vec<(&'a str, &'a str)>,
}

/// Takes an encoded name apart; text without labels comes back as the stat alone.
/// `None` when a label part has no `=.=`.
pub fn parse(name: &str) -> Option<ParsedName<'_>> {
    let mut labels = Vec::new();
    let mut rest = name;
    while let Some((tag, tail)) = rest.split_once(END) {
        labels.push(tag.split_once(EQUALS)?);
        rest = tail;
    }
    Some(ParsedName { stat: rest, labels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn encodes_as_istio_does() {
        let name =
            encode("gaugeway_ttft_us", [(Label::Model, "gpt-4o"), (Label::Api, "openai_chat")]);
        assert_eq!(name, "model=.=gpt-4o;.;api=.=openai_chat;.;gaugeway_ttft_us");
    }

    #[test]
    fn dots_slashes_and_colons_stay_the_rest_is_replaced() {
        assert_eq!(clean_value(b"meta-llama/Llama-3.1-8B:free"), "meta-llama/Llama-3.1-8B:free");
        assert_eq!(clean_value("a;.;model=.=b\n\"é".as_bytes()), "a_._model_._b____");
        assert_eq!(clean_value(b""), "unknown");
    }

    proptest! {
        #[test]
        fn any_values_come_back_clean(model: String, upstream: String) {
            let labels = [(Label::Model, model.as_str()), (Label::Upstream, upstream.as_str())];
            let name = encode("gaugeway_ttft_us", labels);
            let (model, upstream) = (clean_value(model.as_bytes()), clean_value(upstream.as_bytes()));
            let parsed = parse(&name).unwrap();
            prop_assert_eq!(parsed.stat, "gaugeway_ttft_us");
            prop_assert_eq!(parsed.labels, vec![("model", model.as_str()), ("upstream", upstream.as_str())]);
        }

        #[test]
        fn any_text_is_parsed_without_panic(name: String) {
            let _ = parse(&name);
        }
    }
}
