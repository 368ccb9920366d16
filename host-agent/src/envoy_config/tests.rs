use super::*;

const MANAGER: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/// A bootstrap as people write them, with comments that must stay.
fn bootstrap(stats_config: &str, listeners: &[&str]) -> String {
    let listeners: String = listeners
        .iter()
        .map(|name| {
            format!(
                "  - name: {name} # of {name}\n    filter_chains:\n    - filters:\n      - name: http\n        typed_config:\n          '@type': {MANAGER}\n          # Ours come first.\n          http_filters:\n            - name: cors\n            # The router is last.\n            - name: envoy.filters.http.router\n          route_config: {{name: r}}\n"
            )
        })
        .collect();
    format!("# Our Envoy.\nadmin: {{}}\n{stats_config}static_resources:\n  listeners:\n{listeners}")
}

#[track_caller]
fn added(text: &str, options: &Options) -> String {
    let added = add(text, options).unwrap();
    assert_eq!(add(&added, options).as_deref(), Ok(added.as_str()), "a second time");
    assert_eq!(remove(&added).as_deref(), Ok(text), "and removed");
    added
}

#[track_caller]
fn refused(text: &str, options: &Options, reason: &str) {
    let refusal = add(text, options).unwrap_err().to_string();
    assert!(refusal.contains(reason), "{refusal}");
}

#[test]
fn every_listener_gets_the_filter_before_its_router() {
    let text = bootstrap("", &["a", "b"]);
    let added = added(&text, &Options::default());
    assert_eq!(added.matches("- name: gaugeway\n").count(), 2);
    let order = "            # The router is last.\n            # >>> gaugeway\n            - name: gaugeway\n              typed_config:\n";
    assert_eq!(added.matches(order).count(), 2, "{added}");
    let end = "                  value: '{}'\n            # <<< gaugeway\n            - name: envoy.filters.http.router\n";
    assert_eq!(added.matches(end).count(), 2, "{added}");
    assert!(added.starts_with(text.split_once("            - name: envoy").unwrap().0));
}

#[test]
fn only_the_listeners_that_are_named() {
    let options = Options { listeners: vec!["b".to_owned()], ..Options::default() };
    let added = added(&bootstrap("", &["a", "b"]), &options);
    assert_eq!(added.matches("- name: gaugeway\n").count(), 1);
    assert!(added.find("- name: b").unwrap() < added.find("- name: gaugeway\n").unwrap());
    refused(&bootstrap("", &["a"]), &options, "no listener `b`");
}

#[test]
fn stats_only_leaves_listeners_alone() {
    let options = Options { stats_only: true, ..Options::default() };
    let added = added("node: {id: x}\n", &options);
    assert!(added.starts_with("node: {id: x}\n# >>> gaugeway\nstats_config:\n"), "{added}");
    refused("node: {id: x}\n", &Options::default(), "add the filter there");
}

/// Ours come first: of bucket settings the first that matches counts.
#[test]
fn lists_that_are_there_keep_what_they_have() {
    let own = "stats_config:\n  stats_tags: # our tags\n  - {tag_name: team, regex: 'x'}\n  histogram_bucket_settings:\n    - match: {prefix: http}\n      buckets: [1]\n";
    let added = added(&bootstrap(own, &["a"]), &Options::default());
    assert_eq!(added.matches("stats_config:").count(), 1);
    assert!(
        added.contains("  stats_tags: # our tags\n  # >>> gaugeway\n  - {tag_name: model, "),
        "{added}"
    );
    assert!(added.contains("  # <<< gaugeway\n  - {tag_name: team, regex: 'x'}\n"), "{added}");
    assert!(added.contains("    # <<< gaugeway\n    - match: {prefix: http}\n"), "{added}");
}

#[test]
fn a_section_without_the_lists_gets_them() {
    let added = added(
        &bootstrap("stats_config:\n  use_all_default_tags: true\n", &["a"]),
        &Options::default(),
    );
    assert!(added.contains("stats_config:\n  # >>> gaugeway\n  stats_tags:\n"), "{added}");
    assert!(added.contains("  # <<< gaugeway\n  use_all_default_tags: true\n"), "{added}");
}

