use super::*;
use crate::http::{RequestHead, ResponseHead};
use crate::observer::End;

/// Stats as plain data, by encoded name.
#[derive(Default)]
struct Plain {
    names: Vec<(Kind, String)>,
    values: BTreeMap<String, Vec<i64>>,
    refuse: bool,
}

impl Stats for Plain {
    fn define(&mut self, kind: Kind, name: &str) -> Option<u32> {
        if self.refuse && !name.contains("degraded") {
            return None;
        }
        assert!(self.names.iter().all(|(_, known)| known != name), "{name} is defined once");
        self.names.push((kind, name.to_owned()));
        u32::try_from(self.names.len() - 1).ok()
    }
    fn record(&mut self, id: u32, value: u64) {
        self.shift(id, i64::try_from(value).unwrap());
    }
    fn shift(&mut self, id: u32, by: i64) {
        let name = self.names[id as usize].1.clone();
        self.values.entry(name).or_default().push(by);
    }
}

impl Plain {
    fn sum(&self, part: &str) -> i64 {
        self.values
            .iter()
            .filter(|(name, _)| name.contains(part))
            .flat_map(|(_, values)| values)
            .sum()
    }
}

fn ms(ms: u64) -> Option<HostTime> {
    Some(HostTime::from_nanos(ms * 1_000_000))
}

