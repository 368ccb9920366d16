use super::*;
use crate::served::Usage;

fn served(id: &str, end: ServedEnd, usage: Option<Usage>) -> Served {
    Served {
        id: id.to_owned(),
        model: "m".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        mode: Mode::Stream,
        plan: Plan::Ok,
        status: Some(200),
        input_tokens: 9,
        output_tokens_sent: 7,
        usage_reported: usage,
        first_event_us: Some(100),
        last_event_us: Some(200),
        generated_events: 7,
        end,
    }
}

fn observed(id: &str, outcome: Outcome, usage: Option<Usage>) -> Observation {
    let failed = outcome == Outcome::Error;
    Observation {
        id: id.to_owned(),
        model: "m".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        mode: Mode::Stream,
        plan: Plan::Ok,
        status: Some(200),
        outcome,
        error_class: failed.then_some(ErrorClass::Upstream5xx),
        phase: failed.then_some(Phase::InStream),
        ttfb_us: None,
        ttft_us: None,
        ttfo_us: None,
        tpot_us: None,
        max_stall_us: None,
        duration_us: 300,
        generated_events: 5,
        usage,
    }
}

const USAGE: Option<Usage> = Some(Usage { input: 9, output: 7, cached: Some(4), reasoning: None });

#[test]
fn counts_sums_and_bounds_are_kept_apart() {
    let truth = Truth::by_model(
        &[
            served("a", ServedEnd::Complete, USAGE),
            served("b", ServedEnd::Complete, USAGE),
            served("c", ServedEnd::ClientGone, None),
            served("d", ServedEnd::Error, None),
        ],
        &[
            observed("a", Outcome::Success, USAGE),
            observed("b", Outcome::Success, USAGE),
            observed("c", Outcome::ClientAbort, None),
            observed("d", Outcome::Error, None),
        ],
    );
    let truth = &truth["m"];
    assert_eq!(truth.requests[&(Outcome::Success, Mode::Stream)], 2);
    assert_eq!(truth.errors, BTreeMap::from([((ErrorClass::Upstream5xx, Phase::InStream), 1)]));
    let sums = ReportedTokens { requests: 2, input: 18, output: 14, cached: 8, reasoning: 0 };
    assert_eq!(truth.reported, BTreeMap::from([(Outcome::Success, sums)]));
    let bounds: Vec<_> =
        truth.unreported.iter().map(|b| (b.id.as_str(), b.received, b.sent)).collect();
    assert_eq!(bounds, [("c", 5, 7), ("d", 5, 7)]);
    assert_eq!(truth.disputed, []);
}

#[test]
fn the_two_sides_are_not_believed_when_they_disagree() {
    for (end, sent, outcome, received, dispute) in [
        (ServedEnd::Complete, USAGE, Outcome::ClientAbort, None, Dispute::AbortedTooLate),
        (ServedEnd::Complete, USAGE, Outcome::Truncated, None, Dispute::End),
        (ServedEnd::ClientGone, None, Outcome::Success, None, Dispute::End),
        (ServedEnd::Complete, USAGE, Outcome::Success, None, Dispute::Usage),
    ] {
        let truth = Truth::by_model(&[served("a", end, sent)], &[observed("a", outcome, received)]);
        assert_eq!(truth["m"].disputed, [("a".to_owned(), dispute)]);
    }
    let truth = Truth::by_model(
        &[served("a", ServedEnd::Complete, None)],
        &[observed("b", Outcome::Success, None)],
    );
    let expected = [("b".to_owned(), Dispute::NotServed), ("a".to_owned(), Dispute::NotObserved)];
    assert_eq!(truth["m"].disputed, expected);
}
