//! Configuration errors end the start before any request is sent.

use std::net::TcpListener;
use std::process::{Command, Output};

use super::{folder, minimal};

/// The binary beside this configuration, with an endpoint at which somebody only listens.
fn start(text: &str, arguments: &[&str], secret: &str) -> (Output, bool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let folder = folder(text);
    std::fs::write(folder.path().join("ca.pem"), "no certificate\n").unwrap();
    std::fs::write(
        folder.path().join("users.yaml"),
        "version: 1\nusers:\n  - { email: matt@acme.io, role: ADMIN }\n",
    )
    .unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_rosterd"))
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .env("PARADIME_API_ENDPOINT", format!("http://{}/", listener.local_addr().unwrap()))
        .env("KEY", "key")
        .env("SECRET", secret)
        .output()
        .unwrap();
    (ended, listener.accept().is_ok())
}

fn said(ended: &Output) -> String {
    String::from_utf8_lossy(&[&ended.stdout[..], &ended.stderr[..]].concat()).into_owned()
}

#[test]
fn an_authority_without_a_certificate_is_an_invalid_configuration() {
    let text = minimal("    http: { ca_file: ca.pem }\n");
    for arguments in [&[][..], &["--plan"], &["--once"]] {
        let (ended, asked) = start(&text, arguments, "hush");
        assert_eq!((ended.status.code(), asked), (Some(78), false), "{}", said(&ended));
        for part in ["ca.pem contains no PEM certificate", "rosterd.yaml:7:22"] {
            assert!(said(&ended).contains(part), "{part} is missing in\n{}", said(&ended));
        }
    }
    let (ended, asked) = start(&text, &["check"], "hush");
    assert_eq!((ended.status.code(), asked), (Some(0), false), "{}", said(&ended));
}

#[test]
fn a_company_token_without_a_workspace_sends_no_request() {
    let (ended, asked) = start(&minimal(""), &["--plan"], "prdm_cmp_hush");
    assert_eq!((ended.status.code(), asked), (Some(1), false), "{}", said(&ended));
    assert!(said(&ended).contains("set `workspace_uid`"), "{}", said(&ended));
    assert!(!said(&ended).contains("hush"), "{}", said(&ended));
}