#[test]
fn an_access_log_is_made_or_joined() {
    let options = Options { access_log: true, ..Options::default() };
    let without = bootstrap("", &["a"]);
    assert!(added(&without, &options).contains("          # >>> gaugeway\n          access_log:\n          - name: envoy.access_loggers.file\n"));
    let with = without.replace(
        "          route_config",
        "          access_log:\n          - name: own\n          route_config",
    );
    assert!(added(&with, &options).contains("          # <<< gaugeway\n          - name: own\n"));
}

#[test]
fn the_filter_is_set_up_as_asked() {
    let options = Options {
        wasm: Some("/opt/o'brien/x.wasm".into()),
        settings: Some(r#"{"models": [{"match": "it's"}]}"#.to_owned()),
        ..Options::default()
    };
    let added = added(&bootstrap("", &["a"]), &options);
    assert!(added.contains(r#"code: {local: {filename: "/opt/o'brien/x.wasm"}}"#), "{added}");
    assert!(added.contains(r#"value: '{"models": [{"match": "it''s"}]}'"#), "{added}");
    let wrong = Options { settings: Some(r#"{"max_modles": 1}"#.to_owned()), ..Options::default() };
    refused(&bootstrap("", &["a"]), &wrong, "the filter's settings: max_modles: unknown key");
}

/// Whoever runs the command again, for new labels, must not lose what was set up since.
#[test]
fn another_run_keeps_the_setup() {
    let options =
        Options { settings: Some(r#"{"max_models": 8}"#.to_owned()), ..Options::default() };
    let first = add(&bootstrap("", &["a"]), &options).unwrap();
    assert_eq!(add(&first, &Options::default()).as_deref(), Ok(first.as_str()));
    let edited = first.replace("8}", "9}");
    assert_eq!(add(&edited, &Options::default()).as_deref(), Ok(edited.as_str()));

    let both = add(&bootstrap("", &["a", "b"]), &options).unwrap();
    refused(&both.replacen("8}", "9}", 1), &Options::default(), "give --settings for all of them");
}

#[test]
fn json_stays_json() {
    let text = format!(
        r#"{{
  "static_resources": {{
    "listeners": [
      {{
        "filter_chains": [{{"filters": [{{"name": "http", "typed_config": {{
          "@type": "{MANAGER}",
          "http_filters": [
            {{"name": "envoy.filters.http.router"}}
          ]
        }}}}]}}]
      }}
    ]
  }}
}}
"#
    );
    for access_log in [false, true] {
        let added = added(&text, &Options { access_log, ..Options::default() });
        let json: serde_json::Value = serde_json::from_str(&added).unwrap();
        let manager = &json["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
        assert_eq!(manager["http_filters"][0]["name"], "gaugeway");
        assert_eq!(manager["access_log"].is_array(), access_log);
        assert_eq!(json["stats_config"]["stats_tags"][0]["tag_name"], "model");
    }
    let with_own = text.replacen(
        '{',
        r#"{"stats_config": {"stats_tags": [{"tag_name": "team", "fixed_value": "x"}]},"#,
        1,
    );
    let added = added(&with_own, &Options::default());
    let json: serde_json::Value = serde_json::from_str(&added).unwrap();
    assert_eq!(
        json["stats_config"]["stats_tags"].as_array().unwrap().last().unwrap()["tag_name"],
        "team"
    );
}

#[test]
fn brackets_inside_a_block() {
    let own =
        "stats_config: {use_all_default_tags: true, stats_tags: [{tag_name: team, regex: x}]}\n";
    added(&bootstrap(own, &["a"]), &Options::default());
    let text = bootstrap("stats_config: {stats_tags: []}\n", &["a"]);
    assert!(add(&text, &Options::default()).unwrap().contains(r#"stats_tags: [{"regex""#));
}

#[test]
fn what_was_pasted_by_hand_is_enough_and_stays() {
    let added = add(&bootstrap("", &["a"]), &Options::default()).unwrap();
    let marks = ["# >>> gaugeway", "# <<< gaugeway"];
    let unmarked = added.lines().filter(|line| !marks.contains(&line.trim()));
    let pasted: String = unmarked.map(|line| format!("{line}\n")).collect();
    assert_eq!(add(&pasted, &Options::default()).as_deref(), Ok(pasted.as_str()));
    assert!(remove(&pasted).unwrap_err().to_string().contains("remove it by hand"));
}

#[test]
fn what_would_have_to_be_guessed_is_refused() {
    let one = Options::default();
    for (stats_config, reason) in [
        (
            "stats_config:\n  stats_tags:\n  - {tag_name: model, fixed_value: x}\n",
            "line 5: stats_tags has a tag `model`",
        ),
        (
            "stats_config:\n  stats_tags:\n  - {tag_name: model, regex: '(model=\\.=(.*?);\\.;)'}\n",
            "has 1 of Gaugeway's 14 entries",
        ),
        ("stats_config:\n  stats_matcher: {reject_all: true}\n", "leaves no stats"),
        (
            "stats_config:\n  stats_matcher:\n    inclusion_list: {patterns: [{prefix: http}]}\n",
            "add `- prefix: wasmcustom`",
        ),
        (
            "stats_config:\n  stats_matcher:\n    exclusion_list: {patterns: [{safe_regex: {regex: x}}]}\n",
            "may drop",
        ),
        ("stats_config: &a\n  stats_tags: *b\n", "is not YAML"),
        ("stats_config: x\n", "line 3: is no map"),
        ("stats_config: {}\n", "line 3: is no map, or an empty one"),
        ("# >>> gaugeway\n", "line 3: `# >>> gaugeway` has lost its other end"),
    ] {
        refused(&bootstrap(stats_config, &["a"]), &one, reason);
    }
    let text = bootstrap("", &["a"]);
    refused(&text.replace("envoy.filters.http.router", "other"), &one, "has no router");
    refused(
        &text.replace(
            "- name: envoy.filters.http.router",
            "-\n              name: envoy.filters.http.router",
        ),
        &one,
        "line 16: the item does not begin",
    );
    refused(&format!("{text}---\nb: 1\n"), &one, "a second document begins here");
    refused("- a\n", &one, "is no Envoy bootstrap");
    refused("", &one, "is empty");
    refused("{{ template }}", &one, "");
}

#[test]
fn a_matcher_that_lets_them_through_is_fine() {
    let own = "stats_config:\n  stats_matcher:\n    inclusion_list:\n      patterns:\n      - prefix: http\n      - prefix: wasm\n";
    added(&bootstrap(own, &["a"]), &Options::default());
    let own = "stats_config:\n  stats_matcher:\n    exclusion_list:\n      patterns:\n      - prefix: listener\n      - exact: x\n";
    added(&bootstrap(own, &["a"]), &Options::default());
}

#[test]
fn the_difference_is_unified() {
    let text = bootstrap("", &["a"]);
    let added = added(&text, &Options::default());
    let diff = diff("envoy.yaml", &text, &added);
    assert!(diff.starts_with("--- envoy.yaml\n+++ envoy.yaml\n@@ -"), "{diff}");
    assert!(diff.contains("\n+            - name: gaugeway\n"));
    assert!(
        !diff.lines().skip(2).any(|line| line.starts_with('-')),
        "nothing is taken away: {diff}"
    );
    assert_eq!(super::diff("x", &text, &text), "");
}

proptest::proptest! {
    #[test]
    fn any_text_is_refused_or_changed_but_never_panics(text in r#"[a-c:\-\[\]{}"'#&*|> \n\t]{0,80}"#) {
        let _ = add(&text, &Options { stats_only: true, ..Options::default() });
        let _ = remove(&text);
    }
}
