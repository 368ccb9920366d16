//! Turns Envoy's page into the filter's stats, by the catalogue that the filter wrote them with.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use gaugeway_core::stat::{Kind, Label, Stat};

use super::Histogram;
use crate::exposition::{Sample, samples};

/// Most series that are kept of one page. The filter caps its labels long before; this bounds what
/// a page of someone else's can make us hold.
const MAX_SERIES: usize = 50_000;

/// All that is read of one Envoy page. Times are in the catalogue's units, microseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvoyStats {
    /// The filter's stats.
    pub series: BTreeMap<Series, Value>,
    /// Finished downstream requests per HTTP stat prefix, the admin listener left out.
    pub requests_completed: BTreeMap<String, f64>,
    /// Requests in flight per upstream cluster.
    pub requests_active: BTreeMap<String, f64>,
    /// Seconds since Envoy started, as of its last stats flush.
    pub uptime_seconds: Option<f64>,
    /// What could not be read.
    pub skipped: Skipped,
}

/// One series of the filter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// Which stat.
    pub stat: Stat,
    /// Its labels.
    pub labels: Labels,
}

/// Labels as they stood on the page, those outside the catalogue included: an Envoy can add tags
/// of its own to every stat.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels(Vec<(Cow<'static, str>, String)>);

impl Labels {
    /// The value of a label.
    pub fn get(&self, label: Label) -> Option<&str> {
        self.iter().find(|(name, _)| *name == label.name()).map(|(_, value)| value)
    }

    /// All labels, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }
}

impl<K: AsRef<str>, V: Into<String>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(labels: I) -> Self {
        let mut labels: Vec<_> =
            labels.into_iter().map(|(name, value)| (intern(name.as_ref()), value.into())).collect();
        labels.sort_unstable();
        Self(labels)
    }
}

/// The catalogue's own text for its label names, so that thousands of series share them.
fn intern(name: &str) -> Cow<'static, str> {
    match Label::ALL.iter().find(|label| label.name() == name) {
        Some(label) => Cow::Borrowed(label.name()),
        None => Cow::Owned(name.to_owned()),
    }
}

/// What a series holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A counter or a gauge.
    Number(f64),
    /// A histogram.
    Histogram(Histogram),
}

impl Value {
    /// A counter's value as an integer; what is no count is absent.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked"
    )]
    pub fn as_count(&self) -> Option<u64> {
        /// Above 2^53 a float no longer counts in ones.
        const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
        match self {
            Self::Number(number) if (0.0..=MAX_EXACT).contains(number) => Some(*number as u64),
            Self::Number(_) | Self::Histogram(_) => None,
        }
    }
}

/// Lines that gave nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Lines outside the format.
    pub unreadable: u64,
    /// Series that came twice; the last one counts.
    pub duplicates: u64,
    /// Samples of the filter whose labels still stand in the name, because Envoy's bootstrap has
    /// no `stats_tags` for them. Prometheus' charset has made them unreadable.
    pub untagged: u64,
    /// Samples beyond the most series that are kept.
    pub over_limit: u64,
}

impl Skipped {
    /// All of them.
    pub fn total(self) -> u64 {
        self.unreadable + self.duplicates + self.untagged + self.over_limit
    }
}

/// The part of a series that one sample gives.
enum Part {
    Number,
    Bucket,
    Sum,
    Count,
}

impl EnvoyStats {
    /// Reads a page. Nothing can make it fail: what cannot be read is counted.
    pub fn read(page: &[u8]) -> Self {
        let mut stats = Self::default();
        for sample in samples(page) {
            match sample {
                Ok(sample) => stats.add(&sample),
                Err(_) => stats.skipped.unreadable += 1,
            }
        }
        stats
    }

    /// The series of one stat.
    pub fn of(&self, stat: Stat) -> impl Iterator<Item = (&Series, &Value)> {
        let first = Series { stat, labels: Labels::default() };
        self.series.range(first..).take_while(move |(series, _)| series.stat == stat)
    }

    fn add(&mut self, sample: &Sample<'_>) {
        let value = sample.value;
        match sample.name.as_ref() {
            "envoy_http_downstream_rq_completed" => {
                if let Some(prefix) = label(sample, "envoy_http_conn_manager_prefix")
                    && prefix != "admin"
                {
                    self.requests_completed.insert(prefix.to_owned(), value);
                }
            }
            "envoy_cluster_upstream_rq_active" => {
                if let Some(cluster) = label(sample, "envoy_cluster_name") {
                    self.requests_active.insert(cluster.to_owned(), value);
                }
            }
            "envoy_server_uptime" => self.uptime_seconds = Some(value),
            name => match stat_of(name) {
                Some((stat, part)) => self.add_part(stat, &part, sample),
                None if has_labels_in_name(name) => self.skipped.untagged += 1,
                None => {}
            },
        }
    }

    fn add_part(&mut self, stat: Stat, part: &Part, sample: &Sample<'_>) {
        // A name that only quotes allow could not be written again.
        let labels = sample.labels.iter().filter(|(name, _)| name != "le" && is_classic(name));
        let series = Series { stat, labels: labels.map(|(n, v)| (n, v.as_ref())).collect() };
        if self.series.len() >= MAX_SERIES && !self.series.contains_key(&series) {
            self.skipped.over_limit += 1;
            return;
        }
        let entry = self.series.entry(series);
        let fresh = match part {
            Part::Number => {
                let fresh = matches!(entry, Entry::Vacant(_));
                entry.insert_entry(Value::Number(sample.value));
                fresh
            }
            _ => match entry.or_insert_with(|| Value::Histogram(Histogram::default())) {
                Value::Histogram(histogram) => part.add_to(histogram, sample),
                // A stat's kind says which parts it has, so this series holds a histogram.
                Value::Number(_) => false,
            },
        };
        self.skipped.duplicates += u64::from(!fresh);
    }
}

