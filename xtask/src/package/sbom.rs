//! What a program is made of, as CycloneDX: the packages that it is linked from, with their licences and digests.

use super::release::{Release, version_of};
use crate::workspace::Workspace;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Between the fields of a line; no name, version or licence has it.
const SEPARATOR: char = '|';

/// A line of `cargo tree`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    /// An SPDX expression; empty where the package names none.
    licence: String,
}

impl Package {
    /// Its package URL, by which others refer to it.
    fn url(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }
}

/// The packages of a program, and what each is linked with.
type Graph = BTreeMap<Package, BTreeSet<String>>;

/// The bill of materials of a package of the workspace as `tools` build it for `target`, with the components of it that
/// are no packages of cargo.
pub(super) fn of(
    workspace: &Workspace,
    release: &Release,
    (package, target): (&str, &str),
    tools: &[&str],
    others: &[Value],
) -> Result<Vec<u8>> {
    let format = format!("{{p}}{SEPARATOR}{{l}}{SEPARATOR}");
    let mut cargo =
        workspace.cargo(["tree", "--locked", "--prefix=depth", "--edges=normal,no-proc-macro"]);
    cargo.args(["--package", package, "--target", target, "--format", &format]);
    let output = cargo.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    }
    let (root, graph) = read_tree(&String::from_utf8(output.stdout)?)?;
    let lock = fs::read_to_string(workspace.root().join("Cargo.lock"))
        .context("there is no Cargo.lock")?;
    let libraries = graph.keys().filter(|package| **package != root);
    let libraries = libraries.map(|package| component(package, "library", digest(&lock, package)));
    let components: Vec<Value> = libraries.chain(others.iter().cloned()).collect();
    let dependencies: Vec<Value> = graph
        .iter()
        .map(|(package, uses)| json!({"ref": package.url(), "dependsOn": uses}))
        .collect();
    let tools = tools.iter().filter_map(|tool| version_of(tool));
    let tools: Vec<Value> =
        tools.map(|name| json!({"type": "application", "name": name})).collect();
    let bom = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": release.created(),
            "tools": {"components": tools},
            "component": component(&root, "application", None),
        },
        "components": components,
        "dependencies": dependencies,
    });
    Ok(serde_json::to_vec_pretty(&bom)?)
}

fn component(package: &Package, kind: &str, digest: Option<&str>) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": package.url(),
        "name": package.name,
        "version": package.version,
        "purl": package.url(),
    });
    if let Some(fields) = component.as_object_mut() {
        if !package.licence.is_empty() {
            // Old packages write a slash where SPDX has OR.
            let licence =
                package.licence.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ");
            fields.insert("licenses".to_owned(), json!([{"expression": licence}]));
        }
        if let Some(digest) = digest {
            fields.insert("hashes".to_owned(), json!([{"alg": "SHA-256", "content": digest}]));
        }
    }
    component
}

/// Reads the tree: each line begins with its depth, and is used by the last line before that is less deep.
fn read_tree(tree: &str) -> Result<(Package, Graph)> {
    let mut graph = Graph::new();
    let mut path: Vec<Package> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let (depth, package) =
            read_line(line).with_context(|| format!("cargo tree says: {line}"))?;
        path.truncate(depth);
        if let Some(user) = path.last() {
            graph.entry(user.clone()).or_default().insert(package.url());
        }
        graph.entry(package.clone()).or_default();
        path.push(package);
    }
    let root = path.into_iter().next().context("cargo tree says nothing")?;
    Ok((root, graph))
}

/// `2memchr v2.8.3`, its licence, and marks that do not matter here.
fn read_line(line: &str) -> Option<(usize, Package)> {
    let mut fields = line.split(SEPARATOR);
    let (package, licence) = (fields.next()?, fields.next()?);
    let name = package.trim_start_matches(|c: char| c.is_ascii_digit());
    let depth = package.strip_suffix(name)?.parse().ok()?;
    let mut words = name.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let package =
        Package { name: name.to_owned(), version: version.to_owned(), licence: licence.to_owned() };
    Some((depth, package))
}

/// The digest that Cargo.lock has of a package.
fn digest<'a>(lock: &'a str, package: &Package) -> Option<&'a str> {
    let head = format!("name = \"{}\"\nversion = \"{}\"", package.name, package.version);
    let (_, rest) = lock.split_once(&head)?;
    let entry = rest.split("\n\n").next()?;
    let (_, digest) = entry.split_once("checksum = \"")?;
    digest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_becomes_a_graph() {
        let tree = "0a v1.0.0 (/x)|MIT|\n1b v2.0.0|MIT/Apache-2.0|\n\
                    2c v3.0.0||\n1c v3.0.0|| (*)\n";
        let (root, graph) = read_tree(tree).unwrap();
        assert_eq!(root.url(), "pkg:cargo/a@1.0.0");
        let uses: Vec<(String, Vec<&str>)> = graph
            .iter()
            .map(|(package, uses)| (package.url(), uses.iter().map(String::as_str).collect()))
            .collect();
        let [b, c] = ["pkg:cargo/b@2.0.0", "pkg:cargo/c@3.0.0"];
        assert_eq!(
            uses,
            [(root.url(), vec![b, c]), (b.to_owned(), vec![c]), (c.to_owned(), vec![])]
        );
    }

    #[test]
    fn digests_come_from_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"b\"\n\
                    version = \"2.0.0\"\nsource = \"s\"\nchecksum = \"abc\"\n\n";
        let package = |name: &str, version: &str| Package {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: String::new(),
        };
        assert_eq!(digest(lock, &package("b", "2.0.0")), Some("abc"));
        assert_eq!(digest(lock, &package("a", "1.0.0")), None);
        assert_eq!(digest(lock, &package("b", "1.0.0")), None);
    }
}
