//! Turns Envoy's page into the filter's stats, by the catalogue that the filter wrote them with.

use std::collections::BTreeMap;

use gaugeway_core::stat::{Label, Stat};

use super::Histogram;
use super::read::Reader;

/// Most series that are kept of one page. The filter caps its labels long before; this bounds what
/// a page of someone else's can make us hold.
pub(super) const MAX_SERIES: usize = 50_000;

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
///
/// Kept as one text, sorted by name, because thousands are read, compared and copied at each tick.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels(Box<str>);

/// Between a name and its value, and after a value. No name has them, and none is left in a value.
const SEPARATORS: [char; 2] = ['\u{1}', '\u{2}'];

impl Labels {
    /// The value of a label.
    pub fn get(&self, label: Label) -> Option<&str> {
        self.iter().find(|(name, _)| *name == label.name()).map(|(_, value)| value)
    }

    /// All labels, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let [equals, end] = SEPARATORS;
        self.0.split_terminator(end).filter_map(move |label| label.split_once(equals))
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(labels: I) -> Self {
        let mut labels: Vec<_> = labels.into_iter().collect();
        labels.sort_unstable_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
        let length = |(name, value): &(K, V)| name.as_ref().len() + value.as_ref().len() + 2;
        let mut text = String::with_capacity(labels.iter().map(length).sum());
        let [equals, end] = SEPARATORS;
        for (name, value) in &labels {
            text.push_str(name.as_ref());
            text.push(equals);
            if value.as_ref().contains(SEPARATORS) {
                text.push_str(&value.as_ref().replace(SEPARATORS, "\u{fffd}"));
            } else {
                text.push_str(value.as_ref());
            }
            text.push(end);
        }
        Self(text.into())
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

impl EnvoyStats {
    /// Reads a page. Nothing can make it fail: what cannot be read is counted.
    pub fn read(page: &[u8]) -> Self {
        Reader::read(page)
    }

    /// The series of one stat.
    pub fn of(&self, stat: Stat) -> impl Iterator<Item = (&Series, &Value)> {
        let first = Series { stat, labels: Labels::default() };
        self.series.range(first..).take_while(move |(series, _)| series.stat == stat)
    }
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
    fn labels_are_sorted_and_no_value_can_forge_one() {
        let labels: Labels =
            [("upstream", "u"), ("model", "m\u{2}tenant\u{1}t")].into_iter().collect();
        let read: Vec<_> = labels.iter().collect();
        assert_eq!(read, [("model", "m\u{fffd}tenant\u{fffd}t"), ("upstream", "u")]);
        assert_eq!(labels.get(Label::Upstream), Some("u"));
        assert_eq!(labels.get(Label::Tenant), None);
        assert_eq!(Labels::default().iter().count(), 0);
    }

    #[test]
    fn a_label_whose_name_cannot_be_written_again_is_left_out() {
        let page =
            b"gaugeway_errors_total{\"\"=\"a\",\"x y\"=\"b\",\"1\"=\"c\",class=\"timeout\"} 1";
        let stats = EnvoyStats::read(page);
        assert!(stats.series.contains_key(&series(Stat::Errors, &[("class", "timeout")])));
    }

    #[test]
    fn a_histogram_may_be_interrupted() {
        let page = b"gaugeway_ttft_us_bucket{model=\"a\",le=\"1\"} 1\n\
            gaugeway_ttft_us_bucket{model=\"b\",le=\"1\"} 2\n\
            gaugeway_ttft_us_count{model=\"a\"} 3\n\
            gaugeway_ttft_us_bucket{model=\"a\",le=\"1\"} 4\n";
        let stats = EnvoyStats::read(page);
        let a = &stats.series[&series(Stat::Ttft, &[("model", "a")])];
        assert_eq!(
            *a,
            Value::Histogram(Histogram { buckets: vec![(1.0, 4.0)], sum: 0.0, count: 3.0 })
        );
        assert_eq!((stats.series.len(), stats.skipped.duplicates), (2, 1));
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
