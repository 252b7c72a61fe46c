//! How to approve what is held: lines for the roster, or commands.

use crate::diagnostic::{FileId, Sources};
use crate::guard::Verdict;
use crate::roster::{edit, write};

/// How a person approves what is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApproveBy {
    /// By a commit of items of `approvals:`.
    #[default]
    Commit,
    /// By applying exactly this plan: the roster is in no commit.
    SavedPlan,
}

/// The command that writes the approval of everything.
pub const COMMAND: &str = "rosterd approve --all --reason \"...\"";

/// The commands for [`ApproveBy::SavedPlan`].
pub const SAVED_PLAN: &str = "\
rosterd --plan --format json --out PLAN.json
rosterd apply PLAN.json --include-held --reason \"...\"
";

/// The items that would release what is held: with the key `approvals:`, or, if the first file has
/// it already, to paste below its last item.
pub fn lines(verdict: &Verdict, sources: &Sources) -> Option<String> {
    items(&verdict.releasable(), sources)
}

/// The items that approve these actions.
pub fn items(people: &edit::Items<'_>, sources: &Sources) -> Option<String> {
    let indent = sources.get(FileId(0)).and_then(|file| edit::item_indent(&file.text));
    (!people.is_empty()).then(|| write::approvals(people, write::REASON, indent))
}

/// What to do with the lines; it is followed by a colon.
pub fn instruction(lines: &str) -> String {
    let (what, place) = if lines.starts_with("approvals:") {
        ("lines", "the roster")
    } else {
        ("items", "`approvals:`")
    };
    format!("add these {what} to {place}, with a reason, and commit them, or run `{COMMAND}`")
}
