//! Room for thousands of sockets.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit on open files as far as the system lets this process. Shells often start with 1024, which is
/// fewer than the streams we open; where raising is refused the later `accept` or `connect` says so.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _refused =
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
