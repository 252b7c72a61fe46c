//! Under which key the ledger keeps a workspace.

use super::place::WorkspacePlace;

/// Prefix of the keys of embedded sandboxes, which share no key with anything else.
const SANDBOX: &str = "sandbox#";

/// The key of a workspace in the ledger. It depends on the name only, so that budgets and holds
/// survive another API key and another spelling of the endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub key: String,
    /// The name in the configuration.
    pub name: String,
    /// The name before a renaming. What its chain holds is carried over, once.
    pub formerly: Option<String>,
    /// Where the workspace is; None if only the ledger is read.
    pub place: Option<WorkspacePlace>,
}

impl Scope {
    /// A workspace of a configuration file.
    pub fn of_name(name: &str) -> Self {
        Self { key: name.to_owned(), name: name.to_owned(), formerly: None, place: None }
    }

    /// A workspace without a configuration file; the place is None if it is not known here.
    pub fn of_place(name: &str, place: Option<WorkspacePlace>) -> Self {
        let host = place.as_ref().map_or("", |place| &place.host);
        Self { key: format!("{name}@{host}"), place, ..Self::of_name(name) }
    }

    /// A workspace of an embedded sandbox. Its port is another one each time.
    pub fn of_sandbox(name: &str, uid: Option<String>) -> Self {
        let place = Some(WorkspacePlace { host: "sandbox".to_owned(), uid });
        Self { key: format!("{SANDBOX}{name}"), place, ..Self::of_name(name) }
    }

    /// Whether `key` is this workspace's own.
    pub fn has(&self, key: &str) -> bool {
        let host_is_unknown = self.key.ends_with('@');
        self.key == key || host_is_unknown && key.starts_with(&self.key)
    }

    /// Whether a chain may belong to this workspace too: an old one, whose key names the endpoint
    /// and the API key, or one of its former name.
    pub fn may_continue(&self, key: &str) -> bool {
        if self.key.starts_with(SANDBOX) {
            return key.starts_with(SANDBOX) && key != self.key;
        }
        self.is_former(key) || key.contains("://")
    }

    /// Whether a chain belongs to this workspace too. `last_name` is the name of the workspace that
    /// it had last.
    pub fn continues(&self, key: &str, last_name: &str) -> bool {
        let same_host = || match self.key.split_once('@') {
            Some((_, host)) => host.is_empty() || host_of(key).as_deref() == Some(host),
            None => true,
        };
        let has_name =
            self.formerly.as_deref() == Some(last_name) || self.name == last_name && same_host();
        self.may_continue(key) && (has_name || self.is_former(key))
    }

    fn is_former(&self, key: &str) -> bool {
        let host = self.place.as_ref().map(|place| &place.host);
        let of_host = |name: &str| host.is_some_and(|host| key == format!("{name}@{host}"));
        self.formerly.as_deref().is_some_and(|name| key == name || of_host(name))
    }
}

/// Host of a URL, with its port if that is not the default one. All names of this machine are one.
pub fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', '#', '|', '?']).next()?.to_ascii_lowercase();
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, format!(":{port}")),
        _ => (&*host, String::new()),
    };
    let name = name.trim_end_matches('.');
    let is_loopback = name == "localhost" || name == "[::1]" || name.starts_with("127.");
    Some(format!("{}{port}", if is_loopback { "localhost" } else { name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_however_it_is_spelled() {
        for (url, host) in [
            ("https://api.acme.io/graphql", "api.acme.io"),
            ("HTTPS://API.acme.io", "api.acme.io"),
            ("https://api.acme.io:8443/", "api.acme.io:8443"),
            ("https://api.example.com|acme", "api.example.com"),
            ("https://api.acme.io./graphql", "api.acme.io"),
            ("http://127.0.0.1:80/graphql", "localhost:80"),
            ("http://[::1]:80/graphql", "localhost:80"),
            ("http://[::1]/graphql", "localhost"),
            ("https://[2001:db8::1]/graphql", "[2001:db8::1]"),
        ] {
            assert_eq!(host_of(url).as_deref(), Some(host), "{url}");
        }
        assert_eq!(host_of("acme"), None);
    }

    #[test]
    fn only_old_chains_of_the_name_and_the_former_name_are_continued() {
        let (old, there) = ("https://api.acme.io/graphql#key-1", "https://api.acme.com/graphql#x");
        let place = WorkspacePlace::of_key(old);
        let renamed = |name: &str| {
            let formerly = Some(name.to_owned());
            Scope { formerly, place: place.clone(), ..Scope::of_name("acme") }
        };
        let here = Scope::of_place("default", place.clone());
        let sandbox = Scope::of_sandbox("acme", None);
        for (scope, key, last_name, expected) in [
            (&Scope::of_name("acme"), old, "acme", true),
            (&Scope::of_name("acme"), there, "acme", true),
            (&Scope::of_name("acme"), old, "sales", false),
            (&Scope::of_name("acme"), "sales", "acme", false),
            (&Scope::of_name("acme"), "sandbox#1", "acme", false),
            (&renamed("sales"), "sales", "sales", true),
            (&renamed("sales"), old, "sales", true),
            (&renamed("default"), "default@api.acme.io", "default", true),
            (&renamed("default"), "default@api.acme.com", "default", false),
            (&here, old, "default", true),
            (&here, there, "default", false),
            (&here, "default", "default", false),
            (&sandbox, "sandbox#1", "acme", true),
            (&sandbox, "sandbox#acme", "acme", false),
            (&sandbox, old, "acme", false),
        ] {
            assert_eq!(scope.continues(key, last_name), expected, "{} {key}", scope.key);
        }
        assert!(!here.has("default") && Scope::of_place("default", None).has(&here.key));
    }
}
