//! What a response means: a complete listing or an error, and the result of each change.

use super::answer::{
    Denial, ErrorContext, Response, denial, denied, envelope, is_throttling, partial, status_error,
};
use super::errors::{Errors, GraphqlError};
use super::limited::Answers;
use super::response::{Done, Envelope, ListData, MAX_ROWS, Object};
use super::{Answer, ClientError, Reply};
use crate::directory::Snapshot;
use crate::failure::FailureKind;

const LIST_CAPABILITY: &str = "*User Management Admin* or *User Metadata Viewer*";
const CHANGE_CAPABILITY: &str = "*User Management Admin*";

/// The snapshot of a listing that is complete and free of errors.
pub fn listing(response: &Response, context: &ErrorContext<'_>) -> Result<Snapshot, ClientError> {
    if let Some(error) = status_error(response, LIST_CAPABILITY, context) {
        return Err(error);
    }
    if let Some(sign) = partial(response) {
        let message = format!("sent only a part of the listing: the response has {sign}");
        return Err(context.error(FailureKind::Incomplete, &message));
    }
    let Envelope { data, errors } = envelope::<Object<ListData>>(response, context)?;
    if errors.total > 0 {
        return Err(listing_error(&errors, context));
    }
    if response.status != 200 {
        let message = format!("answered the listing with status {}", response.status);
        return Err(context.error(FailureKind::NotGraphql, &message));
    }
    let missing = |field: &str| {
        context.error(FailureKind::Incomplete, &format!("sent a listing without {field}"))
    };
    let Some(Object(listed)) = data.and_then(|Object(data)| data.list_users) else {
        return Err(missing("`listUsers`"));
    };
    if listed.ok != Some(true) {
        return Err(context.error(FailureKind::NotOk, "sent a listing without `ok: true`"));
    }
    let active = listed.active_users.ok_or_else(|| missing("`activeUsers`"))?;
    let invited = listed.invited_users.ok_or_else(|| missing("`invitedUsers`"))?;
    let sizes = [(active.list.len(), active.total), (invited.list.len(), invited.total)];
    if let Some((_, total)) = sizes.into_iter().find(|(kept, total)| kept < total) {
        let message = format!(
            "sent a list of {total} users; at most {MAX_ROWS} are supported, with 24 MiB of text"
        );
        return Err(context.error(FailureKind::TooLarge, &message));
    }
    Snapshot::new(
        active.list.into_iter().map(|row| row.0).collect(),
        invited.list.into_iter().map(|row| row.0).collect(),
        response.server_time,
    )
    .map_err(|why| {
        let why = context.sanitize(&why.to_string());
        context.error(FailureKind::Incomplete, &format!("sent an invalid listing: {why}"))
    })
}

fn listing_error(errors: &Errors, context: &ErrorContext<'_>) -> ClientError {
    if is_throttling(errors) {
        let message = format!("rate limit exceeded: {}", context.errors(errors));
        return context.error(FailureKind::Throttled, &message);
    }
    denied(errors, LIST_CAPABILITY, context).unwrap_or_else(|| {
        let message = format!("rejected the listing: {}", context.errors(errors));
        context.error(FailureKind::Graphql, &message)
    })
}

/// The result of a batch whose changes were sent under these aliases. It is sent again only if the
/// response rules out that any of it was executed:
///
/// - status 429, and 401 or 403 in the JSON of the API: decided before the document is read;
/// - no data, and only errors that belong to no field, with any status below 500;
/// - errors about the credentials that apply to every field.
///
/// Any other status, such as 413 or 422 from a proxy, leaves the result unknown, and so does a
/// response that is only a part, such as 202 or 206.
pub fn mutation(response: &Response, aliases: &[String], context: &ErrorContext<'_>) -> Reply {
    if let Some(error) = status_error(response, CHANGE_CAPABILITY, context) {
        return match response.status {
            401 | 403 | 429 if error.kind != FailureKind::Blocked => {
                Reply::NotExecuted { error, retry_after: response.retry_after }
            }
            _ => Reply::Unknown(error),
        };
    }
    if let Some(sign) = partial(response) {
        let why = format!("the response has {sign}");
        return Reply::Answered(vec![Answer::Unknown(why); aliases.len()]);
    }
    let Envelope { data, errors } = match envelope::<Answers>(response, context) {
        Ok(envelope) => envelope,
        Err(error) => return Reply::Unknown(error),
    };
    if !may_have_executed(data.as_ref(), &errors, aliases)
        && let Some(error) = denied(&errors, CHANGE_CAPABILITY, context)
    {
        return Reply::NotExecuted { error, retry_after: None };
    }
    let data = match data {
        Some(data) => data,
        None if is_single_rejection(&errors, aliases, context) => Answers::default(),
        None => return without_data(&errors, response, context),
    };
    let answers = aliases.iter().map(|alias| answer(alias, &data, &errors, context));
    Reply::Answered(answers.collect())
}

