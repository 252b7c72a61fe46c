//! The kinds of failure of a request or a run.

use strum::{Display, IntoStaticStr, VariantArray};

/// Why a request or a run failed. The name is stable: logs, metrics, plans and notifications use
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum FailureKind {
    /// The connection settings are invalid.
    Settings,
    /// No connection to the API.
    Connect,
    /// TLS failed, for example because the API's certificate is not trusted.
    Tls,
    /// The API limits the request rate.
    Throttled,
    /// No response in time.
    Timeout,
    /// The API answered with status 5xx.
    Server,
    /// The connection closed before the response.
    Reset,
    /// The response body ends early.
    Truncated,
    /// Status 401 or 403 without the JSON of the API, for example from a firewall.
    Blocked,
    /// The API does not accept the key.
    Unauthorized,
    /// The API does not allow this.
    Forbidden,
    /// The key lacks a capability.
    MissingCapability,
    /// The response has GraphQL errors.
    Graphql,
    /// The response has `ok: false`, or no `ok`.
    NotOk,
    /// The response is not JSON.
    NotJson,
    /// The response is JSON, but not GraphQL.
    NotGraphql,
    /// A part of the response is missing.
    Incomplete,
    /// The response exceeds the size limit.
    TooLarge,
    /// The API redirects. Redirects are not followed.
    Redirect,
    /// The key cannot be read from its file or environment variable.
    Credentials,
    /// The ledger cannot be used.
    Ledger,
    /// Another run of the workspace is in progress.
    Locked,
    /// There is no usable roster.
    Roster,
    /// A saved plan differs from the current plan.
    Stale,
    /// The listing lacks most accounts of the last one. An operator decides.
    Listing,
    /// The workspace is at another place than the ledger says. An operator decides.
    Place,
    /// The run was stopped for a newer run or by a shutdown.
    Cancelled,
    /// The system does not deliver signals.
    Signals,
    /// An error in rosterd itself.
    Defect,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The stable name, in kebab case.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

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

    /// Whether the API says that the key must be replaced or given more capabilities.
    pub const fn is_denial(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Forbidden | Self::MissingCapability)
    }

    /// Whether a person has to act first. A retry would fail again.
    pub const fn needs_person(self) -> bool {
        self.is_denial() || matches!(self, Self::Credentials | Self::Blocked)
    }

    /// Whether the run is held until an operator decides.
    pub const fn is_held(self) -> bool {
        matches!(self, Self::Listing | Self::Place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_need_a_person_are_not_transient() {
        assert!(FailureKind::ALL.iter().all(|kind| !(kind.is_transient() && kind.needs_person())));
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
