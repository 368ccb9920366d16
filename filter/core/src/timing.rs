//! When things happened in a stream, and the latencies that follow (definitions: README).

use crate::time::HostTime;
use std::time::Duration;

/// The moments of one stream. A moment is absent when it did not come, or the host had no clock then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timing {
    /// Request headers seen: t0.
    start: Option<HostTime>,
    first_byte: Option<HostTime>,
    first_generated: Option<HostTime>,
    first_output: Option<HostTime>,
    last_generated: Option<HostTime>,
    /// The terminal event.
    pub(crate) terminal: Option<HostTime>,
    max_stall: Option<Duration>,
    /// Generated events so far.
    pub(crate) events: u64,
}

impl Timing {
    /// A stream whose request headers came at `start`.
    pub(crate) fn starting(start: Option<HostTime>) -> Self {
        Self { start, ..Self::default() }
    }

    /// A first or later byte of the response body came.
    pub(crate) fn byte(&mut self, at: Option<HostTime>) {
        self.first_byte = self.first_byte.or(at);
    }

    /// A generated event is complete. Returns the gap to the one before.
    pub(crate) fn generated(&mut self, at: Option<HostTime>, output: bool) -> Option<Duration> {
        self.events = self.events.saturating_add(1);
        let at = at?;
        self.first_generated = self.first_generated.or(Some(at));
        if output {
            self.first_output = self.first_output.or(Some(at));
        }
        let gap = self.last_generated.replace(at).map(|last| at.since(last));
        self.max_stall = self.max_stall.max(gap);
        gap
    }

    /// Time since t0.
    pub(crate) fn since_start(&self, at: Option<HostTime>) -> Option<Duration> {
        Some(at?.since(self.start?))
    }

    pub(crate) fn ttfb(&self) -> Option<Duration> {
        self.since_start(self.first_byte)
    }

    pub(crate) fn ttft(&self) -> Option<Duration> {
        self.since_start(self.first_generated)
    }

    pub(crate) fn ttfo(&self) -> Option<Duration> {
        self.since_start(self.first_output)
    }

    pub(crate) fn max_stall(&self) -> Option<Duration> {
        self.max_stall
    }

    /// t0 to the terminal event, or to `end` where there was none.
    pub(crate) fn duration(&self, end: Option<HostTime>) -> Option<Duration> {
        self.since_start(self.terminal.or(end))
    }

    /// (last - first generated event) / (tokens - 1), for at least two tokens and two events.
    pub(crate) fn tpot(&self, tokens: u64) -> Option<Duration> {
        if self.events < 2 {
            return None;
        }
        let span = self.last_generated?.since(self.first_generated?);
        span.checked_div(u32::try_from(tokens.checked_sub(1)?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Option<HostTime> {
        Some(HostTime::from_nanos(ms * 1_000_000))
    }

    fn span(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn a_reasoning_stream() {
        let mut timing = Timing::starting(ms(100));
        timing.byte(ms(150));
        timing.byte(ms(160));
        assert_eq!(timing.generated(ms(200), false), None);
        assert_eq!(timing.generated(ms(230), true), span(30));
        assert_eq!(timing.generated(ms(330), true), span(100));
        timing.terminal = ms(340);
        assert_eq!((timing.ttfb(), timing.ttft(), timing.ttfo()), (span(50), span(100), span(130)));
        assert_eq!((timing.max_stall(), timing.duration(ms(999))), (span(100), span(240)));
        assert_eq!((timing.tpot(3), timing.tpot(14), timing.tpot(1)), (span(65), span(10), None));
    }

    #[test]
    fn one_event_has_no_tpot() {
        let mut timing = Timing::starting(ms(0));
        timing.generated(ms(10), true);
        assert_eq!((timing.tpot(40), timing.max_stall()), (None, None));
    }

    #[test]
    fn without_a_clock_events_are_counted_and_times_are_absent() {
        let mut timing = Timing::default();
        timing.generated(None, true);
        timing.generated(None, true);
        assert_eq!(
            (timing.events, timing.ttft(), timing.tpot(9), timing.duration(None)),
            (2, None, None, None)
        );
    }

    proptest! {
        #[test]
        fn a_clock_going_backwards_never_gives_a_huge_value(moments: Vec<u32>, tokens: u64) {
            let mut timing = Timing::starting(Some(HostTime::from_nanos(1 << 31)));
            for at in moments {
                timing.generated(Some(HostTime::from_nanos(at.into())), true);
            }
            let limit = Duration::from_nanos(1 << 32);
            for span in [timing.ttft(), timing.ttfo(), timing.max_stall(), timing.tpot(tokens)].into_iter().flatten() {
                prop_assert!(span <= limit);
            }
        }
    }
}
