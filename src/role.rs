//! Roles (the `accountType` of the Paradime API) and their privilege tiers.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// A role. A role that this version does not know is kept verbatim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    Admin,
    WorkspaceAdmin,
    SecurityAdmin,
    BillingAdmin,
    WorkspaceSettingsAdmin,
    Developer,
    Business,
    Analyst,
    SandboxUser,
    Other(Box<str>),
}

/// The privilege tier of a role. A change to a higher tier grants privileges; any other change
/// counts as removing them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    Reader,
    Developer,
    PartAdmin,
    Admin,
}

impl Role {
    /// Every known role. The vendor documents ADMIN, DEVELOPER and BUSINESS; the others come from
    /// its public Python client.
    pub const KNOWN: [Self; 9] = [
        Self::Admin,
        Self::WorkspaceAdmin,
        Self::SecurityAdmin,
        Self::BillingAdmin,
        Self::WorkspaceSettingsAdmin,
        Self::Developer,
        Self::Business,
        Self::Analyst,
        Self::SandboxUser,
    ];

    /// Stands for no role, where a finding is about a setting.
    pub fn none() -> Self {
        Self::Other(Box::default())
    }

    /// Parses the API's spelling. An unknown role is kept verbatim.
    pub fn from_api(text: &str) -> Self {
        Self::known(text).unwrap_or_else(|| Self::Other(text.into()))
    }

    /// Parses the API's spelling of a known role.
    pub fn known(text: &str) -> Option<Self> {
        Self::KNOWN.into_iter().find(|role| role.as_str() == text)
    }

    /// The API's spelling.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => known.into(),
        }
    }

    /// The tier of the role, or None for an unknown role.
    pub fn tier(&self) -> Option<Tier> {
        match self {
            Self::Admin => Some(Tier::Admin),
            Self::WorkspaceAdmin
            | Self::SecurityAdmin
            | Self::BillingAdmin
            | Self::WorkspaceSettingsAdmin => Some(Tier::PartAdmin),
            Self::Developer => Some(Tier::Developer),
            Self::Business | Self::Analyst | Self::SandboxUser => Some(Tier::Reader),
            Self::Other(_) => None,
        }
    }

    /// Whether a change from `self` to `to` is known to grant privileges.
    pub fn grows_to(&self, to: &Self) -> bool {
        matches!((self.tier(), to.tier()), (Some(from), Some(to)) if to > from)
    }

    /// Whether the guards count this role as an admin.
    pub fn is_admin(&self) -> bool {
        *self == Self::Admin
    }
}

impl Serialize for Role {
    /// The API's spelling.
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'_, str>::deserialize(from).map(|text| Self::from_api(&text))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_roles_round_trip_through_the_apis_spelling() {
        for role in Role::KNOWN {
            assert_eq!(Role::from_api(role.as_str()), role);
        }
        assert_eq!(Role::from_api("FUTURE"), Role::Other("FUTURE".into()));
        assert_eq!(Role::known("admin"), None, "the API's spelling is exact");
    }

    #[test]
    fn only_a_change_to_a_higher_known_tier_grants() {
        assert!(Role::Developer.grows_to(&Role::Admin));
        assert!(Role::Business.grows_to(&Role::Developer));
        assert!(!Role::Business.grows_to(&Role::Analyst));
        assert!(!Role::Admin.grows_to(&Role::BillingAdmin));
        let unknown = Role::from_api("FUTURE");
        assert!(!unknown.grows_to(&Role::Admin) && !Role::Business.grows_to(&unknown));
    }
}
