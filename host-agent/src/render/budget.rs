//! What the month has cost so far, and where it is heading.

use super::page::Page;
use crate::budget::BudgetReport;

#[expect(clippy::cast_precision_loss, reason = "Unix seconds far below 2^53")]
pub(super) fn add(page: &mut Page, budgets: &[BudgetReport]) {
    for budget in budgets {
        let labels = [("budget", budget.name.as_str())];
        page.gauge(
            "gaugeway_budget_limit_dollars",
            "What the month may cost.",
            &labels,
            budget.limit.dollars(),
        );
        page.gauge(
            "gaugeway_budget_spent_dollars",
            "What the month has cost so far.",
            &labels,
            budget.spent.dollars(),
        );
        for (method, forecast) in [("run_rate", budget.run_rate), ("blended", budget.blended)] {
            let Some(forecast) = forecast else { continue };
            page.gauge(
                "gaugeway_budget_forecast_dollars",
                "What the month will have cost at its end: run_rate goes on as in the last 6 hours, blended averages that with the last 7 days.",
                &[("budget", budget.name.as_str()), ("method", method)],
                forecast.dollars(),
            );
        }
        page.gauge(
            "gaugeway_budget_period_start_timestamp_seconds",
            "When the month began.",
            &labels,
            budget.period.start as f64,
        );
        page.gauge(
            "gaugeway_budget_period_end_timestamp_seconds",
            "When the month ends.",
            &labels,
            budget.period.end as f64,
        );
    }
}
