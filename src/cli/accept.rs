//! `rosterd accept`: an operator's decision for what a run holds.

use tokio_util::sync::CancellationToken;

use super::args::AcceptArgs;
use super::{CliError, Context, Global, exit, output, plan};
use crate::client::ReadDirectory as _;
use crate::clock::{Clock as _, SystemClock};
use crate::daemon::Connected;
use crate::guard::CLOCK_TOLERANCE;
use crate::memory::entry::Acceptable;
use crate::reconcile::RunSession;
use crate::report::Failure;

/// Shows what waits, and records the decision with its reason.
pub async fn run(global: &Global, args: &AcceptArgs) -> Result<u8, CliError> {
    let (accepted, what) = (args.what, args.what.as_str());
    if args.reason.trim().is_empty() {
        return Err(CliError::Usage("--reason is empty".into()));
    }
    let (context, config) = Context::start(global).await?;
    let [workspace] = config.workspaces.as_slice() else {
        return Err(CliError::Usage("several workspaces: select one with --workspace".into()));
    };
    let failed = |failure: Failure| plan::failed(workspace, &failure.message);
    let source = &workspace.target.source;
    plan::fetch(workspace).await?;
    let Connected { directory, ledger } = context.connect(workspace).map_err(failed)?;
    let cancel = CancellationToken::new();
    let session = RunSession::acquire(&ledger, &SystemClock, &cancel).await.map_err(failed)?;
    let listed = directory.list().await;
    let snapshot = listed.map_err(|error| plan::failed(workspace, &error.message))?;
    let now = SystemClock.now();
    let hold = match accepted {
        Acceptable::History => source.rewritten(),
        _ => session.waiting(accepted, &snapshot, now),
    };
    let Some(hold) = hold else {
        let message = format!("nothing waits for `rosterd accept {what}`");
        return Err(plan::failed(workspace, &message));
    };
    let skew = snapshot.server_time().map(|server| server.duration_since(now).abs());
    if accepted == Acceptable::Clock && skew.is_some_and(|skew| skew > CLOCK_TOLERANCE) {
        let message = "the clock of this machine differs from the server's; correct it first";
        return Err(plan::failed(workspace, message));
    }
    let name = &workspace.target.workspace;
    let agreed = if let Some(digest) = &args.digest {
        *digest == hold.digest
    } else {
        output::note(&output::escape_lines(&format!("{name}: {}", hold.message), "\n"));
        output::ask(&format!("accept this {what}?")).ok_or_else(|| {
            let message = "without a terminal, --digest says what is accepted";
            CliError::Usage(format!("{message}: {}", hold.digest))
        })?
    };
    if !agreed {
        let message = format!("not accepted; what waits is {}: {}", hold.digest, hold.message);
        return Err(plan::failed(workspace, &message));
    }
    session.accept(&hold, &args.reason, &snapshot, now).await.map_err(failed)?;
    if accepted == Acceptable::History {
        let taken = source.accept_rewritten(&hold);
        taken.map_err(|problem| plan::failed(workspace, &problem.with_hint()))?;
    }
    output::result(&format!("{name}: accepted the {what}\n"))?;
    Ok(exit::OK)
}
