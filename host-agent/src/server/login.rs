//! Basic auth against bcrypt hashes.
//!
//! Checking a password takes tens of milliseconds by design. A login that succeeded is therefore
//! remembered, and only one check runs at a time, off the page's thread, so that guesses cost the
//! guesser time and nobody else the page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

/// bcrypt looks at no more of a password.
const MAX_PASSWORD_BYTES: usize = 72;

/// Who may log in.
pub(super) struct Users {
    hashes: BTreeMap<String, String>,
    /// The last password of each user that was right, as a digest. Bounded by the users there are.
    right: Mutex<BTreeMap<String, [u8; 32]>>,
    checking: Semaphore,
}

impl Users {
    /// `None` without users, which lets everybody in.
    pub(super) fn new(hashes: BTreeMap<String, String>) -> Result<Option<Self>, String> {
        for (user, hash) in &hashes {
            if hash.parse::<bcrypt::HashParts>().is_err() {
                return Err(format!("basic_auth_users.{user}: not a bcrypt hash"));
            }
        }
        let right = Mutex::default();
        Ok((!hashes.is_empty()).then(|| Self { hashes, right, checking: Semaphore::new(1) }))
    }

    /// Whether the request carries a user and the right password.
    pub(super) async fn allow(self: Arc<Self>, headers: &HeaderMap) -> bool {
        let Some((user, password)) = credentials(headers) else { return false };
        let digest: [u8; 32] = Sha256::digest(&password).into();
        if self.is_known(&user, &digest) {
            return true;
        }
        let Ok(_turn) = self.checking.acquire().await else { return false };
        let users = Arc::clone(&self);
        let check = tokio::task::spawn_blocking(move || users.check(&user, &password, digest));
        check.await.unwrap_or(false)
    }

    fn is_known(&self, user: &str, digest: &[u8; 32]) -> bool {
        self.right.lock().unwrap_or_else(PoisonError::into_inner).get(user) == Some(digest)
    }

    /// A user that does not exist is checked against somebody's hash, so that the answer takes as
    /// long as a wrong password.
    fn check(&self, user: &str, password: &[u8], digest: [u8; 32]) -> bool {
        let own = self.hashes.get(user);
        let Some(hash) = own.or_else(|| self.hashes.values().next()) else { return false };
        let right = password.len() <= MAX_PASSWORD_BYTES
            && bcrypt::verify(password, hash).unwrap_or(false)
            && own.is_some();
        if right {
            let mut known = self.right.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(user.to_owned(), digest);
        }
        right
    }
}

fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (user, password) = decoded.split_at_checked(colon)?;
    Some((String::from_utf8(user.to_vec()).ok()?, password.get(1..)?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Arc<Users> {
        // The lowest cost there is: these tests are not about how slow it is.
        let hash = bcrypt::hash("secret", 4).unwrap();
        Arc::new(Users::new([("ann".to_owned(), hash)].into()).unwrap().unwrap())
    }

    fn header(text: &str) -> HeaderMap {
        [(AUTHORIZATION, text.parse().unwrap())].into_iter().collect()
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_user_counts() {
        let users = users();
        for (credentials, allowed) in [
            ("Basic YW5uOnNlY3JldA==", true),
            ("basic YW5uOnNlY3JldA==", true),
            ("Basic YW5uOndyb25n", false),
            // bob:secret
            ("Basic Ym9iOnNlY3JldA==", false),
            ("Basic YW5u", false),
            ("Basic !", false),
            ("Bearer YW5uOnNlY3JldA==", false),
            ("Basic", false),
        ] {
            let got = Arc::clone(&users).allow(&header(credentials)).await;
            assert_eq!(got, allowed, "{credentials}");
        }
        assert!(!users.allow(&HeaderMap::new()).await);
    }

    #[tokio::test]
    async fn a_right_login_is_remembered_and_a_wrong_one_is_not() {
        let users = users();
        Arc::clone(&users).allow(&header("Basic Ym9iOnNlY3JldA==")).await;
        assert!(users.right.lock().unwrap().is_empty());
        Arc::clone(&users).allow(&header("Basic YW5uOnNlY3JldA==")).await;
        assert!(users.is_known("ann", &Sha256::digest("secret").into()));
    }
}
