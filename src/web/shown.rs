//! The last reading of a workspace, as it is shown.

use std::sync::{Arc, OnceLock};

use jiff::SignedDuration;

use crate::aside::aside;
use crate::reconcile::Picture;
use crate::render::access;

/// Access that ends within this is marked.
pub const EXPIRING: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The last reading, and what is drawn from it once somebody asks.
#[derive(Debug)]
pub struct Shown {
    pub workspace: String,
    pub picture: Arc<Picture>,
    access: OnceLock<Vec<access::Row>>,
}

impl Shown {
    pub fn new(workspace: &str, picture: Arc<Picture>) -> Self {
        Self { workspace: workspace.to_owned(), picture, access: OnceLock::new() }
    }

    /// Draws who has access, aside, if nobody has asked for it since the run.
    pub async fn drawn(self: &Arc<Self>) {
        if self.access.get().is_none() {
            let shown = Arc::clone(self);
            aside(move || shown.access().len()).await;
        }
    }

    /// Who has access, by address.
    pub fn access(&self) -> &[access::Row] {
        self.access.get_or_init(|| {
            let view = self.picture.view(&self.workspace);
            access::rows(&view, &self.picture.memory, EXPIRING)
        })
    }
}
