//! The last reading of a workspace, as it is shown.

use std::sync::{Arc, OnceLock};

use jiff::SignedDuration;

use crate::blocking::run_blocking;
use crate::reconcile::Observation;
use crate::render::access;

/// Access that ends within this is marked.
pub const EXPIRING: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The last reading, and what is drawn from it once somebody asks.
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

    /// Draws who has access, aside, if nobody has asked for it since the run.
    pub async fn ensure_rendered(self: &Arc<Self>) {
        if self.access.get().is_none() {
            let shown = Arc::clone(self);
            run_blocking(move || shown.access().len()).await;
        }
    }

    /// Who has access, by address.
    pub fn access(&self) -> &[access::Row] {
        self.access.get_or_init(|| {
            let view = self.observation.view(&self.workspace);
            access::rows(&view, &self.observation.memory, EXPIRING)
        })
    }
}
