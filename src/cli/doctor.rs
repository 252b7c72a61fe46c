//! `rosterd doctor`: what a run needs, one line each. Nothing is changed and no mutation is tried.
//! With `--notify`, each receiver of notifications gets a test.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use notify::{RecursiveMode, Watcher as _};
use reqwest::Url;

use super::args::DoctorArgs;
use super::{CliError, Context, Global, exit, output, plan};
use crate::client::{self, ClientError, ReadDirectory as _};
use crate::clock::{Clock as _, SystemClock};
use crate::config::WorkspaceConfig;
use crate::daemon::Connected;
use crate::diagnostic::Diagnostic;
use crate::directory::Snapshot;
use crate::escape::escape;
use crate::failure::FailureKind;
use crate::guard::CLOCK_TOLERANCE;
use crate::memory::Memory;
use crate::memory::entry::AttemptStatus;
use crate::notifier::{self, AllowedHosts};
use crate::render::{self, table, time};

/// What was found of one thing.
enum Found {
    Good(String),
    Unknown(String),
    /// What is wrong, and what to do.
    Bad(String),
}

impl From<Result<String, String>> for Found {
    fn from(found: Result<String, String>) -> Self {
        found.map_or_else(Self::Bad, Self::Good)
    }
}

/// Checks every selected workspace. Exits with 1 if anything fails.
pub async fn run(global: &Global, args: &DoctorArgs) -> Result<u8, CliError> {
    let (context, config) = Context::start(global).await?;
    if args.notify && config.notify.is_empty() {
        let message = "there are no receivers to try: `notify` is not configured";
        return Err(CliError::Usage(message.to_owned()));
    }
    let mut is_good = true;
    for workspace in &config.workspaces {
        let checks = checks(global, &context, workspace).await;
        is_good &= show(&workspace.target.workspace, &checks)?;
    }
    if args.notify {
        let allowed = if global.sandbox { AllowedHosts::Loopback } else { AllowedHosts::Any };
        let mut checks = Vec::new();
        for receiver in &config.notify {
            let sent = notifier::test(receiver, allowed).await;
            let sent = sent.map(|status| format!("accepted a test notification: {status}"));
            checks.push((notifier::name(receiver), sent.into()));
        }
        is_good &= show("notify", &checks)?;
    }
    Ok(if is_good { exit::OK } else { exit::FAILED })
}

/// Prints checks under their title. Whether none has failed.
fn show(title: &str, checks: &[(impl AsRef<str>, Found)]) -> Result<bool, CliError> {
    let row = |(what, found): &(_, Found)| {
        let (mark, text) = match found {
            Found::Good(text) => ("✓", text.as_str()),
            Found::Unknown(why) => ("?", why.as_str()),
            Found::Bad(text) => ("✗", text.as_str()),
        };
        [mark, AsRef::as_ref(what), text].map(str::to_owned).to_vec()
    };
    let rows: Vec<Vec<String>> = checks.iter().map(row).collect();
    output::result(&format!("{}\n{}", escape(title), table::aligned(&rows)))?;
    Ok(!checks.iter().any(|(_, found)| matches!(found, Found::Bad(_))))
}

async fn checks(
    global: &Global,
    context: &Context,
    workspace: &WorkspaceConfig,
) -> Vec<(&'static str, Found)> {
    let roster = roster(global, context, workspace).await;
    let mut checks = vec![("roster", roster.into()), ("files", watching(workspace))];
    let Connected { directory, ledger } = match context.connect(workspace) {
        Ok(connected) => connected,
        Err(failure) => {
            let is_ledger = failure.kind == FailureKind::Ledger;
            checks.push((if is_ledger { "ledger" } else { "key" }, Found::Bad(failure.message)));
            return checks;
        }
    };
    let endpoint = &workspace.connection.endpoint;
    let proxy = client::proxy(endpoint);
    let dns = match &proxy {
        Some(proxy) => Found::Good(format!("left to the proxy {proxy}")),
        None => resolve(endpoint).await.into(),
    };
    let listed = directory.list().await;
    let connection = connection(endpoint, proxy.as_deref(), &listed);
    let key = key(&connection, &listed);
    checks.extend([("dns", dns), ("connection", connection), ("key", key)]);
    checks.push(("clock", clock(&listed, SystemClock.now())));
    let (memory, place) = (ledger.ledger.read_workspace(&ledger.scope), ledger.ledger.place());
    let read = memory.as_ref().map(|_| place.to_string()).map_err(|why| format!("{place}: {why}"));
    checks.push(("ledger", read.into()));
    checks.extend(
        memory.ok().map(|memory| ("capability", capability(&memory, &workspace.target.zone))),
    );
    checks
}

