//! `rosterd approve`: writes the approval of what is held into the roster.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use similar::TextDiff;

use super::args::ApproveArgs;
use super::{CliError, Context, Global, exit, output, plan};
use crate::action::{ApprovalItem, BudgetName};
use crate::config::WorkspaceConfig;
use crate::diagnostic::FileId;
use crate::email::Email;
use crate::escape::escape;
use crate::files::{self, Mode};
use crate::guard::Verdict;
use crate::memory::Memory;
use crate::reconcile::{Evaluation, Loaded};
use crate::render::approve;
use crate::roster::edit::{self, Items};
use crate::roster::write;
use crate::source;
use crate::yaml::scalar;

const NEXT: &str = "an approval counts once it is committed";

/// Plans, and adds an item for each action to `approvals` of the first file of the roster.
pub async fn run(global: &Global, args: &ApproveArgs) -> Result<u8, CliError> {
    let is_selected = args.all || !args.emails.is_empty();
    let reason = args.reason.as_deref().unwrap_or_default().trim();
    if is_selected && reason.is_empty() {
        return Err(CliError::Usage("approve needs a reason: --reason TEXT".into()));
    }
    let (context, config) = Context::start(global).await?;
    let mut planned = Vec::new();
    for workspace in &config.workspaces {
        let (loaded, evaluation, memory) = plan::evaluate(global, &context, workspace).await?;
        planned.push((workspace, loaded, evaluation, memory));
    }
    if planned.iter().all(|(_, _, evaluation, _)| evaluation.verdict.held.is_empty()) {
        output::note("nothing is held; nothing was written");
        return Ok(exit::OK);
    }
    if !is_selected {
        let listed = planned.iter().map(|(workspace, _, evaluation, _)| {
            candidates(&workspace.target.workspace, &evaluation.verdict)
        });
        let message = "select people by their EMAIL, or everybody with --all, and say why with \
                       --reason TEXT";
        return Err(CliError::Usage(format!("{message}{}", listed.collect::<String>())));
    }
    let (workspace, loaded, evaluation, memory) = one(&planned)?;
    if !loaded.takes_approvals {
        let message = format!(
            "approvals do not count here: the roster is not in a git work tree; set \
             `guard.approvals: file`, or run these\n{}",
            approve::SAVED_PLAN
        );
        return Err(plan::failed(workspace, message.trim_end()));
    }
    let verdict = &evaluation.verdict;
    let mut items = verdict.releasable();
    if !args.all {
        check(&args.emails, verdict, &items).map_err(|why| plan::failed(workspace, &why))?;
        for people in items.values_mut() {
            people.retain(|email| args.emails.iter().any(|it| is_named(it, email)));
        }
    }
    let is_spent = |(action, email): (BudgetName, &Email)| {
        let item = ApprovalItem { action, email: email.clone(), reason: reason.to_owned() };
        memory.approval(&item).is_some_and(|bound| bound.inert || bound.used.is_some())
    };
    let mut named = items.iter().flat_map(|(it, people)| people.iter().map(|email| (*it, *email)));
    if named.any(is_spent) {
        let message = "an approval with this reason has no effect any more: give another --reason";
        return Err(plan::failed(workspace, message));
    }
    for (action, people) in &mut items {
        people.retain(|email| !loaded.roster.has_approval(*action, email, reason));
    }
    items.retain(|_, people| !people.is_empty());
    if items.is_empty() {
        let name = escape(&workspace.target.workspace);
        let message = "the roster has these approvals with this reason already; commit it";
        output::note(&format!("{name}: {message}; nothing was written"));
        return Ok(exit::OK);
    }
    save(workspace, loaded, &items, reason)
}

type Planned<'a> = (&'a WorkspaceConfig, Loaded, Evaluation, Memory);

