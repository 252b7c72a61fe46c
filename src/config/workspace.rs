//! The workspaces of a configuration.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;

use super::checks::{Reader, secret_in_file};
use super::keys::{BUDGET, BUDGETS, CREDENTIALS, GUARD, HTTP, SECRET, WORKSPACE};
use super::secrets::TOKEN_PREFIX;
use super::{CredentialSource, SecretSource, WorkspaceConfig, values};
use crate::apply::Sending;
use crate::client::{self, endpoint_is_safe};
use crate::diagnostic::Diagnostic;
use crate::email::Email;
use crate::guard::{Budget, BudgetName, Limits};
use crate::plan::OnRemoved;
use crate::reconcile::Target;
use crate::source;
use crate::yaml::{Fields, Node, closest};

const SECOND: Duration = Duration::from_secs(1);

impl Reader<'_> {
    pub(super) fn workspaces(&mut self, fields: &Fields<'_, '_>) -> Vec<WorkspaceConfig> {
        let Some(node) = fields.require("workspaces", &mut self.found) else { return Vec::new() };
        let mut found = Vec::new();
        let items = node.items("`workspaces`", &mut found).unwrap_or_default();
        self.found.append(&mut found);
        if items.is_empty() {
            self.found.push(
                Diagnostic::error("no-workspace", "there is no workspace")
                    .at(node.place)
                    .hint("list at least one, with its name, endpoint, credentials and users"),
            );
        }
        let mut names = HashMap::new();
        let mut workspaces = Vec::new();
        for item in items {
            let Some((workspace, place)) = self.workspace(item) else { continue };
            let name = workspace.target.workspace.clone();
            if let Some(first) = names.insert(name.clone(), place) {
                self.found.push(
                    Diagnostic::error("duplicate-workspace", format!("`{name}` is named twice"))
                        .at(place)
                        .label("again here")
                        .related(first, "first here"),
                );
            }
            workspaces.push(workspace);
        }
        self.selected(workspaces, node)
    }

    /// Only the workspaces that were asked for, with the roster that was asked for.
    fn selected(
        &mut self,
        mut workspaces: Vec<WorkspaceConfig>,
        node: &Node<'_>,
    ) -> Vec<WorkspaceConfig> {
        let names: Vec<String> = workspaces.iter().map(|it| it.target.workspace.clone()).collect();
        for wanted in self.request.workspaces.iter().filter(|wanted| !names.contains(wanted)) {
            let hint = match closest(wanted, names.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known are {}", names.join(", ")),
            };
            self.found.push(
                Diagnostic::error("unknown-workspace", format!("there is no workspace `{wanted}`"))
                    .at(node.place)
                    .hint(hint),
            );
        }
        let asked = &self.request.workspaces;
        workspaces.retain(|it| asked.is_empty() || asked.contains(&it.target.workspace));
        if let Some(users) = &self.request.users {
            if workspaces.len() > 1 {
                self.found.push(
                    Diagnostic::error(
                        "users-of-several",
                        "--users names the roster of one workspace",
                    )
                    .at(node.place)
                    .hint("say which one with --workspace"),
                );
            }
            for workspace in &mut workspaces {
                workspace.target.users = vec![users.to_string_lossy().into_owned()];
                self.folder.clone_into(&mut workspace.target.base);
            }
        }
        workspaces
    }

    fn workspace(
        &mut self,
        node: &Node<'_>,
    ) -> Option<(WorkspaceConfig, crate::diagnostic::Place)> {
        let fields = Fields::of(node, "a workspace", &WORKSPACE, &mut self.found)?;
        let name_node = fields.require("name", &mut self.found);
        let name = name_node.and_then(|node| self.name(node));
        let endpoint = fields.require("endpoint", &mut self.found);
        let endpoint = endpoint.and_then(|node| self.endpoint(node));
        let credentials = fields.require("credentials", &mut self.found);
        let credentials = credentials.and_then(|node| self.credentials(node));
        let workspace_uid =
            fields.get("workspace_uid").and_then(|node| self.expanded(node, "`workspace_uid`"));
        let users = fields.require("users", &mut self.found).and_then(|node| self.users(node));
        let zone = self.zone(&fields);
        let on_removed = self.on_removed(&fields);
        let limits = self.limits(&fields);
        let (mut connection, sending) = self.http(&fields);
        connection.workspace_uid = workspace_uid;
        connection.endpoint = endpoint?;
        let target = Target {
            workspace: name?,
            users: users?,
            base: self.base(),
            zone,
            on_removed,
            limits,
            sending,
        };
        let workspace = WorkspaceConfig { target, connection, credentials: credentials? };
        Some((workspace, name_node?.place))
    }

    /// The folder of the configuration file.
    fn base(&self) -> PathBuf {
        let path = self.folder.join(self.path);
        path.parent().map(Path::to_owned).unwrap_or_default()
    }

    fn name(&mut self, node: &Node<'_>) -> Option<String> {
        let name = self.expanded(node, "`name`")?;
        let good = !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !good {
            self.refuse(
                node,
                "name",
                &"this is not a name",
                "up to 64 letters, digits, dots, dashes and underscores",
            );
        }
        good.then_some(name)
    }

    fn endpoint(&mut self, node: &Node<'_>) -> Option<Url> {
        let text = node.text("`endpoint`", &mut self.found)?;
        if self.request.offline && values::expand(text, self.env).is_err() {
            return Some(nowhere());
        }
        let text = self.expanded(node, "`endpoint`")?;
        match endpoint(&text) {
            Ok(url) => Some(url),
            Err(why) => {
                self.refuse(node, "endpoint", &why, "the https address of the API");
                None
            }
        }
    }

    fn credentials(&mut self, node: &Node<'_>) -> Option<CredentialSource> {
        let fields = Fields::of(node, "`credentials`", &CREDENTIALS, &mut self.found)?;
        let api_key = fields.get("api_key").map(|node| self.secret(node, "api_key"));
        let api_secret = fields.require("api_secret", &mut self.found);
        let api_secret = api_secret.and_then(|node| self.secret(node, "api_secret"));
        let api_key = match api_key {
            Some(key) => Some(key?),
            None => None,
        };
        Some(CredentialSource { api_key, api_secret: api_secret? })
    }

    /// Where a secret is. The secret itself is refused, and not repeated.
    fn secret(&mut self, node: &Node<'_>, key: &str) -> Option<SecretSource> {
        if let crate::yaml::Value::Scalar { .. } = node.value {
            self.found.push(secret_in_file(node, &format!("`{key}`")));
            return None;
        }
        let fields = Fields::of(node, &format!("`{key}`"), &SECRET, &mut self.found)?;
        match (fields.get("env"), fields.get("file")) {
            (Some(node), None) => {
                let name = node.text("`env`", &mut self.found)?.to_owned();
                let is_name = !name.starts_with(TOKEN_PREFIX)
                    && !name.starts_with(|c: char| c.is_ascii_digit())
                    && !name.is_empty()
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                if !is_name {
                    self.found.push(secret_in_file(node, "`env`"));
                }
                is_name.then_some(SecretSource::Env(name))
            }
            (None, Some(node)) => {
                let path = self.expanded(node, "`file`")?;
                Some(SecretSource::File(self.base().join(path)))
            }
            _ => {
                self.found.push(
                    Diagnostic::error("bad-secret", format!("`{key}` needs one place"))
                        .at(node.place)
                        .hint("write { env: NAME } or { file: PATH }")
                        .concealed(),
                );
                None
            }
        }
    }

    fn users(&mut self, node: &Node<'_>) -> Option<Vec<String>> {
        if let crate::yaml::Value::Scalar { .. } = node.value {
            return self.expanded(node, "`users`").map(|one| vec![one]);
        }
        let mut found = Vec::new();
        let items = node.items("`users`", &mut found).unwrap_or_default();
        self.found.append(&mut found);
        let users: Vec<String> =
            items.iter().filter_map(|item| self.expanded(item, "an entry of `users`")).collect();
        if items.is_empty() {
            self.found.push(
                Diagnostic::error("no-users", "`users` names no file")
                    .at(node.place)
                    .hint("name the roster: a file, a folder, or a list of them"),
            );
        }
        (!users.is_empty()).then_some(users)
    }

    fn on_removed(&mut self, fields: &Fields<'_, '_>) -> OnRemoved {
        let Some(node) = fields.get("on_removed") else { return OnRemoved::default() };
        match self.expanded(node, "`on_removed`").as_deref() {
            Some("report") => OnRemoved::Report,
            Some("disable") | None => OnRemoved::Disable,
            Some(_) => {
                self.refuse(node, "on_removed", &"this is not known", "disable or report");
                OnRemoved::Report
            }
        }
    }

    fn limits(&mut self, fields: &Fields<'_, '_>) -> Limits {
        let mut limits = Limits { suspend: self.suspend(fields), ..Limits::default() };
        let Some(fields) = self.section(fields, "guard", &GUARD) else { return limits };
        limits.min_admins = self.number(&fields, "min_admins", limits.min_admins, &(0..=1_000_000));
        if let Some(node) = fields.get("required_admins") {
            let mut found = Vec::new();
            for item in node.items("`required_admins`", &mut found).unwrap_or_default() {
                limits.required_admins.extend(address(item, &mut found));
            }
            self.found.append(&mut found);
        }
        if let Some(budgets) = self.section(&fields, "budgets", &BUDGETS) {
            for name in BudgetName::ALL {
                if let Some(fields) = self.section(&budgets, name.key(), &BUDGET)
                    && let Some(budget) = limits.budgets.get(&name).copied()
                {
                    limits.budgets.insert(name, self.budget(&fields, budget));
                }
            }
        }
        limits
    }

    fn suspend(&mut self, fields: &Fields<'_, '_>) -> bool {
        let Some(node) = fields.get("suspend") else { return false };
        match self.expanded(node, "`suspend`").as_deref() {
            Some("true") => true,
            Some("false") | None => false,
            Some(_) => {
                self.refuse(node, "suspend", &"this is neither", "true or false");
                true
            }
        }
    }

    fn budget(&mut self, fields: &Fields<'_, '_>, default: Budget) -> Budget {
        let (shortest, longest) = (60 * SECOND, 366 * 24 * 60 * 60 * SECOND);
        let window = default.window.unsigned_abs();
        let window = self.duration(fields, "window", window, shortest..=longest);
        Budget {
            percent: self.number(fields, "percent", default.percent, &(0..=100)),
            floor: self.number(fields, "floor", default.floor, &(0..=1_000_000)),
            window: SignedDuration::try_from(window).unwrap_or(default.window),
        }
    }

    fn http(&mut self, fields: &Fields<'_, '_>) -> (client::Settings, Sending) {
        let (mut connection, mut sending) = http_defaults();
        let Some(fields) = self.section(fields, "http", &HTTP) else {
            return (connection, sending);
        };
        connection.timeout =
            self.duration(&fields, "timeout", connection.timeout, SECOND..=600 * SECOND);
        sending.concurrency = self.number(&fields, "concurrency", sending.concurrency, &(1..=64));
        sending.batch = self.number(&fields, "batch", sending.batch, &(1..=1000));
        if let Some(node) = fields.get("rate")
            && let Some(text) = self.expanded(node, "`rate`")
        {
            match values::rate(&text) {
                Some(rate) => connection.rate = rate,
                None => self.refuse(node, "rate", &"this is not a rate", "10/s, 600/m or off"),
            }
        }
        if let Some(node) = fields.get("ca_file")
            && let Some(path) = self.expanded(node, "`ca_file`")
        {
            let path = self.base().join(path);
            if let Err(error) = source::bounded(&path, source::MAX_BYTES) {
                self.refuse(node, "ca_file", &error, "the path of a file of certificates, PEM");
            }
            connection.ca_file = Some(path);
        }
        (connection, sending)
    }
}

pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    let url =
        Url::parse(text.trim()).map_err(|error| format!("this is not an address: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user or a password, which would end up in logs".to_owned());
    }
    if !endpoint_is_safe(&url) {
        return Err("it would carry the key in the clear".to_owned());
    }
    Ok(url)
}

/// An endpoint for those who will never ask it anything.
#[expect(clippy::expect_used, reason = "the text is a constant")]
fn nowhere() -> Url {
    Url::parse("http://127.0.0.1:0/").expect("an address")
}

pub(super) fn http_defaults() -> (client::Settings, Sending) {
    let connection = client::Settings {
        endpoint: nowhere(),
        workspace_uid: None,
        timeout: 60 * SECOND,
        rate: Some(10.0),
        ca_file: None,
    };
    (connection, Sending { concurrency: 4, batch: 25 })
}

fn address(node: &Node<'_>, out: &mut Vec<Diagnostic>) -> Option<Email> {
    let text = node.text("an address", out)?;
    Email::parse(text)
        .map_err(|error| {
            out.push(
                Diagnostic::error("bad-address", error.to_string())
                    .at(node.place)
                    .label("not an address"),
            );
        })
        .ok()
}
