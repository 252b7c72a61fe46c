//! Adds items to `approvals:` in the text of a roster. Everything else stays as it is, comments
//! included.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::write::{self, ON_ONE_LINE};
use super::{checks, raw};
use crate::action::BudgetName;
use crate::diagnostic::{FileId, Sources, any_error};
use crate::email::Email;
use crate::yaml::{self, Entry, Node, Value, scalar};

const KEY: &str = "approvals";

/// The people of each action, for one item each.
pub type Items<'a> = BTreeMap<BudgetName, Vec<&'a Email>>;

/// Adds an item for each action, with `reason`, after the items that are there. None if this cannot
/// be done without changing the meaning of anything else: the result is parsed and compared.
pub fn add_approvals(text: &str, items: &Items<'_>, reason: &str) -> Option<String> {
    let document = parse(text)?;
    let edit = Edit { text, items, reason: scalar(reason) };
    let edited = edit.apply(entries(&document)?)?;
    is_correct(&document, &edited, items, reason).then_some(edited)
}

/// The indentation of the items of `approvals:`; None if the text has no such key at the beginning
/// of a line.
pub fn item_indent(text: &str) -> Option<usize> {
    let is_key = |line: &str| {
        let line = line.trim_start_matches(['\u{feff}', '"', '\'']);
        let rest = line.strip_prefix(KEY).map(|rest| rest.trim_start_matches(['"', '\'', ' ']));
        rest.is_some_and(|rest| rest.starts_with(':'))
    };
    let mut lines = text.lines().skip_while(|line| !is_key(line));
    lines.next()?;
    let mut lines = lines.take_while(|line| line.is_empty() || line.starts_with([' ', '#', '-']));
    let first = lines.find(|line| line.trim_start().starts_with('-'));
    Some(first.map_or(INDENT, spaces))
}

/// The indentation of items where there are none yet.
const INDENT: usize = 2;

struct Edit<'a> {
    text: &'a str,
    items: &'a Items<'a>,
    /// As YAML.
    reason: String,
}

impl Edit<'_> {
    fn apply(&self, entries: &[Entry<'_>]) -> Option<String> {
        let Some((key, node)) = entries.iter().find(|(key, _)| key.text == KEY) else {
            let indent = self.column(entries.first()?.0.place.start)?;
            return Some(self.new_section(indent));
        };
        let Value::Seq(list) = &node.value else { return None };
        let (start, end) = (at(node.place.start), at(node.place.end));
        match (self.text.get(start..)?.bytes().next()?, list.last()) {
            (b'[', Some(last)) => self.in_flow(last, end),
            (b'[', None) => self.instead_of_brackets(start, end, self.column(key.place.start)?),
            (_, Some(last)) => self.in_block(self.dash(start)?, last),
            (_, None) => None,
        }
    }

    /// A section at the end of the document.
    fn new_section(&self, indent: usize) -> String {
        let is_end = |line: &str| line.strip_prefix("...").is_some_and(|it| it.trim().is_empty());
        let mut end = 0;
        for line in self.text.split_inclusive('\n') {
            if is_end(line) {
                break;
            }
            end += line.len();
        }
        let last = self.text[..end].lines().next_back().unwrap_or_default();
        let gap = if last.trim().is_empty() { "" } else { "\n" };
        let pad = " ".repeat(indent);
        let section = format!("{gap}{pad}{KEY}:\n{}", self.block(indent + INDENT));
        self.with_lines(end, &section)
    }

    /// After the last item of a list with dashes, and after the comments that belong to it.
    fn in_block(&self, dash: usize, last: &Node<'_>) -> Option<String> {
        let mut end = self.line_end(at(last.place.start));
        let (mut position, mut has_gap) = (end, false);
        for line in self.text.get(end..)?.split_inclusive('\n') {
            position += line.len();
            let (indent, content) = (spaces(line), line.trim());
            if content.is_empty() {
                has_gap = true;
            } else if indent > dash
                || (content.starts_with('#') && indent == dash && dash > 0 && !has_gap)
            {
                end = position;
            } else if !content.starts_with('#') {
                break;
            }
        }
        Some(self.with_lines(end, &self.block(dash)))
    }

    /// Replaces `[]` on the line of the key by a list with dashes.
    fn instead_of_brackets(&self, start: usize, end: usize, indent: usize) -> Option<String> {
        if self.text.get(start..end)?.contains(['\n', '#']) {
            return None;
        }
        let whole = self.with_lines(self.line_end(end), &self.block(indent + INDENT));
        let before = self.text[..start].trim_end_matches(' ');
        Some(format!("{before}{}", &whole[end..]))
    }

    /// Before the closing bracket, which ends at `end`.
    fn in_flow(&self, last: &Node<'_>, end: usize) -> Option<String> {
        let (after, close) = (at(last.place.end), end.checked_sub(1)?);
        let between = self.text.get(after..close)?;
        let comma = comma(between).map(|position| after + position + 1);
        let first_line = self.column(last.place.start);
        let indent = first_line.unwrap_or(INDENT);
        let items = self.flow(indent);
        let place = comma.unwrap_or(after);
        let (mut text, tail) = match comma {
            Some(_) => (self.text[..place].to_owned(), ","),
            None => (format!("{},", &self.text[..place]), ""),
        };
        if !self.text[place..close].contains('\n') {
            text.push_str(&self.in_style(&format!(" {}{tail}", items.join(", "))));
            text.push_str(&self.text[place..]);
            return Some(text);
        }
        let line_end = self.line_end(place);
        text.push_str(&self.text[place..line_end]);
        let pad = " ".repeat(indent);
        let lines = items.join(&format!(",\n{pad}"));
        text.push_str(&self.in_style(&format!("{pad}{lines}{tail}\n")));
        text.push_str(&self.text[line_end..]);
        Some(text)
    }

    fn block(&self, indent: usize) -> String {
        write::approvals(self.items, &self.reason, Some(indent))
    }

    /// The items in flow style. More than [`ON_ONE_LINE`] people get a line each.
    fn flow(&self, indent: usize) -> Vec<String> {
        let pad = " ".repeat(indent + INDENT);
        let items = self.items.iter().map(|(action, people)| {
            let people: Vec<String> = people.iter().map(|email| scalar(email.as_str())).collect();
            let people = if people.len() > ON_ONE_LINE {
                format!("\n{pad}{}\n{pad}", people.join(&format!(",\n{pad}")))
            } else {
                people.join(", ")
            };
            format!("{{ {}: [{people}], reason: {} }}", action.key(), self.reason)
        });
        items.collect()
    }

    /// The text with whole lines inserted.
    fn with_lines(&self, position: usize, lines: &str) -> String {
        let (before, after) = self.text.split_at(position);
        let ending = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
        format!("{before}{}{after}", self.in_style(&format!("{ending}{lines}")))
    }

    /// With the line ends of the file.
    fn in_style(&self, lines: &str) -> String {
        let has_returns = self.text.split_once('\n').is_some_and(|(line, _)| line.ends_with('\r'));
        if has_returns { lines.replace('\n', "\r\n") } else { lines.to_owned() }
    }

    /// The start of the line after the one at `position`.
    fn line_end(&self, position: usize) -> usize {
        self.text[position..].find('\n').map_or(self.text.len(), |it| position + it + 1)
    }

    /// The column of the first dash of a list. Without indentation, the list begins after it.
    fn dash(&self, start: usize) -> Option<usize> {
        let line = self.text[..start].rsplit('\n').next()?;
        let has_dash = self.text[start..].starts_with('-');
        let before = if has_dash { line } else { line.trim_end_matches(' ').strip_suffix('-')? };
        (spaces(before) == before.len()).then_some(before.len())
    }

    /// The number of spaces before what is the first on its line; None if it is not.
    fn column(&self, start: u32) -> Option<usize> {
        let before = self.text.get(..at(start))?;
        let line = before.rsplit('\n').next().unwrap_or(before).trim_start_matches('\u{feff}');
        (spaces(line) == line.len()).then_some(line.len())
    }
}

