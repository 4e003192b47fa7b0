//! Times as the gateway writes them: RFC 3339 in JSON, IMF-fixdate in the `Date` header.

use std::time::{SystemTime, UNIX_EPOCH};

/// The zero time of Go, which an update answers instead of the row's times.
pub(crate) const GO_ZERO: &str = "0001-01-01T00:00:00Z";

const MS_PER_DAY: i64 = 86_400_000;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub(crate) fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(elapsed.as_millis()).expect("the year is before 292,000,000")
}

/// RFC 3339 in the given UTC offset, with milliseconds whose trailing zeros are trimmed.
pub(crate) fn rfc3339(ms: i64, offset_minutes: i32) -> String {
    let at = Civil::at(ms + i64::from(offset_minutes) * 60_000);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}{}",
        at.year,
        at.month,
        at.day,
        at.hour,
        at.minute,
        at.second,
        fraction(at.ms),
        zone(offset_minutes)
    )
}

/// The `Date` header's value, RFC 9110 section 5.6.7.
pub(crate) fn http_date(ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let at = Civil::at(ms);
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        DAYS[usize::try_from(ms.div_euclid(MS_PER_DAY).rem_euclid(7)).expect("below seven")],
        at.day,
        MONTHS[usize::try_from(at.month - 1).expect("a month is at least 1")],
        at.year,
        at.hour,
        at.minute,
        at.second
    )
}

fn fraction(ms: i64) -> String {
    if ms == 0 {
        return String::new();
    }
    format!(".{ms:03}").trim_end_matches('0').to_owned()
}

fn zone(offset_minutes: i32) -> String {
    if offset_minutes == 0 {
        return "Z".to_owned();
    }
    let sign = if offset_minutes < 0 { '-' } else { '+' };
    let minutes = offset_minutes.abs();
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// A moment as a calendar and a clock show it.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    ms: i64,
}

impl Civil {
    /// Days to a date in the proleptic Gregorian calendar, counted in eras of 400 years that start in
    /// March, so that the leap day is the last of a year.
    fn at(ms: i64) -> Self {
        let clock = ms.rem_euclid(MS_PER_DAY);
        let days = ms.div_euclid(MS_PER_DAY) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Civil {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            hour: clock / 3_600_000,
            minute: clock / 60_000 % 60,
            second: clock / 1_000 % 60,
            ms: clock % 1_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_written_without_trailing_zeros() {
        assert_eq!(rfc3339(1_795_343_979_382, 0), "2026-11-22T10:39:39.382Z");
        assert_eq!(rfc3339(1_795_343_979_380, 0), "2026-11-22T10:39:39.38Z");
        assert_eq!(rfc3339(1_795_343_979_000, 0), "2026-11-22T10:39:39Z");
    }

    #[test]
    fn the_offset_moves_the_clock_and_is_named() {
        assert_eq!(rfc3339(1_795_343_979_000, 120), "2026-11-22T12:39:39+02:00");
        assert_eq!(rfc3339(1_795_343_979_000, -630), "2026-11-22T00:09:39-10:30");
    }

    #[test]
    fn a_leap_day_is_a_day() {
        assert_eq!(rfc3339(1_709_164_800_000, 0), "2024-02-29T00:00:00Z");
        assert_eq!(http_date(1_709_164_800_000), "Thu, 29 Feb 2024 00:00:00 GMT");
    }
}
