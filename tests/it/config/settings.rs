//! The settings of valid configurations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use rosterd::apply::Sending;
use rosterd::config::{
    Config, Request, ScheduleSettings, SecretSource, WatchSettings, WorkspaceConfig, load,
};
use rosterd::guard::{Budget, BudgetName, Limits};
use rosterd::ledger::Location;
use rosterd::plan::OnRemoved;

use super::{codes, env, folder, good, minimal};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The example of the design, verbatim.
const COMPLETE: &str = include_str!("../../fixtures/rosterd.yaml");

fn budget(percent: u8, floor: usize, max: usize, window: SignedDuration) -> Budget {
    Budget { percent, floor, max, window }
}

fn only(config: &Config) -> &WorkspaceConfig {
    assert_eq!(config.workspaces.len(), 1);
    &config.workspaces[0]
}

#[test]
fn a_minimal_file_gives_exactly_the_defaults() {
    let config = good(&minimal(""), &Request::default());
    let schedule = ScheduleSettings {
        cron: "*/15 * * * *".parse().unwrap(),
        zone: TimeZone::UTC,
        jitter: Duration::from_secs(30),
    };
    let watch = WatchSettings {
        debounce: Duration::from_secs(1),
        poll: Duration::from_secs(30),
        in_place: Duration::from_secs(5),
    };
    assert_eq!((&config.schedule, &config.watch), (&schedule, &watch));
    let store = Location::File("/home/matt/.local/state/rosterd/ledger.db".into());
    assert_eq!((&config.store, config.listen), (&Some(store), None));
    assert_eq!(config.retention, Duration::from_hours(400 * 24));
    let WorkspaceConfig { target, connection, credentials, store, retention, .. } = only(&config);
    assert_eq!((store, *retention), (&config.store, config.retention));
    assert_eq!(
        (&*target.workspace, &target.source.users),
        ("acme", &vec!["users.yaml".to_owned()])
    );
    assert_eq!((&target.zone, target.on_removed), (&TimeZone::UTC, OnRemoved::Disable));
    assert_eq!(target.sending, Sending { concurrency: 4, batch: 25 });
    let limits = Limits {
        min_admins: 1,
        required_admins: Vec::new(),
        budgets: BTreeMap::from([
            (BudgetName::Disable, budget(20, 3, 50, 24 * HOUR)),
            (BudgetName::Demote, budget(20, 3, 50, 24 * HOUR)),
            (BudgetName::GrantAdmin, budget(5, 3, 10, 24 * HOUR)),
            (BudgetName::Invite, budget(20, 50, 500, 24 * HOUR)),
            (BudgetName::Scheduled, budget(50, 10, 50, 24 * HOUR)),
        ]),
        suspend: false,
    };
    assert_eq!(target.limits, limits);
    assert_eq!(connection.endpoint.as_str(), "https://api.acme.io/graphql");
    assert_eq!((&connection.workspace_uid, &connection.ca_file), (&None, &None));
    assert_eq!((connection.timeout, connection.rate), (Duration::from_mins(1), Some(10.0)));
    assert_eq!((target.source.max_bytes, connection.max_response), (16 << 20, 64 << 20));
    assert_eq!(target.max_changes, 20_000);
    assert_eq!(credentials.api_key, Some(SecretSource::Env("KEY".into())));
    assert_eq!(credentials.api_secret, SecretSource::Env("SECRET".into()));
}

#[test]
fn the_complete_example_equals_the_defaults() {
    let complete = good(COMPLETE, &Request::default());
    assert_eq!(complete.store, Some(Location::File("/var/lib/rosterd/ledger.db".into())));
    assert_eq!(complete.listen, Some("127.0.0.1:9464".parse().unwrap()));
    let secret = SecretSource::File("/run/secrets/paradime_api_secret".into());
    assert_eq!(only(&complete).credentials.api_secret, secret);

    let least = good(&minimal(""), &Request::default());
    assert_eq!((complete.schedule, complete.watch), (least.schedule, least.watch));
    assert_eq!(complete.retention, least.retention);
    let (mut complete, least) = (complete.workspaces[0].clone(), &least.workspaces[0]);
    assert_eq!(complete.connection, least.connection);
    complete.target.source.base.clone_from(&least.target.source.base);
    assert_eq!(complete.target, least.target);
}

