//! `rosterd import`: writes the roster that matches the workspace as it is.

use std::path::{Path, PathBuf};

use similar::TextDiff;

use super::args::ImportArgs;
use super::{CliError, Context, Global, exit, output, plan};
use crate::client::ReadDirectory as _;
use crate::clock::{Clock as _, SystemClock};
use crate::config::WorkspaceConfig;
use crate::escape::escape;
use crate::files::Mode;
use crate::reconcile;
use crate::render::members;
use crate::roster::write;
use crate::source::RosterSource;

/// Writes the roster so that the next plan is empty. An existing file is replaced only after the
/// difference was shown and confirmed.
pub async fn run(global: &Global, args: &ImportArgs) -> Result<u8, CliError> {
    let (context, config) = Context::start(global).await?;
    let [workspace] = config.workspaces.as_slice() else {
        let message = "import writes the roster of one workspace; select it with --workspace";
        return Err(CliError::Usage(message.into()));
    };
    let path = destination(workspace)?;
    let connected =
        context.connect(workspace).map_err(|failure| plan::failed(workspace, &failure.message))?;
    let listed = connected.directory.list().await;
    let snapshot = listed.map_err(|error| plan::failed(workspace, &error.message))?;
    let old = reconcile::load(&workspace.target, SystemClock.now()).ok();
    let unmanaged = old.as_ref().map(|old| old.roster.unmanaged().to_vec()).unwrap_or_default();
    let imported = write::import(&snapshot, &unmanaged);
    for note in &imported.notes {
        output::note(note);
    }
    if may_write(&path, &imported.text, old.is_some(), args.yes)? {
        output::to_file(&path, &imported.text, Mode::Kept)?;
        let members = members(imported.members);
        output::note(&format!("{}: {members} written", path.display()));
    }
    Ok(exit::OK)
}

/// The file of the roster, relative to the working directory.
fn destination(workspace: &WorkspaceConfig) -> Result<PathBuf, CliError> {
    let target = &workspace.target;
    let RosterSource { users, base, git, .. } = &target.source;
    match users.as_slice() {
        _ if git.is_some() => Err(CliError::Usage(format!(
            "the roster of {} is on a git server; name the file of a checkout with --users FILE",
            target.workspace
        ))),
        [one] if !one.contains(['*', '?', '[']) && !base.join(one).is_dir() => {
            let path = base.join(one);
            let here = std::env::current_dir().unwrap_or_default();
            Ok(path.strip_prefix(here).map(Path::to_owned).unwrap_or(path))
        }
        _ => Err(CliError::Usage(format!(
            "the roster of {} has more than one file; select the one to write with --users FILE",
            target.workspace
        ))),
    }
}

/// `is_valid` is whether the file is a roster. The text of another file may contain secrets, and is
/// not shown.
fn may_write(path: &Path, text: &str, is_valid: bool, yes: bool) -> Result<bool, CliError> {
    let old = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(CliError::Failed(format!("{}: {error}", path.display()))),
    };
    if old == text {
        output::note(&format!("{}: nothing to change", path.display()));
        return Ok(false);
    }
    if is_valid {
        let difference = TextDiff::from_lines(&old, text);
        let name = path.display().to_string();
        let difference = difference.unified_diff().header(&name, "imported").to_string();
        output::result(&(output::escape_lines(&difference, "\n") + "\n"))?;
    } else {
        let name = path.display().to_string();
        output::note(&format!("{} is not a valid roster, so it is not shown", escape(&name)));
    }
    let question = format!("Replace {}? Comments and dates in it are lost.", path.display());
    match yes.then_some(true).or_else(|| output::ask(&question)) {
        Some(true) => Ok(true),
        Some(false) => Err(CliError::Failed("nothing was written".into())),
        None => Err(CliError::Failed(format!(
            "{}: the file exists and there is no terminal to ask; nothing was written (--yes \
             replaces it)",
            path.display()
        ))),
    }
}
