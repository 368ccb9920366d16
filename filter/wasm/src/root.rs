//! The plugin as a whole: its configuration, and what all streams of this VM share.

use crate::host::EnvoyStats;
use crate::http::HttpStream;
use crate::sys::{self, Buffer};
use gaugeway_core::{Config, Registry};
use std::cell::RefCell;
use std::rc::Rc;

/// What the streams of a VM share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) registry: RefCell<Registry>,
    pub(crate) tenant_header: Option<String>,
    pub(crate) inject_usage: bool,
}

/// The plugin. Without a valid configuration it has nothing to share, and streams are not watched.
#[derive(Debug, Default)]
pub(crate) struct Root {
    shared: Option<Rc<Shared>>,
}

impl Root {
    /// Refuses a bad configuration, so that it fails when it is deployed and not when it is used.
    pub(crate) fn configure(&mut self, size: usize) -> bool {
        let json = sys::buffer(Buffer::PluginConfiguration, size).unwrap_or_default();
        match Config::parse(&json) {
            Ok(config) => {
                let tenant_header = config.tenant_header().map(str::to_owned);
                let inject_usage = config.inject_usage;
                let mut registry = Registry::new(config);
                registry.announce(&mut EnvoyStats);
                let registry = RefCell::new(registry);
                self.shared = Some(Rc::new(Shared { registry, tenant_header, inject_usage }));
                true
            }
            Err(why) => {
                sys::warn(&format!("gaugeway: bad configuration: {why}"));
                false
            }
        }
    }

    /// A new stream under this configuration.
    pub(crate) fn stream(&self) -> HttpStream {
        HttpStream::new(self.shared.clone())
    }
}
