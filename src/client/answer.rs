//! One HTTP response of the API, and the error messages made from it.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::errors::{Errors, GraphqlError};
use super::response::{self, Envelope, Malformed, Object};
use super::scan::{has_long_value, has_next};
use super::{ClientError, Credentials};
use crate::escape::escape;
use crate::failure::FailureKind;

/// Maximum number of GraphQL errors in a message; the rest are counted.
const MAX_MESSAGES: usize = 8;
/// Maximum number of characters that are shown of an unexpected body.
const MAX_EXCERPT: usize = 120;
/// Maximum number of bytes of a remote text in which secrets are masked; a longer one is cut.
const MAX_MASKED: usize = 16 << 10;
/// Shorter credentials are not masked: masking every occurrence would garble messages.
const MIN_SECRET: usize = 8;

/// One complete response, with the headers that matter.
#[derive(Debug, Default)]
pub struct Response {
    pub status: u16,
    pub content_type: Option<String>,
    pub location: Option<String>,
    pub retry_after: Option<Duration>,
    /// The header that says that the body is only a part, if there is one.
    pub partial: Option<&'static str>,
    /// The `Date` header.
    pub server_time: Option<Timestamp>,
    pub body: Vec<u8>,
}

/// Makes the error messages of one endpoint: escaped, limited in length, and without the
/// credentials, even if the server repeats them.
pub struct ErrorContext<'a> {
    pub endpoint: &'a str,
    secrets: Vec<&'a str>,
    /// Where the credentials come from.
    origin: &'a str,
}

/// What an error says about the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// They are not valid, or no longer.
    Credentials,
    /// The key lacks a capability, so every field of the request fails.
    Capability,
    /// This field is forbidden; others may be allowed.
    Forbidden,
}

impl<'a> ErrorContext<'a> {
    pub fn new(endpoint: &'a str, credentials: &'a Credentials) -> Self {
        let secrets = match credentials {
            Credentials::KeyPair { key, secret } => vec![secret, key],
            Credentials::Token(token) => vec![token],
        };
        let long = |text: &&str| text.len() >= MIN_SECRET;
        let secrets = secrets.into_iter().map(ExposeSecret::expose_secret).filter(long).collect();
        Self { endpoint, secrets, origin: "" }
    }

    /// Names the origin of the credentials where they are rejected.
    #[must_use]
    pub fn with_origin(self, origin: &'a str) -> Self {
        Self { origin, ..self }
    }

    /// The beginning of a remote text, without secrets, escaped.
    pub fn sanitize(&self, text: &str) -> String {
        let start = &text[..text.floor_char_boundary(MAX_MASKED)];
        let secrets = self.secrets.iter();
        let mut masked =
            secrets.fold(start.to_owned(), |text, secret| text.replace(secret, "[hidden]"));
        if start.len() < text.len() {
            // The end may be the beginning of a secret.
            let longest = self.secrets.iter().map(|secret| secret.len()).max().unwrap_or_default();
            masked.truncate(masked.floor_char_boundary(masked.len().saturating_sub(longest)));
        }
        escape(&masked).into_owned()
    }

    fn origin_hint(&self) -> String {
        if self.origin.is_empty() { String::new() } else { format!("; check {}", self.origin) }
    }

    /// An error whose message begins with the endpoint.
    pub fn error(&self, kind: FailureKind, message: &str) -> ClientError {
        ClientError { kind, message: format!("{} {message}", self.endpoint) }
    }

    /// The messages of all errors in one line, up to a maximum.
    pub fn errors(&self, errors: &Errors) -> String {
        self.messages(&errors.list, errors.total)
    }

    /// The messages of some errors in one line, up to a maximum of `total`.
    pub fn messages<'e>(
        &self,
        errors: impl IntoIterator<Item = &'e GraphqlError>,
        total: usize,
    ) -> String {
        let shown = errors.into_iter().take(MAX_MESSAGES);
        let mut line: Vec<_> = shown.map(|error| self.sanitize(&error.message)).collect();
        if total > MAX_MESSAGES {
            line.push(format!("and {} more errors", total - MAX_MESSAGES));
        }
        line.join("; ")
    }

    /// The beginning of an unexpected body. It is cut after secrets are masked: a cut secret would
    /// no longer be recognized.
    fn excerpt(&self, body: &[u8]) -> String {
        let body = body.trim_ascii();
        // One byte more than is masked, so that the text is known to be cut.
        let start = &body[..body.len().min(MAX_MASKED + 1)];
        let text = self.sanitize(&String::from_utf8_lossy(start));
        let mut shown: String = text.chars().take(MAX_EXCERPT).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        if shown.is_empty() { "an empty body".into() } else { format!("`{shown}`") }
    }
}

