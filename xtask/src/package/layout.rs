//! The OCI image layout: a folder of blobs that are named by their digests, and an index of what they are
//! (opencontainers/image-spec, `image-layout.md`).

use super::archive::File;
use super::sha256;
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A layout that is being filled.
#[derive(Debug, Default)]
pub(super) struct Layout {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: Vec<Value>,
}

impl Layout {
    /// Adds a blob and gives its descriptor.
    pub(super) fn blob(&mut self, media_type: &str, content: Vec<u8>) -> Value {
        let digest = sha256(&content);
        let descriptor = json!({
            "mediaType": media_type,
            "digest": format!("sha256:{digest}"),
            "size": content.len(),
        });
        self.blobs.insert(digest, content);
        descriptor
    }

    /// Adds an image under a tag.
    pub(super) fn image(
        &mut self,
        tag: &str,
        config: &Value,
        layers: &[Value],
        annotations: &Value,
    ) -> Result<()> {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": layers,
            "annotations": annotations,
        });
        let mut descriptor = self.blob(MANIFEST, serde_json::to_vec(&manifest)?);
        if let Some(descriptor) = descriptor.as_object_mut() {
            let name = json!({"org.opencontainers.image.ref.name": tag});
            descriptor.insert("annotations".to_owned(), name);
        }
        self.manifests.push(descriptor);
        Ok(())
    }

    /// The files of the layout.
    pub(super) fn files(self) -> Result<Vec<File>> {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.manifests});
        let file = |path: &str, content| File { path: path.to_owned(), content };
        let mut files = vec![
            file("index.json", serde_json::to_vec(&index)?),
            file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ];
        let blobs = self.blobs.into_iter();
        files.extend(
            blobs.map(|(digest, content)| file(&format!("blobs/sha256/{digest}"), content)),
        );
        Ok(files)
    }
}
