//! The names of the metrics on the agent's page, as the code of its renderer has them. No page shows them all: most
//! are there only where a host has what they tell of.

use crate::workspace;
use gaugeway_core::stat::{Stat, Unit};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The code of the renderer, without tests.
pub fn source() -> String {
    code(&workspace().join("host-agent/src/render"))
}

/// The name of a stat on the agent's page: OpenTelemetry's where the renderer has one, else in base units.
pub fn merged_name(stat: Stat, renderer: &str) -> String {
    let spec = stat.spec();
    let arm = renderer.split_once(&format!("Stat::{stat:?} =>")).map(|(_, rest)| rest);
    let gen_ai = arm.and_then(|arm| arm.split("Stat::").next()?.split('"').nth(1));
    match gen_ai.filter(|name| name.starts_with("gen_ai_")) {
        Some(name) => name.to_owned(),
        None if spec.unit == Unit::Micros => spec.name.replace("_us", "_seconds"),
        None => spec.name.to_owned(),
    }
}

/// The metrics that the renderer writes by itself, with their help: in its code the one follows the other.
pub fn agent_metrics(renderer: &str) -> BTreeMap<String, String> {
    let named = pairs(renderer)
        .filter(|(name, _)| name.starts_with("gaugeway_") || name.starts_with("DCGM_FI_"));
    let mut metrics: BTreeMap<String, String> = named.map(owned).collect();
    // Some figures have the names of a GPU and of a MIG instance, put together of parts.
    for (before, after) in
        renderer.match_indices("&format!(\"{family}_").map(|(at, _)| renderer.split_at(at))
    {
        let shape = after.split('"').nth(1).unwrap();
        let (_, parts) =
            before.rsplit_once("let parts = [").expect("parts stand before their shape");
        for (part, help) in pairs(parts) {
            for family in ["gaugeway_gpu", "gaugeway_mig"] {
                let name = shape.replace("{family}", family).replace("{part}", part);
                metrics.insert(name, help.to_owned());
            }
        }
    }
    assert!(metrics.len() > 80, "the renderer is no longer read: {metrics:?}");
    metrics
}

/// String literals that follow one another, but for a comma.
fn pairs(code: &str) -> impl Iterator<Item = (&str, &str)> {
    let literals: Vec<&str> = code.split('"').collect();
    let next = move |at: usize| {
        let (first, between, second) = (literals[at], literals[at + 1], literals[at + 2]);
        (between.trim() == ",").then_some((first, second))
    };
    let last = code.matches('"').count().saturating_sub(2);
    (1..last).step_by(2).filter_map(next)
}

fn owned((name, help): (&str, &str)) -> (String, String) {
    (name.to_owned(), help.to_owned())
}

/// The text of all Rust files in a folder, without tests.
fn code(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            text += &code(&path);
        } else if path.file_name().is_some_and(|name| name != "tests.rs") {
            let source = fs::read_to_string(&path).unwrap();
            let code = source.split("#[cfg(test)]").next().unwrap().to_owned();
            // A quote in a comment or an escaped one would shift the literals.
            text += &code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            text.push('\n');
        }
    }
    text
}
