//! What an Envoy bootstrap lacks of Gaugeway, and what it has.

use std::ops::Range;

use serde_json::Value;

use super::edit::Edit;
use super::fragments::{Fragments, Part};
use super::tree::{Kind, Node, Style};
use super::{Options, Refusal, edit};

const SECTION: &str = "stats_config";
const TAGS: &str = "stats_tags";
const BUCKETS: &str = "histogram_bucket_settings";
const FILTERS: &str = "http_filters";
const LOGS: &str = "access_log";
/// What the full name of each of the filter's stats begins with.
const STATS_PREFIX: &str = "wasmcustom.";

/// How a filter that is there is set up.
pub(super) struct Setup<'a> {
    pub(super) wasm: Option<&'a str>,
    pub(super) settings: Option<&'a str>,
}

/// Our filters, as they are set up.
pub(super) fn setups(root: &Node) -> Result<Vec<Setup<'_>>, Refusal> {
    let filters = managers(root).into_iter().filter_map(|(_, manager)| manager.get(FILTERS));
    let ours = filters.flat_map(Node::items).filter(|filter| is_our_filter(filter));
    ours.map(setup).collect()
}

fn setup(filter: &Node) -> Result<Setup<'_>, Refusal> {
    let at = |path: &[&str]| {
        let config = filter.get("typed_config").and_then(|config| config.get("config"))?;
        path.iter().try_fold(config, |node, key| node.get(key))
    };
    let settings = at(&["configuration", "value"]);
    if let Some(settings) = settings.filter(|settings| settings.text().is_none()) {
        return Err(
            settings.refuse("the filter's settings are not text: write them as a StringValue")
        );
    }
    let wasm = at(&["vm_config", "code", "local", "filename"]);
    Ok(Setup { wasm: wasm.and_then(Node::text), settings: settings.and_then(Node::text) })
}

/// What the text lacks.
pub(super) fn additions(
    text: &str,
    root: &Node,
    options: &Options,
    fragments: &Fragments,
) -> Result<Vec<Edit>, Refusal> {
    let mut edits = match root.get(SECTION) {
        None => vec![edit::add_section(text, root, SECTION, &fragments.stats)?],
        Some(section) => stats_additions(text, section, fragments)?,
    };
    if options.stats_only {
        return Ok(edits);
    }
    for manager in chosen(root, &options.listeners)? {
        if options.access_log {
            let part = &fragments.access_log;
            match manager.get(LOGS) {
                None => edits.push(edit::add_list(text, manager, LOGS, part)?),
                Some(logs) if logs.items().iter().any(is_our_log) => {}
                Some(logs) => edits.push(edit::add_items(text, logs, 0, part)?),
            }
        }
        let filters = manager.get(FILTERS);
        let filters = filters.ok_or_else(|| manager.refuse("http_filters is missing"))?;
        if !filters.items().iter().any(is_our_filter) {
            let router = filters.items().iter().position(is_router);
            let router = router
                .ok_or_else(|| filters.refuse("http_filters has no router to stand before"))?;
            edits.push(edit::add_items(text, filters, router, &fragments.filter)?);
        }
    }
    Ok(edits)
}

fn stats_additions(
    text: &str,
    section: &Node,
    fragments: &Fragments,
) -> Result<Vec<Edit>, Refusal> {
    stats_pass(section)?;
    let mut edits = Vec::new();
    for (key, part) in [(TAGS, &fragments.tags), (BUCKETS, &fragments.buckets)] {
        match section.get(key) {
            None => edits.push(edit::add_list(text, section, key, part)?),
            Some(list) if has_all(list, part)? => {}
            // Of bucket settings the first that matches counts.
            Some(list) => edits.push(edit::add_items(text, list, 0, part)?),
        }
    }
    Ok(edits)
}

type IsOurs<'a> = &'a dyn Fn(&Node) -> bool;

