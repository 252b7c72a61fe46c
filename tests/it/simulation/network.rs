//! The network of the story, and the API's server at its other end.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use rosterd::client::transport::{
    HttpRequest, HttpResponse, HttpTransport, TransportError, TransportErrorKind,
};
use rosterd::sandbox::InProcessSandbox;
use rosterd::sandbox::faults::FaultRate;
use serde_json::{Value, json};
use tokio::sync::{Mutex, oneshot};

use super::process::Process;
use super::scenario::Fault;
use super::sim_state::{Reading, Shared};
use crate::support::in_process::ask;

/// The deadline of a request.
pub const TIMEOUT: Duration = Duration::from_mins(1);
/// A listing lags by less than an effect may take to settle.
const LAG: u64 = 480;

/// The API's server, one request at a time; the mirror shows worlds that are not the present one.
pub struct Api {
    pub server: Mutex<InProcessSandbox>,
    pub mirror: Mutex<InProcessSandbox>,
}

/// The network of one process.
pub struct Net(pub Arc<Process>);

impl HttpTransport for Net {
    fn post(&self, post: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, TransportError>> {
        let process = Arc::clone(&self.0);
        Box::pin(async move { exchange(process, post).await })
    }
}

async fn exchange(
    process: Arc<Process>,
    post: HttpRequest,
) -> Result<HttpResponse, TransportError> {
    let (shared, epoch) = (process.shared.clone(), process.epoch);
    shared.moment(epoch, "before a request").await;
    let writes = post.body.starts_with(r#"{"query":"mutation"#);
    let run = process.run();
    let (fault, there, back) = {
        let mut site = shared.site();
        let fault = site.fault(writes);
        let what = if writes { "request to change" } else { "request to list" };
        site.tell(what, &format!("run {run}, {fault:?}"));
        if fault != Fault::None {
            site.count(&format!("fault {fault:?}"));
        }
        (fault, site.latency(), site.latency())
    };
    if fault == Fault::Connect {
        tokio::time::sleep(there).await;
        return Err(TransportError { how: TransportErrorKind::Connect, cause: "refused".into() });
    }
    let (tell, told) = oneshot::channel();
    let shown = shared.site().shown(run);
    let errand = Errand { shared: shared.clone(), run, shown, fault, writes, post };
    let api = Arc::clone(&process.api);
    tokio::spawn(async move {
        tokio::time::sleep(there).await;
        let answer = errand.serve(&api).await;
        tokio::time::sleep(back).await;
        if let Some(answer) = answer {
            let _ = tell.send(answer);
        } else if matches!(fault, Fault::TimeoutBefore | Fault::TimeoutAfter | Fault::Late) {
            tokio::time::sleep(10 * TIMEOUT).await;
        }
    });
    let waiting = Waiting { shared: shared.clone(), writes, answered: false };
    let answer = tokio::time::timeout(TIMEOUT, told).await;
    waiting.ends();
    shared.moment(epoch, "after a request").await;
    let answer = match answer {
        Err(_) => {
            Err(TransportError { how: TransportErrorKind::Timeout, cause: "time-out".into() })
        }
        Ok(Err(_)) => Err(TransportError { how: TransportErrorKind::Reset, cause: "reset".into() }),
        Ok(Ok(answer)) => answer,
    };
    let mut site = shared.site();
    let how = answer.as_ref().map(|it| it.0.status).map_err(|broken| broken.how);
    site.tell("answer", &format!("run {run}, {how:?}"));
    match answer {
        Ok((answered, reading)) => {
            if !writes {
                site.deliver(run, reading);
            }
            Ok(answered)
        }
        Err(broken) => {
            if !writes {
                site.deliver(run, None);
            }
            Err(broken)
        }
    }
}

/// Somebody waits for an answer. Whoever goes away meanwhile forsakes the request.
struct Waiting {
    shared: Shared,
    writes: bool,
    answered: bool,
}

impl Waiting {
    fn ends(mut self) {
        self.answered = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.writes && !self.answered {
            self.shared.site().forsaken += 1;
        }
    }
}

/// What comes back, and the reading that it is, if it is a complete one.
type Came = Result<(HttpResponse, Option<Reading>), TransportError>;

/// One request on its way.
struct Errand {
    shared: Shared,
    run: usize,
    /// What its run had been shown when it was sent, if that was complete.
    shown: Option<Reading>,
    fault: Fault,
    writes: bool,
    post: HttpRequest,
}

impl Errand {
    /// What the server makes of it; nothing, where no answer leaves it.
    async fn serve(mut self, api: &Api) -> Option<Came> {
        match self.fault {
            Fault::ResetBefore | Fault::TimeoutBefore => return None,
            Fault::Late => {
                let late = self.shared.site().random.u64(70..170);
                tokio::time::sleep(Duration::from_secs(late)).await;
            }
            Fault::Throttle => {
                let wait = self.shared.site().random.u32(1..90).to_string();
                let (status, body) = (429, "slow down");
                return Some(Ok((plain(status, body, Some(&wait)), None)));
            }
            Fault::Broken => return Some(Ok((self.broken(), None))),
            Fault::Unavailable => return Some(Ok((plain(503, "later", None), None))),
            Fault::Html => return Some(Ok((plain(200, "<html>a proxy</html>", None), None))),
            Fault::NoData => {
                let body = r#"{"errors":[{"message":"overloaded"}]}"#;
                return Some(Ok((plain(200, body, None), None)));
            }
            _ => {}
        }
        let (answered, as_of) = self.execute(api).await;
        match self.fault {
            Fault::ResetAfter | Fault::TimeoutAfter | Fault::Late => None,
            Fault::Truncate => Some(Err(TransportError {
                how: TransportErrorKind::Truncated,
                cause: "the end is missing".into(),
            })),
            Fault::BrokenAfter => Some(Ok((self.broken(), None))),
            Fault::Mute => Some(Ok((mute(answered), None))),
            _ if self.writes => Some(Ok((answered, None))),
            _ => Some(Ok(self.listing(answered, as_of))),
        }
    }

    /// Runs it against the world, and looks at what has become of the world.
    async fn execute(&mut self, api: &Api) -> (HttpResponse, jiff::Timestamp) {
        if let Some((world, as_of)) = self.another_world() {
            let mirror = api.mirror.lock().await;
            *mirror.state().lock().unwrap() = world;
            return (ask(&mirror, &mut self.post).await, as_of);
        }
        let server = api.server.lock().await;
        match self.fault {
            Fault::NotOk => server.set_faults(["not-ok=1".parse::<FaultRate>().unwrap()]),
            Fault::ConcurrentEdit => self.shared.site().sabotage(&self.post.body),
            Fault::Partly => self.ask_amiss(),
            _ => {}
        }
        let before = self.shared.site().world.lock().unwrap().clone();
        let answer = ask(&server, &mut self.post).await;
        server.set_faults([]);
        let mut site = self.shared.site();
        site.executed(self.run, self.shown.as_ref(), &before);
        (answer, site.clocks.truly())
    }

    /// One field asks for somebody whom the server cannot find.
    fn ask_amiss(&mut self) {
        let mut body: Value = serde_json::from_str(&self.post.body).unwrap();
        let Some(variables) = body["variables"].as_object_mut() else { return };
        let whom = |name: &&String| name.starts_with("uid") || name.starts_with("email");
        let names: Vec<String> = variables.keys().filter(whom).cloned().collect();
        let name = self.shared.site().random.choice(names).unwrap();
        variables.insert(name, "nobody".into());
        self.post.body = body.to_string();
    }

    /// What a gateway says that has lost its server.
    fn broken(&self) -> HttpResponse {
        let status = *self.shared.site().random.choice(&[500, 502, 504]).unwrap();
        plain(status, "broken", None)
    }

    /// What a listing shows instead of the world as it is.
    fn another_world(&self) -> Option<(rosterd::sandbox::world::World, jiff::Timestamp)> {
        let mut site = self.shared.site();
        match self.fault {
            Fault::Stale => {
                let ago = SignedDuration::from_secs(site.random.i64(1..LAG.cast_signed()));
                Some((site.earlier(ago), site.clocks.truly() - ago))
            }
            Fault::Shrunk => {
                let mut world = site.world.lock().unwrap().clone();
                let accounts = &mut world.workspaces[0].accounts;
                let lost = site.random.usize(..=accounts.len());
                site.random.shuffle(accounts);
                accounts.truncate(lost);
                Some((world, site.clocks.truly()))
            }
            _ => None,
        }
    }

    /// A listing, perhaps spoiled.
    fn listing(
        &self,
        mut answered: HttpResponse,
        as_of: jiff::Timestamp,
    ) -> (HttpResponse, Option<Reading>) {
        let Ok(mut body) = serde_json::from_slice::<Value>(&answered.body) else {
            return (answered, None);
        };
        let reading = read(&body, as_of);
        let users = &mut body["data"]["listUsers"];
        match self.fault {
            Fault::MissingList => users["invitedUsers"] = Value::Null,
            Fault::ErrorsBeside => body["errors"] = json!([{ "message": "half of it" }]),
            Fault::Twice => match users["activeUsers"].as_array_mut() {
                Some(list) if !list.is_empty() => list.push(list[0].clone()),
                _ => return (answered, reading),
            },
            _ => return (answered, reading),
        }
        answered.body = body.to_string().into_bytes();
        (answered, None)
    }
}

/// The reading that a body is, where it is a whole one.
fn read(body: &Value, as_of: jiff::Timestamp) -> Option<Reading> {
    let users = &body["data"]["listUsers"];
    if body.get("errors").is_some() || users["ok"] != true {
        return None;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let accounts = users["activeUsers"].as_array()?.iter();
    let invitations = users["invitedUsers"].as_array()?.iter();
    Some(Reading {
        accounts: accounts
            .map(|it| (text(&it["uid"]), text(&it["email"]), text(&it["accountType"])))
            .collect(),
        invitations: invitations
            .map(|it| (text(&it["email"]), it["inviteStatus"] != "EXPIRED"))
            .collect(),
        as_of,
    })
}

/// The answer without what it said of its fields.
fn mute(mut answered: HttpResponse) -> HttpResponse {
    let Ok(mut body) = serde_json::from_slice::<Value>(&answered.body) else { return answered };
    if let Some(fields) = body["data"].as_object_mut() {
        fields.values_mut().for_each(|field| *field = Value::Null);
        body["errors"] = json!([{ "message": "the service behind it is silent" }]);
    }
    answered.body = body.to_string().into_bytes();
    answered
}

fn plain(status: u16, body: &str, retry_after: Option<&str>) -> HttpResponse {
    let kind = if body.starts_with('{') { "application/json" } else { "text/html" };
    let status = StatusCode::from_u16(status).unwrap().as_u16();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", kind.parse().unwrap());
    if let Some(wait) = retry_after {
        headers.insert("retry-after", wait.parse().unwrap());
    }
    HttpResponse { status, headers, body: body.as_bytes().to_vec() }
}
