//! `workspaces:`: endpoint, roster, limits and connection of each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;

use super::checks::Validator;
use super::defaults::merged;
use super::identity::Identity;
use super::{WorkspaceConfig, git, schema, values};
use crate::apply::Sending;
use crate::client::{self, Transport, endpoint_is_safe};
use crate::diagnostic::{Diagnostic, Place};
use crate::email::Email;
use crate::guard::{Budget, Limits};
use crate::ledger::Location;
use crate::plan::OnRemoved;
use crate::reconcile::{self, WorkspaceSpec};
use crate::roster::checks::invalid_address;
use crate::source::remote::GitRemote;
use crate::source::{self, RosterSource};
use crate::yaml::{Fields, Node, Value, closest};

const SECOND: Duration = Duration::from_secs(1);

impl Validator<'_> {
    pub(super) fn workspaces(
        &mut self,
        fields: &Fields<'_, '_>,
        store: Option<&Location>,
        retention: Duration,
    ) -> Vec<WorkspaceConfig> {
        let defaults = self.defaults(fields, retention);
        let Some(node) = fields.require("workspaces", &mut self.found) else { return Vec::new() };
        let items = node.items("`workspaces`", &mut self.found).unwrap_or_default();
        if matches!(&node.value, Value::Seq(items) if items.is_empty()) {
            let hint = "list at least one, with its name, endpoint, credentials and users";
            self.error(node, "no-workspace", "`workspaces` is empty", hint);
        }
        let (mut names, mut identities) = (HashMap::new(), Vec::new());
        let mut workspaces = Vec::new();
        for item in items {
            let is_empty = !matches!(&item.value, Value::Map(entries) if !entries.is_empty());
            let merged = defaults.as_ref().filter(|_| !is_empty).map(|it| merged(item, it));
            let item = merged.as_ref().unwrap_or(item);
            let Some((workspace, place)) = self.workspace(item, store, retention) else { continue };
            let name = workspace.target.workspace.clone();
            if let Some(first) = names.insert(name.clone(), place) {
                let message = format!("duplicate workspace `{name}`");
                self.found.push(
                    Diagnostic::error("duplicate-workspace", message)
                        .marked(place, "repeated here")
                        .related(first, "first here")
                        .hint("give each workspace a unique name"),
                );
            }
            identities.push(Identity::of(&workspace, item, place));
            workspaces.push(workspace);
        }
        self.former_names(&workspaces, &names);
        self.same_workspaces(&identities);
        self.selected(workspaces, node, store)
    }

    /// Only the workspaces that the command line selects, with the roster that it gives.
    fn selected(
        &mut self,
        mut workspaces: Vec<WorkspaceConfig>,
        node: &Node<'_>,
        store: Option<&Location>,
    ) -> Vec<WorkspaceConfig> {
        let names: Vec<String> =
            workspaces.iter().map(|workspace| workspace.target.workspace.clone()).collect();
        for wanted in self.request.workspaces.iter().filter(|wanted| !names.contains(wanted)) {
            let hint = match closest(wanted, names.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known workspaces: {}", names.join(", ")),
            };
            let message = format!("there is no workspace `{wanted}`");
            self.error(node, "unknown-workspace", &message, &hint);
        }
        let selected = &self.request.workspaces;
        workspaces.retain(|workspace| {
            selected.is_empty() || selected.contains(&workspace.target.workspace)
        });
        if let Some(users) = &self.request.users {
            if workspaces.len() > 1 {
                let message = "--users applies to one workspace";
                self.error(node, "users-of-several", message, "select one with --workspace");
            }
            match git::of_command_line(users, self.env, store) {
                Ok((users, git)) => {
                    for workspace in &mut workspaces {
                        let source = &mut workspace.target.source;
                        (source.users, source.git) = (users.clone(), git.clone());
                        self.folder.clone_into(&mut source.base);
                    }
                }
                Err(problem) => self.found.push(problem),
            }
        }
        workspaces
    }

    pub(super) fn workspace(
        &mut self,
        node: &Node<'_>,
        store: Option<&Location>,
        retention: Duration,
    ) -> Option<(WorkspaceConfig, Place)> {
        let fields = self.mapping(node, "a workspace", &schema::workspace())?;
        let name_node = fields.require("name", &mut self.found);
        let name = name_node.and_then(|node| self.name(node, "`name`"));
        let formerly = fields.get("formerly").and_then(|node| self.name(node, "`formerly`"));
        let endpoint = fields.require("endpoint", &mut self.found);
        let endpoint = endpoint.and_then(|node| self.endpoint(node));
        let credentials = fields.require("credentials", &mut self.found);
        let credentials = credentials.and_then(|node| self.credentials(node));
        let workspace_uid = fields.get("workspace_uid").and_then(|node| self.workspace_uid(node));
        let users = fields.require("users", &mut self.found);
        let users = users.and_then(|node| self.users(node, store));
        let repo_url = self.parsed(&fields, "repo_url", crate::link::WANTED);
        let zone = self.zone(&fields);
        let on_removed = self.on_removed(&fields);
        let limits = self.limits(&fields);
        let approvals_in_file = self.approvals_in_file(&fields);
        let policy = self.policy(&fields);
        let (mut connection, sending) = self.http(&fields);
        let (max_bytes, max_changes) = self.size_limits(&fields, &mut connection);
        connection.workspace_uid = workspace_uid;
        connection.endpoint = endpoint?;
        self.authority(&fields, &connection);
        let (workspace, (users, git), credentials) = (name?, users?, credentials?);
        let (base, trust) = (self.base(), self.trust.clone());
        let source = RosterSource { users, base, git, max_bytes, trust, repo_url };
        let target = WorkspaceSpec {
            workspace,
            source,
            max_changes,
            zone,
            on_removed,
            limits,
            approvals_in_file,
            policy,
            sending,
        };
        let store = store.cloned();
        let workspace = WorkspaceConfig {
            target,
            has_name: true,
            formerly,
            connection,
            credentials,
            store,
            retention,
        };
        Some((workspace, name_node?.place))
    }

    /// The folder of the configuration file.
    pub(super) fn base(&self) -> PathBuf {
        let path = self.folder.join(self.path);
        path.parent().map(Path::to_owned).unwrap_or_default()
    }

    fn name(&mut self, node: &Node<'_>, key: &str) -> Option<String> {
        let name = match self.expanded(node, key) {
            // Offline, the unexpanded text serves as a name.
            None if self.request.offline => {
                return node.text(key, &mut Vec::new()).map(str::to_owned);
            }
            name => name?,
        };
        let good = (1..=64).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !good {
            let wanted = "up to 64 letters, digits, dots, dashes and underscores";
            self.reject(node, key.trim_matches('`'), &"not a valid name", wanted);
        }
        good.then_some(name)
    }

    fn workspace_uid(&mut self, node: &Node<'_>) -> Option<String> {
        let uid = match self.expanded(node, "`workspace_uid`") {
            // Offline, the unexpanded text distinguishes workspaces.
            None if self.request.offline => {
                return node.text("`workspace_uid`", &mut Vec::new()).map(str::to_owned);
            }
            uid => uid?,
        };
        let good = (1..=128).contains(&uid.len()) && uid.bytes().all(|b| b.is_ascii_graphic());
        if !good {
            let wanted = "the uid from the settings of the workspace, or leave it out";
            self.reject(node, "workspace_uid", &"not a valid uid", wanted);
        }
        good.then_some(uid)
    }

    fn endpoint(&mut self, node: &Node<'_>) -> Option<Url> {
        let text = node.text("`endpoint`", &mut self.found)?;
        if self.request.offline && values::expand(text, self.env).is_err() {
            return Some(placeholder_endpoint());
        }
        let url = endpoint(&self.expanded(node, "`endpoint`")?);
        url.map_err(|why| self.reject(node, "endpoint", &why, "the https URL of the API")).ok()
    }

    fn users(
        &mut self,
        node: &Node<'_>,
        store: Option<&Location>,
    ) -> Option<(Vec<String>, Option<GitRemote>)> {
        match &node.value {
            Value::Scalar { .. } => {
                self.expand_required(node, "`users`").map(|one| (vec![one], None))
            }
            Value::Map(_) => {
                self.git_users(node, store).map(|(paths, remote)| (paths, Some(remote)))
            }
            _ => self.files(node).map(|files| (files, None)),
        }
    }

    fn files(&mut self, node: &Node<'_>) -> Option<Vec<String>> {
        let Value::Seq(items) = &node.value else {
            self.found.push(node.expected("`users`", "a file, a folder or a list of them"));
            return None;
        };
        if items.is_empty() {
            self.reject(node, "users", &"the list is empty", "a file, a folder or a list of them");
        }
        let mut users = Vec::new();
        for item in items {
            users.extend(self.expand_required(item, "an entry of `users`"));
        }
        (!users.is_empty()).then_some(users)
    }

    fn on_removed(&mut self, fields: &Fields<'_, '_>) -> OnRemoved {
        let Some((node, text)) = self.value(fields, "on_removed") else {
            return OnRemoved::default();
        };
        match &*text {
            "report" => OnRemoved::Report,
            "disable" => OnRemoved::Disable,
            _ => {
                self.reject(node, "on_removed", &"neither disable nor report", "disable or report");
                OnRemoved::Report
            }
        }
    }

    fn limits(&mut self, fields: &Fields<'_, '_>) -> Limits {
        let suspend = self.boolean(fields, "suspend").unwrap_or_default();
        let mut limits = Limits { suspend, ..Limits::default() };
        let Some(fields) = self.section(fields, "guard", &schema::guard()) else { return limits };
        limits.min_admins = self.number(&fields, "min_admins", limits.min_admins, &(0..=1_000_000));
        if let Some(node) = fields.get("required_admins") {
            for item in node.items("`required_admins`", &mut self.found).unwrap_or_default() {
                limits.required_admins.extend(address(item, &mut self.found));
            }
        }
        let schema = &schema::guard()["properties"]["budgets"];
        if let Some(budgets) = self.section(&fields, "budgets", schema) {
            for (name, budget) in &mut limits.budgets {
                let schema = &schema["properties"][name.key()];
                if let Some(fields) = self.section(&budgets, name.key(), schema) {
                    *budget = self.budget(&fields, *budget);
                }
            }
        }
        limits
    }

    /// Whether approvals count without a commit, where the roster is in no work tree.
    fn approvals_in_file(&mut self, fields: &Fields<'_, '_>) -> bool {
        let guard = fields.get("guard");
        let guard = guard.and_then(|node| Fields::of(node, "", &["approvals"], &mut Vec::new()));
        let Some((node, text)) = guard.and_then(|fields| self.value(&fields, "approvals")) else {
            return false;
        };
        if !["git", "file"].contains(&&*text) {
            self.reject(node, "approvals", &"neither git nor file", "git or file");
        }
        text == "file"
    }

    fn budget(&mut self, fields: &Fields<'_, '_>, default: Budget) -> Budget {
        let (shortest, longest) = (60 * SECOND, 366 * 24 * 60 * 60 * SECOND);
        let window = default.window.unsigned_abs();
        let window = self.duration(fields, "window", window, shortest..=longest);
        let budget = Budget {
            percent: self.number(fields, "percent", default.percent, &(0..=100)),
            floor: self.number(fields, "floor", default.floor, &(0..=1_000_000)),
            max: self.number(fields, "max", default.max, &(0..=1_000_000)),
            window: SignedDuration::try_from(window).unwrap_or(default.window),
        };
        if budget.floor > budget.max
            && let Some(node) = fields.get("floor").or_else(|| fields.get("max"))
        {
            let message = format!("`floor` ({}) is above `max` ({})", budget.floor, budget.max);
            let hint = if fields.get("floor").is_none() {
                format!("write a `floor` of at most {}, or a larger `max`", budget.max)
            } else {
                format!("write a `max` of at least {}, or a smaller `floor`", budget.floor)
            };
            self.error(node, "floor-above-max", &message, &hint);
        }
        budget
    }

    fn http(&mut self, fields: &Fields<'_, '_>) -> (client::Settings, Sending) {
        let (mut connection, mut sending) = http_defaults();
        let Some(fields) = self.section(fields, "http", &schema::http()) else {
            return (connection, sending);
        };
        connection.timeout =
            self.duration(&fields, "timeout", connection.timeout, SECOND..=600 * SECOND);
        sending.concurrency = self.number(&fields, "concurrency", sending.concurrency, &(1..=64));
        sending.batch = self.number(&fields, "batch", sending.batch, &(1..=1000));
        if let Some((node, text)) = self.value(&fields, "rate") {
            match values::rate(&text) {
                Some(rate) => connection.rate = rate,
                None => self.reject(node, "rate", &"not a rate", "10/s, 600/m or off"),
            }
        }
        if let Some((_, path)) = self.value(&fields, "ca_file") {
            // Offline, there is no connection.
            connection.ca_file = (!self.request.offline).then(|| self.base().join(path));
        }
        (connection, sending)
    }

    /// Sets the maximum of a response, and returns those of the roster and of a plan.
    fn size_limits(
        &mut self,
        fields: &Fields<'_, '_>,
        connection: &mut client::Settings,
    ) -> (usize, usize) {
        let Some(fields) = self.section(fields, "limits", &schema::limits()) else {
            return (source::MAX_BYTES, reconcile::MAX_CHANGES);
        };
        connection.max_response = self.size(&fields, "response", connection.max_response);
        let changes = self.number(&fields, "changes", reconcile::MAX_CHANGES, &(1..=1_000_000));
        (self.size(&fields, "roster", source::MAX_BYTES), changes)
    }

    /// Checks that the private authority is usable, so that a daemon does not start without.
    fn authority(&mut self, fields: &Fields<'_, '_>, connection: &client::Settings) {
        let http = fields.get("http");
        let http = http.and_then(|node| Fields::of(node, "", &["ca_file"], &mut Vec::new()));
        if let Some(node) = http.and_then(|fields| fields.get("ca_file"))
            && connection.ca_file.is_some()
            && let Err(error) = Transport::new(connection)
        {
            self.reject(node, "ca_file", &error, "the path of a PEM file of certificates");
        }
    }
}

/// Parses a URL that credentials may be sent to. The error does not repeat the URL.
pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    let text = text.trim();
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return Err("does not begin with https://".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("not a valid URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains a user or a password, which could appear in logs".to_owned());
    }
    if !endpoint_is_safe(&url) {
        return Err(
            "would send the key unencrypted: plain http is allowed to loopback only".to_owned()
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("contains a query or a fragment".to_owned());
    }
    Ok(url)
}

/// An endpoint for configurations that are never used to connect.
#[expect(clippy::expect_used, reason = "the text is a constant")]
pub(super) fn placeholder_endpoint() -> Url {
    Url::parse("http://127.0.0.1:0/").expect("a valid URL")
}

pub(super) fn http_defaults() -> (client::Settings, Sending) {
    let connection = client::Settings::new(placeholder_endpoint(), 60 * SECOND);
    let connection = client::Settings { rate: Some(10.0), ..connection };
    (connection, Sending { concurrency: 4, batch: 25 })
}

fn address(node: &Node<'_>, out: &mut Vec<Diagnostic>) -> Option<Email> {
    let text = node.text("an email address", out)?;
    Email::parse(text).map_err(|error| out.push(invalid_address(node, text, error))).ok()
}
