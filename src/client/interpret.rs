//! What an answer means: a reading that is complete or nothing, and what became of each change.

use std::collections::HashMap;

use super::answer::{
    Denial, ErrorContext, Response, denial, denied, envelope, is_throttling, status_error,
};
use super::response::{Done, Envelope, Errors, GraphqlError, ListData, Object};
use super::{Answer, ClientError, ErrorClass, Reply};
use crate::directory::Snapshot;
use crate::failure::FailureKind;

const TO_LIST: &str = "*User Management Admin* or *User Metadata Viewer*";
const TO_CHANGE: &str = "*User Management Admin*";

/// The answers of a batch by alias.
type Answers = HashMap<String, Option<Object<Done>>>;

/// The snapshot of a listing in which nothing is missing, failed or doubtful.
pub fn reading(response: &Response, context: &ErrorContext<'_>) -> Result<Snapshot, ClientError> {
    if let Some(error) = status_error(response, TO_LIST, context) {
        return Err(error);
    }
    let Envelope { data, errors } = envelope::<Object<ListData>>(response, context)?;
    if errors.total > 0 {
        return Err(failed_reading(&errors, context));
    }
    let protocol = |kind, said: &str| context.error(ErrorClass::Protocol, kind, said);
    if !(200..300).contains(&response.status) {
        let said = format!("answered a reading with status {}", response.status);
        return Err(protocol(FailureKind::NotGraphql, &said));
    }
    let missing =
        |what: &str| protocol(FailureKind::Incomplete, &format!("sent a listing without {what}"));
    let Some(Object(listed)) = data.and_then(|Object(data)| data.list_users) else {
        return Err(missing("`listUsers`"));
    };
    if listed.ok != Some(true) {
        return Err(protocol(FailureKind::NotOk, "did not answer `ok: true` to a listing"));
    }
    let active = listed.active_users.ok_or_else(|| missing("`activeUsers`"))?;
    let invited = listed.invited_users.ok_or_else(|| missing("`invitedUsers`"))?;
    Snapshot::new(
        active.into_iter().map(|row| row.0).collect(),
        invited.into_iter().map(|row| row.0).collect(),
        response.server_time,
    )
    .map_err(|why| {
        let said = format!("sent a listing that cannot be: {}", context.remote(&why.to_string()));
        protocol(FailureKind::Incomplete, &said)
    })
}

fn failed_reading(errors: &Errors, context: &ErrorContext<'_>) -> ClientError {
    if is_throttling(errors) {
        let said = format!("asks for fewer requests: {}", context.errors(errors));
        return context.error(ErrorClass::Transient, FailureKind::Throttled, &said);
    }
    denied(errors, TO_LIST, context).unwrap_or_else(|| {
        let said = format!("refused the listing: {}", context.errors(errors));
        context.error(ErrorClass::Rejected, FailureKind::Graphql, &said)
    })
}

/// What became of a batch, whose changes were sent under these aliases. Only an answer that rules
/// out that anything ran may lead to another attempt:
///
/// - 401, 403 and 429 are decided before a document is read;
/// - so are errors that belong to no field, where there is no data, whatever the status below 500;
/// - errors about the credentials, where no field can have been allowed.
///
/// Any other status (413 or 422 from something between us and the API, for example) comes without
/// a promise, and is unknown.
pub fn writing(response: &Response, aliases: &[String], context: &ErrorContext<'_>) -> Reply {
    if let Some(error) = status_error(response, TO_CHANGE, context) {
        return match response.status {
            401 | 403 | 429 => Reply::NotExecuted { error, retry_after: response.retry_after },
            _ => Reply::Unknown(error),
        };
    }
    let Envelope { data, errors } = match envelope::<Answers>(response, context) {
        Ok(envelope) => envelope,
        Err(error) => return Reply::Unknown(error),
    };
    if !may_have_executed(data.as_ref(), &errors, aliases)
        && let Some(error) = denied(&errors, TO_CHANGE, context)
    {
        return Reply::NotExecuted { error, retry_after: None };
    }
    match data {
        Some(data) => {
            let answer = |alias: &String| answer(alias, &data, &errors, context);
            Reply::Answered(aliases.iter().map(answer).collect())
        }
        None if own_failure(&errors, aliases, context) => {
            let answer = |alias: &String| answer(alias, &Answers::new(), &errors, context);
            Reply::Answered(aliases.iter().map(answer).collect())
        }
        None => without_data(&errors, response, context),
    }
}

/// Whether, of a batch that met nothing but errors about the credentials, any field may have run.
fn may_have_executed(data: Option<&Answers>, errors: &Errors, aliases: &[String]) -> bool {
    let done =
        |answer: &Option<Object<Done>>| matches!(answer, Some(Object(Done { ok: Some(true) })));
    if data.is_some_and(|data| data.values().any(done)) {
        return true;
    }
    // What the key lacks, it lacks for every field; and errors of no field precede all of them.
    let for_all = |error: &GraphqlError| {
        error.field.is_none()
            || matches!(denial(error), Some(Denial::Credentials | Denial::Capability))
    };
    let of = |alias: &String| errors.list.iter().any(|error| error.field.as_ref() == Some(alias));
    !errors.list.iter().any(for_all) && !aliases.iter().all(of)
}

