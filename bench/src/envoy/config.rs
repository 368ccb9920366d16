//! Envoy with one way of looking at streams, or none.

use super::guests::Modules;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A way of looking at streams.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Variant {
    /// The router alone.
    None,
    /// A wasm module whose callbacks return at once.
    NoopWasm,
    /// A wasm module that reads each piece of the body and the clock, and makes nothing of them.
    ReadOnlyWasm,
    /// The same, written with the Rust SDK as most filters are.
    ReadOnlySdk,
    /// The filter, as shipped.
    Gaugeway,
    /// Envoy's own filter for token usage.
    AiProtocolManager,
    /// Envoy's own filter for values in server-sent events.
    SseToMetadata,
    /// A Lua script that searches each piece for usage.
    Lua,
    /// An external processor that is sent each piece and answers with nothing.
    ExtProc,
}

impl Variant {
    /// All that look at streams, those that belong together side by side.
    pub(crate) const WATCHERS: [Self; 8] = [
        Self::ReadOnlySdk,
        Self::Gaugeway,
        Self::AiProtocolManager,
        Self::NoopWasm,
        Self::ReadOnlyWasm,
        Self::SseToMetadata,
        Self::Lua,
        Self::ExtProc,
    ];

    /// As it stands in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "no filter",
            Self::NoopWasm => "wasm that does nothing",
            Self::ReadOnlyWasm => "wasm that reads body and clock",
            Self::ReadOnlySdk => "the same with the Rust SDK",
            Self::Gaugeway => "Gaugeway",
            Self::AiProtocolManager => "ai_protocol_manager",
            Self::SseToMetadata => "sse_to_metadata",
            Self::Lua => "Lua, one search per piece",
            Self::ExtProc => "ext_proc, empty answers",
        }
    }
}

/// The whole bootstrap.
pub(crate) fn yaml(variant: Variant, upstream: u16, processor: u16, modules: &Modules) -> String {
    let stats = match variant {
        Variant::Gaugeway => include_str!("../../../envoy/fragments/stats.yaml"),
        _ => "",
    };
    let filter = match variant {
        Variant::None => String::new(),
        Variant::NoopWasm => wasm_filter(&modules.noop),
        Variant::ReadOnlyWasm => wasm_filter(&modules.read_only),
        Variant::ReadOnlySdk => wasm_filter(&modules.read_only_sdk),
        Variant::Gaugeway => wasm_filter(&modules.gaugeway),
        Variant::AiProtocolManager => AI_PROTOCOL_MANAGER.to_owned(),
        Variant::SseToMetadata => SSE_TO_METADATA.to_owned(),
        Variant::Lua => LUA.to_owned(),
        Variant::ExtProc => EXT_PROC.to_owned(),
    };
    let filter: String = filter.lines().map(|line| format!("          {line}\n")).collect();
    format!(
        r#"admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
{stats}
static_resources:
  listeners:
  - name: llm
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: llm
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: llm, timeout: 0s}}}}]
          http_filters:
{filter}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: llm
    circuit_breakers: {{thresholds: [{{max_connections: 10000, max_requests: 10000, max_pending_requests: 10000}}]}}
    load_assignment:
      cluster_name: llm
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}}}]}}]
  - name: processor
    circuit_breakers: {{thresholds: [{{max_connections: 10000, max_requests: 10000}}]}}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{max_concurrent_streams: 10000}}}}
    load_assignment:
      cluster_name: processor
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {processor}}}}}}}}}]}}]
"#
    )
}

fn wasm_filter(module: &Path) -> String {
    format!(
        r#"- name: wasm
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
    config:
      name: wasm
      root_id: wasm
      failure_policy: FAIL_OPEN
      vm_config:
        vm_id: wasm
        runtime: envoy.wasm.runtime.v8
        code: {{local: {{filename: {}}}}}"#,
        module.display()
    )
}

const AI_PROTOCOL_MANAGER: &str = r#"- name: envoy.filters.http.ai_protocol_manager
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ai_protocol_manager.v3.AiProtocolManager
    response_handling: {token_usage: {include_unconfigured_routes: true}}"#;

const SSE_TO_METADATA: &str = r#"- name: envoy.filters.http.sse_to_metadata
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.sse_to_metadata.v3.SseToMetadata
    response_rules:
      content_parser:
        name: envoy.content_parsers.json
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.content_parsers.json.v3.JsonContentParser
          rules:
          - rule:
              selectors: [{key: usage}, {key: total_tokens}]
              on_present: {metadata_namespace: llm, key: total_tokens, type: NUMBER}"#;

const LUA: &str = r#"- name: envoy.filters.http.lua
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
    default_source_code:
      inline_string: |
        function envoy_on_response(handle)
          for chunk in handle:bodyChunks() do
            string.find(chunk:getBytes(0, chunk:length()), '"usage":{', 1, true)
          end
        end"#;

const EXT_PROC: &str = r#"- name: envoy.filters.http.ext_proc
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
    grpc_service: {envoy_grpc: {cluster_name: processor}}
    processing_mode:
      request_header_mode: SKIP
      response_header_mode: SEND
      response_body_mode: STREAMED"#;
