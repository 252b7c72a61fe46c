//! Plots the history of a workspace as SVG: users by role, and changes. The SVG has no styles: a
//! style sheet colours its classes.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use jiff::Timestamp;

use crate::escape::escape;
use crate::memory::timeline::Timeline;
use crate::role::Role;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 10.0;
/// The y coordinate of zero users.
const FLOOR: f64 = 160.0;
/// The y coordinate of zero changes.
const CHANGES: f64 = 200.0;
/// The maximum height of a bar of changes.
const BAR: f64 = 18.0;
/// Number of steps on the time axis, for users.
const STEPS: usize = 240;
/// Number of bars on the time axis, for changes.
const BARS: usize = 60;
/// Number of colours. Further roles share the last one.
const COLORS: usize = 9;

/// One role of the legend: its CSS class, its name, and the number of users with it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Legend {
    pub class: String,
    /// Escaped.
    pub role: String,
    pub now: usize,
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
pub fn plot(timeline: &Timeline, now: Timestamp) -> Option<Plot> {
    let first = timeline.counts.first()?.0;
    let axis = Axis::new(first, now);
    let roles = roles(timeline);
    let steps = steps(timeline, &axis);
    let top = nice(steps.iter().map(|it| it.values().sum()).max().unwrap_or_default());
    let mut svg = format!(
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-labelledby=\"plot-description\">"
    );
    grid(&mut svg, top, &axis);
    for at in 0..roles.len() {
        area(&mut svg, at, &roles, &steps, top);
    }
    bars(&mut svg, timeline, &axis);
    svg.push_str("</svg>");
    let last = timeline.counts.last().map(|(_, counts)| counts.clone()).unwrap_or_default();
    let legend = roles.iter().enumerate().map(|(at, role)| Legend {
        class: class(at),
        role: escape(role.as_str()).into_owned(),
        now: last.get(role).copied().unwrap_or_default(),
    });
    let legend: Vec<Legend> = legend.collect();
    let people: usize = last.values().sum();
    let (from, changes) = (first.strftime("%Y-%m-%d"), timeline.changes.len());
    let description = format!("{people} users now, {changes} changes by rosterd since {from}");
    Some(Plot { svg, legend, description })
}

/// The time axis, from left to right.
struct Axis {
    first: f64,
    length: f64,
}

