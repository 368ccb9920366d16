//! A copy of the fake `libnvidia-ml.so` beside the script that it follows.

use crate::build;
use std::fs;
use std::path::{Path, PathBuf};

/// One host's GPUs, as a script tells them. `fake-nvml/README.md` explains the script.
#[derive(Debug)]
pub struct FakeNvml {
    library: PathBuf,
}

impl FakeNvml {
    /// A driver in this folder that follows this script.
    pub fn new(dir: &Path, script: &str) -> Self {
        Self::without(dir, script, &[])
    }

    /// The same, of a driver that lacks some functions: their names are overwritten in the copy, so that
    /// nobody who looks them up finds them.
    pub fn without(dir: &Path, script: &str, functions: &[&str]) -> Self {
        let mut bytes = fs::read(build::fake_nvml()).expect("the fake library was built");
        for function in functions {
            let name = [b"\0", function.as_bytes(), b"\0"].concat();
            let places: Vec<_> = find(&bytes, &name).collect();
            assert!(!places.is_empty(), "the fake library has no {function}");
            for place in places {
                bytes[place + 1] = b'x';
            }
        }
        let library = dir.join("libnvidia-ml.so.1");
        fs::write(&library, bytes).expect("the scratch folder can be written");
        fs::write(dir.join("libnvidia-ml.so.1.toml"), script)
            .expect("the scratch folder can be written");
        Self { library }
    }

    /// What makes the agent load it.
    pub fn config(&self) -> String {
        format!("[nvml]\nlibrary = {:?}\n", self.library)
    }
}

fn find<'a>(bytes: &'a [u8], pattern: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let windows = bytes.windows(pattern.len()).enumerate();
    windows.filter(move |(_, window)| *window == pattern).map(|(place, _)| place)
}
