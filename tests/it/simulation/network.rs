//! The simulated network with its faults, and the API's server.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use rosterd::client::http::{HttpRequest, HttpResponse, HttpTransport, TransportError};
use rosterd::failure::FailureKind;
use rosterd::sandbox::InProcessSandbox;
use rosterd::sandbox::faults::FaultRate;
use serde_json::{Value, json};
use tokio::sync::{Mutex, oneshot};

use super::process::Process;
use super::scenario::Fault;
use super::sim_state::{Listing, Shared};
use crate::support::in_process::ask;

/// Timeout of a request.
pub const TIMEOUT: Duration = Duration::from_mins(1);
/// Maximum age of a stale listing in seconds; less than the propagation time that rosterd allows.
const MAX_AGE: u64 = 480;

/// The API's server; it handles one request at a time. The mirror answers from another state.
pub struct Api {
    pub server: Mutex<InProcessSandbox>,
    pub mirror: Mutex<InProcessSandbox>,
}

/// The network of one process.
pub struct Net(pub Arc<Process>);

impl HttpTransport for Net {
    fn post(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, TransportError>> {
        let process = Arc::clone(&self.0);
        Box::pin(async move { exchange(process, request).await })
    }
}

async fn exchange(
    process: Arc<Process>,
    request: HttpRequest,
) -> Result<HttpResponse, TransportError> {
    let (shared, epoch) = (process.shared.clone(), process.epoch);
    shared.crash_point(epoch, "before a request").await;
    let writes = request.body.starts_with(r#"{"query":"mutation"#);
    let run = process.run();
    let (fault, outbound, inbound) = {
        let mut state = shared.state();
        let fault = state.fault(writes);
        let kind = if writes { "mutation" } else { "listing" };
        state.log_event(kind, &format!("run {run}, {fault:?}"));
        if fault != Fault::None {
            state.count(&format!("fault {fault:?}"));
        }
        (fault, state.latency(), state.latency())
    };
    if fault == Fault::Connect {
        tokio::time::sleep(outbound).await;
        return Err(TransportError { kind: FailureKind::Connect, cause: "refused".into() });
    }
    let (sender, receiver) = oneshot::channel();
    let shown = shared.state().shown(run);
    let in_flight = InFlight { shared: shared.clone(), run, shown, fault, writes, request };
    let api = Arc::clone(&process.api);
    tokio::spawn(async move {
        tokio::time::sleep(outbound).await;
        let result = in_flight.serve(&api).await;
        tokio::time::sleep(inbound).await;
        if let Some(result) = result {
            let _ = sender.send(result);
        } else if matches!(fault, Fault::TimeoutBefore | Fault::TimeoutAfter | Fault::LateEffect) {
            tokio::time::sleep(10 * TIMEOUT).await;
        }
    });
    let waiting = Waiting { shared: shared.clone(), writes, finished: false };
    let result = tokio::time::timeout(TIMEOUT, receiver).await;
    waiting.finish();
    shared.crash_point(epoch, "after a request").await;
    let result = match result {
        Err(_) => Err(TransportError { kind: FailureKind::Timeout, cause: "time-out".into() }),
        Ok(Err(_)) => Err(TransportError { kind: FailureKind::Reset, cause: "reset".into() }),
        Ok(Ok(result)) => result,
    };
    let mut state = shared.state();
    let status = result.as_ref().map(|(response, _)| response.status).map_err(|error| error.kind);
    state.log_event("response", &format!("run {run}, {status:?}"));
    match result {
        Ok((response, listing)) => {
            if !writes {
                state.deliver(run, listing);
            }
            Ok(response)
        }
        Err(error) => {
            if !writes {
                state.deliver(run, None);
            }
            Err(error)
        }
    }
}

/// Counts a mutation as abandoned if the sender is dropped while it waits for the response.
struct Waiting {
    shared: Shared,
    writes: bool,
    finished: bool,
}

impl Waiting {
    fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.writes && !self.finished {
            self.shared.state().abandoned_writes += 1;
        }
    }
}

/// The response, and its listing if it has a complete one.
type Exchange = Result<(HttpResponse, Option<Listing>), TransportError>;

/// One request in flight.
struct InFlight {
    shared: Shared,
    run: usize,
    /// The last listing of its run when it was sent, if that was complete.
    shown: Option<Listing>,
    fault: Fault,
    writes: bool,
    request: HttpRequest,
}

impl InFlight {
    /// The server's result; none if no response is sent.
    async fn serve(mut self, api: &Api) -> Option<Exchange> {
        match self.fault {
            Fault::ResetBefore | Fault::TimeoutBefore => return None,
            Fault::LateEffect => {
                let late = self.shared.state().random.u64(70..170);
                tokio::time::sleep(Duration::from_secs(late)).await;
            }
            Fault::Throttle => {
                let wait = self.shared.state().random.u32(1..90).to_string();
                let (status, body) = (429, "slow down");
                return Some(Ok((plain(status, body, Some(&wait)), None)));
            }
            Fault::ServerError => return Some(Ok((self.server_error(), None))),
            Fault::Unavailable => return Some(Ok((plain(503, "later", None), None))),
            Fault::Firewall if self.shared.state().random.bool() => {
                return Some(Ok((self.firewall_page(), None)));
            }
            Fault::HtmlPage => return Some(Ok((plain(200, "<html>a proxy</html>", None), None))),
            Fault::ErrorsOnly => {
                let body = r#"{"errors":[{"message":"overloaded"}]}"#;
                return Some(Ok((plain(200, body, None), None)));
            }
            _ => {}
        }
        let (response, as_of) = self.execute(api).await;
        match self.fault {
            Fault::ResetAfter | Fault::TimeoutAfter | Fault::LateEffect => None,
            Fault::Truncate => Some(Err(TransportError {
                kind: FailureKind::Truncated,
                cause: "the end is missing".into(),
            })),
            Fault::Firewall => Some(Ok((self.firewall_page(), None))),
            Fault::ServerErrorAfter => Some(Ok((self.server_error(), None))),
            Fault::NullResults => Some(Ok((with_null_results(response), None))),
            _ if self.writes => Some(Ok((response, None))),
            _ => {
                let (response, listing) = self.listing_response(response, as_of);
                Some(Ok((with_odd_names(response), listing)))
            }
        }
    }

