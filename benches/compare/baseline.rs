//! The baseline of the comparison, a minimal program for the same task: list, parse, read the
//! roster, compare, and invite missing users in batches over several connections. It has no guards,
//! ledger, source positions or rate limit, and panics on any error.
//!
//! Usage: baseline ROSTER [--apply]. Endpoint and key are read from the same environment variables
//! as in rosterd.
#![allow(clippy::print_stdout)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::{env, fs};

use reqwest::Client;
use serde::Deserialize;

const CONNECTIONS: usize = 8;
const BATCH: usize = 50;
const LIST: &str = "{ listUsers { ok activeUsers { uid name email accountType } \
                    invitedUsers { email accountType inviteStatus } } }";

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
struct Response<'a> {
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

/// An account or an invitation: the fields of the comparison, and the uid.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(borrow, default, rename = "uid")]
    _uid: Cow<'a, str>,
    #[serde(borrow)]
    email: Cow<'a, str>,
    #[serde(borrow)]
    account_type: Cow<'a, str>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = env::args().skip(1);
    let roster = fs::read_to_string(arguments.next().expect("a roster")).expect("the roster");
    let roster: Roster = serde_yaml::from_str(&roster).expect("YAML");
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The sandbox is on this machine, over plain HTTP: root certificates are not needed.
    let client = Client::builder().tls_certs_only([]).build().expect("a client");
    let body = send(&client, LIST).await;
    let response: Response = serde_json::from_slice(&body).expect("JSON");
    let list = response.data.list_users;
    let rows = list.active_users.iter().chain(&list.invited_users);
    let mut accounts: HashMap<String, &str> =
        rows.map(|row| (row.email.to_lowercase(), &*row.account_type)).collect();
    let (mut missing, mut wrong) = (Vec::new(), 0);
    for member in &roster.users {
        match accounts.remove(&member.email.to_lowercase()) {
            None => missing.push(member),
            Some(role) if role != member.role => wrong += 1,
            Some(_) => {}
        }
    }
    println!("{} to invite, {wrong} to update, {} to disable", missing.len(), accounts.len());
    if arguments.next().is_some() {
        let batches: Vec<String> = missing.chunks(BATCH).map(mutation).collect();
        let chunk = batches.len().div_ceil(CONNECTIONS).max(1);
        let connections = batches.chunks(chunk).map(|batches| {
            let (client, batches) = (client.clone(), batches.to_vec());
            tokio::spawn(async move {
                for batch in &batches {
                    send(&client, batch).await;
                }
            })
        });
        for connection in connections.collect::<Vec<_>>() {
            connection.await.expect("it is sent");
        }
    }
}

fn mutation(members: &[&Member]) -> String {
    let mut mutation = "mutation {".to_owned();
    for (n, Member { email, role }) in members.iter().enumerate() {
        let _ = write!(
            mutation,
            r#" m{n}: inviteUser(email: "{email}", accountType: {role}) {{ ok }}"#
        );
    }
    mutation + " }"
}

async fn send(client: &Client, query: &str) -> Vec<u8> {
    let of = |name: &str| env::var(name).expect(name);
    let request = client
        .post(of("PARADIME_API_ENDPOINT"))
        .header("X-API-KEY", of("PARADIME_API_KEY"))
        .header("X-API-SECRET", of("PARADIME_API_SECRET"))
        .header("Content-Type", "application/json")
        .body(serde_json::json!({ "query": query }).to_string());
    let response = request.send().await.expect("a response");
    let response = response.error_for_status().expect("a success status");
    response.bytes().await.expect("a body").to_vec()
}
