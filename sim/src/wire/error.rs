//! Error bodies and in-stream errors as the real servers write them.

use super::{quote, usage_json};
use crate::fault::{HttpFault, StreamFault};
use crate::profile::Style;
use crate::served::Usage;

/// The content type and body of an error answer.
pub fn error_body(fault: HttpFault, style: Style) -> (&'static str, String) {
    if fault == HttpFault::BadGateway {
        let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
        return ("text/html", page.to_owned());
    }
    let message = quote(message(fault, style));
    let status = fault.status();
    let json = match (style, native_type(fault, style)) {
        (Style::Vllm, Some(kind)) => {
            format!(
                r#"{{"error":{{"message":{message},"type":"{kind}","param":null,"code":{status}}}}}"#
            )
        }
        (Style::LlamaCpp, Some(kind)) => {
            format!(r#"{{"error":{{"code":{status},"message":{message},"type":"{kind}"}}}}"#)
        }
        (_, _) => {
            let kind = hosted_type(fault);
            format!(
                r#"{{"error":{{"message":{message},"type":"{kind}","param":null,"code":"{fault}"}}}}"#
            )
        }
    };
    ("application/json", json)
}

/// The body that answers a request for a model that is not there; the status is 404.
pub fn unknown_model(model: &str) -> String {
    let message =
        quote(&format!("The model `{model}` does not exist or you do not have access to it."));
    format!(
        r#"{{"error":{{"message":{message},"type":"invalid_request_error","param":null,"code":"model_not_found"}}}}"#
    )
}

/// `type` where the self-hosted server answers in its own words. Keys, rates and quotas are the business of a
/// gateway before it, which speaks like the hosted API.
const fn native_type(fault: HttpFault, style: Style) -> Option<&'static str> {
    match (style, fault) {
        (Style::Vllm, HttpFault::ContextLength | HttpFault::InvalidValue) => {
            Some("BadRequestError")
        }
        (Style::Vllm, HttpFault::ModelNotFound) => Some("NotFoundError"),
        (Style::Vllm, HttpFault::ServerError | HttpFault::OutOfMemory) => {
            Some("InternalServerError")
        }
        (Style::LlamaCpp, HttpFault::ContextLength) => Some("exceed_context_size_error"),
        (Style::LlamaCpp, HttpFault::InvalidValue) => Some("invalid_request_error"),
        (Style::LlamaCpp, HttpFault::ServerError | HttpFault::OutOfMemory) => Some("server_error"),
        (Style::LlamaCpp, HttpFault::Overloaded) => Some("unavailable_error"),
        _ => None,
    }
}

const fn hosted_type(fault: HttpFault) -> &'static str {
    match fault {
        HttpFault::RateLimit => "requests",
        HttpFault::Quota => "insufficient_quota",
        HttpFault::ServerError | HttpFault::OutOfMemory | HttpFault::Overloaded => "server_error",
        HttpFault::ContextLength
        | HttpFault::InvalidValue
        | HttpFault::InvalidKey
        | HttpFault::Forbidden
        | HttpFault::ModelNotFound
        | HttpFault::BadGateway => "invalid_request_error",
    }
}

const fn message(fault: HttpFault, style: Style) -> &'static str {
    match (fault, style) {
        (HttpFault::ContextLength, Style::LlamaCpp) => {
            "the request exceeds the available context size, try increasing it"
        }
        (HttpFault::ContextLength, _) => {
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9010 tokens. Please reduce the length of the messages."
        }
        (HttpFault::InvalidValue, _) => {
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 99 instead."
        }
        (HttpFault::InvalidKey, _) => "Incorrect API key provided: sk-sim.",
        (HttpFault::Forbidden, _) => "You are not allowed to sample from this model.",
        (HttpFault::ModelNotFound, _) => "The model `gone` does not exist.",
        (HttpFault::RateLimit, _) => {
            "Rate limit reached for requests per min: Limit 500, Used 500, Requested 1. Please try again in 120ms."
        }
        (HttpFault::Quota, _) => {
            "You exceeded your current quota, please check your plan and billing details."
        }
        (HttpFault::ServerError, _) => {
            "The server had an error while processing your request. Sorry about that!"
        }
        (HttpFault::OutOfMemory, _) => {
            "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.02 GiB is free."
        }
        (HttpFault::BadGateway, _) => "Bad Gateway",
        (HttpFault::Overloaded, Style::LlamaCpp) => "Loading model",
        (HttpFault::Overloaded, _) => "The engine is currently overloaded, please try again later.",
    }
}

/// An error inside a stream. `chunk_head` is an ordinary chunk up to its choices.
pub(super) fn fault_event(fault: StreamFault, chunk_head: &str, usage: Usage) -> String {
    let object = match fault {
        StreamFault::Vllm => {
            r#"{"error":{"message":"EngineCore stopped while the request was running","type":"InternalServerError","param":null,"code":500}}"#
        }
        StreamFault::OpenAi => {
            r#"{"error":{"message":"The server had an error while processing your request. Sorry about that!","type":"server_error","param":null,"code":null}}"#
        }
        StreamFault::LlamaCpp => {
            r#"{"error":{"code":500,"message":"decode failed","type":"server_error"}}"#
        }
        StreamFault::OutOfMemory => {
            r#"{"error":{"message":"CUDA out of memory. Tried to allocate 512.00 MiB.","type":"InternalServerError","param":null,"code":500}}"#
        }
        StreamFault::Groq => {
            return "event: error\ndata: {\"error\":{\"message\":\"Tool choice is required, but model did not call a tool\",\"type\":\"invalid_request_error\",\"code\":\"tool_use_failed\",\"failed_generation\":\"\",\"status_code\":400}}\n\n".to_owned();
        }
        StreamFault::OpenRouter => {
            let usage = usage_json(usage);
            return format!(
                "{chunk_head}{{\"index\":0,\"delta\":{{\"content\":\"\"}},\"finish_reason\":\"error\"}}],\"error\":{{\"code\":502,\"message\":\"Provider disconnected unexpectedly\"}},\"usage\":{usage}}}\n\n"
            );
        }
    };
    format!("data: {object}\n\n")
}
