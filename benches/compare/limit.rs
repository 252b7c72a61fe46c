//! The least that a plan can be: ask, parse, read the roster, compare, count. No guard, no ledger,
//! no position, no message; whatever goes wrong is a panic. The yardstick of the comparison.
//!
//! Usage: limit ROSTER, with the endpoint and the key in the environment as rosterd has them.
#![allow(clippy::expect_used, clippy::print_stdout)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::{env, fs};

use serde::Deserialize;

#[derive(Deserialize)]
struct Roster {
    users: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    email: String,
    role: String,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(borrow)]
    list_users: List<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    #[serde(borrow)]
    active_users: Vec<Row<'a>>,
    #[serde(borrow)]
    invited_users: Vec<Row<'a>>,
}

/// Of an account or an invitation: what a comparison needs, and what it must not lose.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow, default)]
    _uid: Cow<'a, str>,
    #[serde(borrow)]
    email: Cow<'a, str>,
    #[serde(borrow)]
    account_type: Cow<'a, str>,
}

const QUERY: &str = r#"{"query":"{ listUsers { ok activeUsers { uid name email accountType } invitedUsers { email accountType inviteStatus } } }"}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let of = |name: &str| env::var(name).expect(name);
    let roster = env::args().nth(1).expect("a roster");
    let roster = fs::read_to_string(roster).expect("the roster");
    let roster: Roster = serde_yaml::from_str(&roster).expect("YAML");
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Nothing to verify on this machine: no root certificates are read.
    let client = reqwest::Client::builder().tls_certs_only([]).build().expect("a client");
    let body = client
        .post(of("PARADIME_API_ENDPOINT"))
        .header("X-API-KEY", of("PARADIME_API_KEY"))
        .header("X-API-SECRET", of("PARADIME_API_SECRET"))
        .header("Content-Type", "application/json")
        .body(QUERY)
        .send()
        .await
        .expect("an answer")
        .bytes()
        .await
        .expect("a body");
    let answer: Answer = serde_json::from_slice(&body).expect("JSON");
    let list = answer.data.list_users;
    let rows = list.active_users.iter().chain(&list.invited_users);
    let mut there: HashMap<String, &str> =
        rows.map(|row| (row.email.to_lowercase(), &*row.account_type)).collect();
    let (mut missing, mut wrong) = (0, 0);
    for member in &roster.users {
        match there.remove(&member.email.to_lowercase()) {
            None => missing += 1,
            Some(role) if role != member.role => wrong += 1,
            Some(_) => {}
        }
    }
    println!("{missing} to invite, {wrong} to update, {} to disable", there.len());
}
