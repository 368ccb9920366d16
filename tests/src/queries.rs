//! What a PromQL expression asks for: the names of its metrics.

use std::collections::BTreeSet;

/// Words that are neither metrics nor followed by a list of labels.
const KEYWORDS: &[&str] = &["and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"];
/// Words before a list of labels in parentheses.
const BEFORE_LABELS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];

/// The names of all metrics in `expression`, as they stand there. Expressions are taken to be valid: Prometheus
/// itself checks that.
pub fn metrics(expression: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' | '\'' | '`' => after_string(rest, first),
            '{' => after_matchers(rest),
            '[' => after(rest, ']'),
            '#' => after(rest, '\n'),
            // A number such as 1e6, a duration, or a variable of a dashboard.
            '0'..='9' | '$' => rest[1..].trim_start_matches(is_name),
            _ if is_name(first) => {
                let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                let (word, tail) = rest.split_at(end);
                let next = tail.trim_start();
                if BEFORE_LABELS.contains(&word) {
                    if next.starts_with('(') { after(next, ')') } else { tail }
                } else {
                    let is_function = next.starts_with('(')
                        || BEFORE_LABELS.iter().any(|by| next.starts_with(&format!("{by} ")));
                    if !is_function && !KEYWORDS.contains(&word) {
                        names.insert(word.to_owned());
                    }
                    tail
                }
            }
            _ => &rest[first.len_utf8()..],
        };
    }
    names
}

/// The family that a series of a histogram belongs to: its name without `_bucket`, `_sum` or `_count`.
pub fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .into_iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn after(text: &str, end: char) -> &str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

fn after_string(text: &str, quote: char) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            _ if c == quote => return &text[at + c.len_utf8()..],
            _ => {}
        }
    }
    ""
}

/// What follows `{...}`; a brace in a quoted value does not end it.
fn after_matchers(text: &str) -> &str {
    let mut rest = &text[1..];
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '}' => return &rest[1..],
            '"' | '\'' | '`' => after_string(rest, first),
            _ => &rest[first.len_utf8()..],
        };
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, names: &[&str]) {
        let found = metrics(expression);
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), names, "{expression}");
    }

    #[test]
    fn names_are_found_and_nothing_else() {
        check("a", &["a"]);
        check("1 - a:b:c5m / 1e6", &["a:b:c5m"]);
        check("sum by (model, le) (rate(a_total{x=\"y}\",z=~'b|c'}[5m])) > 0", &["a_total"]);
        check("a / on (model) group_left () (sum(b) > 0) and c unless d", &["a", "b", "c", "d"]);
        check("a{} offset 5m or vector(0)", &["a"]);
        check("label_replace(a, \"model\", \"$1\", \"b\", \"(.*)\")", &["a"]);
        check("sum without (c) (a) # and b\n+ d", &["a", "d"]);
        check("rate(a{model=~\"$model\"}[$__rate_interval]) * $factor", &["a"]);
        check("a > bool on (instance) b", &["a", "b"]);
    }

    #[test]
    fn histograms_are_families() {
        assert_eq!(family("a_seconds_bucket"), "a_seconds");
        assert_eq!(family("a_seconds"), "a_seconds");
        assert_eq!(family("a_sum_seconds_total"), "a_sum_seconds_total");
    }
}