/// What one field of an answer with data says.
fn answer(alias: &str, data: &Answers, errors: &Errors, context: &ErrorContext<'_>) -> Answer {
    let ok = data.get(alias).and_then(Option::as_ref).and_then(|Object(done)| done.ok);
    let own: Vec<&GraphqlError> =
        errors.list.iter().filter(|error| error.field.as_deref() == Some(alias)).collect();
    let said = context.own(&own);
    match (ok, own.is_empty()) {
        (Some(true), true) => Answer::Done,
        (Some(true), false) => Answer::Unknown(format!("answered `ok: true` and an error: {said}")),
        (_, false) if own.iter().any(|error| denial(error).is_some()) => {
            Answer::Rejected(format!("{said}; changes need the capability {TO_CHANGE}"))
        }
        (_, false) => Answer::Rejected(said),
        (Some(false), true) => Answer::Rejected("the API answered `ok: false`".into()),
        (None, true) if errors.total == 0 => Answer::Unknown("the answer does not say".into()),
        (None, true) => {
            Answer::Unknown(format!("the answer does not say: {}", context.errors(errors)))
        }
    }
}

/// Whether a change that was sent by itself has its own answer, and it is no. The error of its one
/// field then takes all of the data away; a batch without data is unknown as a whole.
fn own_failure(errors: &Errors, aliases: &[String], context: &ErrorContext<'_>) -> bool {
    let [alias] = aliases else { return false };
    let is_own = |error: &GraphqlError| error.field.as_ref() == Some(alias) && !is_breakdown(error);
    errors.total > 0
        && errors.total == errors.list.len()
        && errors.list.iter().all(is_own)
        && !is_throttling(errors)
        && denied(errors, TO_CHANGE, context).is_none()
}

/// An answer without data: refused as a whole, or nobody knows.
fn without_data(errors: &Errors, response: &Response, context: &ErrorContext<'_>) -> Reply {
    if errors.total == 0 {
        let said = format!("answered ({}) with neither data nor errors", response.status);
        return Reply::Unknown(context.error(ErrorClass::Protocol, FailureKind::Incomplete, &said));
    }
    let said = context.errors(errors);
    if errors.total > errors.list.len() || errors.list.iter().any(may_have_run) {
        let class = denied(errors, TO_CHANGE, context).map_or(ErrorClass::Rejected, |e| e.class);
        let said = format!("failed, perhaps after a part of it had run: {said}");
        return Reply::Unknown(context.error(class, FailureKind::Graphql, &said));
    }
    if is_throttling(errors) {
        let said = format!("asks for fewer requests: {said}");
        let error = context.error(ErrorClass::Transient, FailureKind::Throttled, &said);
        return Reply::NotExecuted { error, retry_after: response.retry_after };
    }
    let said = format!("refused the request: {said}");
    Reply::Refused(context.error(ErrorClass::Rejected, FailureKind::Graphql, &said))
}

/// An error of a field, or of a server that failed in the middle of its work.
fn may_have_run(error: &GraphqlError) -> bool {
    error.field.is_some() || is_breakdown(error)
}

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
        reading(&Response { status: 200, body: body.to_vec(), ..Response::default() }, &context)
    }

    #[test]
    fn a_listing_cut_short_anywhere_is_no_reading() {
        assert_eq!(read(LISTING.as_bytes()).unwrap().accounts().len(), 1);
        for end in 1..LISTING.len() {
            let error = read(&LISTING.as_bytes()[..end]).unwrap_err();
            assert_eq!(error.kind, FailureKind::Truncated, "{error}");
        }
    }

    #[test]
    fn no_errors_are_none_however_they_are_written() {
        for none in ["[]", "null"] {
            let body = LISTING.replace(r#""errors":null"#, &format!(r#""errors":{none}"#));
            assert!(read(body.as_bytes()).is_ok());
        }
    }

    #[test]
    fn a_flood_of_errors_about_one_change_is_told_in_short() {
        let error = json!({ "message": "no".repeat(200), "path": ["m0"] });
        let body = json!({ "data": {}, "errors": vec![error; 1_000] });
        let body = serde_json::to_vec(&body).unwrap();
        let response = Response { status: 200, body, ..Response::default() };
        let credentials = Credentials::Token("prdm_wsp_of-a-test".into());
        let context = ErrorContext::new("https://api.acme.io/", &credentials);
        let Reply::Answered(answers) = writing(&response, &["m0".into()], &context) else {
            panic!("the answer is about one change")
        };
        let [Answer::Rejected(why)] = &answers[..] else { panic!("{answers:?}") };
        assert!(why.ends_with("; and 992 more errors") && why.len() < 4_000, "{why}");
    }

    #[test]
    fn a_secret_at_the_cut_of_an_excerpt_is_hidden_whole() {
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

    /// What one field of an answer may hold; None is no mention at all.
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

        /// What may lead to another attempt never hides an effect, and nothing is done unless the
        /// answer says so.
        #[test]
        fn an_effect_is_never_hidden(
            data in data(), errors in errors(),
            status in prop::sample::select(vec![200_u16, 400, 422, 500, 503]),
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
            match writing(&response, &ALIASES.map(str::to_owned), &context) {
                Reply::Answered(answers) => {
                    prop_assert!(status < 500 && answers.len() == ALIASES.len());
                    for (alias, answer) in ALIASES.iter().zip(answers) {
                        let done = answer == Answer::Done;
                        let refused = errors.iter().any(|error| error["path"][0] == *alias);
                        prop_assert_eq!(done, is_true(alias) && !refused);
                    }
                }
                Reply::Refused(_) => {
                    prop_assert!(!ran && !of_a_field && status < 500);
                    prop_assert!(data.is_none_or(|data| data.is_null()));
                }
                Reply::NotExecuted { error, .. } => {
                    prop_assert!(!ran && status < 500);
                    prop_assert!(error.class == ErrorClass::Denied || !of_a_field);
                }
                Reply::Unknown(_) => {}
            }
        }
    }
}
