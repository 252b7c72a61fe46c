//! Known dates, every error, and two independent implementations of cron as oracles.

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn cron(text: &str) -> Cron {
    text.parse().unwrap()
}

/// The next `count` instants after `from`, in local time.
fn due(text: &str, tz: &str, from: &str, count: usize) -> Vec<String> {
    let (cron, tz) = (cron(text), zone(tz));
    let mut now: Timestamp = from.parse().unwrap();
    let mut shown = Vec::new();
    for _ in 0..count {
        now = cron.next_after(&tz, now).unwrap();
        shown.push(now.to_zoned_datetime(tz.clone()).strftime("%a %F %H:%M %:z").to_string());
    }
    shown
}

fn error(text: &str) -> String {
    text.parse::<Cron>().unwrap_err().to_string()
}

#[test]
fn duplicate_values_and_ranges_of_one_value_match_once() {
    let sundays = due("0 0 * * SUN", "UTC", "2026-11-25T00:00:00Z", 3);
    for same in ["0 0 * * SUN-SUN", "0 0 * * 0-0", "0 0 * * 7-7", "0 0 * * 0,7", "0 0 * * 7,SUN"] {
        assert_eq!(due(same, "UTC", "2026-11-25T00:00:00Z", 3), sundays, "{same}");
    }
    let noon = due("0 12 * * *", "UTC", "2026-11-25T00:00:00Z", 3);
    for same in ["0 12,12 * * *", "0 12-12 * * *", "0,0 12 * * *"] {
        assert_eq!(due(same, "UTC", "2026-11-25T00:00:00Z", 3), noon, "{same}");
    }
}

#[test]
fn the_default_is_every_15_minutes() {
    let now: Timestamp = "2026-11-25T10:07:30.5Z".parse().unwrap();
    let next = Cron::default().next_after(&TimeZone::UTC, now).unwrap();
    assert_eq!(next.to_string(), "2026-11-25T10:15:00Z");
    assert_eq!(
        Cron::default().next_after(&TimeZone::UTC, next),
        cron("*/15 * * * *").next_after(&TimeZone::UTC, next)
    );
    assert_eq!(Cron::default(), cron(" */15 * * * * "));
    assert_ne!(Cron::default(), cron("*/10 * * * *"));
}

#[test]
fn weekdays_are_numbered_from_sunday_and_have_names() {
    for text in ["0 9 * * 1-5", "0 9 * * MON-FRI", "0 9 * * mon,2,Wed,4,fri"] {
        let shown = due(text, "UTC", "2026-11-26T12:00:00Z", 2); // a Thursday
        assert_eq!(shown, ["Fri 2026-11-27 09:00 +00:00", "Mon 2026-11-30 09:00 +00:00"]);
    }
    for text in ["0 9 * * 0", "0 9 * * 7", "0 9 * * SUN"] {
        assert_eq!(due(text, "UTC", "2026-11-26T12:00:00Z", 1), ["Sun 2026-11-29 09:00 +00:00"]);
    }
    let weekend = due("0 9 * * SAT-SUN", "UTC", "2026-11-26T12:00:00Z", 3);
    assert_eq!(weekend[1..], ["Sun 2026-11-29 09:00 +00:00", "Sat 2026-12-05 09:00 +00:00"]);
}

#[test]
fn day_of_month_or_weekday_matches_if_both_are_restricted() {
    assert_eq!(
        due("0 0 13 * FRI", "UTC", "2026-11-01T00:00:00Z", 4),
        [
            "Fri 2026-11-06 00:00 +00:00",
            "Fri 2026-11-13 00:00 +00:00",
            "Fri 2026-11-20 00:00 +00:00",
            "Fri 2026-11-27 00:00 +00:00",
        ]
    );
    let both = due("0 0 12 * FRI", "UTC", "2026-11-10T00:00:00Z", 2);
    assert_eq!(both, ["Thu 2026-11-12 00:00 +00:00", "Fri 2026-11-13 00:00 +00:00"]);
}

