//! The web configuration file that Prometheus' exporters share: TLS and basic auth.
//!
//! It is looked at for every connection and read again when it, the certificate or the key has
//! changed. A file that has become wrong is logged and the last good one stays in force: a half
//! written certificate must not open the page, nor close it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;

use super::login::Users;

/// Largest file that is read.
const MAX_BYTES: u64 = 1024 * 1024;

/// Why a web configuration is refused.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub struct WebConfigError {
    file: PathBuf,
    reason: String,
}

/// How connections are accepted.
#[derive(Clone)]
pub(super) struct Access {
    /// `None` for plain HTTP.
    pub(super) tls: Option<TlsAcceptor>,
    /// `None` where everybody is let in.
    pub(super) users: Option<Arc<Users>>,
}

impl Access {
    const OPEN: Self = Self { tls: None, users: None };
}

/// The file, and what it said last.
pub(crate) struct WebConfig {
    file: Option<PathBuf>,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    access: Access,
    seen: Vec<(PathBuf, Stamp)>,
}

/// What changes when a file does; `None` where it cannot be looked at.
type Stamp = Option<(SystemTime, u64)>;

impl WebConfig {
    /// Reads the file; without one, plain HTTP for everybody.
    pub(crate) fn load(file: Option<PathBuf>) -> Result<Self, WebConfigError> {
        let loaded = match &file {
            None => Loaded { access: Access::OPEN, seen: Vec::new() },
            Some(file) => read(file)?,
        };
        Ok(Self { file, loaded: Mutex::new(loaded) })
    }

