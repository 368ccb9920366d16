//! What one VM keeps across streams: admitted labels, series ids, learnt token rates.

use crate::config::{Config, Slo};
use crate::degraded::Degraded;
use crate::ending::Ending;
use crate::endpoint::Api;
use crate::estimate::Rates;
use crate::label::{LabelId, LabelTable};
use crate::observer::{Gaps, Observer};
use crate::record::Record;
use crate::samples::{Sample, samples};
use crate::stat::{self, Kind, Label, Scope, Stat};
use crate::state::{Shown, state};
use crate::time::{HostTime, micros};
use crate::tokens::{Counted, count};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Takes stats. Envoy's host calls, and plain maps in tests.
pub trait Stats {
    /// Creates the stat of this encoded name; `None` when the host refuses.
    fn define(&mut self, kind: Kind, name: &str) -> Option<u32>;
    /// Adds to a counter, sets a gauge, records into a histogram.
    fn record(&mut self, id: u32, value: u64);
    /// Moves a gauge.
    fn shift(&mut self, id: u32, by: i64);
}

/// Upstream clusters that get a label of their own.
const MAX_UPSTREAMS: u16 = 256;

/// Labels, series and rates of one VM.
#[derive(Debug)]
pub struct Registry {
    config: Config,
    models: LabelTable,
    tenants: LabelTable,
    upstreams: LabelTable,
    /// By model label.
    rates: Vec<Rates>,
    /// Host ids.
    series: BTreeMap<Key, u32>,
}

/// A series: a stat with its label values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    stat: Stat,
    traffic: Traffic,
    extra: [&'static str; 2],
}

/// The label values that name the traffic. Those that a stat does not carry are left at their default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Traffic {
    model: LabelId,
    api: Option<Api>,
    upstream: LabelId,
    tenant: LabelId,
}

impl Traffic {
    const NONE: Self = Self {
        model: LabelId::UNKNOWN,
        api: None,
        upstream: LabelId::UNKNOWN,
        tenant: LabelId::UNKNOWN,
    };

    /// Only what `stat` carries, so that equal series have equal keys.
    fn seen_by(self, stat: Stat) -> Self {
        let spec = stat.spec();
        match spec.scope {
            Scope::Global => Self::NONE,
            Scope::Upstream => Self { upstream: self.upstream, ..Self::NONE },
            Scope::Stream if spec.tenant => self,
            Scope::Stream => Self { tenant: LabelId::UNKNOWN, ..self },
        }
    }
}

