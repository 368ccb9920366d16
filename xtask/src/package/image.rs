//! The filter as an image, in the two forms that Istio's agent and Envoy Gateway pull (istio/istio,
//! `pkg/wasm/imagefetcher.go`; envoyproxy/gateway, `internal/wasm/imagefetcher.go`).
//!
//! Under the version's tag: an ordinary image whose last layer holds `plugin.wasm`, which every registry takes. Under
//! the tag with `-artifact`: the module itself as a layer, for tools that look for its media type.

use super::archive::{self, File};
use super::layout::Layout;
use super::release::Release;
use super::sha256;
use anyhow::Result;
use serde_json::{Value, json};

const LICENSE: &str = "Apache-2.0";

/// Both images, as the files of one layout.
pub(super) fn layout(module: &[u8], release: &Release) -> Result<Vec<File>> {
    let mut layout = Layout::default();
    compat(&mut layout, module, release)?;
    artifact(&mut layout, module, release)?;
    layout.files()
}

/// The "compat" form of the Wasm image specification (solo-io/wasm, `spec/spec-compat.md`).
fn compat(layout: &mut Layout, module: &[u8], release: &Release) -> Result<()> {
    let file = File { path: "plugin.wasm".to_owned(), content: module.to_vec() };
    let tar = archive::tar(&[file], release.epoch)?;
    let mut annotations = annotations(release);
    let config = json!({
        "created": release.created(),
        "architecture": "wasm",
        "os": "wasip1",
        "config": {"Labels": &annotations},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&tar))]},
    });
    let config =
        layout.blob("application/vnd.oci.image.config.v1+json", serde_json::to_vec(&config)?);
    let layer = layout.blob("application/vnd.oci.image.layer.v1.tar+gzip", archive::gzip(&tar)?);
    annotate(&mut annotations, "module.wasm.image/variant", "compat");
    layout.image(release.version, &config, &[layer], &annotations)
}

/// The "oci" form (solo-io/wasm, `spec/spec.md`). Its pullers want two layers: the module and what it runs as.
fn artifact(layout: &mut Layout, module: &[u8], release: &Release) -> Result<()> {
    let config = json!({
        "type": "envoy_proxy",
        "abiVersions": ["0.2.1"],
        "config": {"rootIds": ["gaugeway"]},
    });
    let config =
        layout.blob("application/vnd.module.wasm.config.v1+json", serde_json::to_vec(&config)?);
    let module = layout.blob("application/vnd.module.wasm.content.layer.v1+wasm", module.to_vec());
    let tag = format!("{}-artifact", release.version);
    layout.image(&tag, &config, &[config.clone(), module], &annotations(release))
}

/// What is known of the image, in the words of OCI. What is not known is left out.
fn annotations(release: &Release) -> Value {
    let mut annotations = json!({
        "org.opencontainers.image.title": "gaugeway-filter",
        "org.opencontainers.image.description":
            "Watches LLM requests in Envoy and emits latencies, tokens and outcomes as stats",
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.licenses": LICENSE,
        "org.opencontainers.image.created": release.created(),
    });
    if let Some(revision) = &release.revision {
        annotate(&mut annotations, "org.opencontainers.image.revision", revision);
    }
    annotations
}

fn annotate(annotations: &mut Value, key: &str, value: &str) {
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(key.to_owned(), value.into());
    }
}