/// The text without the first thing of ours in brackets; `None` when there is none. Blocks have marks.
pub(super) fn remove_next(
    text: &str,
    root: &Node,
    fragments: &Fragments,
) -> Result<Option<String>, Refusal> {
    let section = root.get(SECTION);
    let tags = |item: &Node| is_one_of(item, &fragments.tags);
    let buckets = |item: &Node| is_one_of(item, &fragments.buckets);
    let mut lists: Vec<(&Node, &str, IsOurs<'_>)> = Vec::new();
    if let Some(section) = section {
        lists.push((section, TAGS, &tags));
        lists.push((section, BUCKETS, &buckets));
    }
    for (_, manager) in managers(root) {
        lists.push((manager, LOGS, &is_our_log));
        lists.push((manager, FILTERS, &is_our_filter));
    }
    for (map, key, ours) in lists {
        let Some(list) = map.get(key) else { continue };
        let items = list.items();
        let Some(index) = items.iter().position(ours) else { continue };
        if matches!(list.kind, Kind::List(_, Style::Block)) {
            if key == FILTERS || key == LOGS {
                let reason = "was not added by this command: it has no `# >>> gaugeway` above it; remove it by hand";
                return Err(list.refuse(format!("{key}: Gaugeway's entry {reason}")));
            }
            continue;
        }
        let spans: Vec<Range<usize>> = items.iter().map(|item| item.start..item.end).collect();
        let all_ours = items.iter().all(ours);
        let shorter = if all_ours { None } else { edit::without(text, &spans, index) };
        return Ok(shorter
            .or_else(|| without_key(text, map, key))
            .or_else(|| without_key(text, root, SECTION)));
    }
    Ok(None)
}

/// The text without a key of a map; `None` where it is the only one.
fn without_key(text: &str, map: &Node, key: &str) -> Option<String> {
    let entries = map.entries();
    let index = entries.iter().position(|(name, _)| name.text() == Some(key))?;
    let spans: Vec<_> = entries.iter().map(|(key, value)| key.start..value.end).collect();
    edit::without(text, &spans, index)
}

/// Whether a list has every entry of `part` (or none: then it is to be added).
fn has_all(list: &Node, part: &Part) -> Result<bool, Refusal> {
    let Kind::List(items, _) = &list.kind else { return Err(list.refuse("is no list")) };
    let ours = part.value.as_array().map_or(0, Vec::len);
    let mut found = 0;
    for item in items {
        if is_one_of(item, part) {
            found += 1;
        } else if let Some(tag) = text_of(item, "tag_name").filter(|tag| defines(part, tag)) {
            return Err(item.refuse(format!("{TAGS} has a tag `{tag}` already, and another one")));
        }
    }
    if found != 0 && found < ours {
        let reason = format!("has {found} of Gaugeway's {ours} entries; remove those first");
        return Err(list.refuse(reason));
    }
    Ok(found != 0)
}

/// Whether an item is a tag or a bucket setting of `part`, whatever the order of its keys.
fn is_one_of(item: &Node, part: &Part) -> bool {
    let suffix = item.get("match").and_then(|matcher| text_of(matcher, "suffix"));
    part.value.as_array().into_iter().flatten().any(|ours| {
        let says = |path: &str| ours.pointer(path).and_then(Value::as_str);
        match says("/tag_name") {
            Some(tag) => {
                text_of(item, "tag_name") == Some(tag) && text_of(item, "regex") == says("/regex")
            }
            None => suffix.is_some() && suffix == says("/match/suffix"),
        }
    })
}

fn defines(part: &Part, tag: &str) -> bool {
    let tags = part.value.as_array().into_iter().flatten();
    tags.filter_map(|ours| ours.get("tag_name")?.as_str()).any(|ours| ours == tag)
}

/// Refuses a `stats_matcher` that would drop the filter's stats, or that cannot be judged.
fn stats_pass(section: &Node) -> Result<(), Refusal> {
    let Some(matcher) = section.get("stats_matcher") else { return Ok(()) };
    let patterns = |list: &str| {
        matcher.get(list).and_then(|list| list.get("patterns")).map_or(&[][..], Node::items)
    };
    let prefixes = |pattern: &Node| {
        text_of(pattern, "prefix").is_some_and(|prefix| STATS_PREFIX.starts_with(prefix))
    };
    if text_of(matcher, "reject_all") == Some("true") {
        return Err(matcher.refuse("stats_matcher.reject_all leaves no stats at all"));
    }
    if matcher.get("inclusion_list").is_some() && !patterns("inclusion_list").iter().any(prefixes) {
        let reason = "stats_matcher.inclusion_list drops the filter's stats: add `- prefix: wasmcustom` to its patterns";
        return Err(matcher.refuse(reason));
    }
    let harmless = |pattern: &Node| {
        pattern.get("exact").is_some() || (pattern.get("prefix").is_some() && !prefixes(pattern))
    };
    if let Some(pattern) = patterns("exclusion_list").iter().find(|pattern| !harmless(pattern)) {
        return Err(pattern.refuse("stats_matcher.exclusion_list: this pattern may drop `wasmcustom.*`, the filter's stats"));
    }
    Ok(())
}

/// The HTTP connection managers of the listeners with these names, or of all.
fn chosen<'a>(root: &'a Node, names: &[String]) -> Result<Vec<&'a Node>, Refusal> {
    let managers = managers(root);
    for name in names {
        if !managers.iter().any(|(listener, _)| *listener == Some(name)) {
            let reason = format!("no listener `{name}` with an HTTP connection manager");
            return Err(Refusal { line: None, reason });
        }
    }
    if managers.is_empty() {
        let reason = "static_resources.listeners has no HTTP connection manager. Where listeners come \
                      from a control plane, add the filter there, and here only what --stats-only adds";
        return Err(Refusal { line: None, reason: reason.to_owned() });
    }
    let wanted = |listener: Option<&str>| {
        names.is_empty() || names.iter().any(|name| listener == Some(name))
    };
    Ok(managers.into_iter().filter(|(name, _)| wanted(*name)).map(|(_, manager)| manager).collect())
}

