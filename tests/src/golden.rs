//! Files that a test can write: it fails when one differs from what the code makes of it, and with
//! `GAUGEWAY_BLESS` set it writes them.

use crate::workspace;
use std::fs;

/// Holds a file of the repository to `expected`.
pub fn check(file: &str, expected: &str) {
    let path = workspace().join(file);
    if std::env::var_os("GAUGEWAY_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .and_then(|()| fs::write(&path, expected))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let first = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    let line = first.unwrap_or_else(|| found.lines().count().min(expected.lines().count()));
    assert!(
        found == expected,
        "{file} differs from line {}: it says {:?}, but should say {:?}. \
         Should it, then run this test again with GAUGEWAY_BLESS=1 and look at the difference.",
        line + 1,
        found.lines().nth(line),
        expected.lines().nth(line),
    );
}

/// Holds the part of a file between `<!-- NAME -->` and `<!-- /NAME -->` to `expected`.
pub fn check_part(file: &str, name: &str, expected: &str) {
    let text = fs::read_to_string(workspace().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&open).unwrap_or_else(|| panic!("{file}: no {open}"));
    let (_, after) = rest.split_once(&close).unwrap_or_else(|| panic!("{file}: no {close}"));
    check(file, &format!("{before}{open}{expected}{close}{after}"));
}
