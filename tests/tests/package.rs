//! What is released: proxies pull the module from a registry, byte for byte, and everything says what it is.

use gaugeway_tests::digest::sha256;
use gaugeway_tests::{build, puller, real, registry, scratch, workspace};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

const NAME: &str = "gaugeway/gaugeway-filter";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Packaged once.
static DIST: LazyLock<PathBuf> = LazyLock::new(|| {
    let dist = scratch::dir("package_dist");
    let mut package = Command::new(build::xtask());
    package.args(["package", "--no-agent", "--out"]).arg(&dist);
    package
        .env("CARGO_MANIFEST_DIR", workspace().join("xtask"))
        .env("SOURCE_DATE_EPOCH", "1000000000");
    let output = package.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    dist
});

fn read(name: &str) -> Vec<u8> {
    fs::read(DIST.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn both_forms_are_pulled_as_istio_and_envoy_gateway_do() {
    let module = read("gaugeway.wasm");
    let registry = registry::serve(&DIST.join("gaugeway-filter"), NAME);
    for tag in [VERSION.to_owned(), format!("{VERSION}-artifact")] {
        let pulled = puller::pull(registry, NAME, &tag).unwrap();
        assert!(pulled.module == module, "{tag} holds another module");
        // A reference that names the digest is the same image.
        let pinned = puller::pull(registry, NAME, &pulled.digest).unwrap();
        assert!(pinned.manifest == pulled.manifest && pinned.module == module, "{tag}");

        let annotations = &pulled.manifest["annotations"];
        for (key, expected) in [
            ("title", "gaugeway-filter"),
            ("version", VERSION),
            ("licenses", "Apache-2.0"),
            ("created", "2001-09-09T01:46:40Z"),
        ] {
            assert_eq!(annotations[format!("org.opencontainers.image.{key}")], expected, "{tag}");
        }
    }
    assert!(puller::pull(registry, NAME, "latest").is_err());
    assert!(puller::pull(registry, "somebody/else", VERSION).is_err());
}

#[test]
fn the_archive_is_the_folder() {
    let archive = read(&format!("gaugeway-filter-{VERSION}.oci.tar"));
    let mut archive = tar::Archive::new(archive.as_slice());
    let mut paths = BTreeSet::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        assert_eq!(entry.header().mtime().unwrap(), 1_000_000_000);
        let path = entry.path().unwrap().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let name = Path::new("gaugeway-filter").join(&path);
        assert!(content == read(name.to_str().unwrap()), "{}", path.display());
        paths.insert(path);
    }
    assert!(paths.contains(Path::new("oci-layout")) && paths.contains(Path::new("index.json")));
    assert_eq!(
        paths.len(),
        2 + fs::read_dir(DIST.join("gaugeway-filter/blobs/sha256")).unwrap().count()
    );
}

#[test]
fn digests_are_written_down() {
    let digest = sha256(&read("gaugeway.wasm"));
    let written = String::from_utf8(read("gaugeway.wasm.sha256")).unwrap();
    assert_eq!(written, format!("{digest}  gaugeway.wasm\n"));
    let sums = String::from_utf8(read("SHA256SUMS")).unwrap();
    let mut names = Vec::new();
    for line in sums.lines() {
        let (digest, name) = line.split_once("  ").unwrap();
        assert_eq!(sha256(&read(name)), digest, "{name}");
        names.push(name.to_owned());
    }
    let files = [
        format!("gaugeway-agent-{VERSION}.tgz"),
        format!("gaugeway-filter-{VERSION}.cdx.json"),
        format!("gaugeway-filter-{VERSION}.oci.tar"),
        "gaugeway.wasm".to_owned(),
        "gaugeway.wasm.sha256".to_owned(),
    ];
    assert_eq!(names, files);
}

/// What Helm makes of the archive is what it makes of the folder.
#[test]
fn the_chart_s_archive_is_the_chart() {
    let Some(tools) = real::manifests() else { return };
    let archive = DIST.join(format!("gaugeway-agent-{VERSION}.tgz")).display().to_string();
    let lint = tools.helm(&["lint", "--strict", &archive]);
    assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));
    let render = |chart: &str| {
        let set = "--set=prometheusRule.enabled=true,dashboards.enabled=true";
        let output = tools.helm(&["template", "gaugeway-agent", chart, set]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    assert!(render(&archive) == render("deploy/helm/gaugeway-agent"));
}

/// Panics and traps are told by the names of functions and by places in the sources, and not by where these lay.
#[test]
fn the_module_names_its_functions_and_no_path_of_the_machine() {
    let module = read("gaugeway.wasm");
    let contains = |text: &str| module.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(contains("gaugeway_core::"));
    assert!(contains("filter/core/src/"));
    let root = workspace().display().to_string();
    let home = std::env::home_dir().unwrap().display().to_string();
    for path in [root.as_str(), &format!("{home}/"), ".cargo/"] {
        assert!(!contains(path), "{path}");
    }
}

#[test]
fn the_bill_of_materials_is_what_cargo_links() {
    let bom: Value =
        serde_json::from_slice(&read(&format!("gaugeway-filter-{VERSION}.cdx.json"))).unwrap();
    assert_eq!((&bom["bomFormat"], &bom["specVersion"]), (&json!("CycloneDX"), &json!("1.6")));
    assert_eq!(bom["metadata"]["component"]["name"], "gaugeway-filter");
    let components = bom["components"].as_array().unwrap();
    let names: BTreeSet<&str> =
        components.iter().map(|component| component["name"].as_str().unwrap()).collect();
    assert!(names.is_superset(&["gaugeway-core", "serde_json", "memchr"].into()), "{names:?}");
    // Neither what only builds it nor what only the agent is linked with.
    assert!(names.is_disjoint(&["serde_derive", "tokio", "syn"].into()), "{names:?}");
    for component in components {
        let name = &component["name"];
        assert!(component["licenses"][0]["expression"].is_string(), "{name}");
        let ours = name.as_str().unwrap().starts_with("gaugeway-");
        assert_eq!(component["hashes"][0]["content"].is_null(), ours, "{name}");
    }
    let known: Vec<&Value> = components
        .iter()
        .chain([&bom["metadata"]["component"]])
        .map(|component| &component["bom-ref"])
        .collect();
    for dependency in bom["dependencies"].as_array().unwrap() {
        assert!(known.contains(&&dependency["ref"]), "{dependency}");
        assert!(dependency["dependsOn"].as_array().unwrap().iter().all(|on| known.contains(&on)));
    }
}

/// The container runs what the chart asks of it: the same user, and arguments alone.
#[test]
fn the_container_file_is_what_the_chart_needs() {
    let file = fs::read_to_string(workspace().join("deploy/container/Dockerfile")).unwrap();
    let chart =
        fs::read_to_string(workspace().join("deploy/helm/gaugeway-agent/templates/daemonset.yaml"))
            .unwrap();
    assert!(file.contains("\nUSER 65532:65532\n") && chart.contains("runAsUser: 65532"));
    assert!(file.contains("\nENTRYPOINT [\"/usr/local/bin/gaugeway-agent\"]\n"));
    assert!(!chart.contains("command:"));
}
