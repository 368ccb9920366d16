//! Exchange files: recorded traffic as a JSON sidecar and, beside it, a file with the exact bytes of the
//! response body. Fields that the sidecar has for other readers are passed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use serde::Deserialize;
use serde_json::value::RawValue;

/// One request and its response.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The sidecar's file stem.
    pub name: String,
    /// Request headers, pseudo-headers first.
    pub request_headers: Vec<(String, String)>,
    /// Request body; empty when the sidecar has none.
    pub request_body: Vec<u8>,
    /// HTTP status.
    pub status: u16,
    /// Response headers, `:status` first.
    pub response_headers: Vec<(String, String)>,
    /// Response body as it crossed the wire.
    pub body: Vec<u8>,
    /// When the body arrived: time since the response headers, and where that part ends in the body.
    /// Without `chunks` in the sidecar it is one part that came with the headers.
    pub arrivals: Vec<(Duration, usize)>,
}

/// Why an exchange cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The sidecar, or the body that it names.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sidecar is not in the form.
    #[error("{} is no exchange file: {source}", path.display())]
    Form {
        /// The sidecar.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// The parts are not the whole.
    #[error("{}: `chunks` add up to {chunks} bytes, the body has {body}", path.display())]
    Chunks {
        /// The sidecar.
        path: PathBuf,
        /// Sum of all lengths.
        chunks: usize,
        /// Bytes in the body file.
        body: usize,
    },
}

#[derive(Deserialize)]
struct Sidecar {
    request_path: String,
    request_body: Option<Box<RawValue>>,
    status: u16,
    content_type: Option<String>,
    content_encoding: Option<String>,
    #[serde(default)]
    response_headers: BTreeMap<String, String>,
    body_file: PathBuf,
    chunks: Option<Vec<(u64, usize)>>,
}

impl Exchange {
    /// Reads a sidecar and its body.
    ///
    /// # Errors
    /// [`ExchangeError`], which names the file.
    pub fn read(path: &Path) -> Result<Self, ExchangeError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| ExchangeError::Read { path: path.to_owned(), source })
        };
        let sidecar: Sidecar = serde_json::from_slice(&read(path)?)
            .map_err(|source| ExchangeError::Form { path: path.to_owned(), source })?;
        let body = read(&path.with_file_name(&sidecar.body_file))?;
        let arrivals = arrivals(sidecar.chunks.as_deref(), body.len()).map_err(|chunks| {
            ExchangeError::Chunks { path: path.to_owned(), chunks, body: body.len() }
        })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            request_headers: request_headers(&sidecar),
            response_headers: response_headers(&sidecar),
            request_body: sidecar.request_body.map_or_else(Vec::new, |json| json.get().into()),
            status: sidecar.status,
            name,
            body,
            arrivals,
        })
    }
}

fn request_headers(sidecar: &Sidecar) -> Vec<(String, String)> {
    [
        (":method", "POST"),
        (":path", sidecar.request_path.as_str()),
        (":scheme", "http"),
        (":authority", "upstream"),
        ("content-type", "application/json"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The fields of the sidecar win over the recorded headers of the same name.
fn response_headers(sidecar: &Sidecar) -> Vec<(String, String)> {
    let mut headers = vec![(":status".to_owned(), sidecar.status.to_string())];
    let named =
        [("content-type", &sidecar.content_type), ("content-encoding", &sidecar.content_encoding)];
    for (name, value) in named {
        headers.extend(value.as_ref().map(|value| (name.to_owned(), value.clone())));
    }
    for (name, value) in &sidecar.response_headers {
        if !headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            headers.push((name.clone(), value.clone()));
        }
    }
    headers
}

/// Where each part ends, with its time; the sum of all parts when that is not the body.
fn arrivals(chunks: Option<&[(u64, usize)]>, body: usize) -> Result<Vec<(Duration, usize)>, usize> {
    let Some(chunks) = chunks else { return Ok(vec![(Duration::ZERO, body)]) };
    let mut end = 0_usize;
    let arrivals = chunks
        .iter()
        .map(|&(milliseconds, length)| {
            end = end.saturating_add(length);
            (Duration::from_millis(milliseconds), end)
        })
        .collect();
    if end == body { Ok(arrivals) } else { Err(end) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sidecar(json: &str) -> Sidecar {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_request_body_keeps_its_bytes() {
        let read = sidecar(
            r#"{"request_path": "/", "request_body": {"b": 1,  "a": 2}, "status": 200, "body_file": "x"}"#,
        );
        assert_eq!(read.request_body.unwrap().get(), r#"{"b": 1,  "a": 2}"#);
    }

    #[test]
    fn sidecar_fields_win_over_recorded_headers() {
        let read = sidecar(
            r#"{"request_path": "/", "request_body": null, "status": 404, "body_file": "x",
                "content_type": "a/b", "response_headers": {"Content-Type": "c/d", "via": "p"}}"#,
        );
        assert!(read.request_body.is_none());
        let headers = response_headers(&read);
        let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(headers, [(":status", "404"), ("content-type", "a/b"), ("via", "p")]);
    }

    #[test]
    fn chunks_must_add_up() {
        let ms = Duration::from_millis;
        assert_eq!(arrivals(None, 5), Ok(vec![(ms(0), 5)]));
        assert_eq!(arrivals(Some(&[(10, 2), (30, 3)]), 5), Ok(vec![(ms(10), 2), (ms(30), 5)]));
        assert_eq!(arrivals(Some(&[(10, 2)]), 5), Err(2));
    }
}