/// Every HTTP connection manager, with the name of its listener.
fn managers(root: &Node) -> Vec<(Option<&str>, &Node)> {
    let listeners = root.get("static_resources").and_then(|resources| resources.get("listeners"));
    let mut found = Vec::new();
    for listener in listeners.map_or(&[][..], Node::items) {
        let chains = listener.get("filter_chains").map_or(&[][..], Node::items);
        for chain in chains.iter().chain(listener.get("default_filter_chain")) {
            let filters = chain.get("filters").map_or(&[][..], Node::items);
            let configs =
                filters.iter().filter(|filter| is_of_type(filter, ".HttpConnectionManager"));
            let configs = configs.filter_map(|filter| filter.get("typed_config"));
            found.extend(configs.map(|config| (text_of(listener, "name"), config)));
        }
    }
    found
}

fn is_our_filter(filter: &Node) -> bool {
    text_of(filter, "name") == Some("gaugeway")
}

fn is_router(filter: &Node) -> bool {
    text_of(filter, "name") == Some("envoy.filters.http.router") || is_of_type(filter, ".Router")
}

/// Whether a log shows what the filter saw.
fn is_our_log(log: &Node) -> bool {
    let shows =
        |node: &Node| node.text().is_some_and(|text| text.contains("FILTER_STATE(wasm.gaugeway."));
    let mut left = vec![log];
    while let Some(node) = left.pop() {
        if shows(node) {
            return true;
        }
        left.extend(node.items());
        left.extend(node.entries().iter().map(|(_, value)| value));
    }
    false
}

fn is_of_type(filter: &Node, suffix: &str) -> bool {
    let config = filter.get("typed_config").and_then(|config| text_of(config, "@type"));
    config.is_some_and(|kind| kind.ends_with(suffix))
}

fn text_of<'a>(map: &'a Node, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Node::text)
}
