//! Reads Envoy's page line by line into [`EnvoyStats`].
//!
//! A page of thousands of series is read every few seconds beside a GPU, so this is made to be cheap:
//! the twenty lines of a histogram come one after the other, and only the first is looked up.

use std::borrow::Cow;
use std::collections::btree_map::Entry;

use gaugeway_core::stat::{Kind, Stat};

use super::stats::MAX_SERIES;
use super::{EnvoyStats, Histogram, Series, Value};
use crate::exposition::{Sample, samples};

/// A page that is being read.
#[derive(Default)]
pub(super) struct Reader<'page> {
    stats: EnvoyStats,
    /// The name of the line before and the stat that it belongs to.
    name: Cow<'page, str>,
    stat: Option<(Stat, Part)>,
    /// The histogram that the line before belongs to; not among the series until it is complete.
    open: Option<Open<'page>>,
}

struct Open<'page> {
    stat: Stat,
    /// As on the page, `le` left out.
    labels: Vec<(Cow<'page, str>, Cow<'page, str>)>,
    series: Series,
    histogram: Histogram,
}

/// The part of a series that one line gives.
#[derive(Clone, Copy)]
enum Part {
    Number,
    Bucket,
    Sum,
    Count,
}

impl<'page> Reader<'page> {
    pub(super) fn read(page: &'page [u8]) -> EnvoyStats {
        let mut reader = Self::default();
        for sample in samples(page) {
            match sample {
                Ok(sample) => reader.add(sample),
                Err(_) => reader.stats.skipped.unreadable += 1,
            }
        }
        reader.close();
        reader.stats
    }

    fn add(&mut self, sample: Sample<'page>) {
        let value = sample.value;
        match sample.name.as_ref() {
            "envoy_http_downstream_rq_completed" => {
                if let Some(prefix) = label(&sample, "envoy_http_conn_manager_prefix")
                    && prefix != "admin"
                {
                    self.stats.requests_completed.insert(prefix.to_owned(), value);
                }
            }
            "envoy_cluster_upstream_rq_active" => {
                if let Some(cluster) = label(&sample, "envoy_cluster_name") {
                    self.stats.requests_active.insert(cluster.to_owned(), value);
                }
            }
            "envoy_server_uptime" => self.stats.uptime_seconds = Some(value),
            name => {
                if name != self.name {
                    self.stat = stat_of(name);
                    self.name = sample.name.clone();
                }
                match self.stat {
                    Some((stat, Part::Number)) => self.add_number(stat, &sample),
                    Some((stat, part)) => self.add_part(stat, part, sample),
                    None if has_labels_in_name(&self.name) => self.stats.skipped.untagged += 1,
                    None => {}
                }
            }
        }
    }

    fn add_number(&mut self, stat: Stat, sample: &Sample<'_>) {
        let series = series(stat, &sample.labels);
        if self.is_over_limit(&series) {
            return;
        }
        match self.stats.series.entry(series) {
            Entry::Vacant(entry) => drop(entry.insert(Value::Number(sample.value))),
            Entry::Occupied(mut entry) => {
                entry.insert(Value::Number(sample.value));
                self.stats.skipped.duplicates += 1;
            }
        }
    }

    fn add_part(&mut self, stat: Stat, part: Part, mut sample: Sample<'page>) {
        let le = sample.labels.iter().position(|(name, _)| name == "le");
        let le = le.map(|place| sample.labels.remove(place).1);
        let same = |open: &Open<'_>| open.stat == stat && open.labels == sample.labels;
        if !self.open.as_ref().is_some_and(same) {
            self.close();
            let series = series(stat, &sample.labels);
            if self.is_over_limit(&series) {
                return;
            }
            // A page may come back to a histogram after others.
            let histogram = match self.stats.series.remove(&series) {
                Some(Value::Histogram(histogram)) => histogram,
                Some(Value::Number(_)) | None => Histogram::default(),
            };
            self.open = Some(Open { stat, labels: sample.labels, series, histogram });
        }
        let Some(Open { histogram, .. }) = &mut self.open else { return };
        match part {
            Part::Number => {}
            Part::Sum => histogram.sum = sample.value,
            Part::Count => histogram.count = sample.value,
            Part::Bucket => {
                let bound = le.and_then(|le| le.parse().ok());
                let fresh = bound.is_some_and(|bound| histogram.set_bucket(bound, sample.value));
                self.stats.skipped.duplicates += u64::from(!fresh);
            }
        }
    }

    /// Puts the open histogram among the series.
    fn close(&mut self) {
        if let Some(Open { series, histogram, .. }) = self.open.take() {
            self.stats.series.insert(series, Value::Histogram(histogram));
        }
    }

    fn is_over_limit(&mut self, series: &Series) -> bool {
        let over = self.stats.series.len() >= MAX_SERIES && !self.stats.series.contains_key(series);
        self.stats.skipped.over_limit += u64::from(over);
        over
    }
}

fn series(stat: Stat, labels: &[(Cow<'_, str>, Cow<'_, str>)]) -> Series {
    // A name that only quotes allow could not be written again.
    let labels = labels.iter().filter(|(name, _)| name != "le" && is_classic(name));
    Series { stat, labels: labels.map(|(name, value)| (name, value.as_ref())).collect() }
}

fn label<'a>(sample: &'a Sample<'_>, name: &str) -> Option<&'a str> {
    sample.labels.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
}

fn is_classic(name: &str) -> bool {
    name.starts_with(|c: char| !c.is_ascii_digit())
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
