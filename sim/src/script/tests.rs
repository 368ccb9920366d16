use super::*;

fn ask() -> Ask {
    Ask {
        api: Api::Chat,
        mode: Mode::Stream,
        include_usage: true,
        tools: false,
        max_tokens: None,
        exact_tokens: Some(20),
        input_tokens: 10,
    }
}

/// 100 ms to the first token, then exactly 10 ms per token.
fn steady(style: Style) -> ModelProfile {
    ModelProfile {
        style,
        ttft_ms: 100.0,
        ttft_jitter_ms: 0.0,
        tokens_per_second: 100.0,
        gap_jitter: 0.0,
        ..ModelProfile::default()
    }
}

fn script(profile: &ModelProfile, ask: &Ask, plan: Plan) -> Vec<Step> {
    Answer::draw(profile, ask, 1).script(profile, ask, plan)
}

fn due(steps: &[Step]) -> Vec<u128> {
    let generated = steps.iter().filter(|step| matches!(step.event, Event::Generated { .. }));
    generated.map(|step| step.at.as_millis()).collect()
}

#[test]
fn tokens_are_due_at_absolute_times() {
    let expected: Vec<u128> = (0..20).map(|token| 100 + 10 * token).collect();
    assert_eq!(due(&script(&steady(Style::Vllm), &ask(), Plan::Ok)), expected);
}

#[test]
fn an_event_of_several_tokens_waits_for_all_of_them() {
    let profile = ModelProfile { tokens_per_event: 8, ..steady(Style::Vllm) };
    assert_eq!(due(&script(&profile, &ask(), Plan::Ok)), [170, 250, 290]);
}

#[test]
fn hidden_reasoning_delays_the_first_event_and_is_counted() {
    let profile = ModelProfile { reasoning_share: 0.5, ..steady(Style::OpenAi) };
    let steps = script(&profile, &ask(), Plan::Ok);
    assert_eq!(due(&steps).first(), Some(&200));
    assert_eq!(generated_tokens(&steps), 10);
    let usage = Usage { input: 10, output: 20, cached: None, reasoning: Some(10) };
    assert!(steps.iter().any(|step| step.event == Event::Usage(usage)));
}

#[test]
fn a_stall_moves_what_follows_it_and_nothing_else() {
    let plan = Plan::Stall { after: 2, pause: Duration::from_millis(800) };
    assert_eq!(due(&script(&steady(Style::Vllm), &ask(), plan))[..4], [100, 110, 920, 930]);
}

#[test]
fn a_stream_ends_as_its_plan_says() {
    let ends = |plan, style| {
        let steps = script(&steady(style), &ask(), plan);
        let tail = steps.iter().rev().take_while(|s| !matches!(s.event, Event::Generated { .. }));
        (due(&steps).len(), tail.map(|step| step.event).collect::<Vec<_>>())
    };
    let usage = Usage { input: 10, output: 20, cached: None, reasoning: None };
    let so_far = Usage { output: 4, ..usage };
    let error = |shape| Plan::ErrorInStream { after: 4, shape };
    for (plan, style, expected) in [
        (
            Plan::Ok,
            Style::OpenAi,
            (20, vec![Event::Done, Event::Usage(usage), Event::Finish(Finish::Stop)]),
        ),
        (Plan::Ok, Style::Vllm, (20, vec![Event::Done, Event::Usage(usage)])),
        (Plan::NoUsage, Style::Vllm, (20, vec![Event::Done])),
        (Plan::Truncate { after: 4 }, Style::Vllm, (4, vec![Event::Cut(Cut::Close)])),
        (Plan::Truncate { after: 999 }, Style::Vllm, (19, vec![Event::Cut(Cut::Close)])),
        (Plan::ResetInStream { after: 4 }, Style::Vllm, (4, vec![Event::Cut(Cut::Reset)])),
        (Plan::ResetAfterHeaders, Style::OpenAi, (0, vec![Event::Cut(Cut::Reset)])),
        (Plan::EndEarly { after: 4 }, Style::OpenAi, (4, vec![Event::End])),
        (error(None), Style::OpenAi, (4, vec![Event::Fault(StreamFault::OpenAi, so_far)])),
        (error(None), Style::Vllm, (4, vec![Event::Done, Event::Fault(StreamFault::Vllm, so_far)])),
        (
            error(Some(StreamFault::Groq)),
            Style::Vllm,
            (4, vec![Event::Fault(StreamFault::Groq, so_far)]),
        ),
    ] {
        assert_eq!(ends(plan, style), expected, "{plan} {style}");
    }
}

