//! What one complete HTTP answer is, and the words in which a failure is told.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::response::{self, Envelope, Errors, GraphqlError, Malformed};
use super::{ClientError, Credentials, ErrorClass};
use crate::escape::escape;
use crate::failure::FailureKind;

/// So many errors of one answer are told; the rest are counted.
const TOLD: usize = 8;
/// So many characters of a body that should not have come are shown.
const EXCERPT: usize = 120;
/// A shorter secret is no secret, and hiding it would garble every message.
const SHORTEST_SECRET: usize = 8;

/// One complete answer.
#[derive(Debug, Default)]
pub struct Response {
    pub status: u16,
    pub content_type: Option<String>,
    pub location: Option<String>,
    pub retry_after: Option<Duration>,
    /// The `Date` header.
    pub server_time: Option<Timestamp>,
    pub body: Vec<u8>,
}

/// How failures of one endpoint are told: escaped, short, and without the credentials, even where
/// the server repeats them.
#[derive(Debug)]
pub struct ErrorContext<'a> {
    pub endpoint: &'a str,
    secrets: Secrets<'a>,
}

struct Secrets<'a>(Vec<&'a str>);

/// What an error says about the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// They are not known, or no longer.
    Credentials,
    /// The key lacks a capability, for whatever is asked.
    Capability,
    /// This is not allowed; perhaps something else is.
    Forbidden,
}

impl std::fmt::Debug for Secrets<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} hidden", self.0.len())
    }
}

impl<'a> ErrorContext<'a> {
    pub fn new(endpoint: &'a str, credentials: &'a Credentials) -> Self {
        let secrets = match credentials {
            Credentials::KeyPair { key, secret } => vec![secret, key],
            Credentials::Token(token) => vec![token],
        };
        let long = |text: &&str| text.len() >= SHORTEST_SECRET;
        let secrets = secrets.into_iter().map(ExposeSecret::expose_secret).filter(long).collect();
        Self { endpoint, secrets: Secrets(secrets) }
    }

    /// Remote text, fit to be shown.
    pub fn remote(&self, text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        for secret in &self.secrets.0 {
            if text.contains(secret) {
                text = Cow::Owned(text.replace(secret, "[hidden]"));
            }
        }
        escape(&text).into_owned()
    }

    /// An error that begins with the endpoint.
    pub fn error(&self, class: ErrorClass, kind: FailureKind, said: &str) -> ClientError {
        ClientError { class, kind, message: format!("{} {said}", self.endpoint) }
    }

    /// All errors in one line, up to a limit.
    pub fn errors(&self, errors: &Errors) -> String {
        self.some_of(errors.list.iter(), errors.total)
    }

    /// Some errors in one line, up to a limit.
    pub fn own(&self, errors: &[&GraphqlError]) -> String {
        self.some_of(errors.iter().copied(), errors.len())
    }

    fn some_of<'e>(&self, errors: impl Iterator<Item = &'e GraphqlError>, total: usize) -> String {
        let told = errors.take(TOLD).map(|error| self.remote(&error.message));
        let mut line = told.collect::<Vec<_>>().join("; ");
        if total > TOLD {
            let _ = write!(line, "; and {} more errors", total - TOLD);
        }
        line
    }

    /// The beginning of a body that should not have come. It is cut last: a part of a secret is
    /// one that nothing hides.
    fn excerpt(&self, body: &[u8]) -> String {
        let text = self.remote(String::from_utf8_lossy(body).trim());
        let mut shown: String = text.chars().take(EXCERPT).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        if shown.is_empty() { "an empty body".into() } else { format!("`{shown}`") }
    }
}

/// The failure that the status alone tells; None where the body has the word.
pub fn status_error(
    response: &Response,
    needs: &str,
    context: &ErrorContext<'_>,
) -> Option<ClientError> {
    use ErrorClass::{Denied, Protocol, Transient};
    let status = response.status;
    let (class, kind, said) = match status {
        300..=399 => {
            let to = response.location.as_deref().unwrap_or("nowhere");
            let to = context.remote(to);
            (
                Protocol,
                FailureKind::Redirect,
                format!("redirects ({status}) to {to}, which is not followed"),
            )
        }
        401 => (
            Denied,
            FailureKind::Unauthorized,
            format!("does not accept the credentials ({status})"),
        ),
        403 => (Denied, FailureKind::Forbidden, format!("forbids it ({status})")),
        408 => {
            (Transient, FailureKind::Timeout, format!("gave up waiting for the request ({status})"))
        }
        429 => (Transient, FailureKind::Throttled, format!("asks for fewer requests ({status})")),
        500..=599 => (Transient, FailureKind::Server, format!("failed ({status})")),
        _ => return None,
    };
    let errors = errors_of(response);
    let lacking = |error: &GraphqlError| denial(error) == Some(Denial::Capability);
    let lacks = status == 403 && errors.iter().flat_map(|errors| &errors.list).any(lacking);
    let kind = if lacks { FailureKind::MissingCapability } else { kind };
    let detail = errors.map(|errors| format!(": {}", context.errors(&errors))).unwrap_or_default();
    let needs = if status == 403 { needed(needs) } else { String::new() };
    Some(context.error(class, kind, &format!("{said}{detail}{needs}")))
}

