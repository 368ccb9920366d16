//! The agent as a whole: a server that shows snapshots and a loop that makes them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};

use crate::collect::Collector;
use crate::config::Config;
use crate::server;
use crate::snapshot::Latest;

/// An agent that listens and is about to run.
#[derive(Debug)]
pub struct Agent {
    listener: TcpListener,
    tick: Duration,
    collector: Collector,
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
    /// The system gives no thread.
    #[error("cannot start the GPU thread: {0}")]
    Thread(#[source] io::Error),
}

impl Agent {
    /// Binds the page's address and starts the GPU thread.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let (address, tick) = (config.listen, config.tick);
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| StartError::Listen { address, source })?;
        let collector = Collector::new(config).map_err(StartError::Thread)?;
        Ok(Self { listener, tick, collector })
    }

    /// Where the page is, with the port that the system chose where the configuration says 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Ticks and serves until `shutdown`, then lets running answers finish.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let latest = Arc::new(Latest::new(self.collector.first_snapshot()));
        tokio::select! {
            never = tick_forever(self.tick, self.collector, &latest) => match never {},
            () = server::serve(self.listener, Arc::clone(&latest), shutdown) => {}
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
