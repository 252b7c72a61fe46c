//! The last observation of a workspace, prepared for display.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use jiff::SignedDuration;

use crate::blocking::run_blocking;
use crate::reconcile::Observation;
use crate::render::access;

/// Access that ends within this time is marked as expiring.
pub const EXPIRING: SignedDuration = SignedDuration::from_hours(14 * 24);

/// An observation with its access list, which is rendered on first use.
#[derive(Debug)]
pub struct SnapshotView {
    pub workspace: String,
    pub observation: Arc<Observation>,
    access: OnceLock<Vec<access::Row>>,
}

impl SnapshotView {
    pub fn new(workspace: &str, observation: Arc<Observation>) -> Self {
        Self { workspace: workspace.to_owned(), observation, access: OnceLock::new() }
    }

    /// Renders the access list off the async runtime.
    pub async fn ensure_rendered(self: &Arc<Self>) {
        if self.access.get().is_none() {
            let view = Arc::clone(self);
            run_blocking(move || view.access().len()).await;
        }
    }

    /// Everyone with access, sorted by email address.
    pub fn access(&self) -> &[access::Row] {
        self.access.get_or_init(|| {
            let view = self.observation.view(&self.workspace);
            access::rows(&view, &self.observation.memory, &HashMap::new(), EXPIRING)
        })
    }
}
