//! Budgets: what a calendar month has cost so far, its limit, and where it is heading.
//!
//! Pure: the time and the money of each tick go in, figures come out. The books are saved after
//! every tick (see [`crate::state`]), so a crash loses one tick at most.

mod month;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::cost::{NanoDollars, Spending};

pub use month::{Month, midnight};

const HOUR: i64 = 3600;
/// A week of hours is kept to tell where the month is heading.
const MAX_HOURS: usize = 7 * 24;
/// Nothing is forecast from less than this, in seconds.
const MIN_OBSERVED: i64 = 600;

/// A budget as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetSpec {
    /// The `budget` label.
    pub name: String,
    /// For one month.
    pub limit: NanoDollars,
    /// Models whose cost counts; empty means all.
    pub models: Vec<String>,
    /// Tenants whose cost counts; empty means all.
    pub tenants: Vec<String>,
}

impl BudgetSpec {
    /// What a tick spent of it. A budget that names nobody covers the whole bill, idle included.
    fn spent(&self, spending: &Spending) -> NanoDollars {
        if self.models.is_empty() && self.tenants.is_empty() {
            return spending.bill;
        }
        let counts = |list: &[String], name: Option<&str>| {
            list.is_empty() || name.is_some_and(|name| list.iter().any(|listed| listed == name))
        };
        let matching = spending.attributed.iter().filter(|((model, tenant), _)| {
            counts(&self.models, Some(model)) && counts(&self.tenants, tenant.as_deref())
        });
        matching.map(|(_, amount)| *amount).sum()
    }
}

/// One budget's book, as it is saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Book {
    name: String,
    /// The month it is open for.
    period_start: i64,
    spent_nanodollars: u64,
    /// When the book was begun, in Unix seconds.
    since: i64,
    /// Mean of the last month in nano-dollars per second, when that was seen to its end.
    last_month_rate: Option<f64>,
    /// Hours since 1970 and what each cost, oldest first.
    hours: VecDeque<(i64, u64)>,
}

/// A budget's figures.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetReport {
    /// Its name.
    pub name: String,
    /// For the month.
    pub limit: NanoDollars,
    /// So far.
    pub spent: NanoDollars,
    /// The month.
    pub period: Month,
    /// At the month's end if it goes on as in the last 6 hours.
    pub run_rate: Option<NanoDollars>,
    /// At the month's end by the mean of the last 6 hours and the last 7 days; in the first tenth
    /// of a month by the mean of the last one.
    pub blended: Option<NanoDollars>,
}

/// All budgets.
#[derive(Debug)]
pub struct Budgets {
    specs: Vec<BudgetSpec>,
    /// Seconds ahead of UTC.
    offset: i64,
    books: Vec<Book>,
}

impl Budgets {
    /// Opens the saved books of these budgets, and new ones where there are none.
    pub fn new(specs: Vec<BudgetSpec>, offset: i64, saved: &[Book], now: i64) -> Self {
        let open = |spec: &BudgetSpec| {
            let saved = saved.iter().find(|book| book.name == spec.name).cloned();
            saved.unwrap_or_else(|| Book {
                name: spec.name.clone(),
                period_start: Month::of(now, offset).start,
                spent_nanodollars: 0,
                since: now,
                last_month_rate: None,
                hours: VecDeque::new(),
            })
        };
        Self { books: specs.iter().map(open).collect(), specs, offset }
    }

    /// Books a tick. A clock that is set back does not reopen a month that was closed.
    pub fn tick(&mut self, now: i64, spending: &Spending) {
        let month = Month::of(now, self.offset);
        for (spec, book) in self.specs.iter().zip(&mut self.books) {
            if month.start > book.period_start {
                book.close(month, self.offset);
            }
            book.add(now, spec.spent(spending));
        }
    }

    /// The books, to be saved.
    pub fn books(&self) -> &[Book] {
        &self.books
    }

    /// The figures as of now.
    pub fn report(&self, now: i64) -> Vec<BudgetReport> {
        let books = self.specs.iter().zip(&self.books);
        books.map(|(spec, book)| book.report(spec, now, self.offset)).collect()
    }
}

