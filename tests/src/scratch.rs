//! Folders for what a test writes: under `target/`, kept until the next run so that a failure can be read.

use crate::workspace;
use std::fs;
use std::path::PathBuf;

/// An empty folder of that name.
pub fn dir(name: &str) -> PathBuf {
    let dir = workspace().join("target/tmp-tests").join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir).expect("an old scratch folder can be removed");
    }
    fs::create_dir_all(&dir).expect("target/ can be written");
    dir
}