impl Part {
    /// False when a bucket of that bound was there already or has no bound.
    fn add_to(&self, histogram: &mut Histogram, sample: &Sample<'_>) -> bool {
        match self {
            Self::Number => {}
            Self::Sum => histogram.sum = sample.value,
            Self::Count => histogram.count = sample.value,
            Self::Bucket => {
                let bound = label(sample, "le").and_then(|le| le.parse().ok());
                return bound.is_some_and(|bound| histogram.set_bucket(bound, sample.value));
            }
        }
        true
    }
}

fn label<'a>(sample: &'a Sample<'_>, name: &str) -> Option<&'a str> {
    sample.labels.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
}

fn is_classic(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The stat that a Prometheus name belongs to.
fn stat_of(name: &str) -> Option<(Stat, Part)> {
    let histogram = [("_bucket", Part::Bucket), ("_sum", Part::Sum), ("_count", Part::Count)];
    for (suffix, part) in histogram {
        if let Some(stat) = name.strip_suffix(suffix).and_then(Stat::from_name)
            && stat.spec().kind == Kind::Histogram
        {
            return Some((stat, part));
        }
    }
    let stat = Stat::from_name(name).filter(|stat| stat.spec().kind != Kind::Histogram)?;
    Some((stat, Part::Number))
}

/// Whether `name` is a stat of ours with its labels still encoded in front. Prometheus' charset has
/// turned the encoding's `;.;` into underscores by then.
fn has_labels_in_name(name: &str) -> bool {
    name.rsplit_once("___").is_some_and(|(_, stat)| stat_of(stat).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(stat: Stat, labels: &[(&str, &str)]) -> Series {
        Series { stat, labels: labels.iter().copied().collect() }
    }

    #[test]
    fn a_real_page_is_read() {
        let page = br#"# TYPE gaugeway_requests_total counter
gaugeway_requests_total{model="m/1:free",api="openai_chat",upstream="llama",outcome="success",mode="stream"} 7
# TYPE envoy_http_downstream_rq_completed counter
envoy_http_downstream_rq_completed{envoy_http_conn_manager_prefix="admin"} 3
envoy_http_downstream_rq_completed{envoy_http_conn_manager_prefix="ingress"} 9
# TYPE envoy_cluster_upstream_rq_active gauge
envoy_cluster_upstream_rq_active{envoy_cluster_name="llama"} 2
envoy_server_uptime{} 42
gaugeway_ttft_us_bucket{upstream="llama",le="1000"} 1
gaugeway_ttft_us_bucket{upstream="llama",le="5000"} 4
gaugeway_ttft_us_bucket{upstream="llama",le="+Inf"} 5
gaugeway_ttft_us_sum{upstream="llama"} 9000.5
gaugeway_ttft_us_count{upstream="llama"} 5
other_total{} 1
"#;
        let stats = EnvoyStats::read(page);
        let requests = series(
            Stat::Requests,
            &[
                ("upstream", "llama"),
                ("outcome", "success"),
                ("mode", "stream"),
                ("model", "m/1:free"),
                ("api", "openai_chat"),
            ],
        );
        assert_eq!(stats.series[&requests], Value::Number(7.0));
        let ttft = &stats.series[&series(Stat::Ttft, &[("upstream", "llama")])];
        let buckets = vec![(1000.0, 1.0), (5000.0, 4.0)];
        assert_eq!(*ttft, Value::Histogram(Histogram { buckets, sum: 9000.5, count: 5.0 }));
        assert_eq!(stats.series.len(), 2);
        assert_eq!(stats.requests_completed, [("ingress".to_owned(), 9.0)].into());
        assert_eq!(stats.requests_active, [("llama".to_owned(), 2.0)].into());
        assert_eq!(stats.uptime_seconds, Some(42.0));
        assert_eq!(stats.skipped, Skipped::default());
    }

    #[test]
    fn the_last_duplicate_counts_and_is_counted() {
        let stats =
            EnvoyStats::read(b"gaugeway_streams_seen_total 1\ngaugeway_streams_seen_total 2");
        assert_eq!(stats.series[&series(Stat::StreamsSeen, &[])], Value::Number(2.0));
        assert_eq!(stats.skipped.duplicates, 1);
    }

    #[test]
    fn tags_that_nobody_took_out_of_the_name_are_counted() {
        let page = b"model___gpt_4o_____api___openai_chat_____gaugeway_errors_total{} 1\n\
            wasmcustom_slo___ttft___gaugeway_slo_violated_total 1\n\
            model___m___gaugeway_ttft_us_bucket{le=\"1\"} 1\n";
        let stats = EnvoyStats::read(page);
        assert_eq!(stats.skipped, Skipped { untagged: 3, ..Skipped::default() });
        assert!(stats.series.is_empty());
    }

    #[test]
    fn a_histogram_name_without_suffix_and_a_counter_with_one_are_not_ours() {
        let stats = EnvoyStats::read(b"gaugeway_ttft_us 1\ngaugeway_errors_total_sum 1");
        assert!(stats.series.is_empty());
    }

    #[test]
    fn series_are_capped() {
        let page: String = (0..MAX_SERIES + 5)
            .map(|i| format!("gaugeway_errors_total{{model=\"{i}\"}} 1\n"))
            .collect();
        let stats = EnvoyStats::read(page.as_bytes());
        assert_eq!((stats.series.len(), stats.skipped.over_limit), (MAX_SERIES, 5));
    }
}