#[test]
fn a_client_that_will_leave_never_gets_the_end_in_time() {
    let steps = script(&steady(Style::Vllm), &ask(), Plan::Abort(Stage::Events(3)));
    let due = due(&steps);
    assert_eq!(due[18], 280);
    assert_eq!(due[19], 290 + ABORT_GRACE.as_millis());
}

/// What a client that leaves at a stage can get before it does.
#[test]
fn a_server_waits_for_a_client_that_will_leave() {
    let sent = |stage| {
        let steps = script(&steady(Style::OpenAi), &ask(), Plan::Abort(stage));
        let in_time = steps.iter().filter(|step| step.at < ABORT_GRACE).map(|step| step.event);
        let in_time: Vec<_> = in_time.collect();
        (in_time.len(), in_time.last().copied())
    };
    assert_eq!(sent(Stage::Head), (0, None));
    assert_eq!(sent(Stage::Role), (1, Some(Event::Role)));
    assert_eq!(sent(Stage::Events(3)).0, 20, "the role and all events but the last");
    assert_eq!(sent(Stage::Finish), (22, Some(Event::Finish(Finish::Stop))));
    assert_eq!(sent(Stage::Done), (24, Some(Event::Done)));
}

#[test]
fn the_role_comes_at_once_or_with_the_first_token() {
    for (style, at) in [(Style::OpenAi, 0), (Style::Vllm, 100), (Style::LlamaCpp, 100)] {
        let steps = script(&steady(style), &ask(), Plan::Ok);
        assert_eq!((steps[0].event, steps[0].at.as_millis()), (Event::Role, at), "{style}");
    }
}

#[test]
fn a_limit_ends_the_answer() {
    let ask = Ask { max_tokens: Some(5), ..ask() };
    let steps = script(&steady(Style::OpenAi), &ask, Plan::Ok);
    assert_eq!(due(&steps).len(), 5);
    assert!(steps.iter().any(|step| step.event == Event::Finish(Finish::Length)));
}

#[test]
fn the_same_seed_gives_the_same_answer() {
    let profile = ModelProfile::default();
    let ask = Ask { exact_tokens: None, ..ask() };
    let with_seed = |seed| Answer::draw(&profile, &ask, seed).script(&profile, &ask, Plan::Ok);
    assert_eq!(with_seed(7), with_seed(7));
    assert_ne!(with_seed(7), with_seed(8));
}

#[test]
fn time_to_first_token_has_the_mean_that_was_asked_for() {
    let profile = ModelProfile { ttft_ms: 200.0, ttft_jitter_ms: 50.0, ..ModelProfile::default() };
    let first = |seed| Answer::draw(&profile, &ask(), seed).prefill.as_secs_f64() * 1000.0;
    let mean = (0..4000).map(first).sum::<f64>() / 4000.0;
    assert!((195.0..205.0).contains(&mean), "{mean}");
}

#[test]
fn a_unary_answer_is_ready_with_its_last_token() {
    let profile = steady(Style::Vllm);
    let answer = Answer::draw(&profile, &ask(), 1);
    assert_eq!(answer.ready_at(&profile), Duration::from_millis(290));
}

#[test]
fn only_a_chat_reasons_and_only_generation_has_output() {
    let profile = ModelProfile { reasoning_share: 0.5, ..steady(Style::Vllm) };
    let usage = |api| Answer::draw(&profile, &Ask { api, ..ask() }, 1).usage;
    assert_eq!((usage(Api::Chat).output, usage(Api::Chat).reasoning), (20, Some(10)));
    assert_eq!((usage(Api::Completions).output, usage(Api::Completions).reasoning), (20, None));
    assert_eq!((usage(Api::Embeddings).output, usage(Api::Embeddings).reasoning), (0, None));
}
