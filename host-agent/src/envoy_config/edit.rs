//! Changes of the text itself, so that comments and order stay as their author wrote them.
//!
//! What is added to a block stands between two comments, by which it is found again. JSON and whatever
//! else is written in brackets has no room for comments: there it is known by what it says.

use std::ops::Range;

use serde_json::Value;

use super::Refusal;
use super::fragments::Part;
use super::tree::{Kind, Node, Style};

const OPEN: &str = "# >>> gaugeway";
const CLOSE: &str = "# <<< gaugeway";

/// A place of the text and what is to stand there.
#[derive(Debug)]
pub(super) struct Edit {
    at: usize,
    text: String,
}

/// The text with additions that were worked out on it.
pub(super) fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.at);
    // From the end, so that the places before stay where they are.
    let insert = |text: String, edit: Edit| replace(&text, edit.at..edit.at, &edit.text);
    edits.into_iter().rev().fold(text.to_owned(), insert)
}

/// Adds the items of `part` to a list, before the item at `index`.
pub(super) fn add_items(
    text: &str,
    list: &Node,
    index: usize,
    part: &Part,
) -> Result<Edit, Refusal> {
    let Kind::List(items, style) = &list.kind else {
        return Err(list.refuse("is no list"));
    };
    let values = part.value.as_array().into_iter().flatten();
    match (style, items.get(index)) {
        (Style::Block, Some(item)) => {
            let indent = indent_before(text, item.start, "- ").ok_or_else(|| {
                item.refuse("the item does not begin with `- ` on a line of its own")
            })?;
            Ok(Edit { at: line_start(text, item.start), text: marked(&part.block, indent) })
        }
        (Style::Flow, Some(item)) => {
            let values =
                values.map(|value| before(text, item.start, &json(text, item.start, value)));
            Ok(Edit { at: item.start, text: values.collect() })
        }
        // `[]`
        (_, None) => {
            let values = values.map(Value::to_string).collect::<Vec<_>>();
            Ok(Edit { at: list.end.saturating_sub(1), text: values.join(", ") })
        }
    }
}

/// Adds `key` with the list of `part` to a map, before its first key.
pub(super) fn add_list(text: &str, map: &Node, key: &str, part: &Part) -> Result<Edit, Refusal> {
    let (Kind::Map(_, style), Some((first, _))) = (&map.kind, map.entries().first()) else {
        return Err(map.refuse("is no map, or an empty one; remove it"));
    };
    match style {
        Style::Block => {
            let indent = indent_before(text, first.start, "")
                .ok_or_else(|| first.refuse("the key does not stand on a line of its own"))?;
            let block = format!("{key}:\n{}", part.block);
            Ok(Edit { at: line_start(text, first.start), text: marked(&block, indent) })
        }
        Style::Flow => Ok(add_json(text, first, key, &part.value)),
    }
}

/// Adds the section `key` to the top level: at the end of a block, at the beginning of JSON.
pub(super) fn add_section(
    text: &str,
    root: &Node,
    key: &str,
    part: &Part,
) -> Result<Edit, Refusal> {
    let (Kind::Map(_, style), Some((first, _))) = (&root.kind, root.entries().first()) else {
        return Err(root.refuse("is no Envoy bootstrap: it has no keys"));
    };
    match style {
        Style::Block => {
            let indent = indent_before(text, first.start, "").unwrap_or_default();
            let newline = if text.ends_with('\n') { "" } else { "\n" };
            Ok(Edit { at: text.len(), text: format!("{newline}{}", marked(&part.block, indent)) })
        }
        Style::Flow => Ok(add_json(text, first, key, part.value.get(key).unwrap_or(&part.value))),
    }
}

/// The text without what stands between the marks.
pub(super) fn without_marked(text: &str) -> Result<String, Refusal> {
    let mut kept = String::with_capacity(text.len());
    let mut opened = None;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        match (line.trim(), opened) {
            (OPEN, None) => opened = Some(index + 1),
            (CLOSE, Some(_)) => opened = None,
            (OPEN, Some(_)) | (CLOSE, None) => {
                let reason = format!("`{}` has lost its other end", line.trim());
                return Err(Refusal { line: Some(index + 1), reason });
            }
            (_, None) => kept.push_str(line),
            (_, Some(_)) => {}
        }
    }
    match opened {
        None => Ok(kept),
        line => Err(Refusal { line, reason: format!("`{OPEN}` has lost its other end") }),
    }
}

/// The text without one of several neighbours in brackets; `None` where it is the only one.
pub(super) fn without(text: &str, spans: &[Range<usize>], index: usize) -> Option<String> {
    let own = spans.get(index)?;
    let cut = match (spans.get(index + 1), index.checked_sub(1).and_then(|at| spans.get(at))) {
        (Some(next), _) => own.start..next.start,
        (None, Some(previous)) => previous.end..own.end,
        (None, None) => return None,
    };
    Some(replace(text, cut, ""))
}

fn add_json(text: &str, first: &Node, key: &str, value: &Value) -> Edit {
    let entry = format!("{}: {}", Value::from(key), json(text, first.start, value));
    Edit { at: first.start, text: before(text, first.start, &entry) }
}

/// `entry`, a comma, and what separates its neighbour at `at` from what is before that.
fn before(text: &str, at: usize, entry: &str) -> String {
    format!("{entry},{}", space_before(text, at))
}

/// A value on lines of its own where its neighbour at `at` begins one.
fn json(text: &str, at: usize, value: &Value) -> String {
    match space_before(text, at).rsplit_once('\n') {
        Some((_, indent)) => format!("{value:#}").replace('\n', &format!("\n{indent}")),
        None => value.to_string(),
    }
}

fn space_before(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    before.get(before.trim_end().len()..).unwrap_or_default()
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

/// The spaces at the beginning of the line, when nothing but `lead` and spaces stands between them and `at`.
fn indent_before<'a>(text: &'a str, at: usize, lead: &str) -> Option<&'a str> {
    let before = text.get(line_start(text, at)..at)?;
    let indent = before.strip_suffix(before.trim_start_matches(' '))?;
    let rest = before.get(indent.len()..)?;
    (rest.starts_with(lead) && rest.get(lead.len()..)?.trim().is_empty()).then_some(indent)
}

/// The block between the marks, moved to the right.
fn marked(block: &str, indent: &str) -> String {
    let lines = std::iter::once(OPEN).chain(block.lines()).chain([CLOSE]);
    lines.map(|line| format!("{indent}{line}\n")).collect()
}

fn replace(text: &str, range: Range<usize>, new: &str) -> String {
    let before = text.get(..range.start).unwrap_or_default();
    let after = text.get(range.end..).unwrap_or_default();
    format!("{before}{new}{after}")
}