#[test]
fn every_setting_reaches_its_field() {
    let more = "    workspace_uid: abc
    timezone: Europe/Berlin
    on_removed: report
    suspend: true
    guard:
      min_admins: 2
      required_admins: [matt@acme.io, john@acme.io]
      budgets:
        disable: { percent: 1, floor: 11, max: 21, window: 1h }
        demote: { percent: 2, floor: 12, max: 12, window: 2h }
        grant_admin: { percent: 3, floor: 13, max: 23, window: 3h }
        invite: { floor: 14 }
    http: { timeout: 5s, concurrency: 2, batch: 3, rate: off }
    limits: { roster: 1GiB, response: 1KiB, changes: 25000 }
schedule: { cron: '@daily', timezone: Asia/Tokyo, jitter: 0s }
watch: { debounce: 250ms, poll: 1m, in_place: 0s }
listen: '[::1]:80'
public_url: https://rosterd.acme.io/here/
retention: 30d
";
    let config = good(&minimal(more), &Request::default());
    assert_eq!(config.schedule.cron, "@daily".parse().unwrap());
    assert_eq!(config.schedule.zone, TimeZone::get("Asia/Tokyo").unwrap());
    assert_eq!(config.schedule.jitter, Duration::ZERO);
    let watch = WatchSettings {
        debounce: Duration::from_millis(250),
        poll: Duration::from_mins(1),
        in_place: Duration::ZERO,
    };
    assert_eq!(config.watch, watch);
    assert_eq!(config.listen, Some("[::1]:80".parse().unwrap()));
    assert_eq!(config.public_url.as_ref().unwrap().as_str(), "https://rosterd.acme.io/here/");
    assert_eq!(config.retention, Duration::from_hours(720));
    let WorkspaceConfig { target, connection, .. } = only(&config);
    assert_eq!(connection.workspace_uid.as_deref(), Some("abc"));
    assert_eq!((connection.timeout, connection.rate), (Duration::from_secs(5), None));
    assert_eq!((target.source.max_bytes, connection.max_response), (1 << 30, 1 << 10));
    assert_eq!(target.max_changes, 25_000);
    assert_eq!(target.sending, Sending { concurrency: 2, batch: 3 });
    assert_eq!(target.zone, TimeZone::get("Europe/Berlin").unwrap());
    assert_eq!(target.on_removed, OnRemoved::Report);
    let limits = &target.limits;
    assert_eq!((limits.suspend, limits.min_admins), (true, 2));
    let required: Vec<&str> =
        limits.required_admins.iter().map(rosterd::email::Email::as_str).collect();
    assert_eq!(required, ["matt@acme.io", "john@acme.io"]);
    for (name, wanted) in [
        (BudgetName::Disable, budget(1, 11, 21, HOUR)),
        (BudgetName::Demote, budget(2, 12, 12, 2 * HOUR)),
        (BudgetName::GrantAdmin, budget(3, 13, 23, 3 * HOUR)),
        (BudgetName::Invite, budget(20, 14, 500, 24 * HOUR)),
    ] {
        assert_eq!(limits.budgets[&name], wanted, "{name:?}");
    }
}

#[test]
fn bounds_are_inclusive() {
    for more in [
        "schedule: { jitter: 1d }\nwatch: { debounce: 10ms, poll: 1d, in_place: 1h }\nretention: 36500d\n",
        "schedule: { jitter: 0s }\nwatch: { debounce: 1m, poll: 1s }\nretention: 1d\n",
        "    http: { timeout: 1s, concurrency: 1, batch: 1, rate: 1/h }\n",
        "    http: { timeout: 10m, concurrency: 64, batch: 1000 }\n",
        "    guard: { min_admins: 0, budgets: { invite: { percent: 0, floor: 0, max: 0, window: 1m } } }\n",
        "    guard: { min_admins: 1000000, budgets: { invite: { percent: 100, window: 366d } } }\n",
    ] {
        good(&minimal(more), &Request::default());
    }
    for (more, wrong) in [
        ("watch: { debounce: 9ms }\n", 1),
        ("watch: { in_place: 3601s }\n", 1),
        ("watch: { debounce: 61s, poll: 86401s }\n", 2),
        ("    http: { timeout: 601s, concurrency: 0, batch: 1001, rate: 0/s }\n", 4),
        (
            "    guard: { min_admins: 1000001, budgets: { demote: { floor: 1000001, max: 1000001 } } }\n",
            3,
        ),
        ("    guard: { budgets: { demote: { percent: -1, window: 367d } } }\n", 2),
    ] {
        assert_eq!(codes(&minimal(more), &Request::default()).len(), wrong, "{more}");
    }
}

#[test]
fn references_to_the_environment_are_replaced() {
    let users = |users: &str| minimal("").replace("users.yaml", users);
    let read = |text: &str| only(&good(text, &Request::default())).target.source.users.clone();
    assert_eq!(read(&users("${HOST}/${HOST}.yaml")), ["api.acme.io/api.acme.io.yaml"]);
    assert_eq!(read(&users("$${HOST}$$")), ["${HOST}$"]);
    assert_eq!(read(&users("[a, \"b${EMPTY}\"]")), ["a", "b"]);
    assert_eq!(codes(&users("${GONE}"), &Request::default()), ["variable-not-set"]);
}

#[test]
fn plain_http_is_allowed_to_loopback_only() {
    let at = |endpoint: &str| minimal("").replace("${PARADIME_API_ENDPOINT}", endpoint);
    for endpoint in
        ["http://127.0.0.1:8080/graphql", "http://localhost/", "http://[::1]:1/", "https://x"]
    {
        good(&at(endpoint), &Request::default());
    }
    for endpoint in ["http://192.168.1.1/", "http://localhost.acme.io/", "https://", "x", "\"\""] {
        assert_eq!(codes(&at(endpoint), &Request::default()), ["bad-value"], "{endpoint}");
    }
}

