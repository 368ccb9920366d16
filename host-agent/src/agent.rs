//! The agent as a whole: a server that shows snapshots and a loop that makes them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::collect::Collector;
use crate::config::Config;
use crate::price::PriceConfig;
use crate::server::{self, WebConfig, WebConfigError};
use crate::snapshot::Latest;

/// An agent that listens and is about to run.
pub struct Agent {
    listener: TcpListener,
    tick: Duration,
    collector: Collector,
    web: WebConfig,
    price: watch::Sender<Option<PriceConfig>>,
}

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no thread, or the saved state cannot be read.
    #[error("cannot start the GPU thread or read the state: {0}")]
    Collector(#[source] io::Error),
    /// The web configuration is wrong.
    #[error(transparent)]
    Web(#[from] WebConfigError),
}

impl Agent {
    /// Binds the page's address and starts the GPU thread.
    pub async fn start(mut config: Config) -> Result<Self, StartError> {
        let web = WebConfig::load(config.web_config.take())?;
        let (address, tick) = (config.listen, config.tick);
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| StartError::Listen { address, source })?;
        let (price, new_price) = watch::channel(config.price.clone());
        let collector = Collector::new(config, new_price).map_err(StartError::Collector)?;
        Ok(Self { listener, tick, collector, web, price })
    }

    /// Where the page is, with the port that the system chose where the configuration says 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The page's scheme: `https` when the web configuration says so.
    pub fn scheme(&self) -> &'static str {
        if self.web.is_tls() { "https" } else { "http" }
    }

    /// Takes a `[price]` that applies from the next tick on.
    pub fn price(&self) -> watch::Sender<Option<PriceConfig>> {
        self.price.clone()
    }

    /// Ticks and serves until `shutdown`, then lets running answers finish.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let latest = Arc::new(Latest::new(self.collector.first_snapshot().await));
        tokio::select! {
            never = tick_forever(self.tick, self.collector, &latest) => match never {},
            () = server::serve(self.listener, self.web, Arc::clone(&latest), shutdown) => {}
        }
    }
}

async fn tick_forever(
    period: Duration,
    mut collector: Collector,
    latest: &Latest,
) -> std::convert::Infallible {
    let mut ticks = interval(period);
    // A slow source makes ticks late, never two at once.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let snapshot = collector.tick(latest).await;
        latest.publish(snapshot);
    }
}
