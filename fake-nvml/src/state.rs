//! What changes: the clock, what was registered and sampled. It outlives initialisations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::script::Script;

/// The environment variable that names the script.
const SCRIPT: &str = "GAUGEWAY_FAKE_NVML";

static STATE: Mutex<Option<State>> = Mutex::new(None);

/// All that calls share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) script: Arc<Script>,
    started: Instant,
    steps: u32,
    /// How many initialisations have not been shut down.
    pub(crate) users: u32,
    next_id: usize,
    /// By id.
    pub(crate) event_sets: BTreeMap<usize, EventSet>,
    /// By id.
    pub(crate) samples: BTreeMap<usize, Option<Sample>>,
}

/// GPUs that somebody listens to.
#[derive(Debug, Default)]
pub(crate) struct EventSet {
    /// GPU and the second since when.
    pub(crate) registered: BTreeMap<usize, f64>,
    /// GPU and place in its list of XIDs.
    pub(crate) delivered: BTreeSet<(usize, usize)>,
}

/// A GPM sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) gpu: usize,
    pub(crate) gpu_instance: Option<u32>,
    pub(crate) second: f64,
}

impl State {
    /// Seconds since the library was first initialised.
    pub(crate) fn second(&self) -> f64 {
        match self.script.step_seconds {
            Some(step) => f64::from(self.steps) * step,
            None => self.started.elapsed().as_secs_f64(),
        }
    }

    /// Moves a stepped clock on.
    pub(crate) fn step(&mut self) {
        self.steps = self.steps.saturating_add(1);
    }

    /// An id that was not used yet.
    pub(crate) fn new_id(&mut self) -> usize {
        self.next_id += 1;
        self.next_id
    }
}

/// The state, if the library was ever initialised.
pub(crate) fn lock() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the script; says on stderr what is wrong with it, for there is no other way.
pub(crate) fn init() -> Option<()> {
    let file = std::env::var_os(SCRIPT).map(PathBuf::from).or_else(beside_the_library)?;
    let mut script = match read(&file) {
        Ok(script) => script,
        Err(error) => {
            eprintln!("fake NVML: {}: {error}", file.display());
            return None;
        }
    };
    script.folder = file.parent().map(Path::to_owned).unwrap_or_default();
    let script = Arc::new(script);
    let mut state = lock();
    match state.as_mut() {
        Some(state) => {
            state.script = script;
            state.users += 1;
        }
        None => {
            *state = Some(State {
                script,
                started: Instant::now(),
                steps: 0,
                users: 1,
                next_id: 0,
                event_sets: BTreeMap::new(),
                samples: BTreeMap::new(),
            });
        }
    }
    Some(())
}

fn read(file: &Path) -> Result<Script, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    toml::from_str(&text).map_err(|error| error.to_string())
}

/// The script of this copy of the library: the kernel's list of mapped files says where it is.
fn beside_the_library() -> Option<PathBuf> {
    let here = beside_the_library as fn() -> Option<PathBuf> as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let own = maps.lines().find_map(|line| {
        let mut parts = line.split_ascii_whitespace();
        let (from, to) = parts.next()?.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let range = address(from)?..address(to)?;
        // Permissions, offset, device and inode stand before the path.
        range.contains(&here).then(|| parts.nth(4)).flatten()
    })?;
    Some(PathBuf::from(format!("{own}.toml")))
}
