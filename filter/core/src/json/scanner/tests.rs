use super::*;
use crate::json::{each, leaf, object};
use proptest::prelude::*;

static SHAPE: Node = object(&[
    ("model", leaf(Field::Model).text(8)),
    ("stream", leaf(Field::Stream)),
    ("error", object(&[("code", leaf(Field::ErrorName).text(16))]).is(Field::Error).text(16)),
    ("usage", object(&[("total", leaf(Field::Inputs))])),
    ("choices", each(&object(&[("delta", object(&[("content", CONTENT)]))]))),
]);
const CONTENT: Node = leaf(Field::Output).or_each(&leaf(Field::ErrorName));

#[derive(Default)]
struct Seen(Vec<String>);

impl Sink for Seen {
    fn value(&mut self, field: Field, value: Value<'_>) {
        self.0.push(match value {
            Value::Text { start, len } => {
                format!("{field:?}={}/{len}", String::from_utf8_lossy(start))
            }
            other => format!("{field:?}={other:?}"),
        });
    }
}

fn scan<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, bool) {
    let mut scanner = Scanner::new(&SHAPE);
    let mut seen = Seen::default();
    for piece in pieces {
        scanner.push(piece, &mut seen);
    }
    scanner.finish(&mut seen);
    (seen.0, scanner.is_done())
}

#[track_caller]
fn check(document: &str, expected: &[&str]) {
    let bytes = document.as_bytes();
    let whole = scan([bytes]);
    assert_eq!(
        (whole.0.iter().map(String::as_str).collect::<Vec<_>>(), whole.1),
        (expected.to_vec(), true)
    );
    assert_eq!(scan(bytes.chunks(1)), whole, "byte by byte");
    for cut in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(scan([head, &[], tail]), whole, "cut at {cut}");
    }
}

#[test]
fn wanted_values_in_any_order_among_unwanted_ones() {
    check(
        r#"{"junk":{"model":"no","a":["]",{"b":"}\""}]},"usage":{"x":1,"total":12},"model":"gpt"}"#,
        &["Inputs=Count(12)", "Model=gpt/3"],
    );
}

#[test]
fn array_elements_and_nested_objects() {
    check(
        r#"{"choices":[{"delta":{"content":"Hé"}},{"delta":{"content":""}},{"delta":{"content":null}}]}"#,
        &["Output=/3", "Output=/0", "Output=Null"],
    );
    check(r#"{"choices":[{"delta":{"content":["a"]}}]}"#, &["Output=Array", "ErrorName=/1"]);
    check(r#"{"choices":[]}"#, &[]);
}

#[test]
fn a_value_may_be_text_here_and_an_object_there() {
    check(r#"{"error":"boom"}"#, &["Error=boom/4"]);
    check(r#"{"error":{"code":"x"}}"#, &["Error=Object", "ErrorName=x/1"]);
    check(r#"{"error":{"code":429}}"#, &["Error=Object", "ErrorName=Count(429)"]);
    check(r#"{"error":null}"#, &["Error=Null"]);
}

#[test]
fn escapes_in_keys_and_values() {
    check(r#"{"mod\u0065l":"a\/b\\\"c"}"#, &[r#"Model=a/b\"/9"#]);
    check(r#"{"m\"odel":"x","model":"\\"}"#, &[r"Model=\/2"]);
}

#[test]
fn captures_are_capped_and_lengths_are_not() {
    check(r#"{"model":"0123456789abc"}"#, &["Model=01234567/13"]);
}

#[test]
fn scalars() {
    check(r#"{"usage":{"total":3.0},"stream":true}"#, &["Inputs=Count(3)", "Stream=Flag(true)"]);
    check(
        r#"{"usage":{"total":-1}, "stream" : false }"#,
        &["Inputs=NoCount", "Stream=Flag(false)"],
    );
}

#[test]
fn white_space_anywhere() {
    check("\r\n {\n \"model\" :\t\"m\" , \"choices\" : [ ] }", &["Model=m/1"]);
}

#[test]
fn what_follows_the_document_is_not_looked_at() {
    check(r#"{"model":"a"}{"model":"b"}"#, &["Model=a/1"]);
}

#[test]
fn a_cut_document_is_not_done() {
    assert!(!scan([&b"{\"model\":\"a\""[..]]).1);
    assert!(!scan([&b"{\"choices\":[{}"[..]]).1);
}

#[test]
fn nonsense_is_broken_and_yields_nothing_more() {
    for text in ["hello", "{1}", r#"{"model" "x"}"#, r#"{"choices":[}"#, r#"{"usage":{]"#] {
        let mut scanner = Scanner::new(&SHAPE);
        scanner.push(text.as_bytes(), &mut Seen::default());
        assert!(scanner.is_broken(), "{text}");
    }
}

#[test]
fn very_deep_nesting_is_skipped_in_constant_memory() {
    let deep = "[".repeat(100_000);
    let mut scanner = Scanner::new(&SHAPE);
    scanner.push(format!(r#"{{"x":{deep}"#).as_bytes(), &mut Seen::default());
    assert!(!scanner.is_broken() && scanner.carry.capacity() == 0);
}

proptest! {
    #[test]
    fn any_bytes_in_any_cut_read_the_same(
        bytes in proptest::collection::vec(prop_oneof![
            Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b','), Just(b':'),
            Just(b'1'), Just(b'n'), any::<u8>(),
        ], 0..200),
        cuts in proptest::collection::vec(1_usize..9, 1..50),
    ) {
        let whole = scan([bytes.as_slice()]);
        let mut pieces = Vec::new();
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            if tail.is_empty() { break; }
            rest = tail;
        }
        prop_assert_eq!(scan(pieces), whole);
    }
}
