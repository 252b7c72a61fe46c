//! Loading without a configuration file, and without an environment.

use std::path::Path;

use rosterd::config::{Request, SecretSource, load};

use super::{codes, drawn, folder, minimal};

const VARIABLES: [(&str, &str); 4] = [
    ("PARADIME_API_ENDPOINT", "https://api.acme.io/graphql"),
    ("PARADIME_API_KEY", "key"),
    ("PARADIME_API_SECRET", "hush"),
    ("PARADIME_WORKSPACE_UID", "uid"),
];

fn users() -> Request {
    Request { users: Some("mine.yaml".into()), ..Request::default() }
}

/// What is said with these variables set and no file at all.
fn said(variables: &[(&str, &str)], request: &Request) -> Vec<String> {
    let empty = tempfile::tempdir().unwrap();
    let env = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    match load(request, &env, empty.path()) {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.diagnostics.into_iter().map(|problem| problem.message).collect(),
    }
}

#[test]
fn the_environment_alone_configures_one_workspace() {
    let empty = tempfile::tempdir().unwrap();
    let env = |name: &str| {
        VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let config = load(&users(), &env, empty.path()).unwrap().config;
    assert_eq!((&config.path, config.workspaces.len()), (&None, 1));
    let workspace = &config.workspaces[0];
    assert_eq!(workspace.target.workspace, "default");
    assert_eq!(workspace.target.source.users, ["mine.yaml"]);
    assert_eq!(workspace.target.source.base, empty.path());
    assert_eq!(workspace.connection.endpoint.as_str(), "https://api.acme.io/graphql");
    assert_eq!(workspace.connection.workspace_uid.as_deref(), Some("uid"));
    let source = |name: &str| SecretSource::Env(name.into());
    assert_eq!(workspace.credentials.api_key, Some(source("PARADIME_API_KEY")));
    assert_eq!(workspace.credentials.api_secret, source("PARADIME_API_SECRET"));
    // A file says the same by its defaults.
    let written = folder(&minimal(""));
    let filed = load(&Request::default(), &env, written.path()).unwrap().config;
    assert_eq!((filed.schedule, filed.watch), (config.schedule, config.watch));
    assert_eq!(filed.retention, config.retention);
    assert_eq!(filed.workspaces[0].target.limits, workspace.target.limits);
    assert_eq!(filed.workspaces[0].target.sending, workspace.target.sending);
}

#[test]
fn each_missing_variable_is_reported() {
    for (name, _) in VARIABLES {
        for empty in [false, true] {
            let mut variables: Vec<_> = VARIABLES.into_iter().filter(|it| it.0 != name).collect();
            if empty {
                variables.push((name, ""));
            }
            let wanted = match name {
                "PARADIME_WORKSPACE_UID" => Vec::new(),
                name => vec![format!("{name} is not set")],
            };
            assert_eq!(said(&variables, &users()), wanted, "{name}, empty: {empty}");
        }
    }
    assert_eq!(said(&[], &users()).len(), 2, "all at once");
    let token = [VARIABLES[0], ("PARADIME_API_SECRET", "prdm_wsp_x")];
    assert!(said(&token, &users()).is_empty(), "a token needs no key");
    let bad =
        [("PARADIME_API_ENDPOINT", "http://user:hush@api.acme.io/"), VARIABLES[1], VARIABLES[2]];
    let told = said(&bad, &users()).concat();
    assert!(told.starts_with("PARADIME_API_ENDPOINT: ") && !told.contains("hush"), "{told}");
}

#[test]
fn without_a_file_there_is_one_workspace_and_users_is_required() {
    assert!(said(&VARIABLES, &Request::default())[0].contains("no configuration"));
    let named = |name: &str| Request { workspaces: vec![name.into()], ..users() };
    assert!(said(&VARIABLES, &named("default")).is_empty());
    assert_eq!(said(&VARIABLES, &named("acme")), ["there is no workspace `acme`"]);
    assert!(said(&[], &Request { offline: true, ..users() }).is_empty());
}

/// Who can propose a roster must not decide where the key is sent.
#[test]
fn with_users_a_configuration_of_the_working_directory_is_not_used() {
    let variables = |name: &str| {
        VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let elsewhere = minimal("").replace("${PARADIME_API_ENDPOINT}", "https://api.evil.io/graphql");
    for at in ["rosterd.yaml", "config/rosterd.yaml"] {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("config")).unwrap();
        std::fs::write(root.path().join(at), &elsewhere).unwrap();
        let loaded = load(&users(), &variables, root.path()).unwrap();
        let endpoint = loaded.config.workspaces[0].connection.endpoint.as_str();
        assert_eq!((loaded.config.path, endpoint), (None, "https://api.acme.io/graphql"));
        let [warning] = &loaded.warnings[..] else { panic!("{:?}", loaded.warnings) };
        assert_eq!((warning.code, warning.is_error()), ("configuration-not-used", false));
        assert_eq!(warning.hint, Some(format!("to use it, name it: --config ./{at}")));
        let invalid = load(&users(), &|_| None, root.path()).unwrap_err();
        assert!(drawn(&invalid).contains(&format!("./{at} is not used")), "{}", drawn(&invalid));
        // It is used if it is named, and without --users.
        let named = Request { path: Some(at.into()), ..users() };
        let by_variable = |name: &str| match name {
            "ROSTERD_CONFIG" => Some(at.to_owned()),
            name => variables(name),
        };
        for loaded in [
            load(&named, &variables, root.path()),
            load(&users(), &by_variable, root.path()),
            load(&Request::default(), &variables, root.path()),
        ] {
            let loaded = loaded.unwrap();
            assert!(loaded.config.path.is_some() && loaded.warnings.is_empty());
        }
    }
}

#[test]
fn offline_needs_no_variables_and_no_secret_files() {
    let offline = Request { offline: true, ..Request::default() };
    let text = "version: 1
store: sqlite:///${STATE}/ledger.db
schedule: { timezone: '${ZONE}' }
workspaces:
  - name: ${NAME}
    endpoint: https://${HOST}/graphql
    credentials: { api_key: { file: '${KEYS}/key' }, api_secret: { file: /gone/secret } }
    workspace_uid: ${UID}
    users: users.yaml
    http: { timeout: '${TIMEOUT}', ca_file: '${CA}' }
";
    let written = folder(text);
    let loaded = load(&offline, &|_| None, written.path());
    let loaded = loaded.unwrap_or_else(|invalid| panic!("{}", drawn(&invalid)));
    assert!(loaded.warnings.is_empty());
    assert_eq!(loaded.config.workspaces[0].target.workspace, "${NAME}");
    let online = load(&Request::default(), &|_| None, written.path()).unwrap_err();
    assert_eq!(online.diagnostics.len(), 8, "{}", drawn(&online));
}

#[test]
fn offline_literal_errors_are_still_reported() {
    let offline = Request { offline: true, ..Request::default() };
    for (from, to, code) in [
        ("${PARADIME_API_ENDPOINT}", "http://api.acme.io/", "bad-value"),
        ("${PARADIME_API_ENDPOINT}", "nowhere", "bad-value"),
        ("users.yaml", "${ROSTER}", "variable-not-set"),
        ("{ env: SECRET }", "hush", "secret-in-file"),
    ] {
        assert_eq!(codes(&minimal("").replace(from, to), &offline), [code], "{to}");
    }
    assert_eq!(codes(&minimal("schedule: { cron: '* *' }\n"), &offline), ["bad-value"]);
    let missing = Request { path: Some(Path::new("gone.yaml").into()), ..offline };
    assert_eq!(codes("", &missing), ["missing-file"]);
}

/// The one workspace of these variables; `--users` is a repository.
fn of_repository(users: &str, variables: &[(&str, &str)]) -> rosterd::config::WorkspaceConfig {
    let (empty, state) = (tempfile::tempdir().unwrap(), ("STATE_DIRECTORY", "/var/lib/rosterd"));
    let all = [&VARIABLES[..1], &[state], variables].concat();
    let env = |name: &str| {
        all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let request = Request { users: Some(users.into()), ..Request::default() };
    load(&request, &env, empty.path()).unwrap().config.workspaces.remove(0)
}

#[test]
fn a_repository_and_its_secrets_need_no_configuration() {
    let files = [
        ("PARADIME_API_KEY_FILE", "/run/secrets/key"),
        ("PARADIME_API_SECRET_FILE", "/run/secrets/secret"),
        ("ROSTERD_GIT_TOKEN_FILE", "/run/secrets/token"),
        ("ROSTERD_WEBHOOK_SECRET", "hush"),
    ];
    let url = "https://git.acme.io/access.git";
    let workspace = of_repository(&format!("{url}#main:users.yaml,teams/*.yaml"), &files);
    let file = |path: &str| Some(SecretSource::File(path.into()));
    assert_eq!(workspace.credentials.api_key, file("/run/secrets/key"));
    assert_eq!(Some(workspace.credentials.api_secret), file("/run/secrets/secret"));
    let source = workspace.target.source;
    assert_eq!(source.users, ["users.yaml", "teams/*.yaml"]);
    let remote = source.git.unwrap();
    assert_eq!((remote.url.as_str(), remote.reference.as_str()), (url, "main"));
    assert_eq!(remote.token, file("/run/secrets/token"));
    assert_eq!(remote.webhook_secret, Some(SecretSource::Env("ROSTERD_WEBHOOK_SECRET".into())));
    assert!(remote.clone.starts_with("/var/lib/rosterd/git"), "{}", remote.clone.display());
    let secrets = &VARIABLES[1..3];
    let at_head = of_repository("file:///srv/access#:users.yaml", secrets);
    assert_eq!(at_head.target.source.git.unwrap().reference, "HEAD");
    for (users, why) in [
        (url, "it names no file in the repository"),
        ("https://git.acme.io/access.git#main", "it names no file in the repository"),
        ("http://git.acme.io/access.git#main:users.yaml", "would send the key unencrypted"),
        ("https://matt:hush@git.acme.io/a.git#main:users.yaml", "contains a user or a password"),
        ("ftp://git.acme.io/access.git#main:users.yaml", "does not begin with https://"),
    ] {
        let request = Request { users: Some(users.into()), ..Request::default() };
        let said = said(&VARIABLES, &request).join("\n");
        assert!(said.contains(why) && !said.contains("hush"), "{users}: {said}");
    }
}

#[test]
fn offline_a_repository_may_be_a_variable_that_is_not_set() {
    let users =
        "users: { git: \"${NOWHERE}\", path: users.yaml, verify: { ssh_signers: \"${NO}\" } }";
    let text = minimal("").replace("users: users.yaml", users);
    assert!(text.contains("NOWHERE"), "{text}");
    let written = folder(&text);
    let offline = Request { offline: true, ..Request::default() };
    let config = load(&offline, &|_| None, written.path()).unwrap().config;
    assert!(config.workspaces[0].target.source.git.is_some());
    assert!(load(&Request::default(), &|_| None, written.path()).is_err());
}
