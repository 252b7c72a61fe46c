//! Plots the history of a workspace as SVG: users by role, and changes. The SVG has no styles: a
//! style sheet colours its classes.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::escape::escape;
use crate::memory::timeline::Timeline;
use crate::role::Role;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 272.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 36.0;
/// Admins have a scale of their own, or they would not be visible among thousands.
const ADMINS: Panel = Panel { top: 20.0, floor: 50.0, steps: 2, title: "admins" };
const ALL: Panel = Panel { top: 76.0, floor: 186.0, steps: 5, title: "accounts by role" };
/// The y coordinate of zero changes.
const CHANGES: f64 = 230.0;
/// The maximum height of a bar of changes.
const BAR: f64 = 18.0;
/// Number of steps on the time axis, for users.
const STEPS: usize = 240;
/// Number of bars on the time axis, for changes.
const BARS: usize = 60;
/// Number of colours. Further roles share the last one.
const COLORS: usize = 9;
const DAY: i64 = 86_400;
/// Seconds between two labels of the time axis.
const INTERVALS: [i64; 16] = [
    1,
    10,
    60,
    300,
    900,
    3_600,
    10_800,
    21_600,
    43_200,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
    90 * DAY,
    365 * DAY,
];

/// One entry of the legend: its CSS class, its label, and the number of accounts or changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Legend {
    pub class: String,
    /// Escaped.
    pub label: String,
    pub count: usize,
}

/// The plot and its legend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plot {
    pub svg: String,
    pub legend: Vec<Legend>,
    /// A description in one sentence.
    pub description: String,
}

/// Plots the history up to `now`. None without a history.
pub fn plot(timeline: &Timeline, now: Timestamp, zone: &TimeZone) -> Option<Plot> {
    let first = timeline.counts.first()?.0;
    let axis = Axis::new(first, now, zone);
    let (roles, steps) = (roles(timeline), steps(timeline, &axis));
    let mut svg = format!(
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-labelledby=\"plot-description\">"
    );
    axis.draw(&mut svg);
    for (panel, shown) in [(ADMINS, &[Role::Admin][..]), (ALL, &roles)] {
        let sum = |counts: &Counts| shown.iter().map(|role| count(counts, role)).sum();
        let scale = panel.draw(&mut svg, steps.iter().map(sum).max().unwrap_or_default());
        for (position, role) in shown.iter().enumerate() {
            if let Some(color) = roles.iter().position(|it| it == role) {
                panel.area(&mut svg, (&shown[..position], role), &class(color), &steps, scale);
            }
        }
    }
    let (granted, removed) = bars(&mut svg, timeline, &axis);
    svg.push_str("</svg>");
    let last = timeline.counts.last().map(|(_, counts)| counts.clone()).unwrap_or_default();
    let entry = |class: String, label: &str, count| Legend {
        class,
        label: escape(label).into_owned(),
        count,
    };
    let roles = roles.iter().enumerate();
    let roles = roles.map(|(at, role)| entry(class(at), role.as_str(), count(&last, role)));
    let changes = [("granted", "access granted", granted), ("removed", "access removed", removed)];
    let changes = changes.map(|(class, label, count)| entry(class.to_owned(), label, count));
    let accounts: usize = last.values().sum();
    let since = first.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d");
    let (legend, changes) = (roles.chain(changes).collect(), timeline.changes.len());
    let description =
        format!("{accounts} accounts now, {changes} changes by rosterd since {since}");
    Some(Plot { svg, legend, description })
}

type Counts = BTreeMap<Role, usize>;

fn count(counts: &Counts, role: &Role) -> usize {
    counts.get(role).copied().unwrap_or_default()
}

/// A part of the plot with a scale of its own.
struct Panel {
    top: f64,
    /// The y coordinate of zero.
    floor: f64,
    /// Maximum number of steps of the scale.
    steps: usize,
    title: &'static str,
}

impl Panel {
    /// Draws the scale for up to `most` accounts. Returns its end.
    fn draw(&self, svg: &mut String, most: usize) -> usize {
        let (step, end) = scale(most, self.steps);
        for count in (0..=end).step_by(step) {
            let y = self.y(count, end);
            let _ = write!(svg, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{}\"/>", WIDTH - RIGHT);
            label(svg, LEFT - 6.0, y + 4.0, "end", count);
        }
        label(svg, LEFT, self.top - 7.0, "start", self.title);
        end
    }

