//! One HTTP stream: each callback hands what it sees to the observer and lets the stream go on.

use crate::host::{self, EndingProperties, EnvoyStats};
use crate::inject::Injection;
use crate::root::Shared;
use crate::sys::{self, Buffer, Map};
use gaugeway_core::{
    End, FACT_HEADERS, HostTime, Observer, Registry, RequestHead, ResponseHead, Shown,
};
use std::rc::Rc;
use std::time::Duration;

/// For how long the filter state of a running stream stays as it is, at least.
const REFRESH: Duration = Duration::from_secs(1);
/// And this share of the stream's age, because each key is a call into the host: what the log of a stream
/// that broke off says is behind by a quarter at most.
const REFRESH_SHARE: u32 = 4;

/// A stream that is watched, or let by.
pub(crate) struct HttpStream {
    shared: Option<Rc<Shared>>,
    watched: Option<Box<Watched>>,
    /// Whether the next piece of the response may be read later.
    can_wait: bool,
}

/// A stream of LLM traffic.
struct Watched {
    observer: Observer,
    /// The cluster when the request came.
    upstream: Box<[u8]>,
    /// Whether the gauge of active streams was raised. A request at `/` may turn out to be anything.
    counted: bool,
    published: Published,
    shown: Shown,
    /// The host's id of the stat of gaps, once there was one.
    gap_series: Option<u32>,
    /// What is written into the stream; `None` unless the configuration asks for it.
    injection: Option<Box<Injection>>,
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
        Self { shared, watched: None, can_wait: false }
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
        let Some(observer) = Observer::start(host::now(), &head) else { return };
        let upstream = host::upstream().unwrap_or_default();
        let counted = observer.is_certain() && registry.active(&mut EnvoyStats, &upstream, 1);
        let injection =
            shared.inject_usage.then(|| Injection::start(&head)).flatten().map(Box::new);
        let published = Published::Nothing;
        self.watched = Some(Box::new(Watched {
            observer,
            upstream,
            counted,
            published,
            shown: Shown::default(),
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

    /// Whether a piece of the response may be read later, by [`Self::read_later`].
    pub(crate) const fn can_wait(&self) -> bool {
        self.can_wait
    }

    pub(crate) const fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    pub(crate) fn response_body(&mut self, size: usize, end: End) {
        let bytes = if size > 0 { sys::buffer(Buffer::ResponseBody, size) } else { None };
        self.read(None, host::now(), &bytes.unwrap_or_default(), end);
    }

    /// Reads a piece that has waited, in the callback of any stream; this is stream `id`.
    pub(crate) fn read_later(&mut self, id: u32, at: Option<HostTime>, bytes: &[u8]) {
        self.read(Some(id), at, bytes, End::More);
    }

    fn read(&mut self, waited: Option<u32>, at: Option<HostTime>, bytes: &[u8], end: End) {
        let (Some(shared), Some(watched)) = (&self.shared, &mut self.watched) else { return };
        let gaps = watched.observer.response_chunk(at, bytes, end);
        if let Some(injection) = &mut watched.injection
            && watched.observer.is_finished()
        {
            injection.response_body(bytes, end);
        }
        let Ok(mut registry) = shared.registry.try_borrow_mut() else { return };
        let Watched { observer, upstream, gap_series, .. } = &mut **watched;
        registry.gaps(&mut EnvoyStats, observer, upstream, gaps, gap_series);
        watched.published = watched.publish(waited, &registry, at);
        // The first generated event is published when it comes, what is changed is changed at once, and so many
        // compressed pieces would hold the worker up.
        let running = matches!(watched.published, Published::Running(_));
        self.can_wait = running && watched.injection.is_none() && watched.observer.is_plain();
    }

    pub(crate) fn finish(&mut self) {
        let (Some(shared), Some(watched)) = (&self.shared, self.watched.take()) else { return };
        let Ok(mut registry) = shared.registry.try_borrow_mut() else { return };
        if watched.counted {
            registry.active(&mut EnvoyStats, &watched.upstream, -1);
        }
        let observer = watched.observer;
        let properties = if observer.is_settled() {
            EndingProperties::default()
        } else {
            EndingProperties::read(&observer)
        };
        let record = observer.finish(host::now(), &properties.ending());
        let Some(record) = record else { return };
        // A retry may have ended in another cluster than the one that was chosen first.
        let upstream = host::upstream().unwrap_or(watched.upstream);
        registry.record(&mut EnvoyStats, &record, &upstream);
    }
}

impl Watched {
    /// Whether filter state that was written at `last` is too old.
    fn is_due(&self, at: Option<HostTime>, last: Option<HostTime>) -> bool {
        let share = self.observer.age(at).and_then(|age| age.checked_div(REFRESH_SHARE));
        let limit = share.map_or(REFRESH, |share| share.max(REFRESH));
        at.zip(last).is_some_and(|(at, last)| at.since(last) >= limit)
    }

    /// Writes filter state when it is time: at the first generated event, now and then from there on, and
    /// when the answer is over. Envoy logs before `on_log` reaches us, so later is too late.
    fn publish(
        &mut self,
        waited: Option<u32>,
        registry: &Registry,
        at: Option<HostTime>,
    ) -> Published {
        let (was, over) = (self.published, self.observer.is_over());
        match was {
            Published::All => return was,
            Published::Nothing if !over && self.observer.generated_events() == 0 => return was,
            Published::Running(last) if !over && !self.is_due(at, last) => return was,
            Published::Nothing | Published::Running(_) => {}
        }
        if waited.is_some_and(|id| !sys::speak_for(id)) {
            return was;
        }
        // A piece of a body has just come: nothing has broken that was complete before.
        let properties = if over && !self.observer.is_complete() {
            EndingProperties::read(&self.observer)
        } else {
            EndingProperties::default()
        };
        let ending = properties.ending();
        registry.state(&self.observer, at, &ending, &mut self.shown, &mut sys::set_property);
        if over { Published::All } else { Published::Running(at) }
    }
}
