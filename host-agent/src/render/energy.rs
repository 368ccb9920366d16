//! The energy of the cost model, in joules.

use super::page::Page;
use crate::cost::{EnergyReport, Millijoules};

/// What was measured and its parts. They sum up: measured = attributed + idle + unattributed + pending.
pub(super) fn add(page: &mut Page, energy: &EnergyReport) {
    let mut joules = |name: &str, help: &str, labels: &[(&str, &str)], sum: Millijoules| {
        page.counter(name, help, labels, sum.joules());
    };
    joules(
        "gaugeway_energy_measured_joules_total",
        "What all GPUs have used while the agent could read them.",
        &[],
        energy.measured,
    );
    for (key, sum) in &energy.attributed {
        let mut labels = vec![
            ("model", key.model.as_str()),
            ("token_type", key.token_type.as_str()),
            ("outcome", key.outcome.as_str()),
        ];
        labels.extend(key.tenant.as_deref().map(|tenant| ("tenant", tenant)));
        joules(
            "gaugeway_energy_attributed_joules_total",
            "GPU energy of the tokens that were read and written, by what became of the request.",
            &labels,
            *sum,
        );
    }
    for (pool, sum) in &energy.idle {
        joules(
            "gaugeway_energy_idle_joules_total",
            "Energy of GPUs while they served nothing.",
            &[("pool", pool)],
            *sum,
        );
    }
    for (reason, sum) in &energy.unattributed {
        joules(
            "gaugeway_energy_unattributed_joules_total",
            "Energy that cannot be given to any model, by reason.",
            &[("reason", reason.as_str())],
            *sum,
        );
    }
    page.gauge(
        "gaugeway_energy_pending_joules",
        "Energy of work whose tokens have not been reported, and first increments not yet shown.",
        &[],
        energy.pending.joules(),
    );
}
