//! One HTTP stream: each callback hands what it sees to the observer and lets the stream go on.

use crate::host::{self, EndingProperties, EnvoyStats};
use crate::inject::Injection;
use crate::root::Shared;
use crate::sys::{self, Buffer, Map};
use gaugeway_core::{End, FACT_HEADERS, HostTime, Observer, Registry, RequestHead, ResponseHead};
use std::rc::Rc;
use std::time::Duration;

/// How often the filter state of a running stream is brought up to date.
const REFRESH: Duration = Duration::from_secs(1);

/// A stream that is watched, or let by.
pub(crate) struct HttpStream {
    shared: Option<Rc<Shared>>,
    watched: Option<Box<Watched>>,
}

/// A stream of LLM traffic.
struct Watched {
    observer: Observer,
    /// The cluster when the request came.
    upstream: Box<[u8]>,
    /// Whether the gauge of active streams was raised. A request at `/` may turn out to be anything.
    counted: bool,
    published: Published,
    /// The host's id of the stat of gaps, once there was one.
    gap_series: Option<u32>,
    /// What is written into the stream; `None` unless the configuration asks for it.
    injection: Option<Injection>,
}

/// What access logs and traces can already see.
#[derive(Clone, Copy)]
enum Published {
    Nothing,
    Running(Option<HostTime>),
    All,
}

impl HttpStream {
    pub(crate) fn new(shared: Option<Rc<Shared>>) -> Self {
        Self { shared, watched: None }
    }

    pub(crate) fn request_head(&mut self) {
        let Some(shared) = &self.shared else { return };
        let Ok(mut registry) = shared.registry.try_borrow_mut() else { return };
        registry.seen(&mut EnvoyStats);
        let method = sys::header(Map::RequestHeaders, ":method").unwrap_or_default();
        let path = sys::header(Map::RequestHeaders, ":path").unwrap_or_default();
        let head = RequestHead { method: &method, path: &path, ..RequestHead::default() };
        if !head.is_llm() {
            return;
        }
        let encoding = sys::header(Map::RequestHeaders, "content-encoding");
        let tenant = shared.tenant_header.as_deref();
        let tenant = tenant.and_then(|name| sys::header(Map::RequestHeaders, name));
        let head = RequestHead {
            content_encoding: encoding.as_deref(),
            tenant: tenant.as_deref(),
            ..head
        };
        let Some(observer) = Observer::start(shared.clock.now(), &head) else { return };
        let upstream = host::upstream().unwrap_or_default();
        let counted = observer.is_certain() && registry.active(&mut EnvoyStats, &upstream, 1);
        let injection = shared.inject_usage.then(|| Injection::start(&head)).flatten();
        let published = Published::Nothing;
        self.watched = Some(Box::new(Watched {
            observer,
            upstream,
            counted,
            published,
            gap_series: None,
            injection,
        }));
    }

    pub(crate) fn request_body(&mut self, size: usize) {
        let Some(watched) = &mut self.watched else { return };
        if let Some(bytes) = sys::buffer(Buffer::RequestBody, size) {
            watched.observer.request_chunk(&bytes);
            if let Some(injection) = &mut watched.injection {
                injection.request_body(&bytes);
            }
        }
    }

    pub(crate) fn response_head(&mut self, end: End) {
        let Some(watched) = &mut self.watched else { return };
        let status = sys::header(Map::ResponseHeaders, ":status").unwrap_or_default();
        let content_type = sys::header(Map::ResponseHeaders, "content-type");
        let encoding = sys::header(Map::ResponseHeaders, "content-encoding");
        let facts = if watched.observer.reads_facts() {
            FACT_HEADERS.map(|name| sys::header(Map::ResponseHeaders, name))
        } else {
            Default::default()
        };
        watched.observer.response_head(&ResponseHead {
            status: std::str::from_utf8(&status)
                .ok()
                .and_then(|status| status.parse().ok())
                .unwrap_or(0),
            content_type: content_type.as_deref(),
            content_encoding: encoding.as_deref(),
            facts: facts.each_ref().map(Option::as_deref),
        });
        if let Some(injection) = &mut watched.injection {
            injection.response_head(encoding.as_deref());
        }
        if end == End::Last {
            self.response_body(0, end);
        }
    }

    pub(crate) fn response_body(&mut self, size: usize, end: End) {
        let (Some(shared), Some(watched)) = (&self.shared, &mut self.watched) else { return };
        let bytes = if size > 0 { sys::buffer(Buffer::ResponseBody, size) } else { None };
        let bytes = bytes.unwrap_or_default();
        let at = shared.clock.now();
        let gaps = watched.observer.response_chunk(at, &bytes, end);
        if let Some(injection) = &mut watched.injection
            && watched.observer.is_finished()
        {
            injection.response_body(&bytes, end);
        }
        let Ok(mut registry) = shared.registry.try_borrow_mut() else { return };
        let Watched { observer, upstream, gap_series, .. } = &mut **watched;
        registry.gaps(&mut EnvoyStats, observer, upstream, gaps, gap_series);
        watched.published = watched.publish(&registry, at);
    }

    pub(crate) fn finish(&mut self) {
        let (Some(shared), Some(watched)) = (&self.shared, self.watched.take()) else { return };
        let Ok(mut registry) = shared.registry.try_borrow_mut() else { return };
        registry.flush(&mut EnvoyStats);
        if watched.counted {
            registry.active(&mut EnvoyStats, &watched.upstream, -1);
        }
        let properties = EndingProperties::read();
        let record = watched.observer.finish(shared.clock.now(), &properties.ending());
        let Some(record) = record else { return };
        // A retry may have ended in another cluster than the one that was chosen first.
        let upstream = host::upstream().unwrap_or(watched.upstream);
        registry.record(&mut EnvoyStats, &record, &upstream);
    }
}

impl Watched {
    /// Writes filter state when it is time: at the first generated event, once a second from then on, and
    /// when the answer is over. Envoy logs before `on_log` reaches us, so later is too late.
    fn publish(&self, registry: &Registry, at: Option<HostTime>) -> Published {
        let (was, over) = (self.published, self.observer.is_over());
        match was {
            Published::Nothing if !over && self.observer.generated_events() == 0 => was,
            Published::Running(last) if !over => {
                if at.zip(last).is_none_or(|(at, last)| at.since(last) < REFRESH) {
                    return was;
                }
                registry.progress(&self.observer, at, &mut sys::set_property);
                Published::Running(at)
            }
            Published::All => was,
            Published::Nothing | Published::Running(_) => {
                let properties = EndingProperties::read();
                registry.state(&self.observer, at, &properties.ending(), &mut sys::set_property);
                if over { Published::All } else { Published::Running(at) }
            }
        }
    }
}
