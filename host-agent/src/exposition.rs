//! Reads the Prometheus text format, line by line.
//!
//! Written by hand because real pages hold what strict parsers choke on: a colon in a name, a brace
//! in a label value, thirty-digit sums, one garbage line in the middle. A line that cannot be read
//! costs that line and nothing else. `# TYPE` lines are skipped: whoever reads a page knows the
//! metrics that it looks for.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// Longest line that is looked at, in bytes.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// Most labels of one sample.
pub const MAX_LABELS: usize = 64;

/// One sample, borrowed from the page where nothing had to be unescaped.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// The metric's name, `_bucket`, `_sum` and `_total` included. Never empty.
    pub name: Cow<'a, str>,
    /// Labels in the order of the page.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The value. Counters are exact below 2^53.
    pub value: f64,
}

/// Why a line was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// The line is over [`MAX_LINE_BYTES`].
    #[error("line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// The line is not UTF-8.
    #[error("line is not UTF-8")]
    NotUtf8,
    /// Neither a name nor a quoted name in braces.
    #[error("metric name is missing")]
    Name,
    /// The label block breaks the grammar or has over [`MAX_LABELS`] labels.
    #[error("labels cannot be read")]
    Labels,
    /// The value is no number.
    #[error("value is not a number")]
    Value,
    /// Something follows the value that is neither a timestamp nor an exemplar.
    #[error("text after the value")]
    Trailing,
}

/// The samples of a page; comments and empty lines are left out.
pub fn samples(page: &[u8]) -> impl Iterator<Item = Result<Sample<'_>, BadLine>> {
    lines(page).filter_map(|line| {
        if line.len() > MAX_LINE_BYTES {
            return Some(Err(BadLine::TooLong));
        }
        let Ok(line) = std::str::from_utf8(line) else { return Some(Err(BadLine::NotUtf8)) };
        let line = line.trim_matches(BLANKS);
        (!line.is_empty() && !line.starts_with('#')).then(|| sample(line))
    })
}

/// The lines of a page without their ends.
fn lines(page: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(page);
    std::iter::from_fn(move || {
        let page = rest?;
        let end = memchr(b'\n', page);
        rest = end.and_then(|end| page.get(end + 1..));
        end.map_or(Some(page), |end| page.get(..end))
    })
}

fn sample(line: &str) -> Result<Sample<'_>, BadLine> {
    let (name, rest) = split_while(line, is_name_char);
    let mut sample = Sample { name: Cow::Borrowed(name), labels: Vec::new(), value: 0.0 };
    let mut rest = skip_blanks(rest);
    if let Some(inside) = rest.strip_prefix('{') {
        rest = label_block(inside, &mut sample)?;
    }
    if sample.name.is_empty() || sample.name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(BadLine::Name);
    }
    sample.value = value(rest)?;
    Ok(sample)
}

/// Reads up to and with the closing brace and returns what follows it. A quoted string without `=`
/// is the metric's name, which is how names outside the classic charset are written.
fn label_block<'a>(inside: &'a str, sample: &mut Sample<'a>) -> Result<&'a str, BadLine> {
    let mut rest = skip_blanks(inside);
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (key, after) = match rest.strip_prefix('"') {
            Some(quoted) => string(quoted)?,
            None => {
                let (key, after) = split_while(rest, |c| c.is_ascii_alphanumeric() || c == '_');
                if key.is_empty() || key.starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(BadLine::Labels);
                }
                (Cow::Borrowed(key), after)
            }
        };
        let quoted_key = rest.starts_with('"');
        rest = skip_blanks(after);
        if let Some(after) = rest.strip_prefix('=') {
            let quoted = skip_blanks(after).strip_prefix('"').ok_or(BadLine::Labels)?;
            let (value, after) = string(quoted)?;
            if sample.labels.len() == MAX_LABELS {
                return Err(BadLine::Labels);
            }
            sample.labels.push((key, value));
            rest = skip_blanks(after);
        } else if quoted_key && sample.name.is_empty() {
            sample.name = key;
        } else {
            return Err(BadLine::Labels);
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = skip_blanks(after),
            None if rest.starts_with('}') => {}
            None => return Err(BadLine::Labels),
        }
    }
}

/// Reads a string after its opening quote: the text, and what follows the closing quote.
fn string(quoted: &str) -> Result<(Cow<'_, str>, &str), BadLine> {
    let mut text = String::new();
    let mut rest = quoted;
    loop {
        let end = memchr2(b'"', b'\\', rest.as_bytes()).ok_or(BadLine::Labels)?;
        let (plain, after) = rest.split_at_checked(end).ok_or(BadLine::Labels)?;
        let mut after = after.chars();
        if after.next() == Some('"') {
            // Only a string with an escape in it had to be copied.
            let whole = if text.is_empty() {
                Cow::Borrowed(plain)
            } else {
                text.push_str(plain);
                Cow::Owned(text)
            };
            return Ok((whole, after.as_str()));
        }
        text.push_str(plain);
        match after.next().ok_or(BadLine::Labels)? {
            'n' => text.push('\n'),
            escaped @ ('"' | '\\') => text.push(escaped),
            other => text.extend(['\\', other]),
        }
        rest = after.as_str();
    }
}

/// Reads the value, and lets a timestamp and an exemplar follow it.
fn value(rest: &str) -> Result<f64, BadLine> {
    let (number, rest) = split_while(skip_blanks(rest), |c| !BLANKS.contains(&c));
    let value = number.parse().map_err(|_| BadLine::Value)?;
    let (timestamp, rest) =
        split_while(skip_blanks(rest), |c| c.is_ascii_digit() || "+-.".contains(c));
    let rest = skip_blanks(rest);
    let known_end = rest.is_empty() || rest.starts_with('#');
    let known_timestamp = timestamp.is_empty() || timestamp.parse::<f64>().is_ok();
    if known_end && known_timestamp { Ok(value) } else { Err(BadLine::Trailing) }
}

