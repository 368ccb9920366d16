//! The books of one currency. Every amount that comes in ends in exactly one place:
//!
//! ```text
//! share of a pool ─┬─► idle
//!                  ├─► pending ─┬─► attributed    by weighted tokens
//!                  │            └─► no_tokens     none came
//!                  └─► gateway_down
//! spare GPUs ──────► spare
//! ```

use std::time::Duration;

use super::CostKey;
use super::amount::Amount;
use super::ledger::Ledger;
use super::split::split;

/// Most lines of attribution. The filter caps models and tenants, but names can change for as long
/// as the agent runs; what comes later goes to one model and no tenant.
pub(super) const MAX_LINES: usize = 20_000;
/// The model that what comes later goes to.
pub(super) const OTHER: &str = "__other__";

/// What became of all that was booked, in nano-dollars or millijoules.
#[derive(Debug)]
pub(super) struct Account<A> {
    pools: Vec<PoolAccount<A>>,
    attributed: Ledger<CostKey, A>,
    /// Of GPUs in no pool.
    pub(super) spare: A,
    /// Of ticks in which the gateway could not be read.
    pub(super) gateway_down: A,
    /// Used, but no token ever came.
    pub(super) no_tokens: A,
}

#[derive(Clone, Copy, Debug, Default)]
struct PoolAccount<A> {
    idle: A,
    /// Used, but no token has been reported for it yet: many servers say so at the end only.
    pending: A,
    /// How long the oldest pending amount has waited.
    pending_for: Duration,
}

impl<A: Amount> Account<A> {
    /// Empty books for so many pools.
    pub(super) fn new(pools: usize) -> Self {
        Self {
            pools: vec![PoolAccount::default(); pools],
            attributed: Ledger::with([]),
            spare: A::default(),
            gateway_down: A::default(),
            no_tokens: A::default(),
        }
    }

    /// Makes room for so many pools.
    pub(super) fn grow(&mut self, pools: usize) {
        self.pools.resize(pools.max(self.pools.len()), PoolAccount::default());
    }

    /// Starts a tick; see [`Ledger::release`].
    pub(super) fn release(&mut self, page_read: bool) {
        self.attributed.release(page_read);
    }

    /// Books a pool's share of a tick: `idle` of it at once, the rest when tokens come.
    pub(super) fn book(&mut self, place: usize, share: A, idle: A) {
        let idle = idle.min(share);
        if let Some(pool) = self.pools.get_mut(place) {
            pool.idle += idle;
            pool.pending += share - idle;
        }
    }

    /// Shares a pool's pending amount out by the lines' weights, and returns each line's key as it
    /// was booked and its part. `None` when nothing has a weight, and the amount goes on waiting.
    pub(super) fn share_out(
        &mut self,
        place: usize,
        lines: &[(CostKey, u128)],
    ) -> Option<Vec<(CostKey, A)>> {
        let pool = self.pools.get_mut(place)?;
        let weights: Vec<_> = lines.iter().map(|(_, weight)| *weight).collect();
        let parts = split(pool.pending.units(), &weights)?;
        (pool.pending, pool.pending_for) = (A::default(), Duration::ZERO);
        let booked = lines.iter().zip(parts).map(|((key, _), part)| {
            let (key, part) = (self.bounded(key), A::of(part));
            self.attributed.add(key.clone(), part);
            (key, part)
        });
        Some(booked.collect())
    }

    /// Lets pending amounts age by one tick, and gives up those that have waited too long.
    pub(super) fn expire(&mut self, elapsed: Duration, limit: Duration) {
        for pool in &mut self.pools {
            if pool.pending == A::default() {
                pool.pending_for = Duration::ZERO;
                continue;
            }
            pool.pending_for += elapsed;
            if pool.pending_for > limit {
                self.no_tokens += std::mem::take(&mut pool.pending);
                pool.pending_for = Duration::ZERO;
            }
        }
    }

    /// What has been attributed, as it is shown.
    pub(super) fn attributed(&self) -> impl Iterator<Item = (&CostKey, A)> {
        self.attributed.shown()
    }

    /// What each pool was idle for.
    pub(super) fn idle(&self) -> impl Iterator<Item = A> {
        self.pools.iter().map(|pool| pool.idle)
    }

    /// What waits for tokens, and first increments that are held back.
    pub(super) fn pending(&self) -> A {
        let held = self.attributed.held().map(|(_, amount)| amount);
        self.pools.iter().map(|pool| pool.pending).chain(held).sum()
    }

    /// First increments that are held back, a part of [`Self::pending`].
    pub(super) fn held(&self) -> impl Iterator<Item = (&CostKey, A)> {
        self.attributed.held()
    }

    fn bounded(&self, key: &CostKey) -> CostKey {
        if self.attributed.len() < MAX_LINES || self.attributed.contains(key) {
            return key.clone();
        }
        CostKey { model: OTHER.to_owned(), tenant: None, ..*key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::NanoDollars;

    const TICK: Duration = Duration::from_secs(10);

    #[test]
    fn what_is_pending_waits_and_is_then_given_up() {
        let mut account = Account::<NanoDollars>::new(1);
        account.book(0, NanoDollars(5), NanoDollars(0));
        account.expire(TICK, TICK * 2);
        account.book(0, NanoDollars(3), NanoDollars(2));
        account.expire(TICK, TICK * 2);
        assert_eq!((account.pending().0, account.no_tokens.0), (6, 0));
        account.expire(TICK, TICK * 2);
        assert_eq!((account.pending().0, account.no_tokens.0), (0, 6));
        assert_eq!(account.idle().collect::<Vec<_>>(), [NanoDollars(2)]);
    }

    #[test]
    fn idle_is_never_more_than_the_share() {
        let mut account = Account::<NanoDollars>::new(1);
        account.book(0, NanoDollars(5), NanoDollars(9));
        assert_eq!(account.pending(), NanoDollars::ZERO);
        assert_eq!(account.idle().collect::<Vec<_>>(), [NanoDollars(5)]);
    }
}