    /// Executes the request in the sandbox, and checks its effects.
    async fn execute(&mut self, api: &Api) -> (HttpResponse, jiff::Timestamp) {
        if let Some((world, as_of)) = self.substitute_world() {
            let mirror = api.mirror.lock().await;
            *mirror.state().lock() = world;
            return (ask(&mirror, &mut self.request).await, as_of);
        }
        let server = api.server.lock().await;
        match self.fault {
            Fault::NotOk => server.set_faults(["not-ok=1".parse::<FaultRate>().unwrap()]),
            Fault::ConcurrentEdit => self.shared.state().concurrent_edit(&self.request.body),
            Fault::PartialFailure => self.corrupt_one_target(),
            _ => {}
        }
        let before = self.shared.state().world.lock().clone();
        let response = ask(&server, &mut self.request).await;
        server.set_faults([]);
        let mut state = self.shared.state();
        state.check_effects(self.run, self.shown.as_ref(), &before);
        (response, state.clocks.true_now())
    }

    /// Replaces the target of one field by an unknown account.
    fn corrupt_one_target(&mut self) {
        let mut body: Value = serde_json::from_str(&self.request.body).unwrap();
        let Some(variables) = body["variables"].as_object_mut() else { return };
        let is_target = |name: &&String| name.starts_with("uid") || name.starts_with("email");
        let names: Vec<String> = variables.keys().filter(is_target).cloned().collect();
        let name = self.shared.state().random.choice(names).unwrap();
        variables.insert(name, "nobody".into());
        self.request.body = body.to_string();
    }

    /// The response of a gateway that cannot reach its server.
    fn server_error(&self) -> HttpResponse {
        let status = *self.shared.state().random.choice(&[500, 502, 504]).unwrap();
        plain(status, "broken", None)
    }

    fn firewall_page(&self) -> HttpResponse {
        let status = *self.shared.state().random.choice(&[401, 403]).unwrap();
        plain(status, "<html>blocked</html>", None)
    }

