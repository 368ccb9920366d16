//! The agent itself and the health of its sources.

use super::page::{Page, unix_seconds};
use crate::snapshot::Snapshot;

pub(super) fn add(page: &mut Page, snapshot: &Snapshot) {
    page.gauge(
        "gaugeway_agent_build_info",
        "1, labelled with the agent's version.",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1.0,
    );
    for source in snapshot.sources() {
        let labels = [("source", source.name)];
        let up = if source.error.is_none() { 1.0 } else { 0.0 };
        page.gauge(
            "gaugeway_source_up",
            "Whether the source answered at the last tick.",
            &labels,
            up,
        );
        if let Some(took) = source.took {
            page.gauge(
                "gaugeway_source_duration_seconds",
                "How long the source took at the last tick, failed or not.",
                &labels,
                took.as_secs_f64(),
            );
        }
        if let Some(at) = source.last_success {
            page.gauge(
                "gaugeway_source_last_success_timestamp_seconds",
                "When the source last answered.",
                &labels,
                unix_seconds(at),
            );
        }
    }
    let engines = snapshot.engines.iter().map(|engine| (&engine.stats.name, engine.parse_errors));
    for (source, errors) in
        [(&snapshot.envoy.name, snapshot.envoy_parse_errors)].into_iter().chain(engines)
    {
        #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
        page.counter(
            "gaugeway_scrape_parse_errors_total",
            "Samples and lines of a scraped page that could not be read.",
            &[("source", source)],
            errors as f64,
        );
    }
}
