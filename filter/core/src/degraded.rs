//! What the filter had to leave unseen. Each reason is counted, so that blindness shows.

use crate::outcome::closed_set;

closed_set! {
    /// Why something was not looked at. The traffic itself is never touched.
    Degraded {
        /// A request body in a content coding that is not read.
        RequestEncoding = "request_encoding",
        /// A response body in a content coding that is not read.
        ResponseEncoding = "response_encoding",
        /// A response body that is not what its content coding says.
        ResponseCorrupt = "response_corrupt",
        /// A response body that decodes to more than any answer, or needs too large a window.
        ResponseTooLarge = "response_too_large",
        /// A response body of an unknown format.
        ResponseFormat = "response_format",
        /// An event or a document that is no JSON.
        MalformedJson = "malformed_json",
        /// The host had no time to tell.
        NoClock = "no_clock",
        /// The host refused a stat, or the table of stats is full.
        SeriesFull = "series_full",
    }
}

closed_set! {
    /// Why a finished answer has no reported usage.
    UsageMissing {
        /// It is complete, and the server sent none.
        NotSent = "not_sent",
        /// The client left before it came.
        Aborted = "aborted",
        /// The stream was cut before it came.
        Truncated = "truncated",
        /// An error came in its place.
        Failed = "error",
        /// The body could not be read.
        Unreadable = "unreadable",
    }
}

/// A set of reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DegradedSet(u16);

impl DegradedSet {
    pub(crate) fn insert(&mut self, reason: Degraded) {
        self.0 |= bit(reason);
    }

    pub(crate) fn contains(self, reason: Degraded) -> bool {
        self.0 & bit(reason) != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Degraded> {
        Degraded::ALL.iter().copied().filter(move |reason| self.contains(*reason))
    }
}

const fn bit(reason: Degraded) -> u16 {
    1 << (reason as u8)
}
