//! The plan as a unified diff between two canonical rosters: the directory now, and after the plan.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::Write as _;

use similar::udiff::UnifiedHunkHeader;
use similar::{DiffOp, DiffTag, group_diff_ops};

use super::View;
use crate::directory::Uid;
use crate::email::Email;
use crate::escape::escape;
use crate::plan::change::{Action, Change};
use crate::role::Role;
use crate::yaml::scalar;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// The diff of one plan; empty without changes. Includes held changes: a comment before the diff
/// gives their number. Both sides are sorted by address, so the diff is a linear merge.
pub fn diff(view: &View<'_>) -> String {
    let changes = view.plan.changes();
    if changes.is_empty() {
        return String::new();
    }
    let (before, after) = before_and_after(view, changes);
    let workspace = escape(view.workspace);
    let mut text = String::new();
    let held = view.verdict.held.len();
    if held > 0 {
        let guards: Vec<_> =
            view.verdict.violations.iter().map(|it| it.guard.to_string()).collect();
        let of = changes.len();
        let _ = writeln!(text, "# {held} of {of} changes are held: {}", guards.join(", "));
    }
    let _ = writeln!(text, "--- {workspace} (directory)\n+++ {workspace} (after the plan)");
    for group in group_diff_ops(operations(&before, &after), CONTEXT) {
        let _ = writeln!(text, "{}", UnifiedHunkHeader::new(&group));
        for operation in &group {
            let removed = ('-', &before, operation.old_range());
            let sides = match operation.tag() {
                DiffTag::Equal => &[(' ', &before, operation.old_range())][..],
                _ => &[removed, ('+', &after, operation.new_range())],
            };
            for (sign, entries, range) in sides {
                for number in range.clone() {
                    let _ = writeln!(text, "{sign}{}", line(entries, number));
                }
            }
        }
    }
    text
}

/// One entry of a canonical roster.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry<'a> {
    email: &'a Email,
    role: &'a Role,
    /// None for an invitation.
    uid: Option<&'a Uid>,
}

fn before_and_after<'a>(
    view: &View<'a>,
    changes: &'a [Change],
) -> (Vec<Entry<'a>>, Vec<Entry<'a>>) {
    let accounts = view.snapshot.accounts();
    let has_account =
        |email: &Email| accounts.binary_search_by(|account| account.email.cmp(email)).is_ok();
    let active =
        accounts.iter().map(|it| Entry { email: &it.email, role: &it.role, uid: Some(&it.uid) });
    let pending = view.snapshot.invitations().iter();
    let pending = pending
        .filter(|it| it.status.is_pending() && !has_account(&it.email))
        .map(|it| Entry { email: &it.email, role: &it.role, uid: None });
    let mut before: Vec<Entry<'a>> =
        active.chain(pending).filter(|entry| !view.roster.is_unmanaged(entry.email)).collect();
    before.sort_by_key(|entry| (entry.email, entry.uid));
    let by_uid: HashMap<&Uid, &Change> =
        changes.iter().filter_map(|change| Some((change.action.uid()?, change))).collect();
    let mut after = Vec::with_capacity(before.len());
    for &entry in &before {
        match entry.uid.and_then(|uid| by_uid.get(uid)).map(|change| &change.action) {
            Some(Action::Disable { .. }) => {}
            Some(Action::UpdateRole { to, .. }) => after.push(Entry { role: to, ..entry }),
            Some(Action::Invite { .. } | Action::Reinvite { .. }) | None => after.push(entry),
        }
    }
    for change in changes {
        if let Action::Invite { role } | Action::Reinvite { role } = &change.action {
            after.push(Entry { email: &change.email, role, uid: None });
        }
    }
    after.sort_by_key(|entry| (entry.email, entry.uid));
    (before, after)
}

/// The lines before the entries.
const HEAD: usize = 2;
/// The lines of one entry.
const LINES: usize = 2;

/// The merge of two sorted lists, as operations on lines.
fn operations(before: &[Entry<'_>], after: &[Entry<'_>]) -> Vec<DiffOp> {
    let mut merge = Merge::default();
    // `users: []` and `users:` differ.
    let same_head = before.is_empty() == after.is_empty();
    merge.push(DiffTag::Equal, HEAD - 1);
    merge.push(if same_head { DiffTag::Equal } else { DiffTag::Replace }, 1);
    let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => (a.email, a.uid).cmp(&(b.email, b.uid)),
        };
        match order {
            Ordering::Less => {
                old.next();
                merge.push(DiffTag::Delete, LINES);
            }
            Ordering::Greater => {
                new.next();
                merge.push(DiffTag::Insert, LINES);
            }
            Ordering::Equal => {
                let same = old.next().map(|it| it.role) == new.next().map(|it| it.role);
                merge.push(DiffTag::Equal, 1);
                merge.push(if same { DiffTag::Equal } else { DiffTag::Replace }, 1);
            }
        }
    }
    merge.operations
}

/// Collects the operations. Adjacent equal lines become one operation.
#[derive(Default)]
struct Merge {
    operations: Vec<DiffOp>,
    old: usize,
    new: usize,
}

impl Merge {
    fn push(&mut self, tag: DiffTag, lines: usize) {
        let (old_index, new_index) = (self.old, self.new);
        let (old_len, new_len) = (lines, lines);
        if tag != DiffTag::Insert {
            self.old += lines;
        }
        if tag != DiffTag::Delete {
            self.new += lines;
        }
        let operation = match (tag, self.operations.last_mut()) {
            (DiffTag::Equal, Some(DiffOp::Equal { len, .. })) => {
                *len += lines;
                return;
            }
            (DiffTag::Equal, _) => DiffOp::Equal { old_index, new_index, len: lines },
            (DiffTag::Delete, _) => DiffOp::Delete { old_index, old_len, new_index },
            (DiffTag::Insert, _) => DiffOp::Insert { old_index, new_index, new_len },
            (DiffTag::Replace, _) => DiffOp::Replace { old_index, old_len, new_index, new_len },
        };
        self.operations.push(operation);
    }
}

/// Line `number`, from 0, of the canonical roster with these entries.
fn line(entries: &[Entry<'_>], number: usize) -> String {
    let Some(below) = number.checked_sub(HEAD) else {
        return match (number, entries.is_empty()) {
            (0, _) => "version: 1".into(),
            (_, true) => "users: []".into(),
            (_, false) => "users:".into(),
        };
    };
    match (entries.get(below / LINES), below % LINES) {
        (Some(entry), 0) => format!("  - email: {}", scalar(entry.email.as_str())),
        (Some(Entry { role: Role::Other(name), .. }), _) => {
            format!("    role: !raw {}", scalar(name))
        }
        (Some(entry), _) => format!("    role: {}", entry.role),
        (None, _) => String::new(),
    }
}