/// Whether a field of a batch may have been executed, although all errors are about the
/// credentials.
fn may_have_executed(data: Option<&Answers>, errors: &Errors, aliases: &[String]) -> bool {
    let done =
        |answer: &Option<Object<Done>>| matches!(answer, Some(Object(Done { ok: Some(true) })));
    if data.is_some_and(|data| data.0.values().any(done)) {
        return true;
    }
    // These apply to every field; errors of no field occur before any field is executed.
    let for_all = |error: &GraphqlError| {
        error.field.is_none()
            || matches!(denial(error), Some(Denial::Credentials | Denial::Capability))
    };
    let of = |alias: &String| errors.list.iter().any(|error| error.field.as_ref() == Some(alias));
    !errors.list.iter().any(for_all) && !aliases.iter().all(of)
}

/// The result of one change.
fn answer(alias: &str, data: &Answers, errors: &Errors, context: &ErrorContext<'_>) -> Answer {
    let ok = data.0.get(alias).and_then(Option::as_ref).and_then(|Object(done)| done.ok);
    let own: Vec<&GraphqlError> =
        errors.list.iter().filter(|error| error.field.as_deref() == Some(alias)).collect();
    let messages = context.messages(own.iter().copied(), own.len());
    match (ok, own.is_empty()) {
        (Some(true), true) => Answer::Done,
        (Some(true), false) => {
            Answer::Unknown(format!("answered `ok: true` and an error: {messages}"))
        }
        (_, false) if own.iter().any(|error| denial(error).is_some()) => Answer::Rejected(format!(
            "{messages}; use a key with the capability {CHANGE_CAPABILITY}"
        )),
        (_, false) => Answer::Rejected(messages),
        (Some(false), true) => Answer::Rejected("the API answered `ok: false`".into()),
        (None, true) if errors.total == 0 => Answer::Unknown("no result in the response".into()),
        (None, true) => {
            Answer::Unknown(format!("no result in the response: {}", context.errors(errors)))
        }
    }
}

/// Whether a change that was sent alone was rejected by an error of its field. GraphQL then drops
/// all data; a batch without data is unknown as a whole.
fn is_single_rejection(errors: &Errors, aliases: &[String], context: &ErrorContext<'_>) -> bool {
    let [alias] = aliases else { return false };
    let is_own = |error: &GraphqlError| error.field.as_ref() == Some(alias) && !is_breakdown(error);
    errors.total > 0
        && errors.total == errors.list.len()
        && errors.list.iter().all(is_own)
        && !is_throttling(errors)
        && denied(errors, CHANGE_CAPABILITY, context).is_none()
}

/// The result of a batch without data: rejected as a whole, or unknown.
fn without_data(errors: &Errors, response: &Response, context: &ErrorContext<'_>) -> Reply {
    if errors.total == 0 {
        let message = format!("answered ({}) with neither data nor errors", response.status);
        return Reply::Unknown(context.error(FailureKind::Incomplete, &message));
    }
    let messages = context.errors(errors);
    let executed = |error: &GraphqlError| error.field.is_some() || is_breakdown(error);
    if errors.total > errors.list.len() || errors.list.iter().any(executed) {
        let denied = denied(errors, CHANGE_CAPABILITY, context);
        let kind = denied.map_or(FailureKind::Graphql, |error| error.kind);
        let message = format!("failed, possibly after executing a part: {messages}");
        return Reply::Unknown(context.error(kind, &message));
    }
    if is_throttling(errors) {
        let message = format!("rate limit exceeded: {messages}");
        let error = context.error(FailureKind::Throttled, &message);
        return Reply::NotExecuted { error, retry_after: response.retry_after };
    }
    let message = format!("rejected the request: {messages}");
    Reply::Refused(context.error(FailureKind::Graphql, &message))
}