fn needed(needs: &str) -> String {
    format!("; it needs a key with the capability {needs}")
}

/// The errors of a failed answer that speaks GraphQL all the same.
fn errors_of(response: &Response) -> Option<Errors> {
    let envelope: Envelope<IgnoredAny> = response::read(&response.body).ok()?;
    (envelope.errors.total > 0).then_some(envelope.errors)
}

/// Reads the body as an answer of GraphQL.
pub fn envelope<'a, T: Deserialize<'a>>(
    response: &'a Response,
    context: &ErrorContext<'_>,
) -> Result<Envelope<T>, ClientError> {
    use ErrorClass::{Protocol, Transient};
    let status = response.status;
    let excerpt = || context.excerpt(&response.body);
    if let Some(kind) = response.content_type.as_deref().filter(|kind| !is_json(kind)) {
        let kind = context.remote(kind);
        let said = format!("answered ({status}) with {kind} instead of JSON: {}", excerpt());
        return Err(context.error(Protocol, FailureKind::NotJson, &said));
    }
    response::read(&response.body).map_err(|malformed| match malformed {
        Malformed::NotJson(why) => {
            let said = format!("answered ({status}) with no JSON ({why}): {}", excerpt());
            context.error(Protocol, FailureKind::NotJson, &said)
        }
        Malformed::CutShort if response.body.trim_ascii().is_empty() => context.error(
            Protocol,
            FailureKind::NotJson,
            &format!("answered ({status}) with an empty body"),
        ),
        Malformed::CutShort => {
            let said =
                format!("sent an answer that is cut short, at {} bytes", response.body.len());
            context.error(Transient, FailureKind::Truncated, &said)
        }
        Malformed::NotGraphql => {
            let said = format!("answered ({status}) with JSON that is not GraphQL: {}", excerpt());
            context.error(Protocol, FailureKind::NotGraphql, &said)
        }
        Malformed::Shape(why) => {
            let said = format!("sent an answer of another shape: {}", context.remote(&why));
            context.error(Protocol, FailureKind::Incomplete, &said)
        }
    })
}

/// `application/json`, `application/graphql-response+json` and the like.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

/// Whether the error is about the credentials rather than about what was asked.
pub fn denial(error: &GraphqlError) -> Option<Denial> {
    let message = error.message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["capability", "capabilities"]) {
        return Some(Denial::Capability);
    }
    match error.code.to_ascii_uppercase().as_str() {
        "UNAUTHENTICATED"
        | "UNAUTHORIZED"
        | "NOT_AUTHENTICATED"
        | "INVALID_CREDENTIALS"
        | "401" => return Some(Denial::Credentials),
        "FORBIDDEN" | "PERMISSION_DENIED" | "ACCESS_DENIED" | "NOT_AUTHORIZED" | "403" => {
            return Some(Denial::Forbidden);
        }
        _ => {}
    }
    if says(&["unauthenticated", "not authenticated", "unauthorized", "unauthorised"])
        || says(&["invalid api key", "invalid api secret", "invalid credentials", "invalid token"])
    {
        return Some(Denial::Credentials);
    }
    says(&["forbidden", "permission denied", "not authorized", "not authorised"])
        .then_some(Denial::Forbidden)
}

/// The failure behind errors that all speak of the credentials.
pub fn denied(errors: &Errors, needs: &str, context: &ErrorContext<'_>) -> Option<ClientError> {
    let denials: Option<Vec<Denial>> = errors.list.iter().map(denial).collect();
    let denials = denials.filter(|all| !all.is_empty() && all.len() == errors.total)?;
    let said = context.errors(errors);
    let needs = needed(needs);
    let (kind, said) = if denials.contains(&Denial::Credentials) {
        (FailureKind::Unauthorized, format!("does not accept the credentials: {said}"))
    } else if denials.contains(&Denial::Capability) {
        (FailureKind::MissingCapability, format!("forbids it: {said}{needs}"))
    } else {
        (FailureKind::Forbidden, format!("forbids it: {said}{needs}"))
    };
    Some(context.error(ErrorClass::Denied, kind, &said))
}

/// Whether GraphQL errors say that requests come too fast.
pub fn is_throttling(errors: &Errors) -> bool {
    const CODES: [&str; 5] =
        ["RATE_LIMITED", "RATE_LIMIT_EXCEEDED", "THROTTLED", "TOO_MANY_REQUESTS", "429"];
    errors.list.iter().any(|error| CODES.contains(&error.code.to_ascii_uppercase().as_str()))
}
