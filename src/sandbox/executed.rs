//! A log of the mutations that took effect, whether or not the client received a response.

use std::collections::VecDeque;

use async_graphql::Enum;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Maximum number of entries; the oldest are dropped.
pub const MAX_ENTRIES: usize = 10_000;

/// The roles of the API: the vendor documents three of them, its Python client has the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, Serialize, Deserialize)]
#[graphql(name = "UserAccountType")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccountType {
    Admin,
    Developer,
    Business,
    BillingAdmin,
    SecurityAdmin,
    WorkspaceSettingsAdmin,
    WorkspaceAdmin,
    Analyst,
    SandboxUser,
}

/// One mutation that took effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Executed {
    pub at: Timestamp,
    /// The uid of the workspace.
    pub workspace: String,
    pub kind: Kind,
    /// The email address of an invitation, else the uid.
    pub target: String,
    /// The new account type; None for a disable.
    pub account_type: Option<AccountType>,
}

/// The mutations of the API, named by their fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    InviteUser,
    UpdateUserAccountType,
    DisableUser,
}

/// The last [`MAX_ENTRIES`] mutations, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionLog(VecDeque<Executed>);

impl ExecutionLog {
    pub(super) fn add(&mut self, executed: Executed) {
        if self.0.len() >= MAX_ENTRIES {
            self.0.pop_front();
        }
        self.0.push_back(executed);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Executed> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_are_dropped() {
        let mut log = ExecutionLog::default();
        for number in 0..=MAX_ENTRIES {
            log.add(Executed {
                at: Timestamp::UNIX_EPOCH,
                workspace: "acme".into(),
                kind: Kind::DisableUser,
                target: number.to_string(),
                account_type: None,
            });
        }
        assert_eq!(log.iter().count(), MAX_ENTRIES);
        assert_eq!(log.iter().next().unwrap().target, "1");
    }
}
