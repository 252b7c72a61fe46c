//! `rosterd check`: validates the files without a network.

use super::args::{CheckArgs, CheckFormat};
use super::{CliError, Global, context, exit, history, output};
use crate::clock::{Clock as _, SystemClock};
use crate::config::WorkspaceConfig;
use crate::diagnostic::{Diagnostic, InputError, Sources, any_error};
use crate::escape::escape;
use crate::memory::Memory;
use crate::plan::approvals;
use crate::reconcile;
use crate::render;
use crate::roster::Roster;

/// Validates the configuration, then every selected roster. Variables that only say where the API
/// is need not be set.
pub fn run(global: &Global, args: &CheckArgs) -> Result<u8, CliError> {
    let found = problems(global)?;
    let invalid = found.iter().any(|checked| any_error(&checked.diagnostics));
    output::result(&rendered(&found, args.format, invalid))?;
    Ok(if invalid { exit::INVALID } else { exit::OK })
}

/// A set of files and its problems.
struct Checked {
    sources: Sources,
    diagnostics: Vec<Diagnostic>,
    /// The number of members, if it is a roster.
    members: Option<usize>,
}

fn problems(global: &Global) -> Result<Vec<Checked>, CliError> {
    let invalid =
        |InputError { sources, diagnostics }| Checked { sources, diagnostics, members: None };
    let loaded = match context::read_files(global)? {
        Ok(loaded) => loaded,
        Err(error) => return Ok(vec![invalid(error)]),
    };
    let (sources, diagnostics) = (loaded.sources, loaded.warnings);
    let mut found = vec![Checked { sources, diagnostics, members: None }];
    for workspace in &loaded.config.workspaces {
        if let Some(remote) = &workspace.target.source.git {
            let name = &workspace.target.workspace;
            output::note(&format!("{name}: `rosterd --plan` reads the roster on the git server"));
            let diagnostics = remote.check_signers().err().into_iter().collect();
            found.push(Checked { sources: Sources::default(), diagnostics, members: None });
            continue;
        }
        found.push(match reconcile::load(&workspace.target, SystemClock.now()) {
            Ok(loaded) => {
                let mut diagnostics = loaded.warnings;
                diagnostics.extend(workspace.target.policy.problems(&loaded.roster));
                diagnostics.extend(approvals(global, workspace, &loaded.roster));
                let members = Some(loaded.roster.members().len());
                Checked { sources: loaded.sources, diagnostics, members }
            }
            Err(error) => invalid(error),
        });
    }
    Ok(found)
}

/// Problems of the approvals. Without a readable ledger only the file is considered.
fn approvals(global: &Global, workspace: &WorkspaceConfig, roster: &Roster) -> Vec<Diagnostic> {
    if roster.approvals().is_empty() {
        return Vec::new();
    }
    let mut memory = Memory::empty();
    if let Ok(ledger) = context::ledger(global, workspace) {
        memory = Memory::of_ledger();
        for record in history::entries(&ledger, &workspace.scope()).unwrap_or_default() {
            memory.fold(&record);
        }
    }
    approvals::problems(roster, &memory, SystemClock.now())
}

fn rendered(found: &[Checked], format: CheckFormat, invalid: bool) -> String {
    let each = |one: &dyn Fn(&[Diagnostic], &Sources) -> String| -> String {
        found.iter().map(|checked| one(&checked.diagnostics, &checked.sources)).collect()
    };
    match format {
        CheckFormat::Json => render::diagnostics::json(
            found.iter().map(|checked| (&checked.diagnostics[..], &checked.sources)),
        ),
        CheckFormat::Github => each(&render::github::diagnostics),
        CheckFormat::Text => {
            let text = each(&|found, sources| render::diagnostics::text(found, sources, true));
            if invalid {
                text
            } else {
                text + &found.iter().map(Checked::summary).collect::<String>()
            }
        }
    }
}

impl Checked {
    /// `users.yaml: OK, 39 members`; nothing if there is no file.
    fn summary(&self) -> String {
        let mut names = self.sources.iter().map(|(_, file)| escape(&file.name));
        let name = match (names.next(), names.count()) {
            (None, _) => return String::new(),
            (Some(name), 0) => name.into_owned(),
            (Some(_), more) => format!("{} files", more + 1),
        };
        match self.members {
            None => format!("{name}: OK\n"),
            Some(members) => format!("{name}: OK, {}\n", render::members(members)),
        }
    }
}
