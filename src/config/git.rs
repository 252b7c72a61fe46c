//! `users:` as files of a git repository elsewhere.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;

use super::checks::Validator;
use super::workspace::{endpoint, placeholder_endpoint};
use super::{SecretSource, schema, values};
use crate::diagnostic::Diagnostic;
use crate::ledger::Location;
use crate::link::https_form;
use crate::source::remote::{GitRemote, LOCAL, clone_folder};
use crate::yaml::{Fields, Node, Value};

const LONGEST_POLL: Duration = Duration::from_hours(24);
const WANTED: &str = "the https URL of the repository";

/// Defaults of `hooks.listen`, `token`, `ca_file` and `webhook_secret` without a configuration.
/// Those of secrets may end with `_FILE` and contain a path.
const HOOKS_LISTEN: &str = "ROSTERD_HOOKS_LISTEN";
const TOKEN: &str = "ROSTERD_GIT_TOKEN";
const USERNAME: &str = "ROSTERD_GIT_USERNAME";
const CA_FILE: &str = "ROSTERD_GIT_CA_FILE";
const WEBHOOK_SECRET: &str = "ROSTERD_WEBHOOK_SECRET";

/// A variable that is set and not empty.
fn set(env: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.is_empty())
}

/// A secret in the environment: its value, or the path of a file in `NAME_FILE`.
pub(super) fn secret(env: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<SecretSource> {
    let file = || set(env, &format!("{name}_FILE")).map(|path| SecretSource::File(path.into()));
    set(env, name).map(|_| SecretSource::Env(name.to_owned())).or_else(file)
}

/// The address for webhooks in the environment.
pub(super) fn hooks(
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<SocketAddr>, Diagnostic> {
    let address = set(env, HOOKS_LISTEN).map(|text| text.parse()).transpose();
    address.map_err(|error| {
        Diagnostic::error("bad-value", format!("{HOOKS_LISTEN}: {error}"))
            .hint("write an address and a port, such as 0.0.0.0:9465")
    })
}

/// The roster of `--users`: a file, or `URL#REF:PATH` with the secrets of the environment.
pub(super) fn of_command_line(
    users: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    store: Option<&Location>,
) -> Result<(Vec<String>, Option<GitRemote>), Diagnostic> {
    let text = users.to_string_lossy();
    if !text.contains("://") {
        return Ok((vec![text.into_owned()], None));
    }
    let (url, place) = text.split_once('#').unwrap_or((&*text, ""));
    let read = || {
        let place = place.split_once(':').filter(|(_, paths)| !paths.is_empty());
        let (reference, paths) = place.ok_or("it names no file in the repository")?;
        let url = repository(url)?;
        let state = state_folder(store).ok_or(NO_STATE)?;
        let reference = if reference.is_empty() { "HEAD" } else { reference };
        let clone = clone_folder(&state, &url, reference);
        let remote = GitRemote {
            token: secret(env, TOKEN),
            username: set(env, USERNAME),
            ca_file: set(env, CA_FILE).map(PathBuf::from),
            webhook_secret: secret(env, WEBHOOK_SECRET),
            ..GitRemote::new(url, reference.to_owned(), clone)
        };
        Ok((paths.split(',').map(str::to_owned).collect(), Some(remote)))
    };
    read().map_err(|why: String| {
        Diagnostic::error("bad-value", format!("--users: {why}"))
            .hint("write https://git.example.com/acme/access.git#main:users.yaml")
    })
}

const NO_STATE: &str = "the clone needs a state directory: set `store` to a file, or HOME or \
                        XDG_STATE_HOME";

/// Where the clones are: beside the ledger.
fn state_folder(store: Option<&Location>) -> Option<PathBuf> {
    let Some(Location::File(path)) = store else { return None };
    path.parent().map(PathBuf::from)
}

/// The address of a repository. Plain HTTP is for this machine only.
fn repository(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == LOCAL && url.host().is_none() => Ok(url),
        _ => endpoint(text),
    }
}

impl Validator<'_> {
    /// The address for webhooks.
    pub(super) fn hooks(&mut self, fields: &Fields<'_, '_>) -> Option<SocketAddr> {
        if fields.get("hooks").is_none() {
            return hooks(self.env).unwrap_or_else(|problem| {
                self.found.push(problem);
                None
            });
        }
        let fields = self.section(fields, "hooks", &schema::hooks())?;
        self.parsed(&fields, "listen", "an address and a port, such as 0.0.0.0:9465")
    }

    /// The paths in the repository, and how it is fetched.
    pub(super) fn git_users(
        &mut self,
        node: &Node<'_>,
        store: Option<&Location>,
    ) -> Option<(Vec<String>, GitRemote)> {
        let fields = self.mapping(node, "`users`", &schema::git())?;
        let url = fields.require("git", &mut self.found);
        let url = url.and_then(|node| self.repository_url(node));
        let paths = fields.require("path", &mut self.found);
        let paths = paths.and_then(|node| self.paths(node));
        let reference = self.value(&fields, "ref").map_or("HEAD".to_owned(), |(_, text)| text);
        let username = self.value(&fields, "username").map(|(_, text)| text);
        let secrets = ["token", "webhook_secret"].map(|key| {
            let secret = fields.get(key).map(|node| self.secret(node, key));
            // A secret that is written wrongly is not one that is missing.
            secret.map_or(Some(None), |it| it.map(Some))
        });
        let defaults = Duration::from_mins(1);
        let poll = self.duration(&fields, "poll", defaults, Duration::from_secs(1)..=LONGEST_POLL);
        let ca_file = self.value(&fields, "ca_file").map(|(_, path)| self.base().join(path));
        let verify = self.section(&fields, "verify", &schema::verify());
        let signers = verify.as_ref().and_then(|it| it.require("ssh_signers", &mut self.found));
        let signers = signers.and_then(|node| self.expanded(node, "`ssh_signers`"));
        // Offline, nothing is fetched.
        let offline = || self.request.offline.then(PathBuf::new);
        let Some(state) = state_folder(store).or_else(offline) else {
            self.error(node, "no-clone", NO_STATE, "the ledger is there too");
            return None;
        };
        let (url, [token, webhook_secret]) = (url?, secrets);
        let clone = clone_folder(&state, &url, &reference);
        let remote = GitRemote {
            username,
            token: token?,
            ca_file,
            poll,
            webhook_secret: webhook_secret?,
            ssh_signers: match (verify, signers) {
                (Some(_), Some(path)) => Some(self.base().join(path)),
                (Some(_), None) if !self.request.offline => return None,
                _ => None,
            },
            ..GitRemote::new(url, reference, clone)
        };
        Some((paths?, remote))
    }

    fn repository_url(&mut self, node: &Node<'_>) -> Option<Url> {
        let text = node.text("`git`", &mut self.found)?;
        if self.request.offline && values::expand(text, self.env).is_err() {
            return Some(placeholder_endpoint());
        }
        let text = self.expanded(node, "`git`")?;
        if let Some(https) = https_form(&text) {
            let hint = format!("write {https}, and a token under `token`");
            self.error(node, "ssh", "repositories are not fetched over SSH", &hint);
            return None;
        }
        repository(&text).map_err(|why| self.reject(node, "git", &why, WANTED)).ok()
    }

    /// Relative paths within the repository.
    fn paths(&mut self, node: &Node<'_>) -> Option<Vec<String>> {
        if let Value::Scalar { .. } = node.value {
            return self.expand_required(node, "`path`").map(|one| vec![one]);
        }
        let mut paths = Vec::new();
        for item in node.items("`path`", &mut self.found)? {
            paths.extend(self.expand_required(item, "an entry of `path`"));
        }
        (!paths.is_empty()).then_some(paths)
    }
}
