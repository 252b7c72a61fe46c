//! The part of the configuration that concerns one workspace.

use std::time::Duration;

use crate::config::{ScheduleSettings, WorkspaceConfig};
use crate::source::RosterSource;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct WorkspaceSettings {
    pub workspace: WorkspaceConfig,
    pub schedule: ScheduleSettings,
    /// How long a roster that was written in place must be unchanged.
    pub in_place: Duration,
}

impl WorkspaceSettings {
    pub fn name(&self) -> &str {
        &self.workspace.target.workspace
    }

    /// Whether both mean the same workspace and the same files.
    pub fn is_same_target(&self, other: &Self) -> bool {
        let key = |settings: &Self| {
            let WorkspaceConfig { target, connection, .. } = &settings.workspace;
            let RosterSource { users, base, git, .. } = target.source.clone();
            let files = (users, base, git.map(|remote| remote.clone));
            (
                files,
                target.zone.clone(),
                connection.endpoint.clone(),
                connection.workspace_uid.clone(),
            )
        };
        key(self) == key(other)
    }
}