/// Whether the server failed while it executed the document.
fn is_breakdown(error: &GraphqlError) -> bool {
    let code = error.code.to_ascii_uppercase();
    code.contains("INTERNAL") || code.contains("TIMEOUT") || code == "500"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Credentials;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    const ALIASES: [&str; 3] = ["m0", "m1", "m2"];
    const LISTING: &str = r#"{"data":{"listUsers":{"ok":true,"activeUsers":[{"uid":"u1",
        "email":"zoë@acme.io","name":"Zo\u00eb","accountType":"ADMIN"}],"invitedUsers":[
        {"email":"john@acme.io","accountType":"ANALYST","inviteStatus":"SENT"}]}},"errors":null}"#;

    fn read(body: &[u8]) -> Result<Snapshot, ClientError> {
        let credentials = Credentials::Token("prdm_wsp_of-a-test".into());
        let context = ErrorContext::new("https://api.acme.io/", &credentials);
        listing(&Response { status: 200, body: body.to_vec(), ..Response::default() }, &context)
    }

    #[test]
    fn a_truncated_listing_is_an_error_wherever_it_is_cut() {
        assert_eq!(read(LISTING.as_bytes()).unwrap().accounts().len(), 1);
        for end in 1..LISTING.len() {
            let error = read(&LISTING.as_bytes()[..end]).unwrap_err();
            assert_eq!(error.kind, FailureKind::Truncated, "{error}");
        }
    }

    #[test]
    fn empty_or_null_errors_are_no_errors() {
        for none in ["[]", "null"] {
            let body = LISTING.replace(r#""errors":null"#, &format!(r#""errors":{none}"#));
            assert!(read(body.as_bytes()).is_ok());
        }
    }

    #[test]
    fn a_name_stops_nothing() {
        let long = "é".repeat(200);
        for (json, name) in [
            (r#""Zo\u00eb \"\ud83d\ude00\"""#, "Zoë \"😀\""),
            (r#""\u0000\u0000""#, "\0\0"),
            (r#""\ud800""#, r"\ud800"),
            (r#""\udc00 Z""#, r"\udc00 Z"),
            (r#""Zo\u00eb \uDBFF""#, r"Zo\u00eb \uDBFF"),
            (r#""\ude00\ud83d \"""#, r#"\ude00\ud83d \""#),
            ("7", "7"),
            ("-1e400", "-1e400"),
            ("true", "true"),
            (r#"{"first":["Zo\ud800"]}"#, r#"{"first":["Zo\ud800"]}"#),
            (&format!("\"{long}\""), &long[..256]),
            (&format!("\"a{long}\""), &format!("a{long}")[..255]),
        ] {
            let body = LISTING.replace(r#""Zo\u00eb""#, json);
            let listed = read(body.as_bytes()).unwrap();
            assert_eq!(listed.accounts()[0].name.as_deref(), Some(name), "{json}");
        }
        let no_name = LISTING.replace(r#""name":"Zo\u00eb","#, "");
        assert_eq!(read(no_name.as_bytes()).unwrap().accounts()[0].name, None);
    }

    #[test]
    fn a_part_is_neither_a_listing_nor_the_result_of_a_change() {
        let credentials = Credentials::Token("prdm_wsp_of-a-test".into());
        let context = ErrorContext::new("https://api.acme.io/", &credentials);
        let next = LISTING.replace(r#""ok":true"#, r#""ok":true,"pageInfo":{"hasNextPage":true}"#);
        let mut parts = vec![(200, None, next.as_str()), (200, Some("`Content-Range`"), LISTING)];
        parts
            .extend([201, 202, 203, 204, 206, 207, 226, 299].map(|status| (status, None, LISTING)));
        for (status, partial, body) in parts {
            let body = body.as_bytes().to_vec();
            let response = Response { status, partial, body, ..Response::default() };
            let error = listing(&response, &context).unwrap_err();
            assert_eq!(error.kind, FailureKind::Incomplete, "{error}");
            assert!(error.message.contains("only a part of the listing"), "{error}");
        }
        for status in [100, 400, 404, 410] {
            let response = Response { status, body: LISTING.into(), ..Response::default() };
            let error = listing(&response, &context).unwrap_err();
            assert_eq!(error.kind, FailureKind::NotGraphql, "{error}");
        }
        for body in [r#"{"data":{"m0":{"ok":true}}}"#, r#"{"errors":[{"message":"no"}]}"#, ""] {
            for status in [202, 204, 206] {
                let response = Response { status, body: body.into(), ..Response::default() };
                let reply = mutation(&response, &["m0".into()], &context);
                let Reply::Answered(answers) = reply else { panic!("{reply:?}") };
                assert!(matches!(&answers[..], [Answer::Unknown(_)]), "{answers:?}");
            }
        }
    }

    #[test]
    fn many_errors_about_one_change_are_shortened() {
        let error = json!({ "message": "no".repeat(200), "path": ["m0"] });
        let body = json!({ "data": {}, "errors": vec![error; 1_000] });
        let body = serde_json::to_vec(&body).unwrap();
        let response = Response { status: 200, body, ..Response::default() };
        let credentials = Credentials::Token("prdm_wsp_of-a-test".into());
        let context = ErrorContext::new("https://api.acme.io/", &credentials);
        let Reply::Answered(answers) = mutation(&response, &["m0".into()], &context) else {
            panic!("one answer")
        };
        let [Answer::Rejected(why)] = &answers[..] else { panic!("{answers:?}") };
        assert!(why.ends_with("; and 992 more errors") && why.len() < 4_000, "{why}");
    }

    #[test]
    fn a_secret_at_the_end_of_an_excerpt_is_masked() {
        let secret = "prdm_wsp_of-a-test";
        for body in [" ".repeat(950) + secret, secret.repeat(60)] {
            let error = read(body.as_bytes()).unwrap_err();
            assert_eq!(error.kind, FailureKind::NotJson);
            assert!(
                error.message.contains("[hidden]") && !error.message.contains("prdm"),
                "{error}"
            );
        }
    }

    /// The value of one field; None leaves it out.
    fn field() -> impl Strategy<Value = Option<Value>> {
        prop::sample::select(vec![
            None,
            Some(Value::Null),
            Some(json!({})),
            Some(json!({ "ok": true })),
            Some(json!({ "ok": false })),
        ])
    }

    fn data() -> impl Strategy<Value = Option<Value>> {
        let fields = prop::array::uniform3(field()).prop_map(|fields| {
            let pairs = ALIASES.iter().zip(fields);
            let object: Map<String, Value> =
                pairs.filter_map(|(alias, field)| Some(((*alias).to_owned(), field?))).collect();
            Some(Value::Object(object))
        });
        prop_oneof![Just(None), Just(Some(Value::Null)), fields]
    }

    fn errors() -> impl Strategy<Value = Vec<Value>> {
        let path = prop::sample::select(vec![json!(null), json!([]), json!(["m0"]), json!(["m2"])]);
        let code = prop::sample::select(vec![
            "",
            "FORBIDDEN",
            "UNAUTHENTICATED",
            "RATE_LIMITED",
            "INTERNAL",
        ]);
        let error = (path, code).prop_map(
            |(path, code)| json!({ "message": "no", "path": path, "extensions": { "code": code } }),
        );
        prop::collection::vec(error, 0..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// A reply that leads to another attempt never hides an executed change, and a change is
        /// done only if the response says so.
        #[test]
        fn an_executed_change_is_never_hidden(
            data in data(), errors in errors(),
            status in prop::sample::select(vec![200_u16, 202, 206, 400, 422, 500, 503]),
        ) {
            let mut body = Map::new();
            if let Some(data) = &data {
                body.insert("data".into(), data.clone());
            }
            if !errors.is_empty() {
                body.insert("errors".into(), errors.clone().into());
            }
            let bytes = serde_json::to_vec(&body).unwrap();
            let response = Response { status, body: bytes, ..Response::default() };
            let credentials = Credentials::Token("prdm_wsp_of-a-test".into());
            let context = ErrorContext::new("https://api.acme.io/", &credentials);
            let is_true = |alias: &str| {
                data.as_ref().is_some_and(|data| data[alias]["ok"] == true)
            };
            let ran = ALIASES.iter().any(|alias| is_true(alias));
            let of_a_field = errors.iter().any(|error| error["path"][0].is_string());
            match mutation(&response, &ALIASES.map(str::to_owned), &context) {
                Reply::Answered(answers) => {
                    prop_assert!(status < 500 && answers.len() == ALIASES.len());
                    for (alias, answer) in ALIASES.iter().zip(answers) {
                        let done = answer == Answer::Done;
                        let refused = errors.iter().any(|error| error["path"][0] == *alias);
                        let is_whole = !matches!(status, 202 | 206);
                        prop_assert_eq!(done, is_true(alias) && !refused && is_whole);
                        prop_assert!(is_whole || matches!(answer, Answer::Unknown(_)));
                    }
                }
                Reply::Refused(_) => {
                    prop_assert!(!ran && !of_a_field && status < 500);
                    prop_assert!(data.is_none_or(|data| data.is_null()));
                }
                Reply::NotExecuted { error, .. } => {
                    prop_assert!(!ran && status < 500);
                    prop_assert!(error.kind.is_denial() || !of_a_field);
                }
                Reply::Unknown(_) => {}
            }
        }
    }
}