/// The error that the status implies; None if the body decides. `capability` is what the request
/// needs.
pub fn status_error(
    response: &Response,
    capability: &str,
    context: &ErrorContext<'_>,
) -> Option<ClientError> {
    let status = response.status;
    let (kind, message) = match status {
        300..=399 => {
            let target = context.sanitize(response.location.as_deref().unwrap_or("nowhere"));
            let message = format!(
                "redirects ({status}) to {target}, which is not followed; check the endpoint"
            );
            (FailureKind::Redirect, message)
        }
        401 | 403 if !is_from_api(response) => {
            let what = response.content_type.as_deref().unwrap_or("no content type");
            let (what, excerpt) = (context.sanitize(what), context.excerpt(&response.body));
            let message = format!(
                "answered ({status}) without the JSON of the API ({what}): {excerpt}; check the \
                 endpoint, and whether a proxy or a firewall blocks the request"
            );
            return Some(context.error(FailureKind::Blocked, &message));
        }
        401 => (FailureKind::Unauthorized, format!("rejected the credentials ({status})")),
        403 => (FailureKind::Forbidden, format!("denied access ({status})")),
        408 => (FailureKind::Timeout, format!("timed out waiting for the request ({status})")),
        429 => (FailureKind::Throttled, format!("rate limit exceeded ({status})")),
        500..=599 => (FailureKind::Server, format!("failed ({status})")),
        _ => return None,
    };
    let envelope = response::read::<IgnoredAny>(&response.body).ok();
    let errors = envelope.map(|envelope| envelope.errors).filter(|errors| errors.total > 0);
    let lacking = |error: &GraphqlError| denial(error) == Some(Denial::Capability);
    let lacks = status == 403 && errors.iter().flat_map(|errors| &errors.list).any(lacking);
    let kind = if lacks { FailureKind::MissingCapability } else { kind };
    let detail = errors.map(|errors| format!(": {}", context.errors(&errors))).unwrap_or_default();
    let hint = match status {
        401 => context.origin_hint(),
        403 => capability_hint(capability),
        _ => String::new(),
    };
    Some(context.error(kind, &format!("{message}{detail}{hint}")))
}

/// Whether the body is a JSON object. The page of a proxy or a firewall is not.
fn is_from_api(response: &Response) -> bool {
    response.content_type.as_deref().is_none_or(is_json)
        && serde_json::from_slice::<Object<IgnoredAny>>(&response.body).is_ok()
}

/// The sign that a response is not the whole answer to a request, if there is one.
pub fn partial(response: &Response) -> Option<String> {
    match (response.status, response.partial) {
        (status @ 201..300, _) => Some(format!("status {status} instead of 200")),
        (_, Some(header)) => Some(format!("the header {header}")),
        _ => has_next(&response.body).then(|| "`hasNext: true`".into()),
    }
}

fn capability_hint(capability: &str) -> String {
    format!("; use a key with the capability {capability}")
}

/// What to check after a response that is not of the API.
fn status_hint(status: u16) -> &'static str {
    match status {
        413 => "; a proxy limits the size of requests: lower `http.batch`",
        400..=499 => "; check the path of the endpoint, and whether a proxy answers for it",
        _ => "; check the endpoint",
    }
}

/// Parses the body as a GraphQL response.
pub fn envelope<'a, T: Deserialize<'a>>(
    response: &'a Response,
    context: &ErrorContext<'_>,
) -> Result<Envelope<T>, ClientError> {
    let status = response.status;
    let excerpt = || context.excerpt(&response.body);
    if let Some(kind) = response.content_type.as_deref().filter(|kind| !is_json(kind)) {
        let kind = context.sanitize(kind);
        let message = format!(
            "answered ({status}) with {kind} instead of JSON: {}{}",
            excerpt(),
            status_hint(status)
        );
        return Err(context.error(FailureKind::NotJson, &message));
    }
    if has_long_value(&response.body) {
        let message = "sent a value of more than 512 KiB; check the endpoint";
        return Err(context.error(FailureKind::TooLarge, message));
    }
    response::read(&response.body).map_err(|malformed| {
        let (kind, message) = match malformed {
            Malformed::CutShort if response.body.trim_ascii().is_empty() => {
                (FailureKind::NotJson, format!("answered ({status}) with an empty body"))
            }
            Malformed::NotJson(why) => (
                FailureKind::NotJson,
                format!("answered ({status}) with invalid JSON ({why}): {}", excerpt()),
            ),
            Malformed::CutShort => {
                let bytes = response.body.len();
                (FailureKind::Truncated, format!("sent a truncated response of {bytes} bytes"))
            }
            Malformed::NotGraphql => (
                FailureKind::NotGraphql,
                format!("answered ({status}) with JSON that is not GraphQL: {}", excerpt()),
            ),
            Malformed::Shape(why) => {
                let why = context.sanitize(&why);
                (FailureKind::Incomplete, format!("sent a response of an unexpected shape: {why}"))
            }
        };
        context.error(kind, &message)
    })
}

