//! Responses of the API: a listing is complete or an error, and a change is done only if the response
//! says so.
//!
//! The first line of an input is the status and, after a space, the content type; the rest is the
//! body.

use rosterd::client::answer::{ErrorContext, Response};
use rosterd::client::response::{MAX_NAME, MAX_ROWS, MAX_VALUE};
use rosterd::client::{Answer, ClientError, Credentials, Reply, interpret};
use rosterd::directory::Snapshot;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::output;

const ENDPOINT: &str = "https://api.acme.io/graphql";
const SECRET: &str = "prdm_wsp_of-a-test-and-no-other";
/// A part of the secret that identifies it.
const PART: &str = "prdm_wsp_of-a-";
/// Maximum length of a message in characters: a few errors, each truncated and escaped, and the text
/// around them.
const MAX_MESSAGE: usize = 8 * 300 * 9 + 1_000;

/// Interprets the response as a listing, and as the response to batches of two sizes.
pub fn check(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (head, body) = data.split_at(at);
    let head = String::from_utf8_lossy(head);
    let (status, kind) = head.split_once(' ').unwrap_or((&head, ""));
    let response = Response {
        status: status.parse().ok().filter(|it| (100..600).contains(it)).unwrap_or(200),
        content_type: (!kind.is_empty()).then(|| kind.to_owned()),
        location: Some(format!("https://acme.io/?{kind}{SECRET}")),
        body: body.get(1..).unwrap_or_default().to_vec(),
        ..Response::default()
    };
    let credentials = Credentials::Token(SECRET.into());
    let context = ErrorContext::new(ENDPOINT, &credentials);
    let body = parse(&response.body);
    let mut texts = Vec::new();
    match interpret::listing(&response, &context) {
        Ok(snapshot) => body.iter().for_each(|body| check_listing(&snapshot, &response, body)),
        Err(error) => texts.push(message(error)),
    }
    for aliases in [&["m0"][..], &["m0", "m1", "m2"]] {
        let names: Vec<String> = aliases.iter().map(|&alias| alias.to_owned()).collect();
        let reply = interpret::mutation(&response, &names, &context);
        if let Some(body) = &body {
            check_reply(&reply, aliases, &response, body);
        }
        texts.extend(messages(reply));
    }
    for text in &texts {
        is_harmless(text);
    }
    if has_no_other_secret(&data.escape_ascii().to_string()) {
        assert!(!texts.iter().any(|text| text.contains(PART)), "a secret in {texts:?}");
    }
}

/// Whether the input has no part of the secret alone, or escaped as in JSON.
fn has_no_other_secret(input: &str) -> bool {
    !input.replace(SECRET, " ").contains(PART) && !input.contains("\\\\u00")
}

/// The body, parsed in another way. None if that is stricter about fields that are not used: text
/// that is not UTF-8, or a number out of range.
fn parse(body: &[u8]) -> Option<Value> {
    let value = serde_json::from_str(&String::from_utf8_lossy(body)).ok();
    let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
    if is_json { value } else { Some(Value::Null) }
}

/// A snapshot has every row of a successful response.
fn check_listing(snapshot: &Snapshot, response: &Response, body: &Value) {
    assert!((200..300).contains(&response.status));
    assert!(errors(body).is_empty(), "{body}");
    let listed = &body["data"]["listUsers"];
    assert_eq!(listed["ok"], true);
    let rows = |key: &str| listed[key].as_array().expect("a list").clone();
    let (active, invited) = (rows("activeUsers"), rows("invitedUsers"));
    assert_eq!(snapshot.accounts().len(), active.len());
    assert_eq!(snapshot.invitations().len(), invited.len());
    assert!(active.len().max(invited.len()) <= MAX_ROWS);
    for row in &active {
        let is_it = |uid: &str| row["uid"] == uid;
        let account = snapshot.accounts().iter().find(|it| is_it(it.uid.as_str()));
        let account = account.expect("every account is kept");
        let email = row["email"].as_str().expect("text").trim_ascii();
        assert_eq!(
            (account.email.as_str(), account.role.as_str()),
            (email, text(row, "accountType"))
        );
        let (name, whole) = (account.name.as_deref(), row["name"].as_str());
        match whole.filter(|whole| whole.len() > MAX_NAME) {
            Some(whole) => assert!(
                name.is_some_and(|it| it.len() <= MAX_NAME && whole.starts_with(it)),
                "{name:?}"
            ),
            None => assert_eq!(name, whole),
        }
        let values = [account.uid.as_str(), account.email.as_str(), account.role.as_str()];
        assert!(values.iter().all(|value| value.len() <= MAX_VALUE), "{values:?}");
    }
    for row in &invited {
        let email = row["email"].as_str().expect("text").trim_ascii();
        let has = snapshot.invitations().iter().any(|it| it.email.as_str() == email);
        assert!(has, "every invitation is kept");
    }
}

fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row[key].as_str().expect("text")
}

fn errors(body: &Value) -> &[Value] {
    body["errors"].as_array().map_or(&[], |errors| &errors[..])
}

/// A change is done only if the response says so, and then it is not reported as rejected.
fn check_reply(reply: &Reply, aliases: &[&str], response: &Response, body: &Value) {
    let is_ok = |alias: &str| body["data"][alias]["ok"] == true;
    let has_error = |alias: &str| errors(body).iter().any(|error| error["path"][0] == alias);
    // These are decided by the status alone.
    let by_status = matches!(response.status, 401 | 403 | 429);
    match reply {
        Reply::Answered(answers) => {
            assert_eq!(answers.len(), aliases.len());
            assert!(response.status < 500 && !by_status);
            for (answer, alias) in answers.iter().zip(aliases) {
                match answer {
                    Answer::Done => assert!(is_ok(alias) && !has_error(alias), "{body}"),
                    Answer::Rejected(_) => assert!(!is_ok(alias), "{body}"),
                    Answer::Unknown(_) => {}
                }
            }
        }
        Reply::Refused(_) | Reply::NotExecuted { .. } => {
            assert!(by_status || !aliases.iter().any(|alias| is_ok(alias)), "{body}");
        }
        Reply::Unknown(_) => {}
    }
}

/// The messages of a reply.
fn messages(reply: Reply) -> Vec<String> {
    let of_answer = |answer| match answer {
        Answer::Done => None,
        Answer::Rejected(why) | Answer::Unknown(why) => Some(why),
    };
    match reply {
        Reply::Answered(answers) => answers.into_iter().filter_map(of_answer).collect(),
        Reply::Refused(error) | Reply::NotExecuted { error, .. } | Reply::Unknown(error) => {
            vec![message(error)]
        }
    }
}

fn message(error: ClientError) -> String {
    assert!(error.message.starts_with(ENDPOINT));
    error.message
}

/// One line of limited length, without hostile characters.
fn is_harmless(text: &str) {
    output::is_harmless(text);
    assert!(!text.is_empty() && !text.contains('\n'));
    assert!(text.chars().count() <= MAX_MESSAGE, "{} characters", text.chars().count());
}
