use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;

use super::super::ledger::{Arrival, Ledger};
use super::*;
use crate::plan::Plan;
use crate::profile::{ModelProfile, Style};
use crate::script::{Channel, Finish};
use crate::wire::Api;

fn generated(index: u32) -> Event {
    Event::Generated { channel: Channel::Text, index, tokens: 1, finish: None }
}

fn play(ledger: &Arc<Ledger>, steps: &[(u64, Event)]) -> Reply {
    let profile = ModelProfile { style: Style::OpenAi, ..ModelProfile::default() };
    let path = Api::Chat.path().to_owned();
    let entry = ledger.open(Arrival { at: Instant::now(), id: None, path, plan: Plan::Ok });
    let writer = StreamWriter::new(Api::Chat, &profile, "1", 0, false);
    let step = |(at, event): &(u64, Event)| Step { at: Duration::from_millis(*at), event: *event };
    Reply::Paced(PacedReply::new(steps.iter().map(step).collect(), writer, entry))
}

/// A reader that is slow once does not move the deadlines of what follows.
#[tokio::test(start_paused = true)]
async fn deadlines_are_absolute() {
    let start = Instant::now();
    let ledger = Arc::new(Ledger::new(10));
    let steps = [10, 20, 30, 40].map(|at| (at, generated(0)));
    let steps: Vec<_> = steps.into_iter().chain([(40, Event::Done)]).collect();
    let mut reply = play(&ledger, &steps);
    let mut sent = Vec::new();
    while let Some(frame) = reply.frame().await {
        frame.unwrap();
        sent.push(start.elapsed().as_millis());
        if sent.len() == 1 {
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }
    assert_eq!(sent, [10, 25, 30, 40, 40]);
    drop(reply);
    let served = ledger.served();
    assert_eq!((served[0].first_event_us, served[0].last_event_us), (Some(10_000), Some(40_000)));
    assert_eq!((served[0].generated_events, served[0].end), (4, ServedEnd::Complete));
}

#[tokio::test(start_paused = true)]
async fn only_what_was_handed_over_is_written_down() {
    let ledger = Arc::new(Ledger::new(10));
    let usage = Usage { input: 1, output: 2, cached: None, reasoning: None };
    let steps = [(1, generated(0)), (2, generated(1)), (3, Event::Usage(usage)), (3, Event::Done)];
    let mut reply = play(&ledger, &steps);
    reply.frame().await.unwrap().unwrap();
    drop(reply);
    let served = &ledger.served()[0];
    assert_eq!((served.output_tokens_sent, served.usage_reported), (1, None));
    assert_eq!(served.end, ServedEnd::ClientGone);
}

/// An error from a body makes hyper forget bytes that it holds, so there is a pause before the cut.
#[tokio::test(start_paused = true)]
async fn what_precedes_a_cut_is_written_out_first() {
    let ledger = Arc::new(Ledger::new(10));
    let mut reply = play(&ledger, &[(0, Event::Finish(Finish::Stop)), (0, Event::Cut(Cut::Close))]);
    reply.frame().await.unwrap().unwrap();
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut reply).poll_frame(&mut cx).is_pending());
    assert!(matches!(Pin::new(&mut reply).poll_frame(&mut cx), Poll::Ready(Some(Err(Cut::Close)))));
    drop(reply);
    assert_eq!(ledger.served()[0].end, ServedEnd::Truncated);
}