fn run(
    registry: &mut Registry,
    stats: &mut Plain,
    model: &str,
    tenant: Option<&str>,
    body: &str,
    end: End,
) {
    let head = RequestHead {
        method: b"POST",
        path: b"/v1/chat/completions",
        tenant: tenant.map(str::as_bytes),
        content_encoding: None,
    };
    let mut observer = Observer::start(ms(0), &head).unwrap();
    observer.request_chunk(format!(r#"{{"model":"{model}","stream":true}}"#).as_bytes());
    observer.response_head(&ResponseHead {
        status: 200,
        content_type: Some(b"text/event-stream"),
        ..ResponseHead::default()
    });
    observer.response_chunk(ms(100), body.as_bytes(), end);
    let record =
        observer.finish(ms(200), &Ending { reached_upstream: true, ..Ending::default() }).unwrap();
    registry.record(stats, &record, b"llama");
}

const EVENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"abcd\"}}]}\n\n";
const END: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

fn registry(json: &str) -> Registry {
    Registry::new(Config::parse(json.as_bytes()).unwrap())
}

#[test]
fn names_are_encoded_with_all_labels_in_order() {
    let (mut registry, mut stats) =
        (registry(r#"{"tenant":{"header":"x-team"}}"#), Plain::default());
    run(&mut registry, &mut stats, "gpt-4o", Some("red"), &format!("{EVENT}{END}"), End::Last);
    let name = "model=.=gpt-4o;.;api=.=openai_chat;.;upstream=.=llama;.;tenant=.=red;.;outcome=.=success;.;mode=.=stream;.;gaugeway_requests_total";
    assert_eq!(stats.values[name], [1]);
    let name = "model=.=gpt-4o;.;api=.=openai_chat;.;upstream=.=llama;.;gaugeway_ttft_us";
    assert_eq!(stats.values[name], [100_000]);
    assert_eq!(
        stats.sum("source=.=reported;.;outcome=.=success;.;gaugeway_output_tokens_total"),
        2
    );
}

#[test]
fn without_a_tenant_header_there_is_no_tenant_label() {
    let (mut registry, mut stats) = (registry(""), Plain::default());
    run(&mut registry, &mut stats, "m", None, END, End::Last);
    assert!(stats.names.iter().all(|(_, name)| !name.contains("tenant")));
}

#[test]
fn aborted_answers_are_estimated_and_never_mixed_with_reports() {
    let (mut registry, mut stats) = (registry(""), Plain::default());
    run(&mut registry, &mut stats, "m", None, &format!("{EVENT}{EVENT}{END}"), End::Last);
    run(&mut registry, &mut stats, "m", None, &EVENT.repeat(5), End::Last);
    assert_eq!(
        stats.sum("source=.=estimated;.;outcome=.=truncated;.;gaugeway_output_tokens_total"),
        5
    );
    assert_eq!(
        stats.sum("source=.=estimated;.;outcome=.=truncated;.;gaugeway_input_tokens_total"),
        10
    );
    assert_eq!(stats.sum("source=.=reported"), 12);
    assert_eq!(stats.sum("reason=.=truncated;.;gaugeway_usage_missing_total"), 1);
}

#[test]
fn models_beyond_the_cap_are_other_and_counted() {
    let config = r#"{"max_models":2,"models":[{"match":"ft:*","label":"tuned"}]}"#;
    let (mut registry, mut stats) = (registry(config), Plain::default());
    for model in ["a", "b", "c", "d", "ft:1", "ft:2", "a"] {
        run(&mut registry, &mut stats, model, None, END, End::Last);
    }
    let requests = |model| {
        stats.sum(&format!("model=.={model};.;api=.=openai_chat;.;upstream=.=llama;.;outcome=.=success;.;mode=.=stream;.;gaugeway_requests"))
    };
    assert_eq!(
        (requests("a"), requests("b"), requests("__other__"), requests("tuned")),
        (2, 1, 2, 2)
    );
    assert_eq!(stats.sum("label=.=model;.;gaugeway_label_overflow_total"), 2);
}

#[test]
fn hashed_tenants_are_told_apart_and_not_shown() {
    let config = r#"{"tenant":{"header":"authorization","hash":true}}"#;
    let (mut registry, mut stats) = (registry(config), Plain::default());
    for key in ["Bearer sk-1", "Bearer sk-2", "Bearer sk-1"] {
        run(&mut registry, &mut stats, "m", Some(key), END, End::Last);
    }
    assert!(stats.names.iter().all(|(_, name)| !name.contains("sk-")));
    let tenants = stats.values.iter().filter(|(name, _)| name.contains("gaugeway_requests_total"));
    assert_eq!(
        tenants.map(|(_, values)| values.len()).collect::<std::collections::BTreeSet<_>>(),
        [1, 2].into()
    );
}

#[test]
fn goodput() {
    let config = r#"{"slos":[{"models":"m*","ttft_ms":150},{"models":"*2","duration_ms":50}]}"#;
    let (mut registry, mut stats) = (registry(config), Plain::default());
    for model in ["m1", "m2", "x"] {
        run(&mut registry, &mut stats, model, None, &format!("{EVENT}{END}"), End::Last);
    }
    run(&mut registry, &mut stats, "m1", None, EVENT, End::Last);
    let total = |stat| stats.sum(stat);
    assert_eq!((total("slo_eligible"), total("slo_good"), total("slo_violated")), (3, 1, 1));
    assert_eq!(
        total(
            "model=.=m2;.;api=.=openai_chat;.;upstream=.=llama;.;slo=.=duration;.;gaugeway_slo_violated_total"
        ),
        1
    );
}

#[test]
fn the_table_of_series_is_capped_and_its_losses_counted() {
    let (mut registry, mut stats) = (registry(r#"{"max_series":3}"#), Plain::default());
    run(&mut registry, &mut stats, "m", None, END, End::Last);
    assert_eq!(stats.names.len(), 4);
    assert!(stats.sum("reason=.=series_full;.;gaugeway_degraded_total") > 0);
}

#[test]
fn a_host_that_refuses_is_counted_and_asked_again() {
    let (mut registry, mut stats) = (registry(""), Plain { refuse: true, ..Plain::default() });
    run(&mut registry, &mut stats, "m", None, END, End::Last);
    run(&mut registry, &mut stats, "m", None, END, End::Last);
    assert!(stats.sum("reason=.=series_full") > 0);
    assert_eq!(stats.sum("gaugeway_requests_total"), 0);
    stats.refuse = false;
    run(&mut registry, &mut stats, "m", None, END, End::Last);
    assert_eq!(stats.sum("gaugeway_requests_total"), 1);
}

#[test]
fn the_gauge_of_active_streams_goes_up_and_down() {
    let (mut registry, mut stats) = (registry(""), Plain::default());
    registry.active(&mut stats, b"llama", 1);
    registry.active(&mut stats, b"llama", -1);
    assert_eq!(stats.values["upstream=.=llama;.;gaugeway_active_streams"], [1, -1]);
}

#[test]
fn a_zero_makes_a_counter_appear_and_adds_nothing_afterwards() {
    let (mut registry, mut stats) = (registry("{}"), Plain::default());
    let body = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\
        \"prompt_tokens_details\":{\"cached_tokens\":0}}}\n\ndata: [DONE]\n\n";
    for _ in 0..2 {
        run(&mut registry, &mut stats, "m", None, body, End::Last);
    }
    let of = |stat: &str| -> Vec<i64> {
        let all = stats.values.iter().filter(|(name, _)| name.ends_with(stat));
        all.flat_map(|(_, values)| values).copied().collect()
    };
    assert_eq!(of("gaugeway_cache_read_input_tokens_total"), [0]);
    assert_eq!(of("gaugeway_input_tokens_total"), [9, 9]);
}

#[test]
fn filter_state_is_written_where_it_has_changed() {
    let registry = registry("{}");
    let head =
        RequestHead { method: b"POST", path: b"/v1/chat/completions", ..RequestHead::default() };
    let mut observer = Observer::start(ms(0), &head).unwrap();
    observer.request_chunk(br#"{"model":"m","stream":true}"#);
    let content_type = Some(&b"text/event-stream"[..]);
    observer.response_head(&ResponseHead { status: 200, content_type, ..ResponseHead::default() });
    let mut shown = Shown::default();
    let mut written = |at: u64, body: &str, end: End| {
        observer.response_chunk(ms(at), body.as_bytes(), end);
        let mut keys = Vec::new();
        let ending = Ending { reached_upstream: true, ..Ending::default() };
        registry.state(&observer, ms(at), &ending, &mut shown, &mut |key, value| {
            keys.push(format!("{}={value}", key.trim_start_matches("gaugeway.")));
        });
        keys
    };
    let event = "data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    assert_eq!(
        written(100, event, End::More),
        [
            "api=openai_chat",
            "model=m",
            "response_model=m-1",
            "usage_source=estimated",
            "ttfb_us=100000",
            "ttft_us=100000",
            "ttfo_us=100000",
            "generated_events=1",
            "output_tokens=1"
        ]
    );
    assert_eq!(
        written(150, event, End::More),
        ["max_stall_us=50000", "generated_events=2", "output_tokens=2"]
    );
    let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\
        \"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    assert_eq!(
        written(160, end, End::Last),
        [
            "finish_reason=stop",
            "usage_source=reported",
            "outcome=success",
            "input_tokens=9",
            "tpot_us=50000"
        ]
    );
}
