//! Rules in a hurry: a minute lasts a second, so that a demo or a test sees in a minute what takes an hour.

/// A file of Prometheus rules with every range, offset, `for` and `interval` a sixtieth as long. Nothing else changes.
///
/// # Errors
///
/// Names the line whose time is no whole number of minutes.
pub(crate) fn hurry(rules: &str) -> Result<String, String> {
    let mut hurried = String::with_capacity(rules.len());
    for (number, line) in rules.lines().enumerate() {
        let line = hurry_line(line).map_err(|time| {
            format!("line {}: `{time}` is no whole number of minutes", number + 1)
        })?;
        hurried.push_str(&line);
        hurried.push('\n');
    }
    Ok(hurried)
}

fn hurry_line(line: &str) -> Result<String, String> {
    for key in ["for: ", "interval: "] {
        if let Some(time) = line.trim_start().strip_prefix(key) {
            return Ok(line.replace(time, &sixtieth(time)?));
        }
    }
    let mut parts = line.split('[');
    let mut hurried = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        hurried.push('[');
        match part.split_once(']') {
            Some((range, rest)) if is_time(range) => {
                hurried.push_str(&sixtieth(range)?);
                hurried.push(']');
                hurried.push_str(rest);
            }
            // A list in YAML, or a class of characters.
            _ => hurried.push_str(part),
        }
    }
    Ok(hurried)
}

fn is_time(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
}

/// `5m` as `5s`; the error is the time that cannot be shortened.
fn sixtieth(time: &str) -> Result<String, String> {
    let minutes = [("m", 1), ("h", 60), ("d", 24 * 60)].into_iter().find_map(|(unit, minutes)| {
        let count: u32 = time.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(minutes)
    });
    minutes.map(|minutes| format!("{minutes}s")).ok_or_else(|| time.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_change() {
        for (rule, hurried) in [
            ("    for: 10m", "    for: 10s"),
            ("  interval: 1m", "  interval: 1s"),
            ("  - record: model:requests:rate5m", "  - record: model:requests:rate5m"),
            (
                "    expr: rate(a[5m]) / rate(b{c=~\"[0-9]m\"}[3d])",
                "    expr: rate(a[5s]) / rate(b{c=~\"[0-9]m\"}[4320s])",
            ),
            (
                "    expr: avg_over_time(a:rate1h[1d]) > 60",
                "    expr: avg_over_time(a:rate1h[1440s]) > 60",
            ),
            ("rule_files: [a.yml]", "rule_files: [a.yml]"),
        ] {
            assert_eq!(hurry(rule), Ok(format!("{hurried}\n")));
        }
    }

    #[test]
    fn a_time_that_cannot_be_shortened_is_named() {
        let error = hurry("a\nexpr: rate(a[90s])").unwrap_err();
        assert!(error.contains("line 2") && error.contains("90s"), "{error}");
        assert!(hurry("for: soon").is_err());
    }
}