async fn roster(
    global: &Global,
    context: &Context,
    workspace: &WorkspaceConfig,
) -> Result<String, String> {
    match plan::load(global, context, workspace).await {
        Ok(loaded) => {
            let members = loaded.roster.members().len();
            let commit = loaded.revision.map(|revision| format!(", commit {revision}"));
            let members = render::members(members);
            Ok(format!("{members}{}", commit.unwrap_or_default()))
        }
        Err(CliError::Invalid(found)) => {
            let first = found.diagnostics.first().map(Diagnostic::with_hint).unwrap_or_default();
            let count = found.diagnostics.len();
            Err(format!("{first} ({count} problem{})", if count == 1 { "" } else { "s" }))
        }
        Err(CliError::Usage(why) | CliError::Held(why) | CliError::Failed(why)) => Err(why),
    }
}

/// The addresses of the endpoint's host.
async fn resolve(endpoint: &Url) -> Result<String, String> {
    let host = endpoint.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = endpoint.port_or_known_default().unwrap_or_default();
    let found = tokio::net::lookup_host((host, port)).await;
    let addresses: Vec<String> = found
        .map_err(|why| format!("{host}: {why}; check the endpoint, and the DNS of this machine"))?
        .map(|address| address.ip().to_string())
        .collect();
    Ok(format!("{host} is {}", addresses.join(", ")))
}

/// Whether the server was reached, through which proxy, and with TLS.
fn connection(
    endpoint: &Url,
    proxy: Option<&str>,
    listed: &Result<Snapshot, ClientError>,
) -> Found {
    use FailureKind::{Connect, Reset, Settings, Timeout, Tls};
    if let Err(error) = listed
        && matches!(error.kind, Connect | Reset | Settings | Timeout | Tls)
    {
        return Found::Bad(error.message.clone());
    }
    let port = endpoint.port_or_known_default().unwrap_or_default();
    let tls = if endpoint.scheme() == "https" { "TLS verified" } else { "without TLS" };
    let proxy = proxy.map(|proxy| format!(", through the proxy {proxy}")).unwrap_or_default();
    Found::Good(format!("port {port}, {tls}{proxy}"))
}

/// Whether the API lists the users.
fn key(connection: &Found, listed: &Result<Snapshot, ClientError>) -> Found {
    match (connection, listed) {
        (_, Ok(snapshot)) => {
            let (active, invited) = (snapshot.accounts().len(), snapshot.invitations().len());
            Found::Good(format!("listUsers works: {active} active, {invited} invited"))
        }
        (Found::Bad(_), Err(_)) => Found::Unknown("the server was not reached".to_owned()),
        (_, Err(error)) => Found::Bad(error.message.clone()),
    }
}

/// Whether the key may change anything, as runs learnt it.
fn capability(memory: &Memory, zone: &TimeZone) -> Found {
    // A rejection may be about one person, so it proves nothing.
    let done = memory.attempts().iter().rev().find(|it| it.status == AttemptStatus::Done);
    match done {
        Some(done) => Found::Good(format!("a change was done at {}", time::at(done.at, zone))),
        None => Found::Unknown(
            "no run has changed anything since the ledger began; `doctor` does not try".to_owned(),
        ),
    }
}

fn clock(listed: &Result<Snapshot, ClientError>, now: Timestamp) -> Found {
    let server = listed.as_ref().ok().and_then(Snapshot::server_time);
    let Some(server) = server else {
        return Found::Unknown("no answer with a date".to_owned());
    };
    let skew = server.duration_since(now).abs();
    let text = format!("{} s from the server's", skew.as_secs());
    if skew > CLOCK_TOLERANCE { Found::Bad(text + "; correct it") } else { Found::Good(text) }
}

/// Whether changes of the roster's files are noticed at once.
fn watching(workspace: &WorkspaceConfig) -> Found {
    let folders = workspace.target.source.watched();
    if folders.is_empty() {
        return Found::Good("fetched from the git server".to_owned());
    }
    let watched = notify::recommended_watcher(|_| {}).and_then(|mut watcher| {
        folders.iter().try_for_each(|it| watcher.watch(it, RecursiveMode::NonRecursive))
    });
    let found = watched.map(|()| "changes are noticed at once".to_owned());
    found.map_err(|why| format!("{why}; they are polled instead, see `watch.poll`")).into()
}
