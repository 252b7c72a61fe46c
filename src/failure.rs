//! Why a request or a run failed.

use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// Why a request or a run failed. Its name in logs, metrics, plans and notices is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FailureKind {
            $($(#[$doc])* $kind,)*
        }

        impl FailureKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The name in kebab case.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// The settings of the connection cannot be used.
    Settings = "settings",
    /// No connection to the API.
    Connect = "connect",
    /// The certificate of the API is not trusted, or TLS failed otherwise.
    Tls = "tls",
    /// Too many requests.
    Throttled = "throttled",
    /// No answer in time.
    Timeout = "timeout",
    /// The API failed: status 5xx.
    Server = "server",
    /// The connection ended before the answer.
    Reset = "reset",
    /// The answer is incomplete: its body ends early.
    Truncated = "truncated",
    /// The API does not accept the key.
    Unauthorized = "unauthorized",
    /// The API does not allow this.
    Forbidden = "forbidden",
    /// The key lacks a capability.
    MissingCapability = "missing-capability",
    /// A GraphQL error about what was asked.
    Graphql = "graphql",
    /// The answer says `ok: false`, or nothing of it.
    NotOk = "not-ok",
    /// The answer is not JSON.
    NotJson = "not-json",
    /// The answer is JSON, but not GraphQL.
    NotGraphql = "not-graphql",
    /// The answer lacks a part.
    Incomplete = "incomplete",
    /// The answer exceeds the limit.
    TooLarge = "too-large",
    /// The API redirects, which is not followed.
    Redirect = "redirect",
    /// The key cannot be read from its file or variable.
    Credentials = "credentials",
    /// The ledger cannot be used.
    Ledger = "ledger",
    /// Another run of the workspace is under way.
    Locked = "locked",
    /// There is no roster to run with.
    Roster = "roster",
    /// A saved plan is no longer what would be done.
    Stale = "stale",
    /// The run ended early for a later one, or for the end of the process.
    Cancelled = "cancelled",
    /// The system does not deliver signals.
    Signals = "signals",
    /// An error in rosterd itself.
    Defect = "defect",
}

impl FailureKind {
    /// Whether the same request may succeed later.
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Connect
                | Self::Throttled
                | Self::Timeout
                | Self::Server
                | Self::Reset
                | Self::Truncated
        )
    }

    /// Whether only a person can help, by another key or more capabilities: another attempt soon
    /// would fail the same way.
    pub const fn concerns_key(self) -> bool {
        matches!(
            self,
            Self::Unauthorized | Self::Forbidden | Self::MissingCapability | Self::Credentials
        )
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_key_are_not_transient() {
        assert!(FailureKind::ALL.iter().all(|kind| !(kind.is_transient() && kind.concerns_key())));
    }

    #[test]
    fn every_kind_has_a_name_of_its_own_in_kebab_case() {
        let mut names: Vec<&str> = FailureKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert!(names.iter().all(|name| name.bytes().all(|b| b == b'-' || b.is_ascii_lowercase())));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FailureKind::ALL.len());
    }
}
