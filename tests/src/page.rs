//! A reader of Prometheus text pages, for tests only: strict, and sharing no code with the agent's.

use std::collections::BTreeMap;

/// One sample line.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Metric name.
    pub name: String,
    /// Labels, unescaped.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// The label's value, empty when it has none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// A parsed page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Samples in page order.
    pub samples: Vec<Sample>,
}

impl Page {
    /// Reads a page. A line that is no comment and no sample is an error that names it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let samples = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| sample(line).ok_or_else(|| format!("not a sample: {line}")))
            .collect::<Result<_, _>>()?;
        Ok(Self { samples })
    }

    /// All samples of that name that carry all these labels.
    pub fn find<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            sample.name == name && labels.iter().all(|(key, value)| sample.label(key) == *value)
        })
    }

    /// The sum over [`Self::find`]; `None` when there is no such series.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.find(name, labels).map(|sample| sample.value).reduce(|a, b| a + b)
    }

    /// Sums the values of `name` by the values of some labels.
    pub fn sum_by<const N: usize>(&self, name: &str, by: [&str; N]) -> BTreeMap<[String; N], f64> {
        let mut sums = BTreeMap::new();
        for sample in self.find(name, &[]) {
            *sums.entry(by.map(|label| sample.label(label).to_owned())).or_default() +=
                sample.value;
        }
        sums
    }
}

fn sample(line: &str) -> Option<Sample> {
    let Some((name, rest)) = line.split_once('{') else {
        let (name, value) = line.split_once(' ')?;
        let value = value.split(' ').next()?.parse().ok()?;
        return Some(Sample { name: name.to_owned(), labels: BTreeMap::new(), value });
    };
    let (labels, rest) = labels(rest)?;
    let value = rest.trim_start().split(' ').next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// Reads `a="b",c="d"}` and gives what follows the brace.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(tail) = rest.strip_prefix('}') {
            return Some((labels, tail));
        }
        let (name, tail) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = tail.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.to_owned(), value);
        rest = &tail[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_labels_with_braces_commas_and_escapes() {
        let page =
            Page::parse("# TYPE a counter\na{b=\"x,}=\\\"\\\\\",c=\"\"} 3 1700\nd 0.5\ne{} 0\n")
                .unwrap();
        assert_eq!(page.samples[0].label("b"), "x,}=\"\\");
        assert_eq!(page.sum("a", &[("c", "")]), Some(3.0));
        assert_eq!(page.sum("d", &[]), Some(0.5));
        assert_eq!(page.sum("e", &[]), Some(0.0));
        assert_eq!(page.sum("f", &[]), None);
        assert!(Page::parse("what is this\n").is_err());
    }
}
