//! The sandbox without a network: requests are function calls.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::http::{Request, Response};
use parking_lot::Mutex;
use tower::ServiceExt as _;

use super::connection::ResetHandle;
use super::faults::FaultRate;
use super::shared::Shared;
use super::world::World;
use super::{Options, server};
use crate::clock::Clock;

/// A sandbox within this process. Faults of connections have no effect.
#[derive(Clone, Debug)]
pub struct InProcessSandbox {
    shared: Arc<Shared>,
    routes: Router,
}

impl InProcessSandbox {
    pub fn new(options: Options, clock: Arc<dyn Clock>, world: World) -> Self {
        let shared = Arc::new(Shared::new(options, clock, world));
        let connection = MockConnectInfo(ResetHandle::default());
        let routes = server::routes(Arc::clone(&shared)).layer(connection);
        Self { shared, routes }
    }

    /// Sends a request and returns its response.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        match self.routes.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The state, for changes outside the API.
    pub fn state(&self) -> Arc<Mutex<World>> {
        Arc::clone(&self.shared.world)
    }

    /// Replaces the fault rates.
    pub fn set_faults(&self, rates: impl IntoIterator<Item = FaultRate>) {
        self.shared.faults.lock().set(rates);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    struct FixedClock;

    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            "2027-03-28T01:00:00Z".parse().unwrap()
        }
    }

    #[tokio::test]
    async fn the_date_header_uses_the_clock_of_the_sandbox() {
        let world = World::seeded(&["acme".to_owned()], 0, 1, FixedClock.now());
        let sandbox = InProcessSandbox::new(Options::default(), Arc::new(FixedClock), world);
        let request = Request::post("/graphql").body(Body::from("{}")).unwrap();
        let response = sandbox.answer(request).await;
        assert_eq!(response.headers()["date"], "Sun, 28 Mar 2027 01:00:00 GMT");
    }
}
