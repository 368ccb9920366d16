//! Digests as they are written down.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// SHA-256 in hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    format!("{:x}", Bytes::copy_from_slice(&Sha256::digest(content)))
}