    /// Draws the area of a role, on top of the roles `below` it.
    fn area(
        &self,
        svg: &mut String,
        (below, role): (&[Role], &Role),
        class: &str,
        steps: &[Counts],
        end: usize,
    ) {
        let (mut upper, mut lower) = (String::new(), Vec::new());
        for (step, counts) in steps.iter().enumerate() {
            let base: usize = below.iter().map(|role| count(counts, role)).sum();
            let (from, to) = (x(step, STEPS), x(step + 1, STEPS));
            let (low, high) = (self.y(base, end), self.y(base + count(counts, role), end));
            let pen = if step == 0 { "M" } else { "L" };
            let _ = write!(upper, "{pen}{from:.1} {high:.1}H{to:.1}");
            lower.push(format!("L{to:.1} {low:.1}H{from:.1}"));
        }
        lower.reverse();
        let _ = write!(svg, "<path class=\"{class}\" d=\"{upper}{}Z\"/>", lower.concat());
    }

    fn y(&self, count: usize, end: usize) -> f64 {
        self.floor - number(count) / number(end) * (self.floor - self.top)
    }
}

/// The time axis, from left to right.
struct Axis {
    first: f64,
    length: f64,
    /// Seconds that the time zone is before UTC now.
    offset: i64,
}

impl Axis {
    fn new(first: Timestamp, now: Timestamp, zone: &TimeZone) -> Self {
        let offset = zone.to_offset(now).seconds().into();
        let (first, now) = (seconds(first), seconds(now));
        Self { first, length: (now - first).max(1.0), offset }
    }

    /// The position of an instant, from 0 to 1.
    fn at(&self, at: Timestamp) -> f64 {
        ((seconds(at) - self.first) / self.length).clamp(0.0, 1.0)
    }

    /// The part of the axis that has the instant, from 0 to `parts - 1`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to `parts`")]
    fn part(&self, at: Timestamp, parts: usize) -> usize {
        let part = (self.at(at) * number(parts)).floor() as usize;
        part.min(parts - 1)
    }

    /// Draws a line and a label at round times, at most seven of them.
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
    fn draw(&self, svg: &mut String) {
        let (first, length) = (self.first.ceil() as i64 + self.offset, self.length as i64);
        let fits = |interval: &&i64| length <= 6 * **interval;
        let interval = *INTERVALS.iter().find(fits).unwrap_or(&(10 * 365 * DAY));
        let form = match interval {
            ..60 => "%H:%M:%S",
            60..DAY if length < DAY => "%H:%M",
            60..DAY => "%m-%d %H:%M",
            _ => "%Y-%m-%d",
        };
        for part in 0..=length / interval {
            let local = ((first - 1).div_euclid(interval) + 1 + part) * interval;
            let at = Timestamp::from_second(local - self.offset).unwrap_or_default();
            if seconds(at) > self.first + self.length {
                break;
            }
            let x = LEFT + self.at(at) * (WIDTH - LEFT - RIGHT);
            let _ = write!(svg, "<path class=\"grid\" d=\"M{x:.1} {}V{HEIGHT}\"/>", HEIGHT - 18.0);
            // The label of the local time.
            let local = Timestamp::from_second(local).unwrap_or_default();
            label(svg, x, HEIGHT - 4.0, "middle", local.strftime(form));
        }
    }
}

/// Every role that an account ever had, the greatest first.
fn roles(timeline: &Timeline) -> Vec<Role> {
    let mut ever: BTreeMap<&Role, usize> = BTreeMap::new();
    for (role, count) in timeline.counts.iter().flat_map(|(_, counts)| counts) {
        let most = ever.entry(role).or_default();
        *most = (*most).max(*count);
    }
    ever.into_iter().filter(|(_, most)| *most > 0).map(|(role, _)| role.clone()).collect()
}

/// The counts at the end of each step.
fn steps(timeline: &Timeline, axis: &Axis) -> Vec<Counts> {
    let mut steps = vec![None; STEPS];
    for (at, counts) in &timeline.counts {
        steps[axis.part(*at, STEPS)] = Some(counts);
    }
    let mut last = BTreeMap::new();
    let each = steps.into_iter().map(|counts| {
        if let Some(counts) = counts {
            last.clone_from(counts);
        }
        last.clone()
    });
    each.collect()
}

