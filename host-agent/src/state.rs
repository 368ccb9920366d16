//! What outlives the agent: the books of the budgets, learned weights, and when the last tick was.
//!
//! Counters are not saved: they start at 0, as Prometheus expects. The file is written whole to a
//! temporary name, synced and renamed, so that at any instant there is either the old or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::budget::Book;
use crate::cost::Calibration;

const FILE: &str = "state.json";
/// A state file that is larger was not written by the agent.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// When the last tick was; absent where the kernel does not say.
    pub last_tick: Option<Moment>,
    /// The books of the budgets.
    #[serde(default)]
    pub budgets: Vec<Book>,
    /// What was learned about token weights; absent when nothing is to be learned.
    #[serde(default)]
    pub calibration: Option<Calibration>,
}

/// A point in time that survives a restart of the agent, and shows whether the host was restarted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Another one after each boot.
    pub boot_id: String,
    /// Seconds since boot, suspended time included.
    pub uptime_seconds: f64,
}

impl Moment {
    /// Now, as the kernel under `proc` tells it.
    pub fn now(proc: &Path) -> Option<Self> {
        let boot_id = fs::read_to_string(proc.join("sys/kernel/random/boot_id")).ok()?;
        let uptime = fs::read_to_string(proc.join("uptime")).ok()?;
        let uptime_seconds = uptime.split_whitespace().next()?.parse().ok()?;
        Some(Self { boot_id: boot_id.trim().to_owned(), uptime_seconds })
    }

    /// How long the host was surely running between an earlier moment and this one. After a reboot
    /// only the time since boot is known: a machine that was off may not have been billed.
    pub fn running_since(&self, earlier: &Self) -> Duration {
        let seconds = if earlier.boot_id == self.boot_id {
            self.uptime_seconds - earlier.uptime_seconds
        } else {
            self.uptime_seconds
        };
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
}

/// Where the state is kept.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Keeps the state in this folder, which must exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The saved state; the default when none was saved yet. A file that cannot be understood is
    /// put aside, so that its figures are not lost to whoever wants to look.
    pub fn load(&self) -> io::Result<State> {
        let file = self.folder.join(FILE);
        match fs::metadata(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
            Err(error) => return Err(error),
            Ok(metadata) if metadata.len() > MAX_BYTES => {
                return Err(io::Error::other(format!(
                    "{} is over {MAX_BYTES} bytes",
                    file.display()
                )));
            }
            Ok(_) => {}
        }
        match serde_json::from_slice(&fs::read(&file)?) {
            Ok(state) => Ok(state),
            Err(error) => {
                let aside = self.folder.join("state.json.unreadable");
                fs::rename(&file, &aside)?;
                log::error!("{}: {error}; it is now {}", file.display(), aside.display());
                Ok(State::default())
            }
        }
    }

    /// Saves the state. On success it is on the disk.
    pub fn save(&self, state: &State) -> io::Result<()> {
        let temporary = self.folder.join("state.json.new");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(state)?)?;
        file.sync_all()?;
        fs::rename(&temporary, self.folder.join(FILE))?;
        // The rename is on the disk once the folder is.
        File::open(&self.folder)?.sync_all()
    }
}

/// Saves in the background, one file at a time.
#[derive(Debug)]
pub struct Saver {
    store: Store,
    running: Option<JoinHandle<io::Result<()>>>,
}

/// How long a tick waits for the disk.
const PATIENCE: Duration = Duration::from_secs(2);

impl Saver {
    /// Saves here.
    pub fn new(store: Store) -> Self {
        Self { store, running: None }
    }

    /// Saves a state, and returns once it is on the disk. A disk that does not answer costs the
    /// state, not the page: the next call tries again once the disk is back.
    pub async fn save(&mut self, state: State) -> Result<(), String> {
        let mut task = self.running.take().unwrap_or_else(|| {
            let store = self.store.clone();
            tokio::task::spawn_blocking(move || store.save(&state))
        });
        match timeout(PATIENCE, &mut task).await {
            Ok(Ok(saved)) => {
                saved.map_err(|error| format!("{}: {error}", self.store.folder.display()))
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => {
                self.running = Some(task);
                Err(format!("{}: the disk does not answer", self.store.folder.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("gaugeway-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn moment(boot_id: &str, uptime_seconds: f64) -> Moment {
        Moment { boot_id: boot_id.to_owned(), uptime_seconds }
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let folder = Folder::new("state");
        let store = Store::new(folder.0.clone());
        assert_eq!(store.load().unwrap(), State::default());
        let state = State { last_tick: Some(moment("a", 5.5)), ..State::default() };
        store.save(&state).unwrap();
        store.save(&state).unwrap();
        assert_eq!(store.load().unwrap(), state);
    }

    #[test]
    fn a_crash_while_writing_leaves_the_old_state() {
        let folder = Folder::new("state-crash");
        let store = Store::new(folder.0.clone());
        let state = State { last_tick: Some(moment("a", 5.5)), ..State::default() };
        store.save(&state).unwrap();
        fs::write(folder.0.join("state.json.new"), "{\"last_tick\":{\"boo").unwrap();
        assert_eq!(store.load().unwrap(), state);
        store.save(&state).unwrap();
        assert_eq!(store.load().unwrap(), state);
    }

    #[test]
    fn an_unreadable_file_is_put_aside() {
        let folder = Folder::new("state-bad");
        let store = Store::new(folder.0.clone());
        fs::write(folder.0.join(FILE), "{").unwrap();
        assert_eq!(store.load().unwrap(), State::default());
        assert_eq!(fs::read_to_string(folder.0.join("state.json.unreadable")).unwrap(), "{");
    }

    #[test]
    fn the_gap_is_what_the_host_surely_ran() {
        let gap = |then: &Moment, now: &Moment| now.running_since(then).as_secs();
        assert_eq!(gap(&moment("a", 100.0), &moment("a", 160.0)), 60);
        assert_eq!(gap(&moment("a", 100.0), &moment("b", 40.0)), 40, "rebooted");
        assert_eq!(gap(&moment("a", 100.0), &moment("a", 90.0)), 0);
        assert_eq!(gap(&moment("a", f64::NAN), &moment("a", 90.0)), 0);
    }

    #[test]
    fn the_kernel_tells_the_moment() {
        let folder = Folder::new("state-proc");
        assert_eq!(Moment::now(&folder.0), None);
        fs::create_dir_all(folder.0.join("sys/kernel/random")).unwrap();
        fs::write(folder.0.join("sys/kernel/random/boot_id"), "abc\n").unwrap();
        fs::write(folder.0.join("uptime"), "12.50 40.00\n").unwrap();
        assert_eq!(Moment::now(&folder.0), Some(moment("abc", 12.5)));
    }
}
