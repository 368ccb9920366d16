//! Calendar months and days as Unix seconds, at a fixed offset from UTC.

const DAY: i64 = 86_400;

/// One month: from its first second up to the next month's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    /// Unix seconds.
    pub start: i64,
    /// Unix seconds; the first that no longer belongs to it.
    pub end: i64,
}

impl Month {
    /// The month that `unix` lies in, where clocks are `offset` seconds ahead of UTC.
    pub fn of(unix: i64, offset: i64) -> Self {
        let (year, month) = year_and_month((unix + offset).div_euclid(DAY));
        let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        Self {
            start: first_day(year, month) * DAY - offset,
            end: first_day(next_year, next_month) * DAY - offset,
        }
    }

    /// In seconds.
    pub fn length(self) -> i64 {
        self.end - self.start
    }
}

/// Midnight UTC at which the day `YYYY-MM-DD` began; `None` for text that is no such date.
pub fn midnight(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && (0..=9999).contains(&year);
    valid.then(|| (first_day(year, month) + day - 1) * DAY)
}

/// Days from 1970-01-01 to the first day of a month, in the Gregorian calendar. Years are counted
/// from March, so that the leap day is the last of its year and months have a regular pattern.
fn first_day(year: i64, month: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719468 days lie between 0000-03-01 and 1970-01-01; five months in a row have 153 days.
    year * 365 + leap_days + (153 * month + 2) / 5 - 719_468
}

/// The month that holds a day, found from an estimate that is at most one month off.
fn year_and_month(day: i64) -> (i64, i64) {
    let mut months = (day * 12).div_euclid(365) + 1970 * 12;
    let at = |months: i64| (months.div_euclid(12), months.rem_euclid(12) + 1);
    let start = |months| {
        let (year, month) = at(months);
        first_day(year, month)
    };
    while start(months) > day {
        months -= 1;
    }
    while start(months + 1) <= day {
        months += 1;
    }
    at(months)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unix: i64, offset: i64, start: i64, days: i64) {
        let month = Month::of(unix, offset);
        assert_eq!((month.start, month.length()), (start, days * DAY), "{unix}");
    }

    #[test]
    fn months_of_all_kinds() {
        check(0, 0, 0, 31);
        check(31 * DAY - 1, 0, 0, 31);
        check(31 * DAY, 0, 31 * DAY, 28);
        // 2024-02-29 12:00, 2026-11-24, 2000-02-01, 2100-02-28.
        check(1_709_208_000, 0, 1_706_745_600, 29);
        check(1_795_500_000, 0, 1_793_491_200, 30);
        check(949_363_200, 0, 949_363_200, 29);
        check(4_107_456_000, 0, 4_105_123_200, 28);
        check(-1, 0, -31 * DAY, 31);
    }

    #[test]
    fn an_offset_moves_the_border() {
        // One hour before midnight UTC at the end of January 1970 it is February in Paris.
        check(31 * DAY - 3600, 3600, 31 * DAY - 3600, 28);
        check(31 * DAY - 3601, 3600, -3600, 31);
    }

    #[test]
    fn months_follow_each_other_without_a_gap() {
        let mut month = Month::of(-5_000_000_000, 0);
        for _ in 0..5_000 {
            let next = Month::of(month.end, 0);
            assert_eq!(next.start, month.end);
            assert!((28..=31).contains(&(next.length() / DAY)));
            assert_eq!(Month::of(next.end - 1, 0), next);
            month = next;
        }
    }

    #[test]
    fn midnights() {
        for (date, unix) in [
            ("1970-01-01", Some(0)),
            ("2024-02-29", Some(1_709_164_800)),
            ("2026-07-20", Some(1_784_505_600)),
            ("2026-13-01", None),
            ("2026-07", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(midnight(date), unix, "{date}");
        }
    }
}
