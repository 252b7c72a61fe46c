//! What has really been done: the mutations that took effect, whoever was told of them.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::world::AccountType;

/// So many are remembered; the oldest make room.
pub const REMEMBERED: usize = 10_000;

/// One mutation that took effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Executed {
    pub at: Timestamp,
    /// The uid of the workspace.
    pub workspace: String,
    pub kind: Kind,
    /// The address of an invitation, and the uid of everything else.
    pub target: String,
    /// What it gave; a disable gives nothing.
    pub account_type: Option<AccountType>,
}

/// The mutations of the API, by the names of their fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    InviteUser,
    UpdateUserAccountType,
    DisableUser,
}

/// The last [`REMEMBERED`] of them, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(VecDeque<Executed>);

impl Record {
    pub(super) fn add(&mut self, executed: Executed) {
        if self.0.len() >= REMEMBERED {
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
    fn the_oldest_make_room() {
        let mut record = Record::default();
        for number in 0..=REMEMBERED {
            record.add(Executed {
                at: Timestamp::UNIX_EPOCH,
                workspace: "acme".into(),
                kind: Kind::DisableUser,
                target: number.to_string(),
                account_type: None,
            });
        }
        assert_eq!(record.iter().count(), REMEMBERED);
        assert_eq!(record.iter().next().unwrap().target, "1");
    }
}
