//! Archives that are the same bytes for the same files: no clock, no user, no order of a folder.

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};
use std::io::Write as _;

/// A file that goes into an archive.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// Below the archive's root, with `/`.
    pub(super) path: String,
    pub(super) content: Vec<u8>,
}

/// The files as tar, in the order of their paths, all of them dated `epoch` and anyone's to read.
pub(super) fn tar(files: &[File], epoch: u64) -> Result<Vec<u8>> {
    let mut sorted: Vec<&File> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut archive = tar::Builder::new(Vec::new());
    for File { path, content } in sorted {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_mtime(epoch);
        header.set_size(u64::try_from(content.len())?);
        archive
            .append_data(&mut header, path, content.as_slice())
            .with_context(|| format!("cannot pack {path}"))?;
    }
    archive.into_inner().context("cannot end the archive")
}

/// Compressed with gzip, whose header names neither file nor time.
pub(super) fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_files_makes_no_difference() {
        let file = |path: &str| File { path: path.to_owned(), content: path.into() };
        let archive = |files: &[File]| gzip(&tar(files, 7).unwrap()).unwrap();
        let one = archive(&[file("a/b"), file("a"), file("c")]);
        assert_eq!(one, archive(&[file("c"), file("a"), file("a/b")]));
        assert_ne!(one, archive(&[file("c"), file("a")]));
    }
}