/// Whether `edited` is the document with exactly the new items after its approvals.
fn is_correct(document: &Node<'_>, edited: &str, items: &Items<'_>, reason: &str) -> bool {
    let Some(result) = parse(edited) else { return false };
    let (Some(old), Some(new)) = (entries(document), entries(&result)) else { return false };
    let others = |entries: &[Entry<'_>]| entries.iter().filter(|(key, _)| key.text != KEY).count();
    let same_others = others(old) == others(new)
        && old.iter().filter(|(key, _)| key.text != KEY).all(|(key, node)| {
            new.iter().any(|(other, with)| other.text == key.text && is_same(node, with))
        });
    let (old, new) = (approvals(old), approvals(new));
    if !same_others
        || new.len() != old.len() + items.len()
        || !old.iter().zip(new).all(|(old, new)| is_same(old, new))
    {
        return false;
    }
    let mut sources = Sources::default();
    sources.add("", edited);
    let read = raw::read(&sources);
    // Dates play no part in the comparison, so any instant and any time zone will do.
    let (zone, now) = (TimeZone::UTC, Timestamp::UNIX_EPOCH);
    let Some(roster) = checks::validate(read, &sources, &zone, now).0 else { return false };
    let all = roster.approvals().iter().map(|approval| &approval.item);
    let all: Vec<_> = all.map(|it| (it.action, it.email.as_str(), it.reason.as_str())).collect();
    let new = items.iter().flat_map(|(action, people)| people.iter().map(|it| (*action, *it)));
    let new: Vec<_> = new.map(|(action, email)| (action, email.as_str(), reason.trim())).collect();
    all.ends_with(&new)
}

fn parse(text: &str) -> Option<Node<'_>> {
    let mut problems = Vec::new();
    let document = yaml::parse(text, FileId(0), &mut problems)?;
    (!any_error(&problems)).then_some(document)
}

fn entries<'n, 't>(document: &'n Node<'t>) -> Option<&'n [Entry<'t>]> {
    let Value::Map(entries) = &document.value else { return None };
    Some(entries)
}

fn approvals<'n, 't>(entries: &'n [Entry<'t>]) -> &'n [Node<'t>] {
    match entries.iter().find(|(key, _)| key.text == KEY).map(|(_, node)| &node.value) {
        Some(Value::Seq(list)) => list,
        _ => &[],
    }
}

/// Whether two nodes are equal, wherever they are.
fn is_same(a: &Node<'_>, b: &Node<'_>) -> bool {
    a.tag == b.tag
        && match (&a.value, &b.value) {
            (Value::Seq(a), Value::Seq(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
            }
            (Value::Map(a), Value::Map(b)) => {
                let mut pairs = a.iter().zip(b);
                a.len() == b.len()
                    && pairs.all(|((key, a), (other, b))| key.text == other.text && is_same(a, b))
            }
            (a, b) => a == b,
        }
}

/// The position of a comma outside of comments.
fn comma(text: &str) -> Option<usize> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let code = line.split('#').next().unwrap_or_default();
        if let Some(position) = code.find(',') {
            return Some(start + position);
        }
        start += line.len();
    }
    None
}

fn spaces(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// A byte position of a place. Files are much smaller than 4 GiB.
fn at(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
