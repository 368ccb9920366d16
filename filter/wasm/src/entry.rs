//! What the host calls: of the exports of proxy-wasm ABI 0.2.1 those that a watcher of HTTP streams needs.
//!
//! Where an export is missing the host goes on by itself (proxy-wasm-cpp-host, `context.cc`), so trailers,
//! ticks and whatever else has nothing to say here is not even called. A context that is not known is let
//! by: nothing that the host does can make a call fail.
#![expect(unsafe_code, reason = "an exported symbol is unsafe to name")]

use crate::backlog::Backlog;
use crate::host;
use crate::http::HttpStream;
use crate::root::Root;
use crate::sys;
use gaugeway_core::End;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hasher};

/// `Action::Continue`: the stream goes on, whatever was seen.
const CONTINUE: u32 = 0;

thread_local! {
    /// The contexts of this VM, which one thread runs. The host calls none of these functions while
    /// another of them runs.
    static CONTEXTS: RefCell<Contexts> = const {
        RefCell::new(Contexts {
            roots: BTreeMap::new(),
            streams: Streams::with_hasher(BuildHasherDefault::new()),
            backlog: Backlog::EMPTY,
        })
    };
}

struct Contexts {
    /// One for each plugin configuration that shares the VM.
    roots: BTreeMap<u32, Root>,
    streams: Streams,
    backlog: Backlog,
}

impl Contexts {
    /// A piece of a response. It waits where that makes no difference.
    fn response_body(&mut self, id: u32, size: usize, end: End) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if end == End::More && Backlog::takes(size) && stream.can_wait() {
            if self.backlog.push(id, host::now(), size) {
                self.catch_up(id);
            }
        } else if stream.is_watched() {
            self.catch_up(id);
            self.with_stream(id, |stream| stream.response_body(size, end));
        }
    }

    /// Reads what has waited, before anything that has to come after it. `id` is the stream whose callback
    /// this is.
    fn catch_up(&mut self, id: u32) {
        let Self { streams, backlog, .. } = self;
        if backlog.is_empty() {
            return;
        }
        backlog.read(|owner, at, bytes| {
            if let Some(stream) = streams.get_mut(&owner) {
                stream.read_later(owner, at, bytes);
            }
        });
        sys::speak_for(id);
    }

    fn with_stream(&mut self, id: u32, work: impl FnOnce(&mut HttpStream)) {
        if let Some(stream) = self.streams.get_mut(&id) {
            work(stream);
        }
    }
}

#[expect(clippy::disallowed_types, reason = "with a hasher of its own it needs no random numbers")]
type Streams = std::collections::HashMap<u32, HttpStream, BuildHasherDefault<IdHasher>>;

/// Spreads ids that the host counts up.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        // Fibonacci hashing: the table looks at the lowest and the highest bits.
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn with_contexts(work: impl FnOnce(&mut Contexts)) {
    CONTEXTS.with(|contexts| {
        if let Ok(mut contexts) = contexts.try_borrow_mut() {
            work(&mut contexts);
        }
    });
}

fn with_stream(id: u32, work: impl FnOnce(&mut HttpStream)) -> u32 {
    with_contexts(|contexts| contexts.with_stream(id, work));
    CONTINUE
}

fn end(end_of_stream: u32) -> End {
    if end_of_stream == 0 { End::More } else { End::Last }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the linker's function, called once and before all else. Were it not called here, the linker
    // would call it in every export.
    unsafe { __wasm_call_ctors() };
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, root: u32) {
    with_contexts(|Contexts { roots, streams, .. }| {
        if root == 0 {
            roots.insert(id, Root::default());
        } else if let Some(root) = roots.get(&root) {
            streams.insert(id, root.stream());
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
    let mut accepted = false;
    with_contexts(|contexts| {
        accepted = contexts.roots.get_mut(&root).is_some_and(|root| root.configure(size));
    });
    u32::from(accepted)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _count: usize, _end_of_stream: u32) -> u32 {
    with_stream(id, HttpStream::request_head)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(id: u32, size: usize, _end_of_stream: u32) -> u32 {
    with_stream(id, |stream| stream.request_body(size))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(id: u32, _count: usize, end_of_stream: u32) -> u32 {
    with_contexts(|contexts| {
        contexts.catch_up(id);
        contexts.with_stream(id, |stream| stream.response_head(end(end_of_stream)));
    });
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(id: u32, size: usize, end_of_stream: u32) -> u32 {
    with_contexts(|contexts| contexts.response_body(id, size, end(end_of_stream)));
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(id: u32) {
    with_contexts(|contexts| {
        contexts.catch_up(id);
        contexts.with_stream(id, HttpStream::finish);
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    with_contexts(|contexts| {
        if contexts.streams.remove(&id).is_none() {
            contexts.roots.remove(&id);
        }
    });
}
