//! An event that is compared gives what reading it gives.

use crate::answer::Answer;
use crate::endpoint::Api;
use crate::http::Media;
use crate::reader::{Event, Hint, Reader};
use proptest::prelude::*;

/// Streams whose events differ in more than their text: `%` is the text, `#` a number, `$` a string.
const STREAMS: &[(Api, Media, &str)] = &[
    (
        Api::OpenAiChat,
        Media::Events,
        "data: {\"id\":\"x\",\"created\":1764000000,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%\"},\"logprobs\":{\"content\":[{\"token\":\"$\",\"logprob\":-#.#}]}}],\"obfuscation\":\"$\"}\n\n",
    ),
    (
        Api::OpenAiResponses,
        Media::Events,
        "event: response.output_text.delta\r\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":#,\"delta\":\"%\",\"obfuscation\":\"$\"}\r\n\r\n",
    ),
    (
        Api::AnthropicMessages,
        Media::Events,
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":#,\"delta\":{\"type\":\"text_delta\",\"text\":\"%\"}}\n\n",
    ),
    (
        Api::Ollama,
        Media::JsonLines,
        "{\"model\":\"m\",\"created_at\":\"$\",\"message\":{\"role\":\"assistant\",\"content\":\"%\"},\"done\":false}\n",
    ),
    (
        Api::Tgi,
        Media::Events,
        "data:{\"index\":#,\"token\":{\"id\":#,\"text\":\"%\",\"logprob\":-0.#},\"generated_text\":null}\n\n",
    ),
    (
        Api::Gemini,
        Media::Events,
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"%\"}]}}],\"usageMetadata\":{\"candidatesTokenCount\":#},\"responseId\":\"$\"}\n\n",
    ),
];

fn event(pattern: &str, (text, number, string): &(String, u32, String)) -> String {
    pattern.replace('%', text).replace('#', &number.to_string()).replace('$', string)
}

/// What was read of each event, and all that the answer holds in the end.
fn read<'a>(
    api: Api,
    media: Media,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Event>, String) {
    let mut reader = Reader::Undecided(Hint { api, media, stream: true });
    let (mut answer, mut events) = (Answer::default(), Vec::new());
    for piece in pieces {
        reader.push(piece, &mut answer, &mut |_, event| events.push(event));
    }
    reader.finish(&mut answer, &mut |_, event| events.push(event));
    (events, format!("{answer:?}"))
}

proptest! {
    #[test]
    fn events_that_are_alike_are_read_alike(
        stream in prop::sample::select(STREAMS),
        fillings in prop::collection::vec(
            (
                "([a-z ]{0,30}|\\\\\\\\[n\"\\\\\\\\]|[\n\r\"\t]){0,3}",
                0_u32..2_000,
                "([a-zA-Z0-9:.]{0,12}|\\\\\\\\[u\"]|[\n\"])",
            ),
            1..30,
        ),
        per_piece in 1_usize..3,
    ) {
        let (api, media, pattern) = stream;
        let events: Vec<String> = fillings.iter().map(|filling| event(pattern, filling)).collect();
        let whole = events.concat();
        let bytes = read(api, media, whole.as_bytes().chunks(1));
        let pieces: Vec<String> = events.chunks(per_piece).map(<[String]>::concat).collect();
        prop_assert_eq!(read(api, media, pieces.iter().map(String::as_bytes)), bytes);
    }
}

/// That the comparison happens at all shows in what is left to compare.
#[test]
fn what_nobody_wants_becomes_a_hole() {
    for (api, _, pattern) in STREAMS {
        let dialect = crate::dialect::Dialect::of(*api);
        let document = |number: u32, text: &str| {
            let event = event(pattern, &(text.to_owned(), number, format!("s{number}")));
            let (_, document) = event.split_once('{').unwrap();
            format!("{{{}", document.trim_end())
        };
        let first = document(7, "one");
        let Some(mut template) = super::Template::learn(dialect.event, first.as_bytes()) else {
            assert_eq!(*api, Api::Gemini, "its token count is wanted in every event");
            continue;
        };
        let second = document(1_234, "another");
        assert!(template.widen(dialect.event, second.as_bytes()), "{api:?}");
        for (number, text) in [(1_234, "x"), (9, "two\\nlines"), (100_000, "é")] {
            let third = document(number, text);
            let rest = template.skip_document(third.as_bytes(), &mut Answer::default());
            assert_eq!(rest, Some(&b""[..]), "{api:?}: {third}");
        }
        assert!(
            template.skip_document(document(1, "").as_bytes(), &mut Answer::default()).is_none()
        );
    }
}
