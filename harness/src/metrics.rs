//! Stats as plain data, with the rules of Envoy's `Context::{define,increment,record,get}Metric`.

use std::collections::{BTreeMap, HashMap};

use crate::abi::Status;

/// The kinds of stats, in the order of their ABI numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum MetricType {
    Counter,
    Gauge,
    Histogram,
}

/// What a stat holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A counter's sum. Wraps at 2^64, as Envoy's does.
    Counter(u64),
    /// A gauge's value. Going below 0 wraps, as it does in a release build of Envoy.
    Gauge(u64),
    /// Every recorded value in order, exactly; Envoy itself only keeps bins.
    Histogram(Vec<u64>),
}

/// All stats that the guest has defined.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    stats: BTreeMap<(MetricType, String), Value>,
    ids: HashMap<u32, (MetricType, String)>,
    next: [u32; 3],
}

impl Metrics {
    /// The counter of exactly this name, labels and all; `None` when it was never defined.
    pub fn counter(&self, name: &str) -> Option<u64> {
        match self.stats.get(&(MetricType::Counter, name.to_owned()))? {
            Value::Counter(value) => Some(*value),
            Value::Gauge(_) | Value::Histogram(_) => None,
        }
    }

    /// The gauge of exactly this name; `None` when it was never defined.
    pub fn gauge(&self, name: &str) -> Option<u64> {
        match self.stats.get(&(MetricType::Gauge, name.to_owned()))? {
            Value::Gauge(value) => Some(*value),
            Value::Counter(_) | Value::Histogram(_) => None,
        }
    }

    /// The values of the histogram of exactly this name; `None` when it was never defined.
    pub fn histogram(&self, name: &str) -> Option<&[u64]> {
        match self.stats.get(&(MetricType::Histogram, name.to_owned()))? {
            Value::Histogram(values) => Some(values),
            Value::Counter(_) | Value::Gauge(_) => None,
        }
    }

    /// Raw names and values, sorted by type, then name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.stats.iter().map(|((_, name), value)| (name.as_str(), value))
    }

    /// Names taken apart, sorted by name, labels and type.
    pub fn tagged(&self) -> Vec<TaggedStat> {
        let mut stats: Vec<_> = self
            .stats
            .iter()
            .map(|((kind, raw), value)| {
                let (name, labels) = untag(raw);
                (*kind, TaggedStat { name, labels, value: value.clone() })
            })
            .collect();
        stats.sort_by(|(a_kind, a), (b_kind, b)| {
            (&a.name, &a.labels, a_kind).cmp(&(&b.name, &b.labels, b_kind))
        });
        stats.into_iter().map(|(_, stat)| stat).collect()
    }

    /// How many ids were handed out: grows with every definition, even of a known name, so it shows a
    /// guest that defines a stat again for every stream.
    pub fn ids(&self) -> usize {
        self.ids.len()
    }

    /// `defineMetric`: every call makes a fresh id; the same name and type share one stat. Ids carry
    /// the type in their two low bits (`Wasm::kMetricTypeMask`).
    pub(crate) fn define(&mut self, type_code: u32, name: String) -> Result<u32, Status> {
        let (kind, empty) = match type_code {
            0 => (MetricType::Counter, Value::Counter(0)),
            1 => (MetricType::Gauge, Value::Gauge(0)),
            2 => (MetricType::Histogram, Value::Histogram(Vec::new())),
            _ => return Err(Status::BadArgument),
        };
        let [counters, gauges, histograms] = &mut self.next;
        let next = match kind {
            MetricType::Counter => counters,
            MetricType::Gauge => gauges,
            MetricType::Histogram => histograms,
        };
        *next = next.wrapping_add(4);
        let id = *next | type_code;
        self.stats.entry((kind, name.clone())).or_insert(empty);
        self.ids.insert(id, (kind, name));
        Ok(id)
    }

    /// `incrementMetric`: a counter takes only offsets above 0, a histogram none.
    pub(crate) fn increment(&mut self, id: u32, offset: i64) -> Result<(), Status> {
        match (id & 3, self.by_id(id)) {
            (0, Some(Value::Counter(sum))) => {
                let rise = u64::try_from(offset).ok().filter(|&rise| rise > 0);
                *sum = sum.wrapping_add(rise.ok_or(Status::BadArgument)?);
            }
            (1, Some(Value::Gauge(value))) => *value = value.wrapping_add_signed(offset),
            (0 | 1, _) => return Err(Status::NotFound),
            _ => return Err(Status::BadArgument),
        }
        Ok(())
    }

    /// `recordMetric`: adds to a counter, sets a gauge, records into a histogram.
    pub(crate) fn record(&mut self, id: u32, recorded: u64) -> Result<(), Status> {
        match self.by_id(id) {
            Some(Value::Counter(sum)) => *sum = sum.wrapping_add(recorded),
            Some(Value::Gauge(value)) => *value = recorded,
            Some(Value::Histogram(values)) => values.push(recorded),
            None => return Err(Status::NotFound),
        }
        Ok(())
    }

    /// `getMetric`: histograms cannot be read.
    pub(crate) fn get(&mut self, id: u32) -> Result<u64, Status> {
        match (id & 3, self.by_id(id)) {
            (0 | 1, Some(Value::Counter(value) | Value::Gauge(value))) => Ok(*value),
            (0 | 1, _) => Err(Status::NotFound),
            _ => Err(Status::BadArgument),
        }
    }

    fn by_id(&mut self, id: u32) -> Option<&mut Value> {
        self.stats.get_mut(self.ids.get(&id)?)
    }
}

