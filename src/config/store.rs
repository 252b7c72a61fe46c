//! The location of the ledger, and the scope of a workspace in it.

use std::path::{Path, PathBuf};

use super::workspace::placeholder_endpoint;
use super::{SecretSource, WorkspaceConfig};
use crate::ledger::Location;
use crate::memory::place::WorkspacePlace;
use crate::memory::scope::{Scope, host_of};

/// Name of the file in the state directory.
const FILE: &str = "ledger.db";

/// The default location of the ledger: in systemd's `STATE_DIRECTORY`, else in `XDG_STATE_HOME`,
/// else in the home directory as the XDG specification defines. None if none of them is set.
pub fn default_store(env: &dyn Fn(&str) -> Option<String>) -> Option<Location> {
    let set = |name: &str| env(name).filter(|value| Path::new(value).is_absolute());
    // systemd separates several directories with colons.
    let first = |list: String| list.split(':').next().map(PathBuf::from);
    let systemd = env("STATE_DIRECTORY").and_then(first).filter(|path| path.is_absolute());
    let xdg = || set("XDG_STATE_HOME").map(|home| Path::new(&home).join("rosterd"));
    let home = || set("HOME").map(|home| Path::new(&home).join(".local/state/rosterd"));
    let folder = systemd.or_else(xdg).or_else(home)?;
    Some(Location::File(folder.join(FILE)))
}

impl WorkspaceConfig {
    /// The scope of this workspace in the ledger.
    pub fn scope(&self) -> Scope {
        let name = &self.target.workspace;
        let scope = if let SecretSource::Sandbox(_) = self.credentials.api_secret {
            Scope::of_sandbox(name, self.connection.workspace_uid.clone())
        } else if self.has_name {
            Scope { place: self.place(), ..Scope::of_name(name) }
        } else {
            Scope::of_place(name, self.place())
        };
        Scope { formerly: self.formerly.clone(), ..scope }
    }

    /// None if the endpoint is not known here.
    fn place(&self) -> Option<WorkspacePlace> {
        let endpoint = &self.connection.endpoint;
        let host = host_of(endpoint.as_str()).filter(|_| *endpoint != placeholder_endpoint())?;
        Some(WorkspacePlace { host, uid: self.connection.workspace_uid.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_of_the_platform_is_the_default() {
        let store = |set: &[(&str, &str)]| {
            let env = |name: &str| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            default_store(&env).map(|location| location.to_string())
        };
        let (systemd, xdg, home) = (
            ("STATE_DIRECTORY", "/var/lib/rosterd:/var/lib/other"),
            ("XDG_STATE_HOME", "/state"),
            ("HOME", "/home/matt"),
        );
        assert_eq!(store(&[systemd, xdg, home]).as_deref(), Some("/var/lib/rosterd/ledger.db"));
        assert_eq!(store(&[xdg, home]).as_deref(), Some("/state/rosterd/ledger.db"));
        let below_home = "/home/matt/.local/state/rosterd/ledger.db";
        assert_eq!(store(&[("XDG_STATE_HOME", "state"), home]).as_deref(), Some(below_home));
        assert_eq!(store(&[]), None);
    }
}
