//! Replays an exchange through a module and says what the module made of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::abi::End;
use crate::error::VmError;
use crate::exchange::Exchange;
use crate::metrics::{TaggedStat, Value};
use crate::module::Module;
use crate::split::{Cuts, Split};
use crate::vm::Vm;

/// Between the steps of a stream: request, response headers, end. Chunks that the exchange gives no
/// time arrive together with the response headers, so that no time depends on where they are cut.
const STEP: Duration = Duration::from_millis(10);

/// What a module made of an exchange; one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replay {
    /// The exchange.
    pub name: String,
    /// Filter state at the end, as text.
    pub filter_state: BTreeMap<String, String>,
    /// All stats, sorted by name and labels.
    pub stats: Vec<Stat>,
    /// No byte or header was changed or held, and every callback returned Continue.
    pub passthrough: bool,
    /// Fuel of the stream's callbacks, without the start of the VM.
    pub fuel: u64,
    /// Linear memory after the stream.
    pub memory_bytes: usize,
    /// With [`Split::Every`], how many cuts were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splits: Option<usize>,
    /// With [`Split::Every`], the cuts that gave another filter state, other stats or no passthrough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splits_differ: Option<Vec<usize>>,
}

/// One stat, with its labels out of its name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stat {
    /// Name without labels.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Type and value.
    #[serde(flatten)]
    pub value: StatValue,
}

/// What a stat holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum StatValue {
    /// Sum of a counter.
    Counter {
        /// The sum.
        value: u64,
    },
    /// Value of a gauge.
    Gauge {
        /// The value.
        value: u64,
    },
    /// All values of a histogram, in order.
    Histogram {
        /// The values.
        values: Vec<u64>,
    },
}

impl Replay {
    /// Whether both runs measured the same. Fuel and memory may differ: more callbacks cost more.
    fn agrees_with(&self, other: &Self) -> bool {
        self.filter_state == other.filter_state
            && self.stats == other.stats
            && self.passthrough == other.passthrough
    }
}

impl From<TaggedStat> for Stat {
    fn from(TaggedStat { name, labels, value }: TaggedStat) -> Self {
        let value = match value {
            Value::Counter(value) => StatValue::Counter { value },
            Value::Gauge(value) => StatValue::Gauge { value },
            Value::Histogram(values) => StatValue::Histogram { values },
        };
        Self { name, labels, value }
    }
}

/// Replays `exchange` in a fresh VM; with [`Split::Every`] in one more for each cut.
///
/// # Errors
/// As [`Module::configure`] and [`crate::Stream::request_headers`].
pub fn replay(
    module: &Module,
    config: &[u8],
    exchange: &Exchange,
    split: Split,
) -> Result<Replay, VmError> {
    let (request, body) = (exchange.request_body.len(), exchange.body.len());
    let run =
        |request: &Cuts, body: &Cuts| run(&module.configure(config)?, exchange, request, body);
    match split {
        Split::Whole => run(&Cuts::none(), &Cuts::none()),
        Split::Bytes => run(&Cuts::bytes(request), &Cuts::bytes(body)),
        Split::Random(mut seed) => {
            run(&Cuts::random(&mut seed, request), &Cuts::random(&mut seed, body))
        }
        Split::Every => {
            let mut whole = run(&Cuts::none(), &Cuts::none())?;
            let splits = request.max(body).saturating_sub(1);
            let mut differ = Vec::new();
            for number in 0..splits {
                let cut = run(&Cuts::single(number, request), &Cuts::single(number, body))?;
                if !cut.agrees_with(&whole) {
                    differ.push(number + 1);
                }
            }
            whole.splits = Some(splits);
            whole.splits_differ = Some(differ);
            Ok(whole)
        }
    }
}

/// One stream from request to log. It ends as chunked HTTP/1 does in Envoy: with an empty chunk that
/// carries the end flag.
fn run(vm: &Vm, exchange: &Exchange, request: &Cuts, body: &Cuts) -> Result<Replay, VmError> {
    let mut stream = vm.stream();
    for (path, value) in [
        (["xds", "cluster_name"], "upstream"),
        (["request", "id"], "00000000-0000-4000-8000-000000000000"),
    ] {
        stream.set_property(&path, value);
    }
    let end = if exchange.request_body.is_empty() { End::Last } else { End::More };
    stream.request_headers(&exchange.request_headers, end)?;
    if !exchange.request_body.is_empty() {
        let whole = [(Duration::ZERO, exchange.request_body.len())];
        for (_, chunk) in request.chunks(&exchange.request_body, &whole) {
            stream.request_body(chunk, End::More)?;
        }
        stream.request_body(b"", End::Last)?;
    }

    vm.advance(STEP);
    stream.set_property(&["upstream", "address"], "127.0.0.1:8000");
    stream.set_property(&["response", "code"], u64::from(exchange.status).to_le_bytes());
    stream.response_headers(&exchange.response_headers, End::More)?;
    let mut now = Duration::ZERO;
    for (at, chunk) in body.chunks(&exchange.body, &exchange.arrivals) {
        vm.advance(at.saturating_sub(now));
        now = now.max(at);
        stream.response_body(chunk, End::More)?;
    }
    vm.advance(STEP);
    stream.response_body(b"", End::Last)?;

    stream.set_property(&["response", "flags"], 0_u64.to_le_bytes());
    stream.set_property(&["response", "code_details"], "via_upstream");
    let stream = stream.finish()?;
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Ok(Replay {
        name: exchange.name.clone(),
        passthrough: stream.passthrough(),
        fuel: stream.fuel(),
        filter_state: stream.filter_state.iter().map(|(k, v)| (k.clone(), text(v))).collect(),
        stats: vm.metrics().tagged().into_iter().map(Stat::from).collect(),
        memory_bytes: vm.memory_bytes(),
        splits: None,
        splits_differ: None,
    })
}
