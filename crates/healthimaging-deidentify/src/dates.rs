//! Dates moved by whole days (PS3.5 §6.2: DA and DT). Times of day stay, so order and intervals are kept.

use chrono::{Duration, NaiveDate};

/// Returns DA values moved by `days`; `None` when one of them is not a date or leaves the years 1 to 9999.
pub fn shift_dates(text: &str, days: i64) -> Option<String> {
    shift_each(text, |date| {
        let digits = if date.len() == 10 && date.is_ascii() {
            // The form of ACR-NEMA, YYYY.MM.DD.
            let parts: Vec<_> = date.split('.').collect();
            let [year, month, day] = parts.as_slice() else { return None };
            format!("{year}{month}{day}")
        } else {
            date.to_owned()
        };
        if digits.len() != 8 {
            return None;
        }
        moved(&digits, days)
    })
}

/// Returns DT values moved by `days`, with the precision, time and time zone that they had; `None` as for dates.
pub fn shift_date_times(text: &str, days: i64) -> Option<String> {
    shift_each(text, |value| {
        let digits = value.bytes().take_while(u8::is_ascii_digit).count();
        let date = value.get(..digits.min(8))?;
        let rest = value.get(digits.min(8)..)?;
        if !is_time_and_zone(rest, digits) {
            return None;
        }
        Some(format!("{}{rest}", moved(date, days)?))
    })
}

/// Reports whether a text may be a date or a time, however it is written: it has no letters.
pub(crate) fn has_no_letters(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || b".:+-/\\ \0".contains(&byte))
}

/// Reports whether all TM values are times: HH[MM[SS[.FFFFFF]]], or HH:MM:SS as ACR-NEMA had them.
pub fn is_time(text: &str) -> bool {
    text.split('\\').all(|value| {
        let value = value.trim_matches([' ', '\0']);
        let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
        let digits = whole.bytes().filter(u8::is_ascii_digit).count();
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let has_colons = whole.len() == 8 && whole.split(':').all(|part| part.len() == 2);
        matches!(digits, 0 | 2 | 4 | 6)
            && (digits == whole.len() || digits == 6 && has_colons)
            && is_digits(fraction)
            && fraction.len() <= 6
    })
}

fn shift_each(text: &str, shift: impl Fn(&str) -> Option<String>) -> Option<String> {
    let each = text.split('\\').map(|value| {
        let value = value.trim_matches([' ', '\0']);
        if value.is_empty() { Some(String::new()) } else { shift(value) }
    });
    Some(each.collect::<Option<Vec<_>>>()?.join("\\"))
}

/// Moves a date of 4, 6 or 8 digits. One without day or month counts as its first day, and keeps its precision.
fn moved(digits: &str, days: i64) -> Option<String> {
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to).map_or(Some(1), |d| d.parse().ok());
    let year = digits.get(..4)?.parse().ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(4, 6)?, number(6, 8)?)?;
    let date = date.checked_add_signed(Duration::try_days(days)?)?;
    let text = date.format("%Y%m%d").to_string();
    let is_plain = text.len() == 8 && !text.starts_with("0000");
    text.get(..digits.len())
        .filter(|_| is_plain && matches!(digits.len(), 4 | 6 | 8))
        .map(str::to_owned)
}

/// Whether what follows the date is HHMMSS.FFFFFF&ZZXX or the start of it; `digits` of the value come first.
fn is_time_and_zone(rest: &str, digits: usize) -> bool {
    let (time, zone) = match rest.find(['+', '-']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole)
        && matches!(whole.len(), 0 | 2 | 4 | 6)
        && is_digits(fraction)
        && fraction.len() <= 6
        && (!time.contains('.') || whole.len() == 6 && digits == 14)
        && (zone.is_empty() || zone.len() == 5 && zone.get(1..).is_some_and(is_digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_move_by_whole_days() {
        // Expected values by Python's datetime.
        let shifted = |text| shift_dates(text, -1000);
        assert_eq!(shifted("20040119").as_deref(), Some("20010424"));
        assert_eq!(shifted("2004.01.19").as_deref(), Some("20010424"));
        assert_eq!(shifted("20040301\\\\20040229 ").as_deref(), Some("20010605\\\\20010604"));
        for text in [
            "2004",
            "20041301",
            "20040230",
            "JOHN DOE",
            "20040119-20050119",
            "é0040119",
            "00010101",
        ] {
            assert_eq!(shifted(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_told_from_other_text() {
        for text in ["", "07", "0727", "072730 ", "072730.000000", "07:27:30", "0727\\0728"] {
            assert!(is_time(text), "{text}");
        }
        for text in ["JOHN", "07273", "072730.JOHN", "072730.0000001", "07:27", "0727303"] {
            assert!(!is_time(text), "{text}");
        }
    }

    #[test]
    fn date_times_keep_time_precision_and_zone() {
        let shifted = |text| shift_date_times(text, -1000);
        assert_eq!(shifted("20040119072730.008+0100").as_deref(), Some("20010424072730.008+0100"));
        assert_eq!(shifted("200401190727-0500").as_deref(), Some("200104240727-0500"));
        assert_eq!(shifted("20040119").as_deref(), Some("20010424"));
        assert_eq!(shifted("200401").as_deref(), Some("200104"));
        assert_eq!(shifted("2004").as_deref(), Some("2001"));
        for text in [
            "2004011",
            "DOE^JOHN",
            "20040119 JOHN",
            "20040119072730.JOHN",
            "200401190",
            "20040119+JOHN",
        ] {
            assert_eq!(shifted(text), None, "{text}");
        }
    }
}
