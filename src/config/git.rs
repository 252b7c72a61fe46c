//! `users:` as files of a git repository on a server.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::checks::Validator;
use super::schema;
use super::workspace::endpoint;
use crate::ledger::Location;
use crate::source::remote::{GitRemote, clone_folder};
use crate::yaml::{Node, Value};

const POLL: Duration = Duration::from_mins(1);
const LONGEST_POLL: Duration = Duration::from_hours(24);

impl Validator<'_> {
    /// The paths in the repository, and how it is fetched. The clone is beside the ledger.
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
        let token = fields.get("token").map(|node| self.secret(node, "token"));
        let poll = self.duration(&fields, "poll", POLL, Duration::from_secs(1)..=LONGEST_POLL);
        let ca_file = self.value(&fields, "ca_file").map(|(_, path)| self.base().join(path));
        let state = match store {
            Some(Location::File(path)) => path.parent().map(PathBuf::from),
            // Offline, nothing is fetched.
            _ => self.request.offline.then(PathBuf::new),
        };
        let Some(state) = state else {
            let hint = "set `store` to a file, or HOME or XDG_STATE_HOME";
            self.error(node, "no-clone", "the clone of `git` needs a state directory", hint);
            return None;
        };
        let token = match token {
            Some(token) => Some(token?),
            None => None,
        };
        let url = url?;
        let clone = clone_folder(&state, &url, &reference);
        Some((paths?, GitRemote { url, reference, username, token, ca_file, poll, clone }))
    }

    fn repository_url(&mut self, node: &Node<'_>) -> Option<Url> {
        let text = self.expanded(node, "`git`")?;
        if let Some(https) = https_form(&text) {
            let hint = format!("write {https}, and a token under `token`");
            self.error(node, "ssh", "repositories are not fetched over SSH", &hint);
            return None;
        }
        let url = endpoint(&text);
        url.map_err(|why| self.reject(node, "git", &why, "the https URL of the repository")).ok()
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

/// The HTTPS form of an SSH address, such as `git@github.com:acme/access.git`.
fn https_form(text: &str) -> Option<String> {
    let rest = match text.strip_prefix("ssh://") {
        Some(rest) => rest.split_once('/').map(|(host, path)| (host.to_owned(), path))?,
        None if text.contains("://") => return None,
        None => text.split_once(':').map(|(host, path)| (host.to_owned(), path))?,
    };
    let (host, path) = rest;
    let host = host.rsplit('@').next()?.split(':').next()?;
    Some(format!("https://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_addresses_have_an_https_form() {
        for (ssh, https) in [
            ("git@github.com:acme/access.git", "https://github.com/acme/access.git"),
            ("ssh://git@git.acme.io:22/acme/access", "https://git.acme.io/acme/access"),
            ("git.acme.io:access", "https://git.acme.io/access"),
        ] {
            assert_eq!(https_form(ssh).as_deref(), Some(https));
        }
        assert_eq!(https_form("https://github.com/acme/access.git"), None);
        assert_eq!(https_form("http://localhost:80/x"), None);
    }
}
