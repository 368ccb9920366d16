//! The cost model's counters, in dollars.

use super::page::Page;
use crate::budget::midnight;
use crate::cost::{CostReport, NanoDollars};
use crate::price::{Market, Price, Provider};

pub(super) fn add_price(page: &mut Page, price: &Price) {
    let instance = price.instance.as_ref();
    let known = [
        ("provider", instance.and_then(|i| i.provider).map(Provider::as_str)),
        ("instance_type", instance.map(|i| i.instance_type.as_str()).filter(|t| !t.is_empty())),
        ("region", instance.and_then(|i| i.region.as_deref())),
        ("market", instance.and_then(|i| i.market).map(Market::as_str)),
        ("price_source", Some(price.source)),
        ("catalog_as_of", price.as_of),
        ("currency", Some("USD")),
    ];
    let labels: Vec<_> =
        known.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
    page.gauge(
        "gaugeway_instance_info",
        "1, labelled with what the host is and where its price comes from.",
        &labels,
        1.0,
    );
    page.gauge(
        "gaugeway_instance_price_dollars_per_hour",
        "What the host costs per hour, without overhead and energy.",
        &[],
        price.rates.instance.dollars(),
    );
    #[expect(clippy::cast_precision_loss, reason = "Unix seconds far below 2^53")]
    if let Some(listed) = price.as_of.and_then(midnight) {
        page.gauge(
            "gaugeway_instance_price_as_of_timestamp_seconds",
            "When the compiled-in price was listed. Absent where the price is configured.",
            &[],
            listed as f64,
        );
    }
}

pub(super) fn add(page: &mut Page, cost: &CostReport) {
    add_bill(page, cost);
    page.counter(
        "gaugeway_cost_billed_seconds_total",
        "The time that the bill is for: the price times this is the bill, for as long as the price stays.",
        &[],
        cost.billed.as_secs_f64(),
    );
    add_reading_aids(page, cost);
}

/// The bill and its parts. They sum up: bill = attributed + idle + unattributed + pending.
fn add_bill(page: &mut Page, cost: &CostReport) {
    let mut dollars = |name: &str, help: &str, labels: &[(&str, &str)], sum: NanoDollars| {
        page.counter(name, help, labels, sum.dollars());
    };
    for (component, sum) in &cost.bill {
        dollars(
            "gaugeway_cost_bill_dollars_total",
            "What the host has cost since the agent started.",
            &[("component", component.as_str())],
            *sum,
        );
    }
    for (key, sum) in &cost.attributed {
        let mut labels = vec![
            ("model", key.model.as_str()),
            ("token_type", key.token_type.as_str()),
            ("outcome", key.outcome.as_str()),
        ];
        labels.extend(key.tenant.as_deref().map(|tenant| ("tenant", tenant)));
        dollars(
            "gaugeway_cost_attributed_dollars_total",
            "Cost of the tokens that were read and written, by what became of the request.",
            &labels,
            *sum,
        );
    }
    for (pool, reason, sum) in &cost.idle {
        dollars(
            "gaugeway_cost_idle_dollars_total",
            "Cost of GPUs while they served nothing.",
            &[("pool", pool), ("reason", reason.as_str())],
            *sum,
        );
    }
    for (reason, sum) in &cost.unattributed {
        dollars(
            "gaugeway_cost_unattributed_dollars_total",
            "Cost that cannot be given to any model, by reason.",
            &[("reason", reason.as_str())],
            *sum,
        );
    }
    page.gauge(
        "gaugeway_cost_pending_dollars",
        "Cost of work whose tokens have not been reported, and first increments not yet shown.",
        &[],
        cost.pending.dollars(),
    );
    #[expect(clippy::cast_precision_loss, reason = "0 unless something is wrong")]
    page.gauge(
        "gaugeway_cost_conservation_error_dollars",
        "The bill less the sum of its parts: 0, to the nano-dollar.",
        &[],
        cost.conservation_error() as f64 / 1e9,
    );
}

#[expect(clippy::cast_precision_loss, reason = "token counts below 2^53")]
fn add_reading_aids(page: &mut Page, cost: &CostReport) {
    for (pool, gpus) in &cost.gpus {
        page.gauge(
            "gaugeway_pool_gpus",
            "GPUs that a pool has its part of the bill by; MIG instances are parts of one.",
            &[("pool", pool)],
            *gpus,
        );
    }
    for (pool, busy) in &cost.busy {
        page.counter(
            "gaugeway_pool_busy_seconds_total",
            "Time with at least one request in flight, estimated from samples at each tick.",
            &[("pool", pool)],
            busy.as_secs_f64(),
        );
    }
    for (model, token_type, weight) in &cost.weights {
        page.gauge(
            "gaugeway_cost_token_weight",
            "What a token counts when used time is shared out.",
            &[("model", model), ("token_type", token_type.as_str())],
            *weight,
        );
    }
    for (model, saved) in &cost.cache_savings {
        page.counter(
            "gaugeway_cost_cache_savings_dollars_total",
            "What input from the prompt cache would have cost more as new input. No part of the bill.",
            &[("model", model)],
            saved.dollars(),
        );
    }
    for (model, tokens) in &cost.unpriced_tokens {
        page.counter(
            "gaugeway_cost_unpriced_tokens_total",
            "Tokens of models that no pool serves.",
            &[("model", model)],
            *tokens as f64,
        );
    }
    for (model, costs) in &cost.unit_costs {
        for (token_type, cost) in &costs.by_type {
            for (basis, dollars) in [("usage", cost.usage), ("allocation", cost.allocation)] {
                page.gauge(
                    "gaugeway_cost_dollars_per_million_tokens",
                    "For reading, over the configured window: usage is direct cost, allocation adds a share of idle.",
                    &[("model", model), ("token_type", token_type.as_str()), ("basis", basis)],
                    dollars,
                );
            }
        }
    }
}
