use super::*;

/// Feeds events, 10 ms apart, and gives the watch.
fn watch(events: &[&str]) -> Watch {
    let mut watch = Watch::start();
    watch.status = Some(200);
    for (position, event) in (1..).zip(events) {
        let now = watch.t0 + Duration::from_millis(10) * position;
        watch.touched(now);
        watch.stream_bytes(format!("data: {event}\n\n").as_bytes(), now);
    }
    watch
}

const ROLE: &str = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#;
const TEXT: &str = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
const REASONING: &str = r#"{"choices":[{"index":0,"delta":{"reasoning":"a"}}]}"#;
const TOOL: &str = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}}]}"#;
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":2}}}"#;
const ERROR: &str = r#"{"error":{"message":"x","type":"InternalServerError","code":500}}"#;
const DONE: &str = "[DONE]";

#[test]
fn times_begin_with_something_generated() {
    let seen = watch(&[ROLE, REASONING, TEXT, TOOL, STOP, USAGE, DONE]);
    assert_eq!(seen.ttfb_us(), Some(10_000));
    assert_eq!(seen.ttft_us(), Some(20_000));
    assert_eq!(seen.ttfo_us(), Some(30_000));
    assert_eq!(seen.generated_events, 3);
    assert_eq!(seen.max_stall_us(), Some(10_000));
    let late = seen.t0 + Duration::from_secs(1);
    assert_eq!(seen.duration_us(late), 70_000, "the terminal event, not the end of the body");
}

#[test]
fn tpot_divides_by_the_tokens_that_were_streamed() {
    for (events, tpot) in [
        // 20 ms over 4 gaps: reasoning was streamed and counts.
        (vec![REASONING, TEXT, TEXT, USAGE, DONE], Some(5_000)),
        // 20 ms over 2 gaps: two reasoning tokens were never shown.
        (vec![TEXT, TEXT, TEXT, USAGE, DONE], Some(10_000)),
        (vec![TEXT, TEXT, TEXT, DONE], None),
        (vec![TEXT, USAGE, DONE], None),
        (vec![TEXT, TEXT, USAGE, ERROR, DONE], None),
    ] {
        assert_eq!(watch(&events).tpot_us(), tpot, "{events:?}");
    }
}

#[test]
fn the_end_decides_the_outcome_and_an_error_beats_done() {
    let error = |class, phase| (Outcome::Error, Some((class, phase)));
    for (events, stop, verdict) in [
        (vec![TEXT, DONE], Stop::End, (Outcome::Success, None)),
        (vec![TEXT, DONE], Stop::Broken, (Outcome::Success, None)),
        (vec![TEXT, STOP], Stop::End, (Outcome::Success, None)),
        (vec![TEXT], Stop::Broken, (Outcome::Truncated, None)),
        (vec![TEXT], Stop::End, (Outcome::Truncated, None)),
        (vec![TEXT], Stop::Left, (Outcome::ClientAbort, None)),
        (vec![TEXT], Stop::TimedOut, error(ErrorClass::Timeout, Phase::InStream)),
        (vec![TEXT, ERROR, DONE], Stop::End, error(ErrorClass::Upstream5xx, Phase::InStream)),
        (vec![TEXT, ERROR], Stop::Broken, error(ErrorClass::Upstream5xx, Phase::InStream)),
    ] {
        assert_eq!(watch(&events).verdict(stop), verdict, "{events:?} {stop:?}");
    }
}

#[test]
fn no_head_means_no_answer() {
    let error = |class| (Outcome::Error, Some((class, Phase::BeforeStream)));
    let watch = Watch::start();
    assert_eq!(watch.verdict(Stop::Broken), error(ErrorClass::UpstreamReset));
    assert_eq!(watch.verdict(Stop::Unreachable), error(ErrorClass::ConnectFailure));
}