impl Axis {
    fn new(first: Timestamp, now: Timestamp) -> Self {
        let (first, now) = (seconds(first), seconds(now));
        Self { first, length: (now - first).max(1.0) }
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

    fn date(&self, share: f64) -> String {
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
        let second = (self.first + share * self.length) as i64;
        let form = if self.length < 3.0 * 86_400.0 { "%m-%d %H:%M" } else { "%Y-%m-%d" };
        let at = Timestamp::from_second(second);
        at.map(|at| at.strftime(form).to_string()).unwrap_or_default()
    }
}

/// Every role that a user ever had, the greatest first.
fn roles(timeline: &Timeline) -> Vec<Role> {
    let mut ever: BTreeMap<&Role, usize> = BTreeMap::new();
    for (role, count) in timeline.counts.iter().flat_map(|(_, counts)| counts) {
        let most = ever.entry(role).or_default();
        *most = (*most).max(*count);
    }
    ever.into_iter().filter(|(_, most)| *most > 0).map(|(role, _)| role.clone()).collect()
}

/// The counts at the end of each step.
fn steps(timeline: &Timeline, axis: &Axis) -> Vec<BTreeMap<Role, usize>> {
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

/// Draws the area of one role, on top of the roles `below` it.
fn area(svg: &mut String, at: usize, roles: &[Role], steps: &[BTreeMap<Role, usize>], top: usize) {
    let count = |counts: &BTreeMap<Role, usize>, role| counts.get(role).copied().unwrap_or(0);
    let (mut upper, mut lower) = (String::new(), Vec::new());
    for (step, counts) in steps.iter().enumerate() {
        let base: usize = roles[..at].iter().map(|role| count(counts, role)).sum();
        let (from, to) = (x(step, STEPS), x(step + 1, STEPS));
        let (low, high) = (y(base, top), y(base + count(counts, &roles[at]), top));
        let _ = write!(upper, "{}{from:.1} {high:.1}H{to:.1}", if step == 0 { "M" } else { "L" });
        lower.push(format!("L{to:.1} {low:.1}H{from:.1}"));
    }
    lower.reverse();
    let _ = write!(svg, "<path class=\"{}\" d=\"{upper}{}Z\"/>", class(at), lower.concat());
}

/// Draws a bar up for changes that granted access, and down for changes that removed it.
fn bars(svg: &mut String, timeline: &Timeline, axis: &Axis) {
    let (mut given, mut taken) = (vec![0_usize; BARS], vec![0_usize; BARS]);
    for (at, class) in &timeline.changes {
        let part = axis.part(*at, BARS);
        let which = if class.takes_away() { &mut taken } else { &mut given };
        which[part] += 1;
    }
    let most = given.iter().chain(&taken).copied().max().unwrap_or_default().max(1);
    let width = (WIDTH - LEFT - RIGHT) / number(BARS) - 1.0;
    for part in 0..BARS {
        let x = x(part, BARS);
        for (count, class, is_up) in [(given[part], "given", true), (taken[part], "taken", false)] {
            if count == 0 {
                continue;
            }
            let height = (BAR * number(count) / number(most)).max(2.0);
            let y = if is_up { CHANGES - height } else { CHANGES };
            let _ = write!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
                 height=\"{height:.1}\"/>"
            );
        }
    }
}

fn grid(svg: &mut String, top: usize, axis: &Axis) {
    let left = LEFT - 6.0;
    for part in 0..=4_usize {
        if !(top * part).is_multiple_of(4) {
            continue;
        }
        let (y, count) = (y(top * part / 4, top), top * part / 4);
        let _ = write!(svg, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{}\"/>", WIDTH - RIGHT);
        tick(svg, left, format_args!("{:.1}", y + 4.0), "end", count);
    }
    let _ = write!(svg, "<path class=\"grid\" d=\"M{LEFT} {CHANGES}H{}\"/>", WIDTH - RIGHT);
    for (share, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
        let x = LEFT + share * (WIDTH - LEFT - RIGHT);
        tick(svg, format_args!("{x:.1}"), HEIGHT - 4.0, anchor, axis.date(share));
    }
    tick(svg, left, CHANGES - 4.0, "end", '+');
    tick(svg, left, CHANGES + 13.0, "end", '−');
}

/// Draws a label of an axis.
fn tick(svg: &mut String, x: impl Display, y: impl Display, anchor: &str, text: impl Display) {
    let _ = write!(
        svg,
        "<text class=\"tick\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}

fn x(part: usize, parts: usize) -> f64 {
    LEFT + number(part) * (WIDTH - LEFT - RIGHT) / number(parts)
}

fn y(count: usize, top: usize) -> f64 {
    FLOOR - number(count) / number(top.max(1)) * (FLOOR - TOP)
}

/// Rounds up to a number for the end of an axis, with round quarters if above 4.
fn nice(most: usize) -> usize {
    let mut step = 4;
    loop {
        for nice in [step, step * 2, step * 5] {
            if nice >= most {
                return nice;
            }
        }
        step *= 10;
    }
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
        assert_eq!(plot(&Timeline::default(), at(0)), None);
    }

    #[test]
    fn all_roles_are_drawn_within_the_bounds() {
        let hostile = Role::from_api("<script>\u{202e}");
        let count = |n: usize| BTreeMap::from([(Role::Admin, n), (hostile.clone(), 2 * n)]);
        let counts = (0..500_usize)
            .map(|day| (at(86_400 * i64::try_from(day).unwrap()), count(40 + day)))
            .collect();
        let changes = vec![(at(5), Class::Invite), (at(9_999_999_999), Class::Disable)];
        let drawn = plot(&Timeline { counts, changes }, at(500 * 86_400)).unwrap();
        assert_eq!(drawn.legend.len(), 2);
        assert_eq!(drawn.legend.iter().map(|it| it.now).sum::<usize>(), 3 * 539);
        assert!(drawn.legend.iter().any(|it| it.role == "<script>\\u{202e}"));
        assert!(!drawn.svg.contains("<script"), "only the legend names the roles");
        assert_eq!(drawn.svg.matches("<rect").count(), 2);
        let numbers = drawn.svg.split(|c: char| !c.is_ascii_digit() && c != '.' && c != '-');
        for number in numbers.filter_map(|it| it.parse::<f64>().ok()) {
            assert!((-2100.0..=2100.0).contains(&number), "{number}");
        }
        assert!(drawn.svg.len() < 40_000, "{}", drawn.svg.len());
    }

    #[test]
    fn an_axis_has_round_numbers() {
        assert_eq!([0, 3, 4, 5, 9, 21, 1_700].map(nice), [4, 4, 4, 8, 20, 40, 2_000]);
    }
}