/// Draws a bar up for changes that granted access, and down for changes that removed it. Returns
/// the number of both.
fn bars(svg: &mut String, timeline: &Timeline, axis: &Axis) -> (usize, usize) {
    let (mut granted, mut removed) = (vec![0_usize; BARS], vec![0_usize; BARS]);
    for (at, class) in &timeline.changes {
        let which = if class.takes_away() { &mut removed } else { &mut granted };
        which[axis.part(*at, BARS)] += 1;
    }
    let most = granted.iter().chain(&removed).copied().max().unwrap_or_default().max(1);
    let _ = write!(svg, "<path class=\"grid\" d=\"M{LEFT} {CHANGES}H{}\"/>", WIDTH - RIGHT);
    label(svg, LEFT, CHANGES - BAR - 7.0, "start", "changes");
    label(svg, LEFT - 6.0, CHANGES - BAR + 10.0, "end", format_args!("+{most}"));
    label(svg, LEFT - 6.0, CHANGES + BAR, "end", format_args!("−{most}"));
    let width = (WIDTH - LEFT - RIGHT) / number(BARS) - 1.0;
    for part in 0..BARS {
        let x = x(part, BARS);
        for (count, class) in [(granted[part], "granted"), (removed[part], "removed")] {
            if count == 0 {
                continue;
            }
            let height = (BAR * number(count) / number(most)).max(2.0);
            let y = if class == "granted" { CHANGES - height } else { CHANGES };
            let _ = write!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
                 height=\"{height:.1}\"/>"
            );
        }
    }
    (granted.iter().sum(), removed.iter().sum())
}

fn label(svg: &mut String, x: f64, y: f64, anchor: &str, text: impl Display) {
    let _ = write!(
        svg,
        "<text class=\"tick\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}

fn x(part: usize, parts: usize) -> f64 {
    LEFT + number(part) * (WIDTH - LEFT - RIGHT) / number(parts)
}

/// The round step and the end of a scale up to `most`. `steps` is the maximum number of steps.
fn scale(most: usize, steps: usize) -> (usize, usize) {
    let mut step = 1;
    while step * steps < most {
        // 1, 2, 5, 10, 20, 50 …
        step = if step.to_string().starts_with('2') { step / 2 * 5 } else { step * 2 };
    }
    (step, most.div_ceil(step).max(1) * step)
}

fn class(at: usize) -> String {
    format!("r{}", at.min(COLORS - 1))
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "exact for any realistic count")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Class;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn without_history_there_is_no_plot() {
        assert_eq!(plot(&Timeline::default(), at(0), &TimeZone::UTC), None);
    }

    #[test]
    fn all_roles_are_drawn_within_the_bounds() {
        let hostile = Role::from_api("<script>\u{202e}");
        let count = |n: usize| BTreeMap::from([(Role::Admin, n), (hostile.clone(), 2 * n)]);
        let counts = (0..500_usize)
            .map(|day| (at(86_400 * i64::try_from(day).unwrap()), count(40 + day)))
            .collect();
        let changes = vec![(at(5), Class::Invite), (at(9_999_999_999), Class::Disable)];
        let drawn = plot(&Timeline { counts, changes }, at(500 * DAY), &TimeZone::UTC).unwrap();
        let legend: Vec<_> = drawn.legend.iter().map(|it| (&*it.label, it.count)).collect();
        let roles = [("ADMIN", 539), ("<script>\\u{202e}", 1_078)];
        assert_eq!(legend, [&roles[..], &[("access granted", 1), ("access removed", 1)]].concat());
        assert_eq!(
            drawn.svg.matches("class=\"r0\"").count(),
            2,
            "admins have a scale of their own"
        );
        assert!(!drawn.svg.contains("<script"), "only the legend names the roles");
        assert_eq!(drawn.svg.matches("<rect").count(), 2);
        let numbers = drawn.svg.split(|c: char| !c.is_ascii_digit() && c != '.' && c != '-');
        for number in numbers.filter_map(|it| it.parse::<f64>().ok()) {
            assert!((-2100.0..=2100.0).contains(&number), "{number}");
        }
        assert!(drawn.svg.len() < 40_000, "{}", drawn.svg.len());
    }

    #[test]
    fn a_scale_has_round_steps() {
        let of = |most| scale(most, 5);
        assert_eq!([0, 3, 6, 23, 21].map(of), [(1, 1), (1, 3), (2, 6), (5, 25), (5, 25)]);
        assert_eq!([5_003, 10_000, 10_001].map(of), [(2000, 6000), (2000, 10_000), (5000, 15_000)]);
        assert_eq!(scale(3, 2), (2, 4));
    }

    #[test]
    fn times_are_round_and_those_of_the_zone() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let times = |length: i64| {
            let mut svg = String::new();
            Axis::new(at(7), at(7 + length), &berlin).draw(&mut svg);
            let labels = svg.split("</text>").filter_map(|it| Some(it.rsplit_once('>')?.1));
            labels.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(times(1), ["09:00:07", "09:00:08"]);
        assert_eq!(times(25), ["09:00:10", "09:00:20", "09:00:30"]);
        assert_eq!(times(3 * 3_600)[..3], ["10:00", "11:00", "12:00"]);
        assert_eq!(times(2 * DAY)[..2], ["01-15 12:00", "01-16 00:00"]);
        assert_eq!(times(8 * DAY)[..2], ["2027-01-16", "2027-01-18"]);
        assert_eq!(times(6_000 * DAY).len(), 2);
    }
}
