//! The filter without wasm: the core, driven as the filter's shell drives it, over plain maps. Times and
//! callbacks are those of the harness's replays, so both must come to the same.

use gaugeway_core::stat::{self, Kind};
use gaugeway_core::{
    Config, End, Ending, FACT_HEADERS, HostTime, Observer, Record, Registry, RequestHead,
    ResponseHead, Shown, Stats,
};
use gaugeway_harness::exchange::Exchange;
use gaugeway_harness::replay::{Stat, StatValue};
use std::collections::BTreeMap;
use std::time::Duration;

/// Between request, response headers and end.
const STEP: Duration = Duration::from_millis(10);

/// The cluster that the harness routes to.
const UPSTREAM: &[u8] = b"upstream";

/// What the core made of an exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Filter state at the end.
    pub filter_state: BTreeMap<String, String>,
    /// All stats, sorted by name and labels.
    pub stats: Vec<Stat>,
}

/// The record of an exchange whose response body is cut at these offsets, which rise; one that comes twice
/// makes an empty piece. `None` when it is no LLM traffic.
pub fn record(exchange: &Exchange, cuts: &[usize]) -> Option<Record> {
    let (mut observer, _) = begin(exchange, STEP)?;
    let mut now = STEP * 2;
    for (at, piece) in pieces(exchange, cuts) {
        now = STEP * 2 + at;
        observer.response_chunk(Some(time(now)), piece, End::More);
    }
    now += STEP;
    observer.response_chunk(Some(time(now)), b"", End::Last);
    observer.finish(Some(time(now)), &ending())
}

/// What all of the core makes of an exchange that comes as it is.
pub fn replay(exchange: &Exchange) -> Seen {
    let (mut registry, mut stats) = (Registry::new(defaults()), PlainStats::default());
    registry.announce(&mut stats);
    registry.seen(&mut stats);
    let Some((mut observer, counted)) = begin(exchange, STEP) else {
        return Seen { filter_state: BTreeMap::new(), stats: stats.sorted() };
    };
    if counted {
        registry.active(&mut stats, UPSTREAM, 1);
    }
    let (mut now, mut gap_series) = (STEP * 2, None);
    let (mut filter_state, mut over) = (BTreeMap::new(), false);
    let mut chunk = |observer: &mut Observer, now, piece: &[u8], end| {
        let gaps = observer.response_chunk(Some(time(now)), piece, end);
        registry.gaps(&mut stats, observer, UPSTREAM, gaps, &mut gap_series);
        // What access logs see is written for the last time when the answer is over.
        if !std::mem::replace(&mut over, observer.is_over()) && over {
            let shown = &mut Shown::default();
            registry.state(observer, Some(time(now)), &ending(), shown, &mut |key, value| {
                filter_state.insert(key.to_owned(), value.to_owned());
            });
        }
    };
    for (at, piece) in pieces(exchange, &[]) {
        now = STEP * 2 + at;
        chunk(&mut observer, now, piece, End::More);
    }
    now += STEP;
    chunk(&mut observer, now, b"", End::Last);
    if counted {
        registry.active(&mut stats, UPSTREAM, -1);
    }
    if let Some(record) = observer.finish(Some(time(now)), &ending()) {
        registry.record(&mut stats, &record, UPSTREAM);
    }
    Seen { filter_state, stats: stats.sorted() }
}

/// The configuration of a filter that is given none.
fn defaults() -> Config {
    Config::parse(b"").expect("nothing is a configuration")
}

/// An observer that has seen the request and the response head, and whether the request's head alone was
/// proof of LLM traffic.
fn begin(exchange: &Exchange, at: Duration) -> Option<(Observer, bool)> {
    let request = |name| header(&exchange.request_headers, name);
    let head = RequestHead {
        method: request(":method").unwrap_or_default(),
        path: request(":path").unwrap_or_default(),
        content_encoding: request("content-encoding"),
        tenant: None,
    };
    let mut observer = Observer::start(Some(time(at)), &head)?;
    let certain = observer.is_certain();
    observer.request_chunk(&exchange.request_body);
    let response = |name| header(&exchange.response_headers, name);
    observer.response_head(&ResponseHead {
        status: exchange.status,
        content_type: response("content-type"),
        content_encoding: response("content-encoding"),
        facts: if observer.reads_facts() { FACT_HEADERS.map(response) } else { [None; _] },
    });
    Some((observer, certain))
}

/// The pieces of a body and when each comes after the response headers.
fn pieces<'a>(exchange: &'a Exchange, cuts: &[usize]) -> Vec<(Duration, &'a [u8])> {
    let mut pieces = Vec::new();
    let (mut start, mut cuts) = (0, cuts.iter().copied().peekable());
    for (at, end) in &exchange.arrivals {
        while let Some(cut) = cuts.next_if(|cut| cut < end) {
            pieces.push((*at, &exchange.body[start..cut]));
            start = cut;
        }
        pieces.push((*at, &exchange.body[start..*end]));
        start = *end;
    }
    pieces
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a [u8]> {
    let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_bytes())
}

fn time(since_start: Duration) -> HostTime {
    HostTime::from_nanos(u64::try_from(since_start.as_nanos()).expect("minutes at most"))
}

fn ending() -> Ending<'static> {
    Ending { flags: 0, details: b"via_upstream", reached_upstream: true }
}

/// Stats in plain maps, added up as Envoy does.
#[derive(Debug, Default)]
struct PlainStats(Vec<(String, StatValue)>);

impl PlainStats {
    fn sorted(self) -> Vec<Stat> {
        let mut stats: Vec<Stat> = self
            .0
            .into_iter()
            .map(|(name, value)| {
                let parsed = stat::parse(&name).expect("an encoded name");
                let own = |(label, value): (&str, &str)| (label.to_owned(), value.to_owned());
                let labels = parsed.labels.into_iter().map(own).collect();
                Stat { name: parsed.stat.to_owned(), labels, value }
            })
            .collect();
        stats.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
        stats
    }
}

impl Stats for PlainStats {
    fn define(&mut self, kind: Kind, name: &str) -> Option<u32> {
        let empty = match kind {
            Kind::Counter => StatValue::Counter { value: 0 },
            Kind::Gauge => StatValue::Gauge { value: 0 },
            Kind::Histogram => StatValue::Histogram { values: Vec::new() },
        };
        self.0.push((name.to_owned(), empty));
        u32::try_from(self.0.len() - 1).ok()
    }

    fn record(&mut self, id: u32, recorded: u64) {
        match &mut self.0[id as usize].1 {
            StatValue::Counter { value } => *value += recorded,
            StatValue::Gauge { value } => *value = recorded,
            StatValue::Histogram { values } => values.push(recorded),
        }
    }

    fn shift(&mut self, id: u32, by: i64) {
        if let StatValue::Gauge { value } = &mut self.0[id as usize].1 {
            *value = value.wrapping_add_signed(by);
        }
    }
}
