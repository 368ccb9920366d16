//! Streams that run through one VM at the same time. Their pieces may wait for each other, and none of it may
//! be seen: each has its own numbers, at its own moments.

use flate2::Compression;
use flate2::write::GzEncoder;
use gaugeway_harness::{End, Stream, Value, Vm};
use gaugeway_tests::harness::{Exchange, end, module};
use std::io::Write as _;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(10);
/// Ticks between two events of each stream.
const PACES: [usize; 4] = [3, 7, 11, 40];
const TICKS: usize = 840;

const DONE: &[u8] = b"data: [DONE]\n\n";

/// Longer than what is never kept waiting.
fn event(number: usize) -> Vec<u8> {
    format!(
        "data: {{\"id\":\"chatcmpl-A1b2C3d4\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\
         \"delta\":{{\"content\":\"word {number}\"}},\"finish_reason\":null}}]}}\n\n"
    )
    .into_bytes()
}

fn events(stream: &Stream<'_>) -> Option<usize> {
    let state = stream.filter_state("gaugeway.generated_events")?;
    Some(String::from_utf8(state).unwrap().parse().unwrap())
}

/// Runs a stream of each pace; `look` sees a stream and how many events it has sent, after each of them.
fn run<'vm>(vm: &'vm Vm, mut look: impl FnMut(&Stream<'vm>, usize)) -> Vec<(Stream<'vm>, usize)> {
    let mut streams: Vec<_> = PACES.iter().map(|_| (Exchange::CHAT.open(vm).unwrap(), 0)).collect();
    for tick in 1..=TICKS {
        vm.advance(TICK);
        for ((stream, sent), pace) in streams.iter_mut().zip(PACES) {
            if tick % pace == 0 {
                *sent += 1;
                stream.response_body(&event(*sent), End::More).unwrap();
                look(stream, *sent);
            }
        }
    }
    streams
}

#[test]
fn filter_state_is_of_its_own_stream_and_not_old() {
    let module = module();
    let vm = module.configure("").unwrap();
    let mut oldest = 0;
    run(&vm, |stream, sent| {
        let shown = events(stream).unwrap();
        assert!(shown <= sent, "{shown} events in the state of a stream of {sent}");
        // Of the fastest stream, 34 events a second: a second or a fourth more, and what waits 0.1 s.
        assert!(shown + 38.max(sent / 4 + 6) >= sent, "{shown} events in the state of {sent}");
        oldest = oldest.max(sent - shown);
    });
    assert!(oldest > 0, "each event was a call into the host");
}

#[test]
fn an_answer_that_is_over_says_so_before_its_end() {
    let module = module();
    let vm = module.configure("").unwrap();
    for (mut stream, sent) in run(&vm, |_, _| {}) {
        stream.response_body(DONE, End::More).unwrap();
        assert_eq!(events(&stream), Some(sent));
        assert_eq!(stream.filter_state("gaugeway.outcome").as_deref(), Some(&b"success"[..]));
        end(stream).unwrap();
    }
}

/// What waits is read in one callback: never so much that it holds the worker up.
#[test]
fn no_callback_reads_many_compressed_pieces() {
    let module = module();
    let vm = module.configure("").unwrap();
    let headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
    let mut stream = Exchange { headers: &headers, ..Exchange::CHAT }.open(&vm).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    for number in 0..200 {
        let words: String = (0..40).map(|at| format!("{} ", number * at * 7919 % 1009)).collect();
        let text = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{words}\"}}}}]}}\n\n");
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.flush().unwrap();
        let piece = std::mem::take(gzip.get_mut());
        assert!(piece.len() > 64, "short pieces never wait");
        stream.response_body(&piece, End::More).unwrap();
    }
    let mut fuel: Vec<u64> =
        stream.callbacks().iter().skip(100).map(|callback| callback.fuel).collect();
    fuel.sort_unstable();
    let (median, most) = (fuel[fuel.len() / 2], fuel[fuel.len() - 1]);
    assert!(most < median * 3, "{most} of fuel in one callback, {median} in most");
}

#[test]
fn what_waits_is_counted_however_a_stream_ends() {
    let module = module();
    let vm = module.configure("").unwrap();
    let mut expected = Vec::new();
    for ((stream, sent), pace) in run(&vm, |_, _| {}).into_iter().zip(PACES) {
        // The client has gone, and no callback has said so.
        stream.set_property(&["response", "flags"], (1_u64 << 14).to_le_bytes());
        stream.set_property(&["response", "code_details"], "downstream_remote_disconnect");
        assert!(stream.finish().unwrap().passthrough());
        let gap = u64::try_from(pace * 10_000).unwrap();
        expected.extend(std::iter::repeat_n(gap, sent - 1));
    }
    let metrics = vm.metrics();
    let mut gaps: Vec<u64> = metrics
        .iter()
        .filter(|(name, _)| name.ends_with("gaugeway_inter_chunk_us"))
        .flat_map(|(_, value)| match value {
            Value::Histogram(values) => values.clone(),
            Value::Counter(_) | Value::Gauge(_) => Vec::new(),
        })
        .collect();
    gaps.sort_unstable();
    expected.sort_unstable();
    assert_eq!(gaps, expected);
}
