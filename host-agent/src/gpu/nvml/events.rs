//! XIDs: errors that the driver reports as they happen, and never again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::{Device, EventSet, Nvml};

use crate::gpu::Xid;

/// Most events that one sample takes in; the rest waits in the driver.
const MOST_AT_ONCE: u32 = 256;
/// Most lines of the log. There are some 150 codes.
const MOST_LINES: usize = 4096;
/// What the driver says when it knows no code.
const NO_CODE: u64 = 999;

#[derive(Debug)]
pub(super) struct Events<'nvml> {
    nvml: &'nvml Nvml,
    /// A set per GPU: nvml-wrapper frees a set when one registration to it fails.
    sets: Vec<(String, EventSet<'nvml>)>,
    tried: BTreeSet<String>,
}

impl<'nvml> Events<'nvml> {
    pub(super) fn listen(nvml: &'nvml Nvml) -> Self {
        Self { nvml, sets: Vec::new(), tried: BTreeSet::new() }
    }

    /// Asks for the errors of a GPU from here on, where the driver tells of them: not in MIG
    /// instances, but of their parent.
    pub(super) fn register(&mut self, device: &Device<'nvml>, uuid: &str) {
        if !self.tried.insert(uuid.to_owned()) {
            return;
        }
        let set = self.nvml.create_event_set().map_err(Into::into);
        let set = set.and_then(|set| device.register_events(EventTypes::CRITICAL_XID_ERROR, set));
        if let Ok(set) = set {
            self.sets.push((uuid.to_owned(), set));
        }
    }

    /// Takes in what has been reported, without waiting for more.
    pub(super) fn hear(&self, log: &mut BTreeMap<(String, u64), Xid>) {
        for (uuid, set) in &self.sets {
            for _ in 0..MOST_AT_ONCE {
                let Ok(event) = set.wait(0) else { break };
                let code = match event.event_data {
                    Some(XidError::Value(code)) => code,
                    Some(XidError::Unknown) => NO_CODE,
                    None => continue,
                };
                let key = (uuid.clone(), code);
                if log.len() >= MOST_LINES && !log.contains_key(&key) {
                    continue;
                }
                let now = SystemTime::now();
                let xid = log.entry(key).or_insert(Xid { count: 0, last: now });
                *xid = Xid { count: xid.count.saturating_add(1), last: now };
            }
        }
    }
}