/// The workspace that has something to approve.
fn one<'p, 'a>(planned: &'p [Planned<'a>]) -> Result<&'p Planned<'a>, CliError> {
    let mut found = planned.iter().filter(|(_, _, it, _)| !it.verdict.releasable().is_empty());
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => {
            let held = planned.iter().map(|(_, _, it, _)| it.verdict.held.len()).sum::<usize>();
            let message = format!("no approval can release what is held ({held}); see the plan");
            Err(CliError::Failed(message))
        }
        (Some(_), Some(_)) => {
            let message = "several workspaces have something to approve: select one with \
                           --workspace";
            Err(CliError::Usage(message.into()))
        }
    }
}

/// Everybody whom an approval would release, a line each.
fn candidates(workspace: &str, verdict: &Verdict) -> String {
    let mut text = String::new();
    for (action, people) in verdict.releasable() {
        for email in people {
            let _ = write!(text, "\n  {workspace}  {}  {}", action.key(), scalar(email.as_str()));
        }
    }
    text
}

/// Why some of the addresses cannot be approved.
fn check(named: &[String], verdict: &Verdict, items: &Items<'_>) -> Result<(), String> {
    let mut wrong = Vec::new();
    for name in named {
        if items.values().flatten().any(|email| is_named(name, email)) {
            continue;
        }
        let held = verdict.held.iter().find(|held| is_named(name, &held.change.email));
        wrong.push(match held {
            Some(held) => {
                let by: Vec<String> = held.by.iter().map(ToString::to_string).collect();
                format!("{name} is held by {}, which no approval releases", by.join(", "))
            }
            None => format!("nothing is held for {name}"),
        });
    }
    let message = || format!("{}; nothing was written", wrong.join("; "));
    if wrong.is_empty() { Ok(()) } else { Err(message()) }
}

/// Whether an argument means this address: as it is, or as the plan prints it.
fn is_named(name: &str, email: &Email) -> bool {
    Email::remote(name) == *email || scalar(email.as_str()).trim_matches('"') == name
}

/// Writes the items into the file; if that is not possible, prints them.
fn save(
    workspace: &WorkspaceConfig,
    loaded: &Loaded,
    items: &Items<'_>,
    reason: &str,
) -> Result<u8, CliError> {
    let Some(file) = loaded.sources.get(FileId(0)) else {
        return print(items, reason, None, "the first file of the roster", "there is no file");
    };
    let (name, indent) = (escape(&file.name), edit::item_indent(&file.text));
    if workspace.target.source.git.is_some() {
        return print(items, reason, indent, &name, "it is in a git repository");
    }
    let Some(text) = edit::add_approvals(&file.text, items, reason) else {
        return print(items, reason, indent, &name, "it cannot be edited safely");
    };
    let path = workspace.target.source.base.join(&file.name);
    match replace(&path, &file.text, &text) {
        Ok(true) => {}
        Ok(false) => {
            let message = format!("{name} changed meanwhile; nothing was written, try again");
            return Err(CliError::Failed(message));
        }
        Err(error) => return print(items, reason, indent, &name, &error.to_string()),
    }
    let difference = TextDiff::from_lines(&file.text, &text);
    let header = (format!("a/{name}"), format!("b/{name}"));
    output::result(&difference.unified_diff().header(&header.0, &header.1).to_string())?;
    output::note(&format!("{name}: approved; now commit it: {NEXT}"));
    Ok(exit::OK)
}

/// Replaces a file at once, unless it is not `old` any more. A link is followed: it was read.
fn replace(path: &Path, old: &str, new: &str) -> io::Result<bool> {
    let real = path.canonicalize()?;
    if source::read_limited(&real, source::MAX_BYTES.max(old.len()))? != old.as_bytes() {
        return Ok(false);
    }
    files::replace(&real, new.as_bytes(), Mode::Kept)?;
    Ok(true)
}

fn print(
    items: &Items<'_>,
    reason: &str,
    indent: Option<usize>,
    name: &str,
    why: &str,
) -> Result<u8, CliError> {
    output::result(&write::approvals(items, &scalar(reason), indent))?;
    let place = if indent.is_none() { "at the end of" } else { "below `approvals:` in" };
    let message = format!("not written: {why}; add these lines {place} {name}, and commit it");
    Err(CliError::Failed(message))
}