/// `application/json`, `application/graphql-response+json` and the like.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

/// Whether the error is about the credentials rather than about the request.
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
        | "401" => {
            return Some(Denial::Credentials);
        }
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

/// The error of a response whose GraphQL errors are all about the credentials.
pub fn denied(
    errors: &Errors,
    capability: &str,
    context: &ErrorContext<'_>,
) -> Option<ClientError> {
    let denials: Option<Vec<Denial>> = errors.list.iter().map(denial).collect();
    let denials = denials.filter(|all| !all.is_empty() && all.len() == errors.total)?;
    let messages = context.errors(errors);
    if denials.contains(&Denial::Credentials) {
        let hint = context.origin_hint();
        let message = format!("rejected the credentials: {messages}{hint}");
        return Some(context.error(FailureKind::Unauthorized, &message));
    }
    let lacks = denials.contains(&Denial::Capability);
    let kind = if lacks { FailureKind::MissingCapability } else { FailureKind::Forbidden };
    let hint = capability_hint(capability);
    Some(context.error(kind, &format!("denied access: {messages}{hint}")))
}

/// Whether the GraphQL errors say that the rate limit is exceeded.
pub fn is_throttling(errors: &Errors) -> bool {
    const CODES: [&str; 5] =
        ["RATE_LIMITED", "RATE_LIMIT_EXCEEDED", "THROTTLED", "TOO_MANY_REQUESTS", "429"];
    errors.list.iter().any(|error| CODES.contains(&error.code.to_ascii_uppercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_secret_is_shown_where_a_text_is_cut() {
        let secret = format!("prdm_{}", "s3cr3t".repeat(400));
        let credentials = Credentials::Token(secret.as_str().into());
        let context = ErrorContext::new("https://api.acme.io/", &credentials);
        for before in [0, 1, MAX_MASKED % secret.len(), MAX_MASKED - 1] {
            let text = "x".repeat(before) + &secret.repeat(20);
            for shown in [context.sanitize(&text), context.excerpt(text.as_bytes())] {
                assert!(!shown.contains("prdm_") && !shown.contains("s3cr3t"), "{shown}");
            }
        }
        assert_eq!(context.sanitize(&secret), "[hidden]");
    }

    #[test]
    fn only_json_is_the_word_of_the_api() {
        let credentials = Credentials::Token("prdm_wsp_of-a-test".into());
        let context = ErrorContext::new("https://api.acme.io/", &credentials);
        let kind = |status, content_type: Option<&str>, body: &str| {
            let (content_type, body) = (content_type.map(str::to_owned), body.into());
            let response = Response { status, content_type, body, ..Response::default() };
            status_error(&response, "x", &context).unwrap()
        };
        let json = Some("application/json; charset=utf-8");
        let errors = r#"{"errors":[{"message":"no"}]}"#;
        for body in [errors, r#"{"detail":"Not authenticated"}"#, "{}"] {
            for content_type in [json, None] {
                assert_eq!(kind(401, content_type, body).kind, FailureKind::Unauthorized);
                assert_eq!(kind(403, content_type, body).kind, FailureKind::Forbidden);
            }
        }
        for status in [401, 403] {
            for (content_type, body) in [
                (Some("text/html"), "<html>prdm_wsp_of-a-test</html>"),
                (Some("text/html"), errors),
                (json, "<html>"),
                (json, "\"denied\""),
                (json, "[]"),
                (json, r#"{"errors":"#),
                (json, ""),
                (None, ""),
            ] {
                let error = kind(status, content_type, body);
                assert_eq!(error.kind, FailureKind::Blocked, "{error}");
                assert!(error.message.contains("a proxy or a firewall"), "{error}");
                assert!(!error.message.contains("prdm_"), "{error}");
            }
        }
    }
}