#[test]
fn day_of_month_and_weekday_must_match_if_one_begins_with_a_star() {
    assert_eq!(
        due("0 0 */2 * FRI", "UTC", "2026-11-01T00:00:00Z", 3),
        [
            "Fri 2026-11-13 00:00 +00:00",
            "Fri 2026-11-27 00:00 +00:00",
            "Fri 2026-12-11 00:00 +00:00",
        ]
    );
}

#[test]
fn nicknames_stand_for_five_fields() {
    let pairs = [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 JAN *"),
        ("@Annually", "0 0 1 1 *"),
    ];
    for (nickname, fields) in pairs {
        let from = "2026-03-28T23:30:00Z";
        let meant = due(fields, "Europe/Berlin", from, 5);
        assert_eq!(due(nickname, "Europe/Berlin", from, 5), meant, "{nickname}");
    }
}

#[test]
fn a_skipped_time_runs_at_the_clock_change() {
    assert_eq!(
        due("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3),
        [
            "Sat 2026-03-28 02:30 +01:00",
            "Sun 2026-03-29 03:00 +02:00",
            "Mon 2026-03-30 02:30 +02:00",
        ]
    );
    // Several skipped times are one run, also with a time that is due at the clock change.
    assert_eq!(
        due("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", 2),
        ["Sun 2026-03-29 03:00 +02:00", "Sun 2026-03-29 03:30 +02:00"]
    );
}

#[test]
fn a_repeated_time_runs_once() {
    assert_eq!(
        due("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["Sun 2026-10-25 02:30 +02:00", "Mon 2026-10-26 02:30 +01:00"]
    );
    // Started in the second occurrence of the hour.
    let late = due("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1);
    assert_eq!(late, ["Mon 2026-10-26 02:30 +01:00"]);
}

#[test]
fn an_interval_continues_through_both_clock_changes() {
    assert_eq!(
        due("*/20 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", 5),
        [
            "Sun 2026-10-25 02:40 +02:00",
            "Sun 2026-10-25 02:00 +01:00",
            "Sun 2026-10-25 02:20 +01:00",
            "Sun 2026-10-25 02:40 +01:00",
            "Sun 2026-10-25 03:00 +01:00",
        ]
    );
    assert_eq!(
        due("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:20:00Z", 3),
        [
            "Sun 2026-03-29 01:30 +01:00",
            "Sun 2026-03-29 03:00 +02:00",
            "Sun 2026-03-29 03:30 +02:00",
        ]
    );
    // A clock change of half an hour.
    assert_eq!(
        due("15 * * * *", "Australia/Lord_Howe", "2026-04-04T13:50:00Z", 3),
        [
            "Sun 2026-04-05 01:15 +11:00",
            "Sun 2026-04-05 02:15 +10:30",
            "Sun 2026-04-05 03:15 +10:30",
        ]
    );
}

#[test]
fn a_leap_day_is_found() {
    assert_eq!(
        due("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 1),
        ["Tue 2028-02-29 00:00 +00:00"]
    );
}

#[test]
fn errors_say_what_to_write() {
    assert_eq!(
        error("0 */5 * * * *"),
        "a schedule has no field for seconds; remove the first field: `*/5 * * * *`"
    );
    assert_eq!(
        error("* * *"),
        "a schedule has 5 fields (minute, hour, day of month, month, weekday), not 3; write for \
         example `*/15 * * * *`"
    );
    assert!(error("").contains("not 0"));
    assert_eq!(
        error("@reboot"),
        "unknown nickname `@reboot`; use @hourly, @daily, @weekly, @monthly, @yearly or 5 fields"
    );
    assert_eq!(
        error("0 0 30 2 *"),
        "`0 0 30 2 *` never matches; choose a day that exists in the month"
    );
    assert_eq!(error("60 * * * *"), "minute: `60` is invalid; use a number from 0 to 59");
    assert_eq!(
        error("0 0 ? * MON"),
        "day of month: `?` is invalid; use a number from 1 to 31; for any value write `*`"
    );
    assert_eq!(
        error("0 0 * * FRY"),
        "weekday: `FRY` is invalid; use a number from 0 to 7 or a name from SUN to SAT"
    );
    assert_eq!(
        error("0 22-4 * * *"),
        "hour: `22-4` is reversed; write two ranges, separated by a comma"
    );
    assert_eq!(error("5/15 * * * *"), "minute: `5/15` has no range; write `5-59/…`");
    assert_eq!(error("*/0 * * * *"), "minute: `*/0` has an invalid step; use 1 or more");
    for text in
        ["*/x * * * *", "1,,2 * * * *", "0 0 L * *", "0 0 * * 5#2", "-1 * * * *", "1- * * * *"]
    {
        assert!(matches!(text.parse::<Cron>(), Err(CronError::Field { .. })), "{text}");
    }
}

#[test]
fn jitter_delays_by_at_most_the_maximum() {
    let at: Timestamp = "2026-11-25T10:15:00Z".parse().unwrap();
    let max = Duration::from_secs(30);
    assert_eq!(jittered(at, max, 0.0), at);
    assert_eq!(jittered(at, max, 0.5).to_string(), "2026-11-25T10:15:15Z");
    assert_eq!(jittered(at, max, 7.0).to_string(), "2026-11-25T10:15:30Z");
    assert_eq!(jittered(at, max, f64::NAN), at);
    assert_eq!(jittered(Timestamp::MAX, max, 1.0), Timestamp::MAX);
}

const PATTERNS: [&str; 22] = [
    "* * * * *",
    "*/5 * * * *",
    "*/20 * * * *",
    "7 * * * *",
    "15 */3 * * *",
    "*/10 2 * * *",
    "*/30 1-3 * * *",
    "30 2 * * *",
    "0 0 * * *",
    "0 3 * * *",
    "59 23 * * *",
    "15,45 6-18/4 * * *",
    "0 9 * * 1-5",
    "30 1 * * SUN",
    "30 2 * * 7",
    "0 12 1 * *",
    "0 0 31 * *",
    "0 0 29 2 *",
    "0 6 13 * FRI",
    "10 4 1,15 * 3",
    "0 0 1 1,7 *",
    "20 4 * JUN-SEP MON",
];

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Santiago",
];

/// Instants over six years, with more of them around every clock change.
fn instants(tz: &TimeZone) -> Vec<Timestamp> {
    let first: Timestamp = "2021-01-01T00:00:17Z".parse().unwrap();
    let minutes = |n: i64| jiff::SignedDuration::from_mins(n);
    let mut all: Vec<_> = (0..120).map(|n| first + minutes(n * 26_293)).collect();
    let changes = tz.following(first).take_while(|change| change.timestamp() < all[119]);
    let around: Vec<_> = changes
        .flat_map(|change| (-12..12).map(move |n| change.timestamp() + minutes(n * 17)))
        .collect();
    all.extend(around);
    all
}

/// The rules, applied to every minute: a slow and simple oracle.
fn by_the_minute(cron: &Cron, tz: &TimeZone, now: Timestamp, limit: usize) -> Option<Timestamp> {
    let minute = jiff::SignedDuration::from_mins(1);
    let matches = |wall: Wall| {
        let before = wall - jiff::SignedDuration::from_secs(1);
        cron.next_match(before) == Some(wall)
    };
    let start = Timestamp::from_second(now.as_second().div_euclid(60) * 60).unwrap();
    let mut at = start;
    for _ in 0..limit {
        at += minute;
        let wall = tz.to_datetime(at);
        let previous = tz.to_datetime(at - minute);
        if !cron.times_of_day {
            if matches(wall) {
                return Some(at);
            }
            continue;
        }
        // After a clock change, the clock may repeat a time of the last hours.
        let seen = || (1..=180).any(|n| tz.to_datetime(at - minute * n) == wall);
        let mut skipped = previous;
        let was_skipped = std::iter::from_fn(|| {
            skipped += minute;
            (skipped < wall).then_some(skipped)
        })
        .any(matches);
        if was_skipped || (matches(wall) && !seen()) {
            return Some(at);
        }
    }
    None
}

#[test]
fn next_after_agrees_with_the_rules_applied_to_every_minute() {
    for tz in ZONES.map(zone) {
        let first: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
        for change in tz.following(first).take(2).map(|change| change.timestamp()) {
            for text in
                ["30 2 * * *", "*/20 * * * *", "15 1,2,3 * * *", "*/10 2 * * *", "5 0 * * *"]
            {
                let cron = cron(text);
                for n in -12..12 {
                    let now = change + jiff::SignedDuration::from_mins(n * 17);
                    let found = cron.next_after(&tz, now);
                    let wanted = by_the_minute(&cron, &tz, now, 2 * 1440);
                    assert_eq!(found, wanted, "{text} after {now} in {tz:?}");
                }
            }
        }
    }
}

/// The next occurrence according to croner, with its own time zone database.
fn croner_next(oracle: &croner::Cron, tz: chrono_tz::Tz, now: Timestamp) -> Timestamp {
    let start = Instant::<Utc>::from_timestamp(now.as_second(), 0).unwrap().with_timezone(&tz);
    let next = oracle.find_next_occurrence(&start, false).unwrap();
    Timestamp::from_second(next.timestamp()).unwrap()
}

/// A difference between rosterd and croner.
#[derive(Debug)]
struct Difference {
    cron: Cron,
    tz: TimeZone,
    now: Timestamp,
    ours: Timestamp,
    theirs: Timestamp,
}

/// The number of comparisons, and every difference.
fn compare_with_croner(patterns: &[&str]) -> (usize, Vec<Difference>) {
    let (mut compared, mut differences) = (0, Vec::new());
    for name in ZONES {
        let (tz, other) = (zone(name), name.parse::<chrono_tz::Tz>().unwrap());
        let instants = instants(&tz);
        for text in patterns {
            let (cron, oracle) = (cron(text), text.parse::<croner::Cron>().unwrap());
            for &now in &instants {
                compared += 1;
                let ours = cron.next_after(&tz, now).unwrap();
                let theirs = croner_next(&oracle, other, now);
                if ours != theirs {
                    let (cron, tz) = (cron.clone(), tz.clone());
                    differences.push(Difference { cron, tz, now, ours, theirs });
                }
            }
        }
    }
    (compared, differences)
}

#[test]
fn croner_agrees() {
    let (compared, differences) = compare_with_croner(&PATTERNS);
    assert!(compared > 40_000, "{compared}");
    assert!(differences.is_empty(), "{} of {compared}: {differences:?}", differences.len());
}

/// croner runs a list of hours twice when the clock repeats them, and drops a skipped time if the
/// next hour is listed too. Vixie cron does neither.
#[test]
fn croner_differs_on_lists_of_hours_at_a_clock_change() {
    let lists = ["45 1,2,3 * * *", "0,30 2,3 * * *", "0 2-3 * * *"];
    let (compared, differences) = compare_with_croner(&lists);
    assert!((1..compared / 20).contains(&differences.len()), "{} of {compared}", differences.len());
    for Difference { cron, tz, now, ours, theirs } in differences {
        let change = tz.preceding(ours.max(theirs) + Duration::from_secs(1)).next().unwrap();
        let since = ours.max(theirs).duration_since(change.timestamp());
        assert!(since.as_hours() <= 2, "{cron} after {now} in {tz:?}: {ours}, croner {theirs}");
        assert_eq!(by_the_minute(&cron, &tz, now, 1440), Some(ours), "{cron} after {now}");
    }
}
