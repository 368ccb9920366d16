//! The tokens of one answer with their provenance.

use crate::estimate::Rates;
use crate::outcome::Source;
use crate::record::Record;

/// A token count and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) count: u64,
    pub(crate) source: Source,
}

/// Input and output tokens of an answer. Absent is unknown, not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) input: Option<Tokens>,
    pub(crate) output: Option<Tokens>,
}

/// What was reported; where nothing was and the upstream did take the request on, an estimate.
pub(crate) fn count(record: &Record, rates: Option<&Rates>) -> Counted {
    let unknown = Rates::default();
    let rates = rates.unwrap_or(&unknown);
    let work = record.work;
    let either = |reported: Option<u64>, estimate: Option<u64>| {
        let reported = reported.map(|count| Tokens { count, source: Source::Reported });
        reported.or_else(|| Some(Tokens { count: estimate?, source: Source::Estimated }))
    };
    // Embeddings and the like generate nothing: no output was seen, so none is estimated.
    Counted {
        input: either(record.usage.input, work.and_then(|work| rates.input(work))),
        output: either(record.usage.output, work.and_then(|work| rates.output(work))),
    }
}