    /// The state that a listing shows instead of the current one, and its time.
    fn substitute_world(&self) -> Option<(rosterd::sandbox::world::World, jiff::Timestamp)> {
        let mut state = self.shared.state();
        match self.fault {
            Fault::StaleListing => {
                let ago = SignedDuration::from_secs(state.random.i64(1..MAX_AGE.cast_signed()));
                Some((state.world_before(ago), state.clocks.true_now() - ago))
            }
            Fault::NotOk if self.writes => None,
            Fault::PartialListing | Fault::FirstPage | Fault::NotOk => {
                let mut world = state.world.lock().clone();
                let accounts = &mut world.workspaces[0].accounts;
                let kept = state.random.usize(..=accounts.len());
                state.random.shuffle(accounts);
                accounts.truncate(kept);
                Some((world, state.clocks.true_now()))
            }
            _ => None,
        }
    }

    /// Adds one of the signs that a response is only the first page.
    fn announce_more(&self, response: &mut HttpResponse, users: &mut Value) {
        match self.shared.state().random.u8(..5) {
            0 => response.status = 206,
            1 => users["hasNext"] = true.into(),
            2 => users["pageInfo"] = json!({ "hasNextPage": true }),
            3 => {
                response.headers.insert("content-range", "users 0-9/*".parse().unwrap());
            }
            _ => {
                response.headers.insert("link", "<?page=2>; rel=\"next\"".parse().unwrap());
            }
        }
    }

    /// The response to a listing, with the fault applied, and its complete listing if it has one.
    fn listing_response(
        &self,
        mut response: HttpResponse,
        as_of: jiff::Timestamp,
    ) -> (HttpResponse, Option<Listing>) {
        let Ok(mut body) = serde_json::from_slice::<Value>(&response.body) else {
            return (response, None);
        };
        let listing = parse_listing(&body, as_of);
        let users = &mut body["data"]["listUsers"];
        match self.fault {
            Fault::FirstPage => self.announce_more(&mut response, users),
            Fault::NotOk => users["ok"] = false.into(),
            Fault::MissingList => users["invitedUsers"] = Value::Null,
            Fault::DataWithErrors => body["errors"] = json!([{ "message": "half of it" }]),
            Fault::DuplicateRow => match users["activeUsers"].as_array_mut() {
                Some(list) if !list.is_empty() => list.push(list[0].clone()),
                _ => return (response, listing),
            },
            _ => return (response, listing),
        }
        response.body = body.to_string().into_bytes();
        (response, None)
    }
}

/// A display name stops nothing: user3 and user5 have names that are no valid text.
fn with_odd_names(mut response: HttpResponse) -> HttpResponse {
    let body = String::from_utf8(response.body).unwrap();
    let body = body.replace(r#""name":"user3""#, r#""name":"\ud800 user3""#);
    response.body = body.replace(r#""name":"user5""#, r#""name":5"#).into_bytes();
    response
}

/// The listing in a response body; none if it is incomplete.
fn parse_listing(body: &Value, as_of: jiff::Timestamp) -> Option<Listing> {
    let users = &body["data"]["listUsers"];
    if body.get("errors").is_some() || users["ok"] != true {
        return None;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let accounts = users["activeUsers"].as_array()?.iter();
    let invitations = users["invitedUsers"].as_array()?.iter();
    Some(Listing {
        accounts: accounts
            .map(|it| (text(&it["uid"]), text(&it["email"]), text(&it["accountType"])))
            .collect(),
        invitations: invitations
            .map(|it| (text(&it["email"]), it["inviteStatus"] != "EXPIRED"))
            .collect(),
        as_of,
    })
}

/// The response with every field null, and an error that names none.
fn with_null_results(mut response: HttpResponse) -> HttpResponse {
    let Ok(mut body) = serde_json::from_slice::<Value>(&response.body) else { return response };
    if let Some(fields) = body["data"].as_object_mut() {
        fields.values_mut().for_each(|field| *field = Value::Null);
        body["errors"] = json!([{ "message": "the service behind it is silent" }]);
    }
    response.body = body.to_string().into_bytes();
    response
}

fn plain(status: u16, body: &str, retry_after: Option<&str>) -> HttpResponse {
    let content_type = if body.starts_with('{') { "application/json" } else { "text/html" };
    let status = StatusCode::from_u16(status).unwrap().as_u16();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", content_type.parse().unwrap());
    if let Some(wait) = retry_after {
        headers.insert("retry-after", wait.parse().unwrap());
    }
    HttpResponse { status, headers, body: body.as_bytes().to_vec() }
}