impl Book {
    fn add(&mut self, now: i64, amount: NanoDollars) {
        self.spent_nanodollars = self.spent_nanodollars.saturating_add(amount.0);
        let hour = now.div_euclid(HOUR);
        match self.hours.back_mut() {
            Some((last, sum)) if *last >= hour => *sum = sum.saturating_add(amount.0),
            Some(_) | None => self.hours.push_back((hour, amount.0)),
        }
        while self.hours.len() > MAX_HOURS {
            self.hours.pop_front();
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for a forecast")]
    fn close(&mut self, next: Month, offset: i64) {
        let closed = Month::of(self.period_start, offset);
        let whole = self.since <= closed.start && closed.end == next.start;
        self.last_month_rate =
            whole.then(|| self.spent_nanodollars as f64 / closed.length() as f64);
        self.period_start = next.start;
        self.spent_nanodollars = 0;
    }

    /// Nano-dollars per second over the last `hours`, or over what of them was seen.
    #[expect(clippy::cast_precision_loss, reason = "a rate for a forecast")]
    fn rate(&self, now: i64, hours: i64) -> Option<f64> {
        let first = now.div_euclid(HOUR) - hours + 1;
        let seen = now - self.since.max(first * HOUR);
        let spent: u64 = self.hours.iter().filter(|(hour, _)| *hour >= first).map(|(_, n)| n).sum();
        (seen >= MIN_OBSERVED).then(|| spent as f64 / seen as f64)
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a forecast is no exact sum, and casts saturate"
    )]
    fn report(&self, spec: &BudgetSpec, now: i64, offset: i64) -> BudgetReport {
        let period = Month::of(self.period_start, offset);
        let left = (period.end - now).max(0);
        let at_end = |rate: f64| {
            NanoDollars(self.spent_nanodollars.saturating_add((rate * left as f64).round() as u64))
        };
        let (recent, week) = (self.rate(now, 6), self.rate(now, 7 * 24));
        let mean = recent.zip(week).map(|(recent, week)| f64::midpoint(recent, week));
        let early = now - period.start < period.length() / 10;
        let blended = if early { self.last_month_rate.or(mean) } else { mean };
        BudgetReport {
            name: spec.name.clone(),
            limit: spec.limit,
            spent: NanoDollars(self.spent_nanodollars),
            period,
            run_rate: recent.map(at_end),
            blended: blended.map(at_end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOLLAR: u64 = 1_000_000_000;
    /// 1970-01-01; the month has 31 days.
    const MONTH: i64 = 31 * 24 * HOUR;

    fn spec(name: &str, models: &[&str], tenants: &[&str]) -> BudgetSpec {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        BudgetSpec {
            name: name.to_owned(),
            limit: NanoDollars(100 * DOLLAR),
            models: owned(models),
            tenants: owned(tenants),
        }
    }

    fn bill(amount: u64) -> Spending {
        Spending { bill: NanoDollars(amount), ..Spending::default() }
    }

    fn whole(saved: &[Book], now: i64) -> Budgets {
        Budgets::new(vec![spec("all", &[], &[])], 0, saved, now)
    }

    #[test]
    fn a_budget_counts_what_it_names() {
        let line = |model: &str, tenant: Option<&str>, amount| {
            ((model.to_owned(), tenant.map(str::to_owned)), NanoDollars(amount))
        };
        let spending = Spending {
            bill: NanoDollars(100),
            attributed: [
                line("a", Some("x"), 1),
                line("a", Some("y"), 2),
                line("b", Some("x"), 4),
                line("b", None, 8),
            ]
            .into(),
        };
        for (spec, spent) in [
            (spec("", &[], &[]), 100),
            (spec("", &["a"], &[]), 3),
            (spec("", &["a", "b"], &[]), 15),
            (spec("", &[], &["x"]), 5),
            (spec("", &["b"], &["x", "y"]), 4),
            (spec("", &["c"], &[]), 0),
        ] {
            assert_eq!(spec.spent(&spending).0, spent, "{spec:?}");
        }
    }

    #[test]
    fn the_month_rolls_over_and_the_last_one_leads_the_next() {
        let mut budgets = whole(&[], 0);
        for hour in 0..31 * 24 {
            budgets.tick(hour * HOUR, &bill(DOLLAR));
        }
        assert_eq!(budgets.report(MONTH - 1)[0].spent.0, 31 * 24 * DOLLAR);
        budgets.tick(MONTH, &bill(DOLLAR));
        let report = &budgets.report(MONTH)[0];
        assert_eq!(report.spent.0, DOLLAR);
        assert_eq!((report.period.start, report.period.end), (MONTH, MONTH + 28 * 24 * HOUR));
        // A dollar an hour for the whole of the last month.
        assert_eq!(report.blended.unwrap().0, DOLLAR + 28 * 24 * DOLLAR);
    }

    #[test]
    fn the_forecast_goes_on_at_the_pace_of_the_last_hours() {
        let mut budgets = whole(&[], 15 * 24 * HOUR);
        let now = 15 * 24 * HOUR;
        budgets.tick(now, &bill(DOLLAR));
        assert_eq!(budgets.report(now)[0].run_rate, None, "too little was seen");
        budgets.tick(now + HOUR - 1, &bill(3599 * DOLLAR - DOLLAR));
        let report = &budgets.report(now + HOUR - 1)[0];
        let left = u64::try_from(MONTH - now - HOUR + 1).unwrap();
        assert_eq!(report.run_rate.unwrap().0, (3599 + left) * DOLLAR);
        assert_eq!(report.blended, report.run_rate);
    }

    #[test]
    fn saved_books_go_on_where_they_were() {
        let mut budgets = whole(&[], 0);
        budgets.tick(10, &bill(DOLLAR));
        let text = serde_json::to_string(budgets.books()).unwrap();
        let saved: Vec<Book> = serde_json::from_str(&text).unwrap();
        let mut again = whole(&saved, 20);
        again.tick(20, &bill(DOLLAR));
        assert_eq!(again.report(20)[0].spent.0, 2 * DOLLAR);
        let mut later = whole(&saved, MONTH);
        later.tick(MONTH, &bill(DOLLAR));
        assert_eq!(later.report(MONTH)[0].spent.0, DOLLAR, "another month");
    }

    #[test]
    fn a_clock_that_is_set_back_opens_no_old_month() {
        let mut budgets = whole(&[], MONTH);
        budgets.tick(MONTH, &bill(DOLLAR));
        budgets.tick(MONTH - 100, &bill(DOLLAR));
        let report = &budgets.report(MONTH - 100)[0];
        assert_eq!((report.spent.0, report.period.start), (2 * DOLLAR, MONTH));
        assert!(budgets.books()[0].hours.len() <= MAX_HOURS);
    }
}
