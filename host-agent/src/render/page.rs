//! Collects samples into families and writes them with the `prometheus` crate's encoder, which
//! escapes what must be.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::TextEncoder;
use prometheus::proto;

use crate::envoy::Histogram;

/// A page under construction.
#[derive(Default)]
pub(super) struct Page {
    families: BTreeMap<String, proto::MetricFamily>,
}

impl Page {
    /// Adds a sample of a counter.
    pub(super) fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let mut counter = proto::Counter::default();
        counter.set_value(value);
        let mut metric = proto::Metric::from_label(pairs(labels));
        metric.set_counter(counter);
        self.add(name, help, proto::MetricType::COUNTER, metric);
    }

    /// Adds a sample of a gauge.
    pub(super) fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        let mut metric = proto::Metric::from_label(pairs(labels));
        metric.set_gauge(gauge);
        self.add(name, help, proto::MetricType::GAUGE, metric);
    }

    /// Adds a histogram, its bounds and sum divided by `divisor`.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        histogram: &Histogram,
        divisor: f64,
    ) {
        let buckets = histogram.buckets.iter().map(|(bound, count)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound / divisor);
            bucket.set_cumulative_count(whole(*count));
            bucket
        });
        let mut written = proto::Histogram::default();
        written.set_bucket(buckets.collect());
        written.set_sample_sum(histogram.sum / divisor);
        written.set_sample_count(whole(histogram.count));
        let mut metric = proto::Metric::from_label(pairs(labels));
        metric.set_histogram(written);
        self.add(name, help, proto::MetricType::HISTOGRAM, metric);
    }

    fn add(&mut self, name: &str, help: &str, kind: proto::MetricType, metric: proto::Metric) {
        // Most samples belong to a family that is there, and then its name need not be copied.
        if let Some(family) = self.families.get_mut(name) {
            family.mut_metric().push(metric);
            return;
        }
        let mut family = proto::MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.mut_metric().push(metric);
        self.families.insert(name.to_owned(), family);
    }

    /// The page as text.
    pub(super) fn write(self) -> String {
        let mut text = String::new();
        for family in self.families.into_values() {
            // The encoder refuses families without name or sample, and there are none of those.
            if let Err(error) = TextEncoder::new().encode_utf8(&[family], &mut text) {
                log::error!("a metric family was left out: {error}");
            }
        }
        text
    }
}

/// A point in time as Prometheus writes it.
pub(super) fn unix_seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn pairs(labels: &[(&str, &str)]) -> Vec<proto::LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are whole and not negative; a cast saturates where a page lies"
)]
fn whole(count: f64) -> u64 {
    count as u64
}
