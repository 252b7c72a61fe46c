//! The one workspace that the vendor's environment variables and `--users` configure.

use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::store::default_store;
use super::workspace::{endpoint, http_defaults};
use super::{
    Config, CredentialSource, PATHS, Request, ScheduleSettings, SecretSource, VARIABLE,
    WatchSettings, WebSettings, WorkspaceConfig, git,
};
use crate::client;
use crate::diagnostic::Diagnostic;
use crate::guard::Limits;
use crate::plan::OnRemoved;
use crate::reconcile::{self, WorkspaceSpec};
use crate::roster::policy::Policy;
use crate::source::RosterSource;
use crate::yaml::redact::TOKEN_PREFIX;

/// Name of the workspace.
pub const NAME: &str = "default";

/// Defaults of `web.token` and `web.anonymous`.
const WEB_TOKEN: &str = "ROSTERD_WEB_TOKEN";
const WEB_ANONYMOUS: &str = "ROSTERD_WEB_ANONYMOUS";

const RETENTION: Duration = Duration::from_hours(400 * 24);

/// The configuration without a file: the environment and defaults.
pub(super) fn config(
    request: &Request,
    env: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
) -> Result<Config, Vec<Diagnostic>> {
    let Some(users) = &request.users else { return Err(vec![no_configuration()]) };
    let mut problems = Vec::new();
    if let Some(name) = request.workspaces.iter().find(|name| *name != NAME) {
        Diagnostic::error("unknown-workspace", format!("there is no workspace `{name}`"))
            .hint("without a configuration file, the only workspace is `default`")
            .emit(&mut problems);
    }
    let (mut connection, sending) = http_defaults();
    // Offline, only the ledger is asked for the host.
    let mut ignored = Vec::new();
    let missing = if request.offline { &mut ignored } else { &mut problems };
    set_endpoint(&mut connection, env, missing);
    let hooks = git::hooks(env).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let (store, retention) = (default_store(env), RETENTION);
    let roster = git::of_command_line(users, env, store.as_ref());
    let (users, git) = roster.unwrap_or_else(|problem| {
        problems.push(problem);
        (Vec::new(), None)
    });
    let source = RosterSource { git, ..RosterSource::new(users, folder.to_owned()) };
    if !problems.is_empty() {
        return Err(problems);
    }
    let target = WorkspaceSpec {
        workspace: NAME.to_owned(),
        source,
        max_changes: reconcile::MAX_CHANGES,
        zone: TimeZone::UTC,
        on_removed: OnRemoved::default(),
        limits: Limits::default(),
        approvals_in_file: false,
        policy: Policy::default(),
        sending,
    };
    let secret =
        |name: &str| git::secret(env, name).unwrap_or_else(|| SecretSource::Env(name.to_owned()));
    let credentials = CredentialSource {
        api_key: Some(secret("PARADIME_API_KEY")),
        api_secret: secret("PARADIME_API_SECRET"),
    };
    Ok(Config {
        path: None,
        schedule: ScheduleSettings::default(),
        watch: WatchSettings::default(),
        store: store.clone(),
        listen: None,
        web: web(env),
        hooks,
        public_url: None,
        notify: Vec::new(),
        retention,
        workspaces: vec![WorkspaceConfig {
            target,
            has_name: false,
            formerly: None,
            connection,
            credentials,
            store,
            retention,
        }],
    })
}

/// The code of the diagnostic if there is neither a configuration nor `--users`.
pub const NO_CONFIGURATION: &str = "no-configuration";

fn no_configuration() -> Diagnostic {
    let message =
        format!("no configuration found: tried --config, ${VARIABLE}, {}", PATHS.join(", "));
    Diagnostic::error(NO_CONFIGURATION, message).hint(
        "write one (`rosterd schema config` prints its schema), or pass --users and set \
         PARADIME_API_ENDPOINT, PARADIME_API_KEY and PARADIME_API_SECRET; \
         --sandbox needs neither",
    )
}

/// The default of `web`.
pub(super) fn web(env: &dyn Fn(&str) -> Option<String>) -> WebSettings {
    let token = env(WEB_TOKEN).filter(|value| !value.is_empty());
    let token = token.map(|_| SecretSource::Env(WEB_TOKEN.to_owned()));
    // Any value but `true` requires the token.
    let anonymous = env(WEB_ANONYMOUS).map(|value| value == "true");
    WebSettings { token, anonymous, host: None }
}

/// Sets the endpoint from the environment, and checks that the secrets are set without reading
/// them.
fn set_endpoint(
    connection: &mut client::Settings,
    env: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Diagnostic>,
) {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    let mut missing = |name: &str, hint: &str| {
        let message = format!("{name} is not set");
        problems.push(Diagnostic::error("variable-not-set", message).hint(hint));
    };
    match set("PARADIME_API_SECRET") {
        // Its first letters, which say whether it is a token, are read with it.
        None if git::secret(env, "PARADIME_API_SECRET").is_some() => {}
        None => missing(
            "PARADIME_API_SECRET",
            "set it together with PARADIME_API_KEY, or to a token (prdm_…)",
        ),
        Some(secret)
            if !secret.starts_with(TOKEN_PREFIX)
                && git::secret(env, "PARADIME_API_KEY").is_none() =>
        {
            missing("PARADIME_API_KEY", "set it, or set PARADIME_API_SECRET to a token (prdm_…)");
        }
        Some(_) => {}
    }
    match set("PARADIME_API_ENDPOINT").map(|text| endpoint(&text)) {
        Some(Ok(url)) => connection.endpoint = url,
        Some(Err(why)) => problems.push(
            Diagnostic::error("bad-value", format!("PARADIME_API_ENDPOINT: {why}"))
                .hint("write the https URL of the API"),
        ),
        None => missing("PARADIME_API_ENDPOINT", "set it, or write a configuration file"),
    }
    connection.workspace_uid = set("PARADIME_WORKSPACE_UID");
}