impl Registry {
    /// An empty registry that works as `config` says.
    pub fn new(config: Config) -> Self {
        let labels = config.models.iter().map(|rule| rule.label.as_str());
        let models = LabelTable::new(labels, config.max_models);
        let (allow, max) =
            config.tenant.as_ref().map_or((&[][..], 0), |tenant| (&tenant.allow, tenant.max));
        let tenants = LabelTable::new(allow.iter().map(String::as_str), max);
        let upstreams = LabelTable::new([], MAX_UPSTREAMS);
        Self { config, models, tenants, upstreams, rates: Vec::new(), series: BTreeMap::new() }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Says that the filter is here.
    pub fn announce(&mut self, stats: &mut impl Stats) {
        let version = env!("CARGO_PKG_VERSION");
        self.emit(stats, Traffic::NONE, Sample::new(Stat::BuildInfo, [version, ""], 1));
    }

    /// An HTTP stream has reached the filter, whatever it is.
    pub fn seen(&mut self, stats: &mut impl Stats) {
        self.emit(stats, Traffic::NONE, Sample::new(Stat::StreamsSeen, ["", ""], 1));
    }

    /// LLM requests to `upstream` that are in flight become more or fewer. Whether that could be recorded:
    /// what did not go up must not come down.
    pub fn active(&mut self, stats: &mut impl Stats, upstream: &[u8], by: i64) -> bool {
        let upstream = self.upstreams.admit(upstream);
        let key = Key {
            stat: Stat::ActiveStreams,
            traffic: Traffic { upstream, ..Traffic::NONE },
            extra: ["", ""],
        };
        self.id(stats, key).inspect(|id| stats.shift(*id, by)).is_some()
    }

    /// Gaps between generated events of a running stream, which looks its series up only once.
    pub fn gaps(
        &mut self,
        stats: &mut impl Stats,
        observer: &Observer,
        upstream: &[u8],
        gaps: Gaps,
        series: &mut Option<u32>,
    ) {
        if !self.config.inter_chunk || gaps == Gaps::default() {
            return;
        }
        if series.is_none() {
            *series = self.gap_series(stats, observer, upstream);
        }
        if let Some(id) = *series {
            for gap in gaps.iter() {
                stats.record(id, micros(gap));
            }
        }
    }

    fn gap_series(
        &mut self,
        stats: &mut impl Stats,
        observer: &Observer,
        upstream: &[u8],
    ) -> Option<u32> {
        let traffic = Traffic {
            model: self.model_label(observer.model()),
            api: Some(observer.api()),
            upstream: self.upstreams.admit(upstream),
            tenant: LabelId::UNKNOWN,
        };
        self.id(stats, Key { stat: Stat::InterChunk, traffic, extra: ["", ""] })
    }

    /// A stream is over.
    pub fn record(&mut self, stats: &mut impl Stats, record: &Record, upstream: &[u8]) {
        let model = self.model_label(record.model.as_deref());
        let traffic = Traffic {
            model,
            api: Some(record.api),
            upstream: self.upstreams.admit(upstream),
            tenant: self.tenant_label(record.tenant.as_deref()),
        };
        self.count_overflow(stats, traffic);
        self.learn(model, record);
        let tokens = count(record, self.rates.get(model.index()));
        let mut all = Vec::with_capacity(32);
        samples(record, &tokens, self.slos(record), &mut |sample| all.push(sample));
        for sample in all {
            self.emit(stats, traffic, sample);
        }
    }

    /// What a running or finished stream looks like in filter state, as far as that is not `shown`.
    pub fn state(
        &self,
        observer: &Observer,
        at: Option<HostTime>,
        ending: &Ending<'_>,
        shown: &mut Shown,
        set: &mut impl FnMut(&'static str, &str),
    ) {
        let record = observer.so_far(at, ending);
        let tokens = self.count(&record);
        state(&record, observer.generated_events(), &tokens, observer.is_over(), shown, set);
    }

    fn count(&self, record: &Record) -> Counted {
        let name = self.model_name(record.model.as_deref());
        let rates = self.models.find(name).and_then(|model| self.rates.get(model.index()));
        count(record, rates)
    }

    fn slos<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = &'a Slo> {
        let model = record.model.as_deref().unwrap_or_default();
        self.config.slos.iter().filter(|slo| slo.pattern.matches(model))
    }

    /// The configured label of a model, else its own name.
    fn model_name<'a>(&'a self, model: Option<&'a [u8]>) -> &'a [u8] {
        let model = model.unwrap_or_default();
        let rule = self.config.models.iter().find(|rule| rule.pattern.matches(model));
        rule.map_or(model, |rule| rule.label.as_bytes())
    }

    fn model_label(&mut self, model: Option<&[u8]>) -> LabelId {
        let model = model.unwrap_or_default();
        let rule = self.config.models.iter().find(|rule| rule.pattern.matches(model));
        self.models.admit(rule.map_or(model, |rule| rule.label.as_bytes()))
    }

    fn tenant_label(&mut self, tenant: Option<&[u8]>) -> LabelId {
        let Some(tenant) = tenant else { return LabelId::UNKNOWN };
        if self.config.tenant.as_ref().is_some_and(|config| config.hash) {
            self.tenants.admit(hashed(tenant).as_bytes())
        } else {
            self.tenants.admit(tenant)
        }
    }

    fn count_overflow(&mut self, stats: &mut impl Stats, traffic: Traffic) {
        for (label, id) in [
            (Label::Model, traffic.model),
            (Label::Upstream, traffic.upstream),
            (Label::Tenant, traffic.tenant),
        ] {
            if id == LabelId::OTHER {
                let sample = Sample::new(Stat::LabelOverflow, [label.name(), ""], 1);
                self.emit(stats, Traffic::NONE, sample);
            }
        }
    }

    fn learn(&mut self, model: LabelId, record: &Record) {
        let Some(work) = record.work else { return };
        if self.rates.len() <= model.index() {
            self.rates.resize_with(model.index().saturating_add(1), Rates::default);
        }
        let Some(rates) = self.rates.get_mut(model.index()) else { return };
        if let Some(tokens) = record.streamed_output {
            rates.learn_output(work, tokens);
        }
        if let Some(tokens) = record.usage.input {
            rates.learn_input(work, tokens);
        }
    }

    fn emit(&mut self, stats: &mut impl Stats, traffic: Traffic, sample: Sample) {
        let Sample { stat, extra, value } = sample;
        let known = self.series.len();
        if let Some(id) = self.id(stats, Key { stat, traffic: traffic.seen_by(stat), extra }) {
            // A 0 makes a counter appear, and changes none that is there already.
            if value > 0 || stat.spec().kind != Kind::Counter || self.series.len() > known {
                stats.record(id, value);
            }
        }
    }

    /// The host's id of a series. Resolved once: `define_metric` takes a lock and a fresh id each time.
    fn id(&mut self, stats: &mut impl Stats, key: Key) -> Option<u32> {
        if let Some(id) = self.series.get(&key) {
            return Some(*id);
        }
        let room = usize::try_from(self.config.max_series).unwrap_or(usize::MAX);
        let global = key.stat.spec().scope == Scope::Global;
        if self.series.len() >= room && !global {
            self.lost(stats);
            return None;
        }
        let id = stats.define(key.stat.spec().kind, &self.name(key));
        match id {
            Some(id) => drop(self.series.insert(key, id)),
            // A host that refuses now may agree when the series is needed again.
            None if !global => self.lost(stats),
            None => {}
        }
        id
    }

    /// A sample could not be recorded.
    fn lost(&mut self, stats: &mut impl Stats) {
        let reason = Degraded::SeriesFull.as_str();
        self.emit(stats, Traffic::NONE, Sample::new(Stat::Degraded, [reason, ""], 1));
    }

    fn name(&self, key: Key) -> String {
        let spec = key.stat.spec();
        let traffic = key.traffic;
        let with_tenant = spec.tenant && self.config.tenant.is_some();
        let tenant = with_tenant.then(|| (Label::Tenant, self.tenants.name(traffic.tenant)));
        let scope = spec.scope.labels().iter().map(|label| {
            if *label == Label::Model {
                (*label, self.models.name(traffic.model))
            } else if *label == Label::Api {
                (*label, traffic.api.map_or("unknown", Api::as_str))
            } else {
                (*label, self.upstreams.name(traffic.upstream))
            }
        });
        let extra = spec.extra.iter().copied().zip(key.extra);
        stat::encode(spec.name, scope.chain(tenant).chain(extra))
    }
}

/// A name that tells tenants apart and tells nothing of them: 12 hex digits of SHA-256.
fn hashed(tenant: &[u8]) -> String {
    let digest = Sha256::digest(tenant);
    digest.iter().take(6).fold(String::with_capacity(12), |mut hex, byte| {
        for digit in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        hex
    })
}

#[cfg(test)]
#[path = "registry/tests.rs"]
mod tests;
