//! A real Chromium, driven over WebDriver: it opens a page, looks at it, types, and takes pictures.

use crate::http;
use crate::process::Process;
use crate::wait_for;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A running browser with one window.
#[derive(Debug)]
pub struct Browser {
    session: String,
    _driver: Process,
}

/// How the viewer's system is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark text on a light ground.
    Light,
    /// The reverse.
    Dark,
}

impl Browser {
    /// Starts Chromium by its driver, with its files in `dir`.
    pub fn start(driver: &Path, chromium: &Path, dir: &Path) -> Self {
        let port = http::free_port();
        let mut command = Command::new(driver);
        command.arg(format!("--port={port}"));
        let mut process = Process::start(&mut command, &dir.join("chromedriver.log"));
        let url = format!("http://127.0.0.1:{port}");
        wait_for("the driver of Chromium", Duration::from_secs(30), || {
            process.alive()?;
            http::get_ok(&format!("{url}/status"))
        });
        let profile = format!("--user-data-dir={}", dir.join("chromium").display());
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {
                "binary": chromium,
                // A container has no user namespaces to build a sandbox of, and little shared memory.
                "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars",
                    "--disable-background-networking", "--no-first-run", profile],
                "perfLoggingPrefs": {"enableNetwork": true},
            },
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let created = post(&format!("{url}/session"), &capabilities).expect("a session");
        let id = created["sessionId"].as_str().expect("a session has an id");
        let browser = Self { session: format!("{url}/session/{id}"), _driver: process };
        browser.post("timeouts", &json!({"script": 60_000, "pageLoad": 60_000}));
        // Its own start page is nobody's business.
        browser.open("about:blank");
        browser.console();
        browser.requests();
        browser
    }

    /// Goes to a page and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.post("url", &json!({"url": url}));
    }

    /// Runs the body of a JavaScript function and gives what it returns, awaited where it is a promise.
    pub fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// The value of a JavaScript expression.
    pub fn eval(&self, expression: &str) -> Value {
        self.run(&format!("return {expression}"))
    }

    /// The text of the element that a CSS selector finds first; empty when there is none.
    pub fn text(&self, selector: &str) -> String {
        let found = self.eval(&format!("document.querySelector({selector:?})?.textContent ?? ''"));
        found.as_str().unwrap_or_default().to_owned()
    }

    /// Presses keys one after the other; WebDriver's own code points name those without a character.
    pub fn press(&self, keys: &str) {
        let strokes: Vec<_> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})))
            .collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.post("actions", &json!({"actions": [keyboard]}));
    }

    /// Makes the window so large, in CSS pixels, and its viewer's system light or dark.
    pub fn look(&self, width: u32, height: u32, scheme: Scheme) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let value = if scheme == Scheme::Dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Writes a picture of the whole page, or of its first `height` pixels, as PNG.
    pub fn picture(&self, file: &Path, width: u32, height: Option<u32>) {
        let height = height.map_or_else(
            || self.eval("document.documentElement.scrollHeight").as_u64().unwrap_or(0),
            u64::from,
        );
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let taken = self.devtools(
            "Page.captureScreenshot",
            &json!({"format": "png", "captureBeyondViewport": true, "clip": clip}),
        );
        let png = base64::Engine::decode(
            &base64::prelude::BASE64_STANDARD,
            taken["data"].as_str().expect("a picture"),
        );
        fs::write(file, png.expect("base64")).expect("the folder can be written");
    }

    /// What the page wrote to its console since the last call, errors of loading included.
    pub fn console(&self) -> Vec<String> {
        let entries = self.log("browser");
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// Every address that was asked for since the last call.
    pub fn requests(&self) -> Vec<String> {
        let sent = |entry: &Value| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let event = &event["message"];
            let url = &event["params"]["request"]["url"];
            (event["method"] == "Network.requestWillBeSent")
                .then(|| url.as_str().unwrap_or_default().to_owned())
        };
        self.log("performance").iter().filter_map(sent).collect()
    }

    /// Calls a method of Chromium's own protocol.
    fn devtools(&self, method: &str, params: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": method, "params": params}))
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("se/log", &json!({"type": kind}));
        entries.as_array().cloned().unwrap_or_default()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        post(&format!("{}/{path}", self.session), body)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium, which is a child of the driver's and not ours; no use complaining when it is gone.
        let _ = agent().delete(&self.session).call();
    }
}

/// A WebDriver command; the error is what the driver says.
fn post(url: &str, body: &Value) -> Result<Value, String> {
    let mut response =
        agent().post(url).send(body.to_string()).map_err(|error| error.to_string())?;
    let text = response.body_mut().with_config().limit(64 << 20).read_to_string();
    let text = text.map_err(|error| error.to_string())?;
    let mut answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    match response.status().as_u16() {
        200 => Ok(answer["value"].take()),
        _ => Err(answer["value"]["message"].to_string()),
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(90)))
        .build()
        .new_agent()
}
