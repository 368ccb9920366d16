//! From a record to the numbers that Envoy is given.

use crate::config::Slo;
use crate::outcome::{Mode, Outcome};
use crate::record::Record;
use crate::stat::Stat;
use crate::time::micros;
use crate::tokens::Counted;

/// One value for one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) stat: Stat,
    /// Values of the stat's extra labels, in the catalogue's order.
    pub(crate) extra: [&'static str; 2],
    pub(crate) value: u64,
}

impl Sample {
    pub(crate) const fn new(stat: Stat, extra: [&'static str; 2], value: u64) -> Self {
        Self { stat, extra, value }
    }
}

/// Hands on every sample of a record. `slos` are those of the record's model.
pub(crate) fn samples<'a>(
    record: &Record,
    tokens: &Counted,
    slos: impl Iterator<Item = &'a Slo>,
    emit: &mut impl FnMut(Sample),
) {
    let outcome = record.outcome.as_str();
    emit(Sample::new(Stat::Requests, [outcome, record.mode.as_str()], 1));
    if let Some((class, phase)) = record.error {
        emit(Sample::new(Stat::Errors, [class.as_str(), phase.as_str()], 1));
    }
    if let Some(finish) = record.finish {
        emit(Sample::new(Stat::Finishes, [finish.as_str(), ""], 1));
    }
    if let Some(reason) = record.usage_missing {
        emit(Sample::new(Stat::UsageMissing, [reason.as_str(), ""], 1));
    }
    for reason in record.degraded.iter() {
        emit(Sample::new(Stat::Degraded, [reason.as_str(), ""], 1));
    }
    count_tokens(record, tokens, emit);
    measure_times(record, emit);
    judge_slos(record, slos, emit);
}

fn count_tokens(record: &Record, tokens: &Counted, emit: &mut impl FnMut(Sample)) {
    let outcome = record.outcome.as_str();
    for (stat, tokens) in [(Stat::InputTokens, tokens.input), (Stat::OutputTokens, tokens.output)] {
        if let Some(tokens) = tokens {
            emit(Sample::new(stat, [tokens.source.as_str(), outcome], tokens.count));
        }
    }
    let usage = &record.usage;
    for (stat, count) in [
        (Stat::CacheReadInputTokens, usage.cache_read),
        (Stat::CacheWriteInputTokens, usage.cache_write),
        (Stat::ReasoningOutputTokens, usage.reasoning),
        (Stat::AudioInputTokens, usage.audio_input),
        (Stat::AudioOutputTokens, usage.audio_output),
    ] {
        if let Some(count) = count {
            emit(Sample::new(stat, [outcome, ""], count));
        }
    }
    for (stat, count) in
        [(Stat::RequestInputTokens, usage.input), (Stat::RequestOutputTokens, usage.output)]
    {
        if let Some(count) = count {
            emit(Sample::new(stat, ["", ""], count));
        }
    }
}

fn measure_times(record: &Record, emit: &mut impl FnMut(Sample)) {
    for (stat, sum, extra, span) in [
        (Stat::Duration, Some(Stat::DurationSum), record.mode.as_str(), record.duration),
        (Stat::Ttfb, None, "", record.ttfb),
        (Stat::Ttft, Some(Stat::TtftSum), "", record.ttft),
        (Stat::Ttfo, None, "", record.ttfo),
        (Stat::Tpot, Some(Stat::TpotSum), "", record.tpot),
        (Stat::MaxStall, None, "", record.max_stall),
    ] {
        let Some(span) = span.map(micros) else { continue };
        emit(Sample::new(stat, [extra, ""], span));
        if let Some(sum) = sum {
            emit(Sample::new(sum, ["", ""], span));
        }
    }
}

/// Goodput. A latency that an answer does not have (TTFT of a unary one, TPOT of a single token) meets
/// its SLO; a client that left says nothing about the server.
fn judge_slos<'a>(
    record: &Record,
    slos: impl Iterator<Item = &'a Slo>,
    emit: &mut impl FnMut(Sample),
) {
    let (mut eligible, mut good) = (false, record.outcome == Outcome::Success);
    if record.outcome == Outcome::ClientAbort {
        return;
    }
    for slo in slos {
        eligible = true;
        let ttft = record.ttft.filter(|_| record.mode == Mode::Stream);
        for (name, limit, span) in [
            ("ttft", slo.ttft, ttft),
            ("tpot", slo.tpot, record.tpot),
            ("duration", slo.duration, record.duration),
        ] {
            if limit.is_some_and(|limit| span.is_some_and(|span| span > limit)) {
                good = false;
                emit(Sample::new(Stat::SloViolated, [name, ""], 1));
            }
        }
    }
    if eligible {
        emit(Sample::new(Stat::SloEligible, ["", ""], 1));
        if good {
            emit(Sample::new(Stat::SloGood, ["", ""], 1));
        }
    }
}