    /// Whether TLS is spoken.
    pub(crate) fn is_tls(&self) -> bool {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).access.tls.is_some()
    }

    /// How the next connection is accepted.
    pub(super) fn access(&self) -> Access {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file {
            let changed = loaded.seen.iter_mut().fold(false, |changed, (file, seen)| {
                let now = stamp(file);
                // Each state of the files is tried once, so that a wrong one is logged once.
                changed | (std::mem::replace(seen, now) != now)
            });
            if changed {
                match read(file) {
                    Ok(again) => *loaded = again,
                    Err(error) => log::error!("{error}; the last good configuration stays"),
                }
            }
        }
        loaded.access.clone()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWeb {
    tls_server_config: Option<RawTls>,
    #[serde(default)]
    http_server_config: RawHttp,
    #[serde(default)]
    basic_auth_users: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    cert_file: PathBuf,
    key_file: PathBuf,
    #[serde(default)]
    client_auth_type: ClientAuth,
    client_ca_file: Option<PathBuf>,
    #[serde(default)]
    min_version: MinVersion,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawHttp {
    /// Accepted for the sake of shared files; HTTP/1.1 is all that a scrape needs.
    #[serde(default)]
    #[expect(dead_code, reason = "documented above")]
    http2: bool,
}

#[derive(Deserialize, Default, PartialEq)]
enum ClientAuth {
    #[default]
    #[serde(alias = "")]
    NoClientCert,
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

#[derive(Deserialize, Default, PartialEq)]
enum MinVersion {
    #[default]
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

fn read(file: &Path) -> Result<Loaded, WebConfigError> {
    let refuse = |reason: String| WebConfigError { file: file.to_owned(), reason };
    let first = stamp(file);
    let text = read_small(file).map_err(|error| refuse(error.to_string()))?;
    let text = String::from_utf8(text).map_err(|_| refuse("not UTF-8".to_owned()))?;
    // An empty file is as good as none.
    let raw: Option<RawWeb> = if text.trim().is_empty() {
        None
    } else {
        Some(serde_saphyr::from_str(&text).map_err(|error| refuse(one_line(&error.to_string())))?)
    };
    let mut seen = vec![(file.to_owned(), first)];
    let Some(raw) = raw else { return Ok(Loaded { access: Access::OPEN, seen }) };
    let RawHttp { .. } = raw.http_server_config;
    let users = Users::new(raw.basic_auth_users).map_err(refuse)?;
    let mut tls = None;
    if let Some(mut raw) = raw.tls_server_config {
        // Paths are relative to the file that names them.
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        for path in [Some(&mut raw.cert_file), Some(&mut raw.key_file), raw.client_ca_file.as_mut()]
        {
            let Some(path) = path else { continue };
            *path = folder.join(&path);
            seen.push((path.clone(), stamp(path)));
        }
        tls = Some(acceptor(&raw).map_err(refuse)?);
    }
    Ok(Loaded { access: Access { tls, users: users.map(Arc::new) }, seen })
}

fn acceptor(raw: &RawTls) -> Result<TlsAcceptor, String> {
    let certificates = certificates(&raw.cert_file, "cert_file")?;
    let key = read_small(&raw.key_file)
        .map_err(|error| error.to_string())
        .and_then(|pem| PrivateKeyDer::from_pem_slice(&pem).map_err(|error| error.to_string()));
    let key = key.map_err(|error| format!("key_file {}: {error}", raw.key_file.display()))?;
    let versions: &[_] = match raw.min_version {
        MinVersion::Tls12 => &[&rustls::version::TLS12, &rustls::version::TLS13],
        MinVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder =
        builder.with_protocol_versions(versions).map_err(|error| format!("TLS: {error}"))?;
    let builder = match (&raw.client_auth_type, &raw.client_ca_file) {
        (ClientAuth::NoClientCert, None) => builder.with_no_client_auth(),
        (ClientAuth::NoClientCert, Some(_)) => {
            return Err(
                "client_ca_file is set, but client_auth_type asks for no certificate".into()
            );
        }
        (_, None) => return Err("client_auth_type needs a client_ca_file".into()),
        (wanted, Some(file)) => {
            let mut roots = RootCertStore::empty();
            for certificate in self::certificates(file, "client_ca_file")? {
                roots.add(certificate).map_err(|error| format!("client_ca_file: {error}"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match wanted {
                ClientAuth::VerifyClientCertIfGiven => verifier.allow_unauthenticated(),
                ClientAuth::NoClientCert | ClientAuth::RequireAndVerifyClientCert => verifier,
            };
            let verifier = verifier.build().map_err(|error| format!("client_ca_file: {error}"))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|error| format!("cert_file and key_file: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(file: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let refuse = |reason: String| format!("{key} {}: {reason}", file.display());
    let pem = read_small(file).map_err(|error| refuse(error.to_string()))?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| refuse(error.to_string()))?;
    if certificates.is_empty() {
        return Err(refuse("no certificate in it".to_owned()));
    }
    Ok(certificates)
}

fn read_small(file: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(file)?.len() > MAX_BYTES {
        return Err(io::Error::other(format!("over {MAX_BYTES} bytes")));
    }
    fs::read(file)
}

fn stamp(file: &Path) -> Stamp {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2b$04$nJrTzaCtVRTXt1A2VF5NJOsoEBsyyzAqwh7FLpf3HUOhXIYlL1Mmq";

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("gaugeway-web-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, text: &str) -> PathBuf {
            let file = self.0.join("web.yml");
            fs::write(&file, text).unwrap();
            file
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[track_caller]
    fn refused(text: &str, reason: &str) {
        let folder = Folder::new("refused");
        let error = WebConfig::load(Some(folder.write(text))).err().unwrap().to_string();
        assert!(error.contains("web.yml: ") && error.contains(reason), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn wrong_files_are_refused() {
        refused("basic_auth_user: {}", "basic_auth_user");
        refused("basic_auth_users: {a: secret}", "bcrypt");
        refused("tls_server_config: {cert_file: a.pem, key_file: b.pem}", "cert_file");
        refused("tls_server_config: {cert_file: a.pem}", "key_file");
        refused("tls_server_config: {cert_file: a, key_file: b, min_version: TLS10}", "TLS10");
        refused(
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAnyClientCert}",
            "RequireAnyClientCert",
        );
    }

    #[test]
    fn an_empty_file_lets_everybody_in() {
        let folder = Folder::new("empty");
        let access = WebConfig::load(Some(folder.write("\n"))).unwrap().access();
        assert!(access.tls.is_none() && access.users.is_none());
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_wrong_one_is_not_taken() {
        let folder = Folder::new("changed");
        let config = WebConfig::load(Some(folder.write("\n"))).unwrap();
        folder.write(&format!("basic_auth_users: {{a: {HASH}}}\n"));
        assert!(config.access().users.is_some());
        folder.write("basic_auth_users: [");
        assert!(config.access().users.is_some(), "the last good one stays");
        folder.write("http_server_config: {http2: true}\n");
        assert!(config.access().users.is_none());
    }
}
