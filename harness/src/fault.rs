//! Injected faults: one host call answers a status and does nothing else.

use crate::abi::Status;

/// The `nth` call of `call`, counted from the injection and starting at 1, answers `status` and has no
/// effect. With [`Status::Ok`] the host claims success without having written a result, as Envoy does
/// for an empty buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Name of the import, one of [`crate::HOST_CALLS`]: `proxy_get_buffer_bytes`.
    pub call: &'static str,
    /// Which call of it, from 1.
    pub nth: u32,
    /// The answer.
    pub status: Status,
}

/// Faults that have not happened yet, each with the number of calls still to let pass.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(Fault, u32)>);

impl Faults {
    pub(crate) fn inject(&mut self, fault: Fault) {
        self.0.push((fault, fault.nth));
    }

    pub(crate) fn pending(&self) -> Vec<Fault> {
        self.0.iter().map(|(fault, _)| *fault).collect()
    }

    /// Counts one call; the status to answer when a fault is due.
    pub(crate) fn strike(&mut self, call: &str) -> Option<Status> {
        let mut due = None;
        self.0.retain_mut(|(fault, left)| {
            if fault.call != call {
                return true;
            }
            *left = left.saturating_sub(1);
            if *left == 0 {
                due = due.or(Some(fault.status));
            }
            *left > 0
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strikes_the_nth_call_once_and_no_other() {
        let mut faults = Faults::default();
        let fault = Fault { call: "proxy_log", nth: 2, status: Status::Empty };
        faults.inject(fault);
        assert_eq!(faults.strike("proxy_log"), None);
        assert_eq!(faults.strike("proxy_get_metric"), None);
        assert_eq!(faults.pending(), [fault]);
        assert_eq!(faults.strike("proxy_log"), Some(Status::Empty));
        assert_eq!(faults.strike("proxy_log"), None);
        assert_eq!(faults.pending(), []);
    }
}