/// A stat with its labels taken out of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedStat {
    /// The name without labels.
    pub name: String,
    /// Label names and values.
    pub labels: BTreeMap<String, String>,
    /// What it holds.
    pub value: Value,
}

/// Takes `tag=.=value;.;tag=.=value;.;metric` apart: the encoding that Istio's stats tags read
/// (istio `tools/packaging/common/envoy_bootstrap.json`). What has no `=.=` stays in the name, as it
/// does on Envoy's page.
fn untag(raw: &str) -> (String, BTreeMap<String, String>) {
    let mut name = String::new();
    let mut labels = BTreeMap::new();
    let mut rest = raw;
    while let Some((part, tail)) = rest.split_once(";.;") {
        match part.split_once("=.=") {
            Some((tag, value)) => {
                labels.insert(tag.to_owned(), value.to_owned());
            }
            None => {
                name.push_str(part);
                name.push_str(";.;");
            }
        }
        rest = tail;
    }
    name.push_str(rest);
    (name, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_gets_two_ids_and_one_stat() {
        let mut metrics = Metrics::default();
        let ids = [0, 0, 1, 2].map(|kind| metrics.define(kind, "m".into()).unwrap());
        assert_eq!(ids, [4, 8, 5, 6], "Envoy 1.40 hands out these very numbers");
        assert_eq!(metrics.define(3, "m".into()), Err(Status::BadArgument));
        metrics.increment(4, 1).unwrap();
        metrics.increment(8, 2).unwrap();
        assert_eq!(metrics.counter("m"), Some(3));
        assert_eq!(metrics.gauge("m"), Some(0));
        assert_eq!(metrics.ids(), 4);
    }

    #[test]
    fn each_type_takes_what_envoy_lets_it_take() {
        let mut metrics = Metrics::default();
        let [counter, gauge, histogram] =
            [0, 1, 2].map(|kind| metrics.define(kind, "m".into()).unwrap());
        for offset in [0, -1] {
            assert_eq!(metrics.increment(counter, offset), Err(Status::BadArgument));
        }
        assert_eq!(metrics.increment(histogram, 1), Err(Status::BadArgument));
        metrics.increment(gauge, 5).unwrap();
        metrics.increment(gauge, -2).unwrap();
        metrics.record(counter, 7).unwrap();
        metrics.record(histogram, 9).unwrap();
        metrics.record(histogram, 9).unwrap();
        assert_eq!(metrics.get(counter), Ok(7));
        assert_eq!(metrics.get(gauge), Ok(3));
        assert_eq!(metrics.get(histogram), Err(Status::BadArgument));
        assert_eq!(metrics.histogram("m"), Some(&[9, 9][..]));
        metrics.record(gauge, 1).unwrap();
        assert_eq!(metrics.gauge("m"), Some(1));
    }

    #[test]
    fn an_unknown_id_is_not_found() {
        let mut metrics = Metrics::default();
        assert_eq!(metrics.increment(400, 1), Err(Status::NotFound));
        assert_eq!(metrics.record(402, 1), Err(Status::NotFound));
        assert_eq!(metrics.get(401), Err(Status::NotFound));
        assert_eq!(metrics.counter("m"), None);
    }

    #[test]
    fn labels_come_out_of_the_name_and_what_is_no_label_stays() {
        let labels = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect()
        };
        for (raw, name, expected) in [
            ("plain", "plain", labels(&[])),
            ("a=.=1;.;b=.=x/y:z;.;m", "m", labels(&[("a", "1"), ("b", "x/y:z")])),
            ("odd;.;a=.=;.;m", "odd;.;m", labels(&[("a", "")])),
        ] {
            assert_eq!(untag(raw), (name.to_owned(), expected), "{raw}");
        }
    }
}
