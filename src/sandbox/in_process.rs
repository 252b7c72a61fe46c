//! The sandbox without a network: a request is handed in, and its answer comes back.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::http::{Request, Response};
use parking_lot::Mutex;
use tower::ServiceExt as _;

use super::connection::ResetHandle;
use super::server::{self, Shared};
use super::world::World;
use super::{Options, faults::FaultRate};
use crate::clock::Clock;

/// A sandbox within this process. Faults that are a matter of connections do nothing here.
#[derive(Clone, Debug)]
pub struct InProcessSandbox {
    shared: Arc<Shared>,
    routes: Router,
}

impl InProcessSandbox {
    pub fn new(options: Options, clock: Arc<dyn Clock>, world: World) -> Self {
        let shared = Arc::new(Shared::new(options, clock, world));
        let here = MockConnectInfo(ResetHandle::default());
        let routes = server::routes(Arc::clone(&shared)).layer(here);
        Self { shared, routes }
    }

    /// The answer to one request.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        match self.routes.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The world itself, for hands that change it behind the API's back.
    pub fn state(&self) -> Arc<Mutex<World>> {
        Arc::clone(&self.shared.world)
    }

    /// What goes wrong from now on, and nothing else.
    pub fn fault(&self, odds: impl IntoIterator<Item = FaultRate>) {
        self.shared.faults.lock().set(odds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    struct Then;

    impl Clock for Then {
        fn now(&self) -> Timestamp {
            "2027-03-28T01:00:00Z".parse().unwrap()
        }
    }

    #[tokio::test]
    async fn an_answer_carries_the_time_of_the_sandbox_and_not_of_the_system() {
        let world = World::seeded(&["acme".to_owned()], 0, 1, Then.now());
        let inside = InProcessSandbox::new(Options::default(), Arc::new(Then), world);
        let request = Request::post("/graphql").body(Body::from("{}")).unwrap();
        let answer = inside.answer(request).await;
        assert_eq!(answer.headers()["date"], "Sun, 28 Mar 2027 01:00:00 GMT");
    }
}
