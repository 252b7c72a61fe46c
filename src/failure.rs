//! The kinds of failure of a request or a run.

use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// Why a request or a run failed. The name is stable: logs, metrics, plans and
        /// notifications use it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FailureKind {
            $($(#[$doc])* $kind,)*
        }

        impl FailureKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The stable name, in kebab case.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// The connection settings are invalid.
    Settings = "settings",
    /// No connection to the API.
    Connect = "connect",
    /// TLS failed, for example because the API's certificate is not trusted.
    Tls = "tls",
    /// The API limits the request rate.
    Throttled = "throttled",
    /// No response in time.
    Timeout = "timeout",
    /// The API answered with status 5xx.
    Server = "server",
    /// The connection closed before the response.
    Reset = "reset",
    /// The response body ends early.
    Truncated = "truncated",
    /// The API does not accept the key.
    Unauthorized = "unauthorized",
    /// The API does not allow this.
    Forbidden = "forbidden",
    /// The key lacks a capability.
    MissingCapability = "missing-capability",
    /// The response has GraphQL errors.
    Graphql = "graphql",
    /// The response has `ok: false`, or no `ok`.
    NotOk = "not-ok",
    /// The response is not JSON.
    NotJson = "not-json",
    /// The response is JSON, but not GraphQL.
    NotGraphql = "not-graphql",
    /// A part of the response is missing.
    Incomplete = "incomplete",
    /// The response exceeds the size limit.
    TooLarge = "too-large",
    /// The API redirects. Redirects are not followed.
    Redirect = "redirect",
    /// The key cannot be read from its file or environment variable.
    Credentials = "credentials",
    /// The ledger cannot be used.
    Ledger = "ledger",
    /// Another run of the workspace is in progress.
    Locked = "locked",
    /// There is no usable roster.
    Roster = "roster",
    /// A saved plan differs from the current plan.
    Stale = "stale",
    /// The run was stopped for a newer run or by a shutdown.
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

    /// Whether the key must be replaced or given more capabilities. A retry would fail again.
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
    fn names_are_unique_and_in_kebab_case() {
        let mut names: Vec<&str> = FailureKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert!(names.iter().all(|name| name.bytes().all(|b| b == b'-' || b.is_ascii_lowercase())));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FailureKind::ALL.len());
    }
}
