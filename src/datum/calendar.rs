//! The Gregorian calendar, also before it began, as Postgres counts it.

/// Days since 2000-01-01 of a year (0 is 1 BC), a month from 1 and a day from 1.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that start in March put the leap day last; Euclidean division serves years before 0 too.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 2000-01-01 is day 730,425 of this count.
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 730_425
}

/// How many days a month has; `None` for a month that no year has.
pub fn month_days(year: i64, month: i64) -> Option<i64> {
    let is_leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    match month {
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if is_leap { 29 } else { 28 }),
        1..=12 => Some(31),
        _ => None,
    }
}

/// The month, counted from January 2000, and the day of the month from 1, of a day since 2000-01-01.
pub fn months_and_day(day: i64) -> (i64, i64) {
    // 400 years from March on repeat: 146,097 days. Source: Howard Hinnant, "chrono-compatible low-level
    // date algorithms".
    let day = day + 730_425;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    // Month 0 is March; the year of January and February is the next.
    ((era * 400 + year - 2000) * 12 + month + 2, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_agree_over_all_dates() {
        let (mut year, mut month, mut day) = (-4713, 11, 24);
        for number in -2_451_545..1_000_000 {
            assert_eq!(days(year, month, day), number);
            assert_eq!(months_and_day(number), ((year - 2000) * 12 + month - 1, day), "{year} {month} {day}");
            day += 1;
            if day > month_days(year, month).unwrap() {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!(month_days(2000, 13), None);
    }
}
