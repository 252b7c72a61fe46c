//! Several fields in one request.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{ask, invited, serve};

fn batch(emails: &[&str]) -> String {
    let fields = emails.iter().enumerate().fold(String::new(), |mut text, (at, email)| {
        let _ =
            write!(text, "m{at}: inviteUser(email: \"{email}\", accountType: ANALYST) {{ ok }} ");
        text
    });
    format!("mutation {{ {fields} }}")
}

const FOUR: [&str; 4] = ["alice@acme.io", "zoe@acme.io", "jonny@acme.io", "yan@acme.io"];

#[tokio::test]
async fn a_partial_batch_leaves_out_what_failed_and_does_the_rest() {
    let running = serve(|_| {}).await;
    let answer = ask(&running, &batch(&FOUR)).await;
    let ok = json!({ "ok": true });
    assert_eq!(answer["data"], json!({ "m0": ok, "m1": ok, "m3": ok }));
    assert_eq!(
        (&answer["errors"][0]["path"], &answer["errors"][1]),
        (&json!(["m2"]), &Value::Null)
    );
    assert_eq!(invited(&running)[2..], ["alice@acme.io", "zoe@acme.io", "yan@acme.io"]);
}

#[tokio::test]
async fn an_aborted_batch_has_no_data_and_keeps_what_ran() {
    let running = serve(|options| options.abort_batches = true).await;
    let answer = ask(&running, &batch(&FOUR)).await;
    assert_eq!((&answer["data"], &answer["errors"][0]["path"]), (&Value::Null, &json!(["m2"])));
    assert_eq!(invited(&running)[2..], ["alice@acme.io", "zoe@acme.io"]);
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_refused_before_anything_runs() {
    let running = serve(|options| options.max_batch = 3).await;
    let answer = ask(&running, &batch(&FOUR)).await;
    assert!(answer.get("data").is_none() && answer["errors"][0].get("path").is_none(), "{answer}");
    assert_eq!(invited(&running).len(), 2);
    let answer = ask(&running, &batch(&FOUR[..2])).await;
    assert_eq!(answer["data"]["m1"]["ok"], true);
}