#[test]
fn workspaces_are_selected_by_name() {
    let zoo = minimal("").replace("acme", "zoo").replace("env: KEY", "env: ZOO_KEY");
    let second = zoo.split_once("workspaces:\n").unwrap().1.to_owned();
    let text = minimal("") + &second;
    let named = |names: &[&str]| Request {
        workspaces: names.iter().map(|&name| name.into()).collect(),
        ..Request::default()
    };
    let read = |names: &[&str]| -> Vec<String> {
        let config = good(&text, &named(names));
        config.workspaces.into_iter().map(|it| it.target.workspace).collect()
    };
    assert_eq!(read(&[]), ["acme", "zoo"]);
    assert_eq!(read(&["zoo"]), ["zoo"]);
    assert_eq!(read(&["zoo", "acme", "zoo"]), ["acme", "zoo"], "in the order of the file");
    assert_eq!(codes(&text, &named(&["acme", "zooo"])), ["unknown-workspace"]);

    let (path, users) = (Some("rosterd.yaml".into()), Some("mine.yaml".into()));
    let users =
        |names: &[&str]| Request { path: path.clone(), users: users.clone(), ..named(names) };
    assert_eq!(codes(&text, &users(&[])), ["users-of-several"]);
    assert_eq!(only(&good(&text, &users(&["zoo"]))).target.source.users, ["mine.yaml"]);
}

#[test]
fn paths_are_relative_to_the_file_and_users_to_the_working_directory() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("sub")).unwrap();
    std::fs::write(
        root.path().join("sub/rosterd.yaml"),
        minimal("").replace("{ env: SECRET }", "{ file: keys/secret }"),
    )
    .unwrap();
    let mut request = Request { path: Some("sub/rosterd.yaml".into()), ..Request::default() };
    let config = load(&request, &env, root.path()).unwrap().config;
    assert_eq!(config.path.as_deref(), Some(Path::new("sub/rosterd.yaml")));
    assert_eq!(only(&config).target.source.base, root.path().join("sub"));
    let secret = SecretSource::File(root.path().join("sub/keys/secret"));
    assert_eq!(only(&config).credentials.api_secret, secret);
    request.users = Some("mine.yaml".into());
    let config = load(&request, &env, root.path()).unwrap().config;
    assert_eq!(only(&config).target.source.base, root.path());
    assert_eq!(only(&config).target.source.users, ["mine.yaml"]);
}

#[test]
fn the_first_existing_configuration_is_read() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, name: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, minimal("").replace("acme", name)).unwrap();
    };
    let read = |path: Option<&str>, variable: Option<&str>| {
        let request = Request { path: path.map(PathBuf::from), ..Request::default() };
        let env = |name: &str| match name {
            "ROSTERD_CONFIG" => variable.map(str::to_owned),
            name => env(name),
        };
        load(&request, &env, root.path())
            .map(|loaded| only(&loaded.config).target.workspace.clone())
            .map_err(|invalid| {
                let first = &invalid.diagnostics[0];
                (first.code, first.hint.clone().unwrap_or_default())
            })
    };
    assert_eq!(read(None, None).unwrap_err().0, "no-configuration");
    write("config/rosterd.yaml", "second");
    assert_eq!(read(None, None).unwrap(), "second");
    write("rosterd.yaml", "first");
    assert_eq!(read(None, None).unwrap(), "first");
    assert_eq!(read(None, Some("")).unwrap(), "first", "empty is as good as not set");
    write("variable.yaml", "variable");
    assert_eq!(read(None, Some("variable.yaml")).unwrap(), "variable");
    write("named.yaml", "named");
    assert_eq!(read(Some("named.yaml"), Some("variable.yaml")).unwrap(), "named");
    for (path, variable) in [(Some("gone.yaml"), None), (None, Some("gone.yaml"))] {
        let (code, hint) = read(path, variable).unwrap_err();
        assert_eq!(code, "missing-file", "a file that was named is never passed over");
        assert!(hint.contains("--config") && hint.contains("$ROSTERD_CONFIG"), "{hint}");
    }
    assert_eq!(read(Some("config"), None).unwrap_err().0, "not-a-file");
}

#[test]
fn an_unusable_authority_is_a_configuration_error() {
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(vec!["acme.io".into()]).unwrap();
    let pem = made.self_signed(&key).unwrap().pem();
    let folder = folder(&minimal("    http: { ca_file: ca.pem }\n"));
    let file = folder.path().join("ca.pem");
    for (text, code) in [
        ("not a certificate", Some("bad-value")),
        ("", Some("bad-value")),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", Some("bad-value")),
        (&pem, None),
    ] {
        std::fs::write(&file, text).unwrap();
        let loaded = load(&Request::default(), &env, folder.path());
        assert_eq!(loaded.err().map(|invalid| invalid.diagnostics[0].code), code, "{text}");
    }
    std::fs::remove_file(&file).unwrap();
    let offline = Request { offline: true, ..Request::default() };
    let loaded = load(&offline, &env, folder.path()).unwrap();
    assert_eq!(only(&loaded.config).connection.ca_file, None, "nobody will connect");
}
