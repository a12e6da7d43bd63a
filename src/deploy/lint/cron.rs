//! The form of a cron expression.
use crate::deploy::node::shown;
use std::ops::RangeInclusive;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A field: its name, its numbers, and words for them that count from the first number.
type Field = (&'static str, RangeInclusive<u32>, &'static [&'static str]);

const FIELDS: [Field; 5] = [
    ("minute", 0..=59, &[]),
    ("hour", 0..=23, &[]),
    ("day of the month", 1..=31, &[]),
    ("month", 1..=12, &MONTHS),
    ("day of the week", 0..=7, &DAYS),
];

/// What is wrong with a cron expression.
pub(super) fn check(text: &str) -> Result<(), String> {
    let parts: Vec<_> = text.split_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Err(format!("`{}` has {} fields instead of 5", shown(text), parts.len()));
    }
    for (part, field) in parts.iter().zip(&FIELDS) {
        if !part.split(',').all(|item| item_is_good(item, field)) {
            return Err(format!("`{}` is no {}", shown(part), field.0));
        }
    }
    Ok(())
}

/// `*`, `5` or `1-5`, each with `/2` behind it where only every second is meant.
fn item_is_good(item: &str, (_, range, words): &Field) -> bool {
    let (span, step) = item.split_once('/').map_or((item, None), |(span, step)| (span, Some(step)));
    let number = |text: &str| match words.iter().position(|word| word.eq_ignore_ascii_case(text)) {
        Some(at) => Some(*range.start() + at as u32),
        None => digits(text).filter(|n| range.contains(n)),
    };
    let span_is_good = match span.split_once('-') {
        _ if span == "*" => true,
        Some((from, to)) => number(from).zip(number(to)).is_some_and(|(from, to)| from <= to),
        None => number(span).is_some(),
    };
    span_is_good && step.is_none_or(|step| digits(step).is_some_and(|step| step > 0))
}

/// A number without a sign, which `parse` alone would let through.
fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_told_apart() {
        for good in ["0 * * * *", "*/15 9-17 1,15 * mon-fri", "59 23 31 12 7", "5/10 0 * JAN 0"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, what) in [
            ("", "0 fields"),
            ("@hourly", "1 fields"),
            ("0 0 * * * *", "6 fields"),
            ("60 * * * *", "no minute"),
            ("* 24 * * *", "no hour"),
            ("* * 0 * *", "no day of the month"),
            ("* * * 13 *", "no month"),
            ("* * * * 8", "no day of the week"),
            ("*/0 * * * *", "no minute"),
            ("5-1 * * * *", "no minute"),
            ("+5 * * * *", "no minute"),
            ("1,, * * * *", "no minute"),
            ("99999999999 * * * *", "no minute"),
        ] {
            let wrong = check(bad).expect_err(bad);
            assert!(wrong.contains(what), "{bad}: {wrong}");
        }
    }
}
