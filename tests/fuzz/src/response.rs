//! An answer of the API: a reading is complete or nothing, and nothing is done unless it says so.
//!
//! The first line of an input is the status and, after a space, the content type; the rest is the
//! body.

use rosterd::client::answer::{ErrorContext, Response};
use rosterd::client::{Answer, ClientError, Credentials, Reply, interpret};
use rosterd::directory::Snapshot;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::told;

const ENDPOINT: &str = "https://api.acme.io/graphql";
const SECRET: &str = "prdm_wsp_of-a-test-and-no-other";
/// So much of a secret is enough to tell it.
const PART: &str = "prdm_wsp_of-a-";
/// In characters: a few errors, each cut and escaped, and the words around them.
const LONGEST: usize = 8 * 300 * 9 + 1_000;

/// What any answer means, for a reading and for batches of several sizes.
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
    let telling = ErrorContext::new(ENDPOINT, &credentials);
    let said = said(&response.body);
    let mut texts = Vec::new();
    match interpret::listing(&response, &telling) {
        Ok(snapshot) => said.iter().for_each(|said| is_complete(&snapshot, &response, said)),
        Err(error) => texts.push(told(error)),
    }
    for aliases in [&["m0"][..], &["m0", "m1", "m2"]] {
        let names: Vec<String> = aliases.iter().map(|&alias| alias.to_owned()).collect();
        let reply = interpret::mutation(&response, &names, &telling);
        if let Some(said) = &said {
            means(&reply, aliases, &response, said);
        }
        texts.extend(words(reply));
    }
    for text in &texts {
        is_harmless(text);
    }
    if has_no_other_secret(&data.escape_ascii().to_string()) {
        assert!(!texts.iter().any(|text| text.contains(PART)), "a secret in {texts:?}");
    }
}

/// Whether no part of the secret stands there by itself, or as JSON may spell it.
fn has_no_other_secret(input: &str) -> bool {
    !input.replace(SECRET, " ").contains(PART) && !input.contains("\\\\u00")
}

/// The body, read by another way. None where that way is stricter about what nobody asked for: text
/// that is not UTF-8, or a number beyond all bounds.
fn said(body: &[u8]) -> Option<Value> {
    let value = serde_json::from_str(&String::from_utf8_lossy(body)).ok();
    let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
    if is_json { value } else { Some(Value::Null) }
}

/// A snapshot comes from an answer that says so, and has every row of it.
fn is_complete(snapshot: &Snapshot, response: &Response, said: &Value) {
    assert!((200..300).contains(&response.status));
    assert!(errors(said).is_empty(), "{said}");
    let listed = &said["data"]["listUsers"];
    assert_eq!(listed["ok"], true);
    let rows = |key: &str| listed[key].as_array().expect("a list").clone();
    let (active, invited) = (rows("activeUsers"), rows("invitedUsers"));
    assert_eq!(snapshot.accounts().len(), active.len());
    assert_eq!(snapshot.invitations().len(), invited.len());
    for row in &active {
        let is_it = |uid: &str| row["uid"] == uid;
        let account = snapshot.accounts().iter().find(|it| is_it(it.uid.as_str()));
        let account = account.expect("every account is kept");
        let email = row["email"].as_str().expect("text").trim_ascii();
        assert_eq!(
            (account.email.as_str(), account.role.as_str()),
            (email, text(row, "accountType"))
        );
        assert_eq!(account.name.as_deref(), row["name"].as_str());
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

fn errors(said: &Value) -> &[Value] {
    said["errors"].as_array().map_or(&[], |errors| &errors[..])
}

/// Done is what the answer calls done, and nothing done is called refused.
fn means(reply: &Reply, aliases: &[&str], response: &Response, said: &Value) {
    let is_ok = |alias: &str| said["data"][alias]["ok"] == true;
    let is_refused = |alias: &str| errors(said).iter().any(|error| error["path"][0] == alias);
    // The status speaks for these, whatever the body says.
    let by_status = matches!(response.status, 401 | 403 | 429);
    match reply {
        Reply::Answered(answers) => {
            assert_eq!(answers.len(), aliases.len());
            assert!(response.status < 500 && !by_status);
            for (answer, alias) in answers.iter().zip(aliases) {
                match answer {
                    Answer::Done => assert!(is_ok(alias) && !is_refused(alias), "{said}"),
                    Answer::Rejected(_) => assert!(!is_ok(alias), "{said}"),
                    Answer::Unknown(_) => {}
                }
            }
        }
        Reply::Refused(_) | Reply::NotExecuted { .. } => {
            assert!(by_status || !aliases.iter().any(|alias| is_ok(alias)), "{said}");
        }
        Reply::Unknown(_) => {}
    }
}

/// The texts of a reply.
fn words(reply: Reply) -> Vec<String> {
    let of_answer = |answer| match answer {
        Answer::Done => None,
        Answer::Rejected(why) | Answer::Unknown(why) => Some(why),
    };
    match reply {
        Reply::Answered(answers) => answers.into_iter().filter_map(of_answer).collect(),
        Reply::Refused(error) | Reply::NotExecuted { error, .. } | Reply::Unknown(error) => {
            vec![told(error)]
        }
    }
}

fn told(error: ClientError) -> String {
    assert!(error.message.starts_with(ENDPOINT));
    error.message
}

/// One line of a bounded length, in which nothing moves a cursor.
fn is_harmless(text: &str) {
    told::is_harmless(text);
    assert!(!text.is_empty() && !text.contains('\n'));
    assert!(text.chars().count() <= LONGEST, "{} characters", text.chars().count());
}
