//! An Envoy with a route for each thing that a gateway can do to a stream.

use crate::envoy::Config;
use crate::http;
use std::net::SocketAddr;

/// What the routes `/h1NAME/` and `/h2NAME/` do besides going to the simulator, over HTTP/1.1 and HTTP/2, as part of
/// the route's action in YAML.
const TO_SIM: [(&str, &str); 5] = [
    ("", "timeout: 0s"),
    ("-timeout", "timeout: 1s"),
    ("-idle", "timeout: 0s, idle_timeout: 1s"),
    ("-limit", "timeout: 0s, max_stream_duration: {max_stream_duration: 1s}"),
    ("-retry", RETRY),
];

/// The clusters behind `/h1-spent/` and `/h2-spent/` allow no retry.
const RETRY: &str =
    "timeout: 0s, retry_policy: {retry_on: '5xx,reset,connect-failure', num_retries: 2}";

/// The route `/direct/`.
const DIRECT: &str = r#"
              - match: {prefix: /direct/}
                direct_response: {status: 401, body: {inline_string: "Who are you?"}}"#;

/// The route `/limited/`: the gateway's own rate limit lets one request through a day.
const LIMITED: &str = r#"
              - match: {prefix: /limited/}
                route: {cluster: limited, timeout: 0s, prefix_rewrite: /}
                typed_per_filter_config:
                  envoy.filters.http.local_ratelimit:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
                    stat_prefix: limited
                    token_bucket: {max_tokens: 1, tokens_per_fill: 1, fill_interval: 86400s}
                    filter_enabled: {default_value: {numerator: 100}}
                    filter_enforced: {default_value: {numerator: 100}}"#;

const RATE_LIMIT_FILTER: &str = r#"
          - name: envoy.filters.http.local_ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: limited"#;

const HTTP2: &str = r#"
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}"#;

/// Envoy retries three requests at a time unless it is told otherwise; the cases run side by side.
const RETRIES: &str = "\n    circuit_breakers: {thresholds: [{max_retries: 1000}]}";

const NO_RETRY: &str = "\n    circuit_breakers: {thresholds: [{max_retries: 0}]}";

const NO_ROOM: &str = "\n    circuit_breakers: {thresholds: [{max_pending_requests: 0}]}";

/// The example configuration with routes of these kinds before its own, and `sim` behind them. Attempts are numbered,
/// so that the simulator knows a retry.
pub fn config(sim: SocketAddr) -> Config {
    let mut routes = format!("{LIMITED}{DIRECT}");
    for version in ["h1", "h2"] {
        for (name, action) in TO_SIM {
            routes += &route(&format!("{version}{name}"), &format!("sim-{version}"), action);
        }
        routes += &route(&format!("{version}-spent"), &format!("spent-{version}"), RETRY);
    }
    for name in ["empty", "nobody", "full"] {
        routes += &route(name, name, "timeout: 0s");
    }
    // Bound and let go of: nobody listens there.
    let nobody = SocketAddr::from(([127, 0, 0, 1], http::free_port()));
    let clusters = [
        cluster("sim-h1", Some(sim), RETRIES),
        cluster("sim-h2", Some(sim), &format!("{HTTP2}{RETRIES}")),
        cluster("spent-h1", Some(sim), NO_RETRY),
        cluster("spent-h2", Some(sim), &format!("{HTTP2}{NO_RETRY}")),
        cluster("limited", Some(sim), ""),
        cluster("empty", None, ""),
        cluster("nobody", Some(nobody), ""),
        cluster("full", Some(sim), NO_ROOM),
    ];
    Config::example(sim)
        .replace(
            "domains: [\"*\"]",
            "domains: [\"*\"]\n              include_request_attempt_count: true",
        )
        .replace("\n              routes:", &format!("\n              routes:{routes}"))
        .replace(
            "\n          # <<< fragments/filter.yaml",
            &format!("\n          # <<< fragments/filter.yaml{RATE_LIMIT_FILTER}"),
        )
        .replace("\n  clusters:", &format!("\n  clusters:{}", clusters.concat()))
}

fn route(name: &str, cluster: &str, action: &str) -> String {
    format!(
        "\n              - match: {{prefix: /{name}/}}\n                route: {{cluster: {cluster}, prefix_rewrite: /, {action}}}"
    )
}

fn cluster(name: &str, endpoint: Option<SocketAddr>, options: &str) -> String {
    let endpoints = endpoint.map_or(String::new(), |at| {
        let (ip, port) = (at.ip(), at.port());
        format!(
            "{{endpoint: {{address: {{socket_address: {{address: {ip}, port_value: {port}}}}}}}}}"
        )
    });
    format!(
        "\n  - name: {name}\n    type: STATIC\n    connect_timeout: 2s{options}\n    load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: [{endpoints}]}}]}}"
    )
}
