//! The client against servers that misbehave, and against the sandbox.

mod connections;
mod readings;
mod sandbox;
mod secrets;
mod writings;

use std::sync::Arc;
use std::time::Duration;

use rosterd::client::{Client, Credentials, Settings, Transport};
use rosterd::email::Email;
use rosterd::plan::change::{Action, Change, Reason};
use rosterd::role::Role;

use crate::support::scripted::Scripted;

const KEY: &str = "the-key-of-a-test";
const SECRET: &str = "the-secret-of-a-test";

/// An empty listing.
const EMPTY: &str = r#"{"data":{"listUsers":{"ok":true,"activeUsers":[],"invitedUsers":[]}}}"#;

fn settings(endpoint: &str) -> Settings {
    Settings::new(endpoint.parse().unwrap(), Duration::from_secs(10))
}

fn key_pair() -> Credentials {
    Credentials::KeyPair { key: KEY.into(), secret: SECRET.into() }
}

fn client_with(settings: &Settings) -> Client {
    Client::new(Arc::new(Transport::new(settings).unwrap()), key_pair())
}

fn client(server: &Scripted) -> Client {
    client_with(&settings(&server.url()))
}

fn change(email: &str, action: Action) -> Change {
    Change {
        action,
        email: Email::remote(email),
        listed: None,
        aliases: Box::default(),
        reason: Reason::NotInWorkspace,
        place: None,
        name: None,
        suspect: None,
        dated: false,
        end: None,
        scheduled: false,
        resembles: Box::default(),
    }
}

fn invite(email: &str, role: Role) -> Change {
    change(email, Action::Invite { role })
}
