//! A registry: the parts of its protocol by which images are pulled, over a folder in the form of the OCI image layout
//! (opencontainers/distribution-spec, `spec.md`).

use crate::digest::sha256;
use crate::web::{self, Answer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// Every blob of a layout by its digest, and the digests of its manifests by their tags.
#[derive(Debug, Default)]
struct Registry {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, (String, String)>,
}

/// Serves the layout as the repository `name`.
pub fn serve(layout: &Path, name: &str) -> SocketAddr {
    let registry = Registry::read(layout);
    let root = format!("/v2/{name}/");
    web::serve(move |method, path| {
        if path == "/v2/" {
            return Answer::empty(200);
        }
        let place = path.strip_prefix(&root).and_then(|rest| rest.split_once('/'));
        let answer = match (method, place) {
            ("GET" | "HEAD", Some(("manifests", reference))) => registry.manifest(reference),
            ("GET" | "HEAD", Some(("blobs", digest))) => registry.blob(digest),
            _ => None,
        };
        answer.unwrap_or_else(|| Answer::empty(404))
    })
}

impl Registry {
    fn read(layout: &Path) -> Self {
        let read = |path: &str| {
            fs::read(layout.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
        };
        let version: Value = serde_json::from_slice(&read("oci-layout")).expect("JSON");
        assert_eq!(version["imageLayoutVersion"], "1.0.0");
        let mut registry = Self::default();
        for entry in fs::read_dir(layout.join("blobs/sha256")).expect("there are blobs").flatten() {
            let name = entry.file_name().into_string().expect("a digest");
            let content = read(&format!("blobs/sha256/{name}"));
            assert_eq!(sha256(&content), name, "a blob is named by its digest");
            registry.blobs.insert(format!("sha256:{name}"), content);
        }
        let index: Value = serde_json::from_slice(&read("index.json")).expect("JSON");
        for manifest in index["manifests"].as_array().expect("a list") {
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            let tag = text(&manifest["annotations"]["org.opencontainers.image.ref.name"]);
            let (digest, media_type) = (text(&manifest["digest"]), text(&manifest["mediaType"]));
            assert_eq!(manifest["size"], registry.blobs[&digest].len(), "{tag}");
            registry.manifests.insert(digest.clone(), (digest.clone(), media_type.clone()));
            registry.manifests.insert(tag, (digest, media_type));
        }
        registry
    }

    /// By tag or by digest.
    fn manifest(&self, reference: &str) -> Option<Answer> {
        let (digest, media_type) = self.manifests.get(reference)?;
        Some(described(media_type, digest, self.blobs.get(digest)?))
    }

    fn blob(&self, digest: &str) -> Option<Answer> {
        Some(described("application/octet-stream", digest, self.blobs.get(digest)?))
    }
}

fn described(content_type: &str, digest: &str, content: &[u8]) -> Answer {
    let mut answer = Answer::of(content_type, content.to_vec());
    answer.headers.push(("docker-content-digest", digest.to_owned()));
    answer
}
