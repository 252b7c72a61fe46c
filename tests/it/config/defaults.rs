//! `defaults:` and what a workspace overrides.

use jiff::SignedDuration;
use rosterd::config::{Request, SecretSource, WorkspaceConfig, load};
use rosterd::guard::{Budget, BudgetName};
use rosterd::plan::OnRemoved;

use super::{codes, drawn, env, folder, good};

/// The last of these workspaces, with these defaults.
fn last(defaults: &str, workspaces: &str) -> WorkspaceConfig {
    let text = format!("version: 1\ndefaults:\n{defaults}workspaces:\n{workspaces}");
    good(&text, &Request::default()).workspaces.pop().unwrap()
}

const DEFAULTS: &str = "  endpoint: https://api.acme.io/
  credentials: { api_key: { env: KEY }, api_secret: { env: SECRET } }
  workspace_uid: abc
  users: [one.yaml, two.yaml]
  timezone: Europe/Berlin
  on_removed: report
  suspend: true
  guard:
    required_admins: [matt@acme.io, john@acme.io]
    budgets: { disable: { floor: 1, max: 9 }, invite: { floor: 2 } }
  http: { batch: 3, timeout: 5s }
";

#[test]
fn a_workspace_has_every_default() {
    let acme = last(DEFAULTS, "  - name: acme\n");
    let text = DEFAULTS.replace("\n  ", "\n    ");
    let written = format!("version: 1\nworkspaces:\n  - name: acme\n  {text}");
    assert_eq!(acme.target.limits.budgets[&BudgetName::Disable].max, 9);
    let mut same = good(&written, &Request::default()).workspaces.remove(0);
    same.target.source.base.clone_from(&acme.target.source.base);
    assert_eq!(WorkspaceConfig { store: None, ..same }, WorkspaceConfig { store: None, ..acme });
}

#[test]
fn a_workspace_overrides_them_key_by_key() {
    let acme = last(
        DEFAULTS,
        "  - name: other
    endpoint: https://eu.acme.io/
  - name: acme
    credentials: { api_secret: { file: /run/secret } }
    workspace_uid: null
    users: [three.yaml]
    suspend: false
    guard:
      required_admins: []
      budgets: { disable: { percent: 7, max: 8 } }
    http:
",
    );
    assert_eq!(acme.connection.endpoint.as_str(), "https://api.acme.io/");
    assert_eq!(acme.credentials.api_key, Some(SecretSource::Env("KEY".into())));
    assert_eq!(acme.credentials.api_secret, SecretSource::File("/run/secret".into()));
    assert_eq!(acme.connection.workspace_uid, None, "null replaces a single value");
    let target = &acme.target;
    assert_eq!(target.source.users, ["three.yaml"], "a list replaces a list");
    assert_eq!((target.on_removed, target.limits.suspend), (OnRemoved::Report, false));
    assert!(target.limits.required_admins.is_empty());
    let window = SignedDuration::from_hours(24);
    let merged = Budget { percent: 7, floor: 1, max: 8, window };
    assert_eq!(target.limits.budgets[&BudgetName::Disable], merged);
    assert_eq!(target.limits.budgets[&BudgetName::Invite].floor, 2);
    assert_eq!(target.sending.batch, 3, "a section without a value keeps its defaults");
}

#[test]
fn a_private_authority_of_the_defaults_is_checked_once() {
    let text = format!(
        "version: 1\ndefaults:\n{}workspaces:\n  - name: one\n  - {{ name: two, workspace_uid: b }}\n",
        DEFAULTS.replace("batch: 3", "ca_file: gone.pem")
    );
    let written = folder(&text);
    let invalid = load(&Request::default(), &env, written.path()).unwrap_err();
    let [problem] = &invalid.diagnostics[..] else { panic!("{}", drawn(&invalid)) };
    assert_eq!(problem.place.unwrap().line, 13);
    assert!(problem.message.contains(&*written.path().to_string_lossy()), "{}", problem.message);
    let other = |path: &str| text.replace("ca_file: gone.pem", path);
    assert_eq!(codes(&other("batch: 0"), &Request::default()), ["out-of-bounds"]);
    let same =
        text.replace("ca_file: gone.pem", "batch: 3").replace("workspace_uid: b", "suspend: no");
    assert_eq!(codes(&same, &Request::default()), ["same-workspace", "bad-value"]);
}
