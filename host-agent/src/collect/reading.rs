//! Asks the sources over the network, and notes what became of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::engines::{self, EngineConfig};
use crate::envoy::{self, EnvoyStats};
use crate::http::Address;
use crate::snapshot::{Engine, Source};

pub(super) async fn read_envoy(admin: &Address, source: &mut Source<EnvoyStats>) {
    let asked = Instant::now();
    let outcome = envoy::collect(admin).await.map_err(|error| format!("{admin}: {error}"));
    update(source, outcome, Some(asked.elapsed()));
}

/// All at once: one that hangs costs its own deadline, not the sum of all.
pub(super) async fn read_engines(engines: &mut [(EngineConfig, Engine)]) {
    let pages: Vec<_> = engines
        .iter()
        .map(|(config, _)| {
            let url = config.url.clone();
            tokio::spawn(async move {
                let asked = Instant::now();
                (engines::collect(&url).await, asked.elapsed())
            })
        })
        .collect();
    for (page, (_, engine)) in pages.into_iter().zip(engines) {
        let (outcome, took) = match page.await {
            Ok((outcome, took)) => (outcome, Some(took)),
            Err(error) => (Err(error.to_string()), None),
        };
        update(&mut engine.stats, outcome, took);
    }
}

/// Takes a new outcome in; says so once when a source goes down or comes back.
pub(super) fn update<T>(
    source: &mut Source<T>,
    outcome: Result<T, String>,
    took: Option<Duration>,
) {
    match (&source.outcome, &outcome) {
        (Err(_), Ok(_)) => log::info!("source {} is up", source.name),
        (Ok(_), Err(error)) => log::warn!("source {} is down: {error}", source.name),
        (Err(before), Err(error)) if before != error => {
            log::warn!("source {} is down: {error}", source.name);
        }
        (Ok(_), Ok(_)) | (Err(_), Err(_)) => {}
    }
    source.last_success =
        if outcome.is_ok() { Some(SystemTime::now()) } else { source.last_success };
    source.took = took;
    source.outcome = outcome.map(Arc::new);
}
