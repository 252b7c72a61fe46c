//! `rosterd check`: validates the files without a network.

use super::args::{CheckArgs, CheckFormat};
use super::{CliError, Global, context, exit, history, output};
use crate::clock::{Clock as _, SystemClock};
use crate::config::WorkspaceConfig;
use crate::diagnostic::{Diagnostic, Sources, any_error};
use crate::memory::Memory;
use crate::plan::approvals;
use crate::reconcile;
use crate::render;
use crate::roster::Roster;

/// Validates the configuration, then every selected roster. Variables that only say where the API
/// is need not be set.
pub fn run(global: &Global, args: &CheckArgs) -> Result<u8, CliError> {
    let found = problems(global)?;
    let invalid = found.iter().any(|(_, diagnostics)| any_error(diagnostics));
    output::result(&rendered(&found, args.format, invalid))?;
    Ok(if invalid { exit::INVALID } else { exit::OK })
}

/// The problems of each set of files.
fn problems(global: &Global) -> Result<Vec<(Sources, Vec<Diagnostic>)>, CliError> {
    let loaded = match context::read_files(global)? {
        Ok(loaded) => loaded,
        Err(invalid) => return Ok(vec![(invalid.sources, invalid.diagnostics)]),
    };
    let mut found = vec![(loaded.sources, loaded.warnings)];
    for workspace in &loaded.config.workspaces {
        found.push(match reconcile::load(&workspace.target, SystemClock.now()) {
            Ok(loaded) => {
                let mut warnings = loaded.warnings;
                warnings.extend(approvals(global, workspace, &loaded.roster));
                (loaded.sources, warnings)
            }
            Err(error) => (error.sources, error.diagnostics),
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
        for record in history::entries(&ledger, &workspace.target.workspace).unwrap_or_default() {
            memory.fold(&record);
        }
    }
    approvals::problems(roster, &memory, SystemClock.now())
}

fn rendered(found: &[(Sources, Vec<Diagnostic>)], format: CheckFormat, invalid: bool) -> String {
    let each = |one: &dyn Fn(&[Diagnostic], &Sources) -> String| -> String {
        found.iter().map(|(sources, diagnostics)| one(diagnostics, sources)).collect()
    };
    match format {
        CheckFormat::Json => {
            render::diagnostics::json(found.iter().map(|(sources, found)| (&found[..], sources)))
        }
        CheckFormat::Github => each(&render::github::diagnostics),
        CheckFormat::Text => {
            let text = each(&|found, sources| render::diagnostics::text(found, sources, true));
            match found.iter().map(|(sources, _)| sources.iter().count()).sum::<usize>() {
                _ if invalid => text,
                1 => format!("{text}1 file is good\n"),
                files => format!("{text}{files} files are good\n"),
            }
        }
    }
}
