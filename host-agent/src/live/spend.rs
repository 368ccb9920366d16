//! What a frame cost, in dollars and in joules, taken apart as the cost model does it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cost::{CostKey, CostReport, EnergyReport, Millijoules, NanoDollars};

/// Most lines of what is attributed; the largest are kept.
const MAX_LINES: usize = 512;

/// What a frame cost. The parts and the growth of what is pending add up to it.
#[derive(Serialize)]
pub(super) struct Spend<'a> {
    /// Since the report before this one.
    seconds: f64,
    attributed: Vec<Attributed<'a>>,
    idle: f64,
    unattributed: f64,
    /// Falls when what was pending is attributed.
    pending: f64,
}

/// What tokens cost.
#[derive(Serialize)]
struct Attributed<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    /// `ok`, `aborted` or `error`.
    outcome: &'static str,
    amount: f64,
}

/// The state of one currency. Nobody waits for Prometheus here: what is held back is attributed.
struct Books<'a> {
    attributed: BTreeMap<&'a CostKey, f64>,
    idle: f64,
    unattributed: f64,
    pending: f64,
}

pub(super) fn dollars<'a>(before: &CostReport, now: &'a CostReport, seconds: f64) -> Spend<'a> {
    Spend::between(Books::dollars(before), Books::dollars(now), seconds)
}

/// `None` while no GPU has measured any.
pub(super) fn joules<'a>(
    before: &CostReport,
    now: &'a CostReport,
    seconds: f64,
) -> Option<Spend<'a>> {
    let (before, now) = (before.energy.as_ref()?, now.energy.as_ref()?);
    Some(Spend::between(Books::joules(before), Books::joules(now), seconds))
}

impl<'a> Spend<'a> {
    fn between(before: Books<'_>, now: Books<'a>, seconds: f64) -> Self {
        let mut lines = BTreeMap::<(&str, Option<&str>, &'static str), f64>::new();
        for (key, sum) in now.attributed {
            let grown = sum - before.attributed.get(key).copied().unwrap_or(0.0);
            if grown > 0.0 {
                let line = (key.model.as_str(), key.tenant.as_deref(), key.outcome.as_str());
                *lines.entry(line).or_default() += grown;
            }
        }
        let line = |((model, tenant, outcome), sum)| Attributed {
            model,
            tenant,
            outcome,
            amount: short(sum),
        };
        let mut attributed: Vec<_> = lines.into_iter().map(line).collect();
        if attributed.len() > MAX_LINES {
            attributed.sort_by(|a, b| b.amount.total_cmp(&a.amount));
            attributed.truncate(MAX_LINES);
        }
        Self {
            seconds,
            attributed,
            idle: short((now.idle - before.idle).max(0.0)),
            unattributed: short((now.unattributed - before.unattributed).max(0.0)),
            pending: short(now.pending - before.pending),
        }
    }
}

impl<'a> Books<'a> {
    fn dollars(report: &'a CostReport) -> Self {
        Self {
            attributed: by_key(report.attributed.iter().chain(&report.held), NanoDollars::dollars),
            idle: report.idle.iter().map(|(_, _, sum)| sum.dollars()).sum(),
            unattributed: report.unattributed.iter().map(|(_, sum)| sum.dollars()).sum(),
            pending: (report.pending - report.held.iter().map(|(_, sum)| *sum).sum()).dollars(),
        }
    }

    fn joules(report: &'a EnergyReport) -> Self {
        Self {
            attributed: by_key(report.attributed.iter().chain(&report.held), Millijoules::joules),
            idle: report.idle.iter().map(|(_, sum)| sum.joules()).sum(),
            unattributed: report.unattributed.iter().map(|(_, sum)| sum.joules()).sum(),
            pending: (report.pending - report.held.iter().map(|(_, sum)| *sum).sum()).joules(),
        }
    }
}

/// To the nano-dollar, which is exact: sums of floats have digits that mean nothing.
fn short(amount: f64) -> f64 {
    (amount * 1e9).round() / 1e9
}

fn by_key<'a, A: Copy + 'a>(
    lines: impl Iterator<Item = &'a (CostKey, A)>,
    amount: fn(A) -> f64,
) -> BTreeMap<&'a CostKey, f64> {
    let mut sums = BTreeMap::new();
    for (key, sum) in lines {
        *sums.entry(key).or_default() += amount(*sum);
    }
    sums
}
