//! What becomes of an OCI image in Istio's agent and in Envoy Gateway, which pull alike (istio/istio and
//! envoyproxy/gateway, `imagefetcher.go`): the form is told by media types, and the module is looked for accordingly.

use crate::digest::sha256;
use serde_json::Value;
use std::io::Read as _;
use std::net::SocketAddr;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

/// A pulled image.
#[derive(Debug)]
pub struct Pulled {
    /// The manifest's digest, with which a reference can be pinned.
    pub digest: String,
    /// The manifest.
    pub manifest: Value,
    /// The module.
    pub module: Vec<u8>,
}

/// Pulls a tag or digest of a repository. The error is the reason to refuse the image.
pub fn pull(registry: SocketAddr, name: &str, reference: &str) -> Result<Pulled, String> {
    let repository = format!("http://{registry}/v2/{name}");
    fetch(&format!("http://{registry}/v2/"))?;
    let (content_type, manifest) = fetch(&format!("{repository}/manifests/{reference}"))?;
    let digest = format!("sha256:{}", sha256(&manifest));
    if reference.starts_with("sha256:") && reference != digest {
        return Err(format!("{reference} is {digest}"));
    }
    let manifest: Value = serde_json::from_slice(&manifest).map_err(|error| error.to_string())?;
    let layers = manifest["layers"].as_array().ok_or("no layers")?;
    let last = layers.last().ok_or("no layers")?;
    let get = |layer: &Value| blob(&repository, layer);
    // The configuration is not read, but has to be there.
    get(&manifest["config"])?;

    let module = match content_type.as_str() {
        OCI_MANIFEST if last["mediaType"] == OCI_LAYER => unpack(&get(last)?)?,
        OCI_MANIFEST if layers.len() == 2 => {
            let wasm = layers.iter().find(|layer| layer["mediaType"] == WASM_LAYER);
            get(wasm.ok_or("neither an image nor a module")?)?
        }
        other => return Err(format!("{other} with {} layers, the last {last}", layers.len())),
    };
    Ok(Pulled { digest, manifest, module })
}

/// A blob that has the digest and size of its descriptor.
fn blob(repository: &str, descriptor: &Value) -> Result<Vec<u8>, String> {
    let digest = descriptor["digest"].as_str().ok_or("no digest")?;
    let (_, content) = fetch(&format!("{repository}/blobs/{digest}"))?;
    let found = format!("sha256:{}", sha256(&content));
    match found == digest && descriptor["size"] == content.len() {
        true => Ok(content),
        false => Err(format!("{descriptor} has {} bytes of digest {found}", content.len())),
    }
}

/// `plugin.wasm`, wherever it lies in the archive.
fn unpack(layer: &[u8]) -> Result<Vec<u8>, String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(layer));
    let entries = archive.entries().map_err(|error| error.to_string())?;
    for entry in entries {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let path = entry.path().map_err(|error| error.to_string())?;
        if path.file_name().is_some_and(|name| name == "plugin.wasm") {
            let mut module = Vec::new();
            entry.read_to_end(&mut module).map_err(|error| error.to_string())?;
            return Ok(module);
        }
    }
    Err("plugin.wasm not found in the archive".to_owned())
}

/// Content type and body of a GET that is answered with 200.
fn fetch(url: &str) -> Result<(String, Vec<u8>), String> {
    let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
    let request = agent.get(url).header("accept", format!("{OCI_MANIFEST}, */*"));
    let mut response = request.call().map_err(|error| format!("GET {url}: {error}"))?;
    let content_type =
        response.headers().get("content-type").map_or(Ok(""), |value| value.to_str());
    let content_type = content_type.map_err(|error| error.to_string())?.to_owned();
    let body = response.body_mut().read_to_vec().map_err(|error| format!("GET {url}: {error}"))?;
    Ok((content_type, body))
}
