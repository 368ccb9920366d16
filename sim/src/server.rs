//! The simulated LLM server: an OpenAI-compatible upstream that paces its answers and remembers what it sent.
//! It speaks HTTP/1.1 and, without TLS, HTTP/2 on one port.

mod answer;
mod ledger;
mod reply;
mod request;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;

use self::answer::Upstream;
use self::ledger::Ledger;
use crate::open_files;
use crate::profile::ModelProfile;
use crate::script::Cut;
use crate::served::Served;

/// What a server is and how much of its truth it keeps.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen. Port 0 takes a free one: see [`Server::addr`].
    pub listen: SocketAddr,
    /// With the id of a request, decides its timing and length.
    pub seed: u64,
    /// The models served; at least one, names unique.
    pub models: Vec<ModelProfile>,
    /// A file that gets one JSON line ([`Served`]) per finished request. It is created or emptied.
    pub truth_file: Option<PathBuf>,
    /// How many finished requests [`Server::truth`] holds; the oldest go first.
    pub truth_kept: usize,
}

impl Default for ServerConfig {
    /// Loopback, a free port, seed 1, [`ModelProfile::catalogue`], the last 200 000 requests.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 1,
            models: ModelProfile::catalogue(),
            truth_file: None,
            truth_kept: 200_000,
        }
    }
}

/// The models file: TOML with one `[[model]]` table per [`ModelProfile`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelsFile {
    model: Vec<ModelProfile>,
}

impl ServerConfig {
    /// Reads the models from a TOML file with one `[[model]]` table per [`ModelProfile`].
    ///
    /// # Errors
    ///
    /// The file cannot be read or does not parse; the message names it.
    pub fn read_models(path: &Path) -> Result<Vec<ModelProfile>, StartError> {
        let describe = |reason: String| {
            StartError::Config(format!("models file {}: {reason}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| describe(error.to_string()))?;
        let file: ModelsFile =
            toml::from_str(&text).map_err(|error| describe(error.to_string()))?;
        Ok(file.model)
    }

    fn checked_models(&self) -> Result<BTreeMap<String, ModelProfile>, StartError> {
        let mut models = BTreeMap::new();
        for model in &self.models {
            model.check().map_err(StartError::Config)?;
            if models.insert(model.name.clone(), model.clone()).is_some() {
                return Err(StartError::Config(format!("model `{}` is there twice", model.name)));
            }
        }
        if models.is_empty() {
            return Err(StartError::Config("at least one model is needed".to_owned()));
        }
        Ok(models)
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The truth file cannot be created.
    #[error("cannot create truth file {0}: {1}")]
    TruthFile(PathBuf, #[source] io::Error),
    /// No thread, timer or poller could be had.
    #[error("cannot start the server's thread: {0}")]
    Thread(#[source] io::Error),
}

/// A running server. It has a thread and an event loop of its own, so any program can start one. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    ledger: Arc<Ledger>,
    /// Dropping the sender stops the server.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens and serves.
    ///
    /// # Errors
    ///
    /// A wrong configuration, an address in use, a truth file that cannot be created.
    pub fn start(config: ServerConfig) -> Result<Self, StartError> {
        let models = config.checked_models()?;
        let ledger = match &config.truth_file {
            Some(path) => Ledger::with_file(config.truth_kept, path)
                .map_err(|error| StartError::TruthFile(path.clone(), error))?,
            None => Ledger::new(config.truth_kept),
        };
        let ledger = Arc::new(ledger);
        open_files::raise_limit();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let listener = {
            let _entered = runtime.enter();
            listen(config.listen).map_err(|error| StartError::Listen(config.listen, error))?
        };
        let addr =
            listener.local_addr().map_err(|error| StartError::Listen(config.listen, error))?;
        let upstream = Upstream::new(models, config.seed, Arc::clone(&ledger));
        let (stop, stopped) = oneshot::channel();
        let closing = Arc::clone(&ledger);
        let thread = std::thread::Builder::new()
            .name("gaugeway-sim".to_owned())
            .spawn(move || {
                runtime.block_on(accept(listener, Arc::new(upstream), stopped));
                closing.close();
                // Drops every connection, and with it every unfinished answer, which records itself.
                drop(runtime);
            })
            .map_err(StartError::Thread)?;
        Ok(Self { addr, ledger, stop: Some(stop), thread: Some(thread) })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The finished requests, oldest first. A client can know of an end before the server does: [`Server::settle`].
    pub fn truth(&self) -> Vec<Served> {
        self.ledger.served()
    }

    /// Finished requests that were pushed out of [`Server::truth`] by later ones.
    pub fn truth_dropped(&self) -> u64 {
        self.ledger.dropped()
    }

    /// The most requests that were in progress at one time.
    pub fn most_at_once(&self) -> usize {
        self.ledger.peak()
    }

    /// Waits until no request is in progress. Returns whether that happened within `patience`.
    pub fn settle(&self, patience: Duration) -> bool {
        self.ledger.settle(patience)
    }

    /// Stops: requests in progress are cut and recorded as truncated. Returns the truth.
    pub fn shutdown(mut self) -> Vec<Served> {
        self.stop_and_join();
        self.ledger.served()
    }

    fn stop_and_join(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The thread's own panic was already printed; there is nothing to add to it here.
            let _panicked = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    // Thousands of clients that arrive in one instant; the kernel cuts this to its own maximum.
    const BACKLOG: u32 = 16_384;
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

async fn accept(
    listener: TcpListener,
    upstream: Arc<Upstream>,
    mut stopped: oneshot::Receiver<()>,
) {
    // Out of files or memory: the pending connection stays in the queue and accept would fail at once again.
    const BREATHER: Duration = Duration::from_millis(20);
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { tokio::spawn(serve(stream, Arc::clone(&upstream))); }
                Err(_) => tokio::time::sleep(BREATHER).await,
            }
        }
    }
}

/// Serves HTTP/1.1, and HTTP/2 to a client that begins with its preface.
async fn serve(stream: TcpStream, upstream: Arc<Upstream>) {
    // Without it the kernel may hold an event back to join it with the next. Refused only by a dead socket.
    let _dead = stream.set_nodelay(true);
    // No method begins with these three, and a client sends its first bytes in one piece.
    let mut first = [0; 3];
    let two = stream.peek(&mut first).await.is_ok() && first == *b"PRI";
    let service = service_fn(move |request| Arc::clone(&upstream).answer(request));
    let io = TokioIo::new(stream);
    if two {
        // A cut is of one stream here, and hyper sends its RST_STREAM.
        let _dead = http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
        return;
    }
    let mut connection = http1::Builder::new().serve_connection(io, service);
    if let Err(error) = (&mut connection).await
        && let Some(Cut::Reset) = planned(&error)
    {
        // With no time to linger, close sends RST.
        let _dead = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

/// The cut for which a connection ended, if a plan said so.
fn planned(error: &hyper::Error) -> Option<Cut> {
    std::error::Error::source(error)?.downcast_ref().copied()
}

#[cfg(test)]
#[path = "server/tests.rs"]
mod tests;