const BLANKS: [char; 3] = [' ', '\t', '\r'];

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches(BLANKS)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn split_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(line: &str, name: &str, labels: &[(&str, &str)], value: f64) {
        let read: Vec<_> = samples(line.as_bytes()).collect();
        let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        assert_eq!(read, [Ok(Sample { name: name.into(), labels, value })], "{line}");
    }

    #[track_caller]
    fn check_bad(line: &str, why: BadLine) {
        assert_eq!(samples(line.as_bytes()).collect::<Vec<_>>(), [Err(why)], "{line}");
    }

    #[test]
    fn what_trips_other_parsers_is_read() {
        check(
            "vllm:num_requests_running{m=\"a\"} 3",
            "vllm:num_requests_running",
            &[("m", "a")],
            3.0,
        );
        check("a{x=\"1,2\",y=\"b\"} 1", "a", &[("x", "1,2"), ("y", "b")], 1.0);
        check("a{x=\"1}2\"} 1", "a", &[("x", "1}2")], 1.0);
        check("a{x=\"1=2\"} 1", "a", &[("x", "1=2")], 1.0);
        check(r#"a{x="say \"hi\"\\\n"} 1"#, "a", &[("x", "say \"hi\"\\\n")], 1.0);
        check(r#"a{x="C:\dir"} 1"#, "a", &[("x", "C:\\dir")], 1.0);
        check("a { x = \"1\" , y = \"2\" , } \t 3 ", "a", &[("x", "1"), ("y", "2")], 3.0);
        check("a{x=\"1\",} 1\r\n", "a", &[("x", "1")], 1.0);
        check("a 1", "a", &[], 1.0);
        check("{\"x.y\",l=\"v\"} 2", "x.y", &[("l", "v")], 2.0);
        check("{\"x.y\"} 2", "x.y", &[], 2.0);
        check("a{\"odd key\"=\"v\"} 2", "a", &[("odd key", "v")], 2.0);
        check("a{x=\"é\"} 2", "a", &[("x", "é")], 2.0);
        check("a{x=\"\"} 2", "a", &[("x", "")], 2.0);
        check(
            "a_bucket{le=\"1\"} 5 # {trace_id=\"abc\"} 0.7 1.6e9",
            "a_bucket",
            &[("le", "1")],
            5.0,
        );
        check("a 5 1700000000000", "a", &[], 5.0);
        check("a 5 1700000000000 # {} 1", "a", &[], 5.0);
        check("envoy_x{} 0", "envoy_x", &[], 0.0);
        check("a_sum{} 1147.82608695652179303579032421", "a_sum", &[], 1_147.826_086_956_521_8);
        check("a +Inf", "a", &[], f64::INFINITY);
        check("a -1.5e-3", "a", &[], -0.0015);
    }

    #[test]
    fn not_a_number_is_a_value() {
        let read: Vec<_> = samples(b"a NaN").collect();
        assert!(matches!(&read[..], [Ok(sample)] if sample.value.is_nan()));
    }

    #[test]
    fn broken_lines_say_why() {
        check_bad("no value here", BadLine::Value);
        check_bad("a", BadLine::Value);
        check_bad("a{x=\"1\"", BadLine::Labels);
        check_bad("a{x=\"1} 1", BadLine::Labels);
        check_bad("a{x=1} 1", BadLine::Labels);
        check_bad("a{x} 1", BadLine::Labels);
        check_bad("a{\"b\"} 1", BadLine::Labels);
        check_bad("a{x=\"1\" y=\"2\"} 1", BadLine::Labels);
        check_bad("a{,} 1", BadLine::Labels);
        check_bad("a{1x=\"1\"} 1", BadLine::Labels);
        check_bad("{A}0", BadLine::Labels);
        check_bad("{} 1", BadLine::Name);
        check_bad("1a 1", BadLine::Name);
        check_bad("<html>", BadLine::Name);
        check_bad("a 1 tail", BadLine::Trailing);
        check_bad("a 1 2 3", BadLine::Trailing);
        check_bad("a 1 1-1", BadLine::Trailing);
    }

    #[test]
    fn a_bad_line_costs_only_itself() {
        let page = b"# TYPE m counter\nm_total 1\n!!\nn 1\nm_total{a=\"b\"} 2\n\xff\xfe\nlast 9";
        let read: Vec<_> = samples(page).collect();
        let names: Vec<_> = read.iter().flatten().map(|s| s.name.as_ref()).collect();
        assert_eq!(names, ["m_total", "n", "m_total", "last"]);
        assert_eq!(read.iter().filter(|s| s.is_err()).count(), 2);
    }

    #[test]
    fn long_lines_and_label_floods_are_given_up() {
        check_bad(&format!("a{{x=\"{}\"}} 1", "y".repeat(MAX_LINE_BYTES)), BadLine::TooLong);
        let flood: String = (0..=MAX_LABELS).map(|i| format!("l{i}=\"v\",")).collect();
        check_bad(&format!("a{{{flood}}} 1"), BadLine::Labels);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(page: Vec<u8>) {
            samples(&page).for_each(drop);
        }

        #[test]
        fn near_misses_never_panic(page in r#"[a{}",=\\ #1.\n"é]{0,60}"#) {
            samples(page.as_bytes()).for_each(drop);
        }

        #[test]
        fn any_label_value_survives(value in "[^\r]*") {
            let escaped = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let line = format!("a{{x=\"{escaped}\"}} 1");
            let read: Vec<_> = samples(line.as_bytes()).collect();
            prop_assert_eq!(&read[0].as_ref().unwrap().labels[0].1, &value);
        }
    }
}
