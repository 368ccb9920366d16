use super::*;
use crate::outcome::{ErrorClass, FinishReason, Phase};

const CHAT: &str = "/v1/chat/completions";

fn ms(ms: u64) -> Option<HostTime> {
    Some(HostTime::from_nanos(ms * 1_000_000))
}

fn via_upstream() -> Ending<'static> {
    Ending { flags: 0, details: b"via_upstream", reached_upstream: true }
}

fn client_left() -> Ending<'static> {
    Ending { flags: 1 << 14, details: b"downstream_remote_disconnect", reached_upstream: true }
}

/// A stream that has been asked for `request` at 100 ms and answered with `status` and `media`.
fn begun(path: &str, request: &str, status: u16, media: &str) -> Observer {
    let head = RequestHead { method: b"POST", path: path.as_bytes(), ..RequestHead::default() };
    let mut observer = Observer::start(ms(100), &head).unwrap();
    observer.request_chunk(request.as_bytes());
    let content_type = Some(media.as_bytes());
    observer.response_head(&ResponseHead { status, content_type, ..ResponseHead::default() });
    observer
}

fn streaming() -> Observer {
    begun(CHAT, r#"{"messages":[],"stream":true,"model":"m"}"#, 200, "text/event-stream")
}

fn delta(content: &str) -> Vec<u8> {
    format!("data: {{\"model\":\"m-1\",\"choices\":[{{\"delta\":{{{content}}}}}]}}\n\n")
        .into_bytes()
}

const USAGE: &[u8] =
    b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\
    \"total_tokens\":12,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n";
const FINISH: &[u8] = b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

#[test]
fn a_whole_stream() {
    let mut observer = streaming();
    observer.response_chunk(ms(150), &delta(r#""role":"assistant","content":"""#), End::More);
    observer.response_chunk(ms(200), &delta(r#""content":"Hi""#), End::More);
    let gaps = observer.response_chunk(ms(220), &delta(r#""content":" there""#), End::More);
    assert_eq!(gaps, Gaps { first: Some(Duration::from_millis(20)), zeros: 0 });
    observer.response_chunk(ms(240), &delta(r#""content":"!""#), End::More);
    observer.response_chunk(ms(240), &[FINISH, USAGE, DONE].concat(), End::More);
    observer.response_chunk(ms(260), b"", End::Last);
    let record = observer.finish(ms(261), &via_upstream()).unwrap();
    assert_eq!((record.outcome, record.mode, record.error), (Outcome::Success, Mode::Stream, None));
    assert_eq!(record.ttfb, Some(Duration::from_millis(50)));
    assert_eq!(record.ttft, Some(Duration::from_millis(100)));
    assert_eq!(record.tpot, Some(Duration::from_millis(20)));
    assert_eq!(record.duration, Some(Duration::from_millis(140)));
    assert_eq!(record.finish, Some(FinishReason::Stop));
    let usage = (record.usage.input, record.usage.output, record.usage.cache_read);
    assert_eq!(usage, (Some(9), Some(3), Some(4)));
    assert_eq!(
        (record.model.as_deref(), record.response_model.as_deref()),
        (Some(&b"m"[..]), Some(&b"m-1"[..]))
    );
    assert_eq!(record.usage_missing, None);
}

#[test]
fn several_events_in_one_piece_have_gaps_of_zero() {
    let mut observer = streaming();
    let piece =
        [delta(r#""content":"a""#), delta(r#""content":"b""#), delta(r#""content":"c""#)].concat();
    assert_eq!(
        observer.response_chunk(ms(110), &piece, End::More),
        Gaps { first: Some(Duration::ZERO), zeros: 1 }
    );
    let gaps = observer.response_chunk(ms(130), &piece, End::More);
    assert_eq!(gaps.iter().map(|gap| gap.as_millis()).collect::<Vec<_>>(), [20, 0, 0]);
    assert_eq!(observer.generated_events(), 6);
}

#[test]
fn every_kind_of_payload_is_a_generated_event_and_nothing_else_is() {
    for (payload, counts) in [
        (r#""content":"x""#, true),
        (r#""content":"""#, false),
        (r#""content":null"#, false),
        (r#""role":"assistant""#, false),
        (r#""reasoning_content":"x""#, true),
        (r#""reasoning":"x""#, true),
        (r#""reasoning_details":[{"text":"x"}]"#, true),
        (r#""refusal":"x""#, true),
        (r#""tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]"#, true),
        (r#""tool_calls":[{"index":0,"function":{"arguments":"{"}}]"#, true),
        (r#""tool_calls":[{"index":0,"function":{"arguments":""}}]"#, false),
        (r#""content":[{"type":"thinking","thinking":[{"type":"text","text":"x"}]}]"#, true),
        (r#""audio":{"id":"a"}"#, false),
        (r#""audio":{"data":"AAAA"}"#, true),
    ] {
        let mut observer = streaming();
        observer.response_chunk(ms(110), &delta(payload), End::More);
        assert_eq!(observer.generated_events(), u64::from(counts), "{payload}");
    }
}

#[test]
fn reasoning_starts_ttft_but_not_ttfo() {
    let mut observer = streaming();
    observer.response_chunk(
        ms(110),
        &delta(r#""reasoning_content":"hm","content":null"#),
        End::More,
    );
    observer.response_chunk(ms(150), &delta(r#""content":"x""#), End::More);
    let record = observer.finish(ms(151), &client_left()).unwrap();
    assert_eq!(record.ttft, Some(Duration::from_millis(10)));
    assert_eq!(record.ttfo, Some(Duration::from_millis(50)));
}

#[test]
fn the_ends_of_a_stream() {
    let text = delta(r#""content":"x""#);
    let ends: [(&[&[u8]], Ending<'_>, Outcome); 7] = [
        (&[&text], client_left(), Outcome::ClientAbort),
        (&[&text], via_upstream(), Outcome::Truncated),
        (&[&text, FINISH], client_left(), Outcome::Success),
        (&[&text, DONE], client_left(), Outcome::Success),
        (&[&text, b"data: [DONE]"], client_left(), Outcome::Success),
        (&[&text, FINISH], via_upstream(), Outcome::Success),
        (&[], client_left(), Outcome::ClientAbort),
    ];
    for (pieces, ending, outcome) in ends {
        let mut observer = streaming();
        observer.response_chunk(ms(110), &pieces.concat(), End::More);
        assert_eq!(observer.finish(ms(120), &ending).unwrap().outcome, outcome, "{}", pieces.len());
    }
}

#[test]
fn errors_inside_a_stream_in_every_shape() {
    for (event, class) in [
        (
            r#"data: {"error":{"message":"boom","type":"InternalServerError","param":null,"code":500}}"#,
            ErrorClass::Upstream5xx,
        ),
        (
            r#"data: {"error":{"object":"error","message":"x","type":"BadRequestError","code":400}}"#,
            ErrorClass::InvalidRequest,
        ),
        (
            r#"data: {"object":"error","message":"CUDA out of memory.","type":"x","code":500}"#,
            ErrorClass::OutOfMemory,
        ),
        (
            r#"error: {"code":503,"message":"Loading model","type":"unavailable_error"}"#,
            ErrorClass::Overloaded,
        ),
        (
            "event: error\ndata: {\"error\":{\"message\":\"x\",\"code\":\"tool_use_failed\",\"status_code\":400}}",
            ErrorClass::GenerationFailed,
        ),
        (
            r#"data: {"choices":[{"delta":{}}],"error":{"code":400,"message":"Token limit reached"}}"#,
            ErrorClass::ContextLength,
        ),
        (r#"data: {"error":"plain words"}"#, ErrorClass::Other),
    ] {
        let mut observer = streaming();
        observer.response_chunk(ms(110), &delta(r#""content":"x""#), End::More);
        observer.response_chunk(
            ms(120),
            format!("{event}\n\ndata: [DONE]\n\n").as_bytes(),
            End::Last,
        );
        let record = observer.finish(ms(130), &via_upstream()).unwrap();
        assert_eq!(
            (record.outcome, record.error),
            (Outcome::Error, Some((class, Phase::InStream))),
            "{event}"
        );
        assert_eq!(record.tpot, None);
    }
}

#[test]
fn an_error_of_null_is_none() {
    let mut observer = streaming();
    observer.response_chunk(
        ms(110),
        b"data: {\"error\":null,\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n",
        End::Last,
    );
    assert_eq!(observer.finish(ms(120), &via_upstream()).unwrap().outcome, Outcome::Success);
}

#[test]
fn refusals() {
    for (status, body, class) in [
        (
            401,
            r#"{"error":{"message":"no","type":"invalid_request_error","code":"invalid_api_key"}}"#,
            ErrorClass::Auth,
        ),
        (
            400,
            r#"{"error":{"message":"no","type":"BadRequestError","param":null,"code":400}}"#,
            ErrorClass::InvalidRequest,
        ),
        (
            404,
            r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","code":404}"#,
            ErrorClass::NotFound,
        ),
        (500, "<html>", ErrorClass::Upstream5xx),
        (503, "", ErrorClass::Overloaded),
    ] {
        let mut observer = begun(CHAT, r#"{"stream":true}"#, status, "application/json");
        observer.response_chunk(ms(110), body.as_bytes(), End::Last);
        let record = observer.finish(ms(111), &via_upstream()).unwrap();
        assert_eq!(
            (record.outcome, record.error),
            (Outcome::Error, Some((class, Phase::BeforeStream))),
            "{body}"
        );
        assert_eq!((record.mode, record.usage_missing, record.ttft), (Mode::Stream, None, None));
    }
}

#[test]
fn a_unary_answer() {
    let body = br#"{"id":"x","model":"m","choices":[{"message":{"content":"Hello"},"finish_reason":"length"}],
        "usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#;
    let mut observer = begun(CHAT, r#"{"model":"m"}"#, 200, "application/json");
    observer.response_chunk(ms(300), body, End::More);
    observer.response_chunk(ms(301), b"", End::Last);
    let record = observer.finish(ms(301), &via_upstream()).unwrap();
    assert_eq!((record.outcome, record.mode), (Outcome::Success, Mode::Unary));
    assert_eq!((record.usage.input, record.usage.output), (Some(5), Some(7)));
    assert_eq!((record.ttft, record.ttfb, record.finish), (None, None, Some(FinishReason::Length)));
    assert_eq!(record.duration, Some(Duration::from_millis(201)));
    assert_eq!(record.work.unwrap().events, 0);
}

#[test]
fn a_disconnect_after_the_whole_document_is_success() {
    let mut observer = begun(CHAT, r#"{"model":"m"}"#, 200, "application/json");
    observer.response_chunk(ms(300), br#"{"usage":{"completion_tokens":7}}"#, End::More);
    let record = observer.finish(ms(301), &client_left()).unwrap();
    assert_eq!((record.outcome, record.usage.output), (Outcome::Success, Some(7)));
}

#[test]
fn a_cut_unary_answer_is_truncated_or_aborted() {
    for (ending, outcome) in
        [(via_upstream(), Outcome::Truncated), (client_left(), Outcome::ClientAbort)]
    {
        let mut observer = begun(CHAT, r#"{"model":"m"}"#, 200, "application/json");
        observer.response_chunk(ms(300), br#"{"choices":[{"mess"#, End::More);
        assert_eq!(observer.finish(ms(301), &ending).unwrap().outcome, outcome);
    }
    let mut observer = begun(CHAT, r#"{"model":"m"}"#, 200, "application/json");
    observer.response_chunk(ms(300), br#"{"choices":[{"mess"#, End::Last);
    assert_eq!(observer.finish(ms(301), &via_upstream()).unwrap().outcome, Outcome::Truncated);
}

#[test]
fn embeddings() {
    let body = br#"{"object":"list","data":[{"embedding":[0.1,-2e-3]}],"model":"e","usage":{"prompt_tokens":5,"total_tokens":5}}"#;
    let mut observer =
        begun("/v1/embeddings", r#"{"input":"x","model":"e"}"#, 200, "application/json");
    observer.response_chunk(ms(110), body, End::Last);
    let record = observer.finish(ms(111), &via_upstream()).unwrap();
    assert_eq!(
        (record.outcome, record.usage.input, record.usage.output),
        (Outcome::Success, Some(5), None)
    );
}

#[test]
fn completions_stream_text() {
    let mut observer = begun("/v1/completions", r#"{"stream":true}"#, 200, "text/event-stream");
    observer.response_chunk(
        ms(110),
        b"data: {\"choices\":[{\"text\":\"x\",\"finish_reason\":null}]}\n\n",
        End::More,
    );
    assert_eq!(observer.generated_events(), 1);
}

#[test]
fn other_traffic_is_not_watched() {
    let head = RequestHead { method: b"GET", path: b"/v1/models", ..RequestHead::default() };
    assert!(Observer::start(ms(0), &head).is_none());
}

#[test]
fn an_unread_body_is_counted_and_taken_at_its_word() {
    let head = RequestHead { method: b"POST", path: CHAT.as_bytes(), ..RequestHead::default() };
    let mut observer = Observer::start(ms(100), &head).unwrap();
    observer.response_head(&ResponseHead {
        status: 200,
        content_type: Some(b"text/event-stream"),
        content_encoding: Some(b"x-unheard-of"),
        ..ResponseHead::default()
    });
    observer.response_chunk(ms(120), b"\x00\x01", End::Last);
    let record = observer.finish(ms(120), &via_upstream()).unwrap();
    assert!(record.degraded.contains(Degraded::ResponseEncoding));
    assert_eq!(
        (record.outcome, record.usage_missing),
        (Outcome::Success, Some(UsageMissing::Unreadable))
    );
}

#[test]
fn without_a_clock_tokens_are_still_counted() {
    let head = RequestHead { method: b"POST", path: CHAT.as_bytes(), ..RequestHead::default() };
    let mut observer = Observer::start(None, &head).unwrap();
    observer.response_head(&ResponseHead {
        status: 200,
        content_type: Some(b"text/event-stream"),
        ..ResponseHead::default()
    });
    observer.response_chunk(
        None,
        &[delta(r#""content":"x""#), USAGE.to_vec(), DONE.to_vec()].concat(),
        End::Last,
    );
    let record = observer.finish(None, &via_upstream()).unwrap();
    assert_eq!((record.usage.output, record.ttft, record.duration), (Some(3), None, None));
    assert!(record.degraded.contains(Degraded::NoClock));
}

#[test]
fn xai_leaves_reasoning_out_of_the_output() {
    let mut observer = streaming();
    observer.response_chunk(ms(110), br#"data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":22,"completion_tokens_details":{"reasoning_tokens":7}}}"#, End::Last);
    assert_eq!(observer.finish(ms(110), &via_upstream()).unwrap().usage.output, Some(12));
}

/// Envoy's flags may tell of an attempt before the one that answered.
#[test]
fn an_answer_is_settled_once_its_body_has_ended_well() {
    let mut observer = streaming();
    observer.response_chunk(ms(200), &delta(r#""content":"Hi""#), End::More);
    observer.response_chunk(ms(220), &[FINISH, DONE].concat(), End::More);
    assert!(observer.is_complete() && !observer.is_settled(), "the upstream may still break");
    observer.response_chunk(ms(230), b"", End::Last);
    assert!(observer.is_settled());

    let mut truncated = streaming();
    truncated.response_chunk(ms(200), &delta(r#""content":"Hi""#), End::Last);
    let mut refused = begun(CHAT, "{}", 503, "application/json");
    refused.response_chunk(ms(200), br#"{"error":{"message":"busy"}}"#, End::Last);
    assert!(!truncated.is_settled() && !refused.is_settled());
}
