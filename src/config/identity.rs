//! Two workspaces of one configuration never mean the same place, nor the same ledger.

use std::collections::HashMap;

use super::checks::Validator;
use super::workspace::placeholder_endpoint;
use super::{SecretSource, WorkspaceConfig};
use crate::diagnostic::{Diagnostic, Place};
use crate::memory::scope::host_of;
use crate::yaml::{Fields, Node};

/// What distinguishes the workspaces of a configuration.
pub(super) struct Identity {
    name: String,
    endpoint: String,
    uid: Option<String>,
    key: SecretSource,
    place: Place,
}

impl Identity {
    pub fn of(workspace: &WorkspaceConfig, node: &Node<'_>, place: Place) -> Self {
        let url = &workspace.connection.endpoint;
        let endpoint = if *url == placeholder_endpoint() {
            // Offline, the variables of the endpoint may not be set.
            let fields = Fields::of(node, "", &["endpoint"], &mut Vec::new());
            let node = fields.as_ref().and_then(|fields| fields.get("endpoint"));
            let text = node.and_then(|node| node.text("", &mut Vec::new()));
            text.unwrap_or_default().trim_end_matches('/').to_owned()
        } else {
            let host = host_of(url.as_str()).unwrap_or_default();
            format!("{}://{host}{}", url.scheme(), url.path().trim_end_matches('/'))
        };
        let credentials = &workspace.credentials;
        let key = credentials.api_key.as_ref().unwrap_or(&credentials.api_secret).clone();
        let (name, uid) =
            (workspace.target.workspace.clone(), workspace.connection.workspace_uid.clone());
        Self { name, endpoint, uid, key, place }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint
            && match (&self.uid, &other.uid) {
                (Some(one), Some(two)) => one == two,
                _ => self.key == other.key,
            }
    }
}

impl Validator<'_> {
    /// No workspace may be configured twice, under two names or two spellings of its endpoint.
    pub(super) fn same_workspaces(&mut self, identities: &[Identity]) {
        for (position, this) in identities.iter().enumerate() {
            let is_same = |other: &&Identity| this.is_same(other) && this.name != other.name;
            let Some(other) = identities[..position].iter().find(is_same) else { continue };
            let message = format!("`{}` and `{}` are the same workspace", other.name, this.name);
            Diagnostic::error("same-workspace", message)
                .marked(this.place, "configured again")
                .related(other.place, "first here")
                .hint(
                    "remove one of them, or distinguish them by `workspace_uid` or by their \
                         keys",
                )
                .emit(&mut self.found);
        }
    }

    /// A former name must be free, and belong to one workspace.
    pub(super) fn former_names(
        &mut self,
        workspaces: &[WorkspaceConfig],
        names: &HashMap<String, Place>,
    ) {
        let mut used: HashMap<&str, Place> = HashMap::new();
        for workspace in workspaces {
            let Some(former) = workspace.formerly.as_deref() else { continue };
            let Some(place) = names.get(&workspace.target.workspace) else { continue };
            let by = names.get(former).copied().or_else(|| used.insert(former, *place));
            if let Some(other) = by {
                let message = format!("`formerly: {former}` names another workspace of this file");
                Diagnostic::error("former-name", message)
                    .marked(*place, "this workspace")
                    .related(other, "the other one")
                    .hint(
                        "a renamed workspace takes over the ledger of a name that is no \
                               longer used, once",
                    )
                    .emit(&mut self.found);
            }
        }
    }
}
