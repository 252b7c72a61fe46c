//! Connections: redirects, plain HTTP, proxies, private authorities.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rosterd::client::{Client, ReadDirectory, Reply, Transport, WriteDirectory};
use rosterd::role::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::{EMPTY, SECRET, client, client_with, invite, key_pair, settings};
use crate::support::scripted::{Act, Scripted, answer, json};
use rosterd::failure::FailureKind;

/// Names the endpoint for a test that runs in a process of its own.
const CHILD: &str = "ROSTERD_TEST_ENDPOINT";

/// A private authority, in PEM, and a TLS server for `localhost` with its certificate.
fn private_tls(protocol: &[u8]) -> (String, TlsAcceptor) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    (issuer.pem(), TlsAcceptor::from(Arc::new(config)))
}

fn rejected(endpoint: &str) -> String {
    let error = Transport::new(&settings(endpoint)).unwrap_err();
    assert_eq!(error.kind, FailureKind::Settings);
    error.message
}

#[tokio::test]
async fn a_redirect_is_reported_and_never_followed() {
    let target = Scripted::start([json(EMPTY)]).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("Location: {}?\u{202e}", target.url());
        let server = Scripted::start([answer(status, &[&location], b"")]).await;
        let error = client(&server).list().await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Redirect, "{error}");
        assert!(error.message.contains(&target.url()), "{error}");
        assert!(!error.message.contains('\u{202e}'), "{error:?}");
        assert_eq!(server.count(), 1);
    }
    assert_eq!(target.count(), 0);
}

#[test]
fn an_endpoint_that_exposes_secrets_is_rejected() {
    assert!(rejected("http://api.acme.io/graphql").contains("unencrypted"));
    let message = rejected(&format!("https://user:{SECRET}@api.acme.io/graphql?key={SECRET}"));
    assert!(message.contains("https://api.acme.io/graphql"), "{message}");
    assert!(!message.contains(SECRET), "{message}");
    rejected("https://user@api.acme.io/graphql");
    assert!(Transport::new(&settings("https://api.acme.io/graphql")).is_ok());
}

#[test]
fn a_workspace_uid_that_is_no_header_value_is_rejected() {
    let mut settings = settings("https://api.acme.io/graphql");
    settings.workspace_uid = Some("w\n1".into());
    assert!(Transport::new(&settings).unwrap_err().message.contains("workspace_uid"));
}

#[tokio::test]
async fn a_configured_private_authority_is_trusted() {
    let (authority, tls) = private_tls(b"http/1.1");
    let server = Scripted::start_tls([json(EMPTY)], tls).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority).unwrap();
    let mut settings = settings(&format!("https://localhost:{}/", server.address.port()));
    let error = client_with(&settings.clone()).list().await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Tls, "{error}");
    assert!(error.message.contains("http.ca_file"), "{error}");
    assert_eq!(server.count(), 0);
    settings.ca_file = Some(file);
    client_with(&settings.clone()).list().await.unwrap();
    assert_eq!(server.count(), 1);
    settings.endpoint.set_host(Some("127.0.0.1")).unwrap();
    let another = client_with(&settings).list().await.unwrap_err();
    assert_eq!(another.kind, FailureKind::Tls, "the certificate names another host: {another}");
}

/// Speaks just enough HTTP/2 to refuse every stream; the answer is how many there were.
async fn refuse_streams(listener: TcpListener, tls: TlsAcceptor, streams: Arc<AtomicUsize>) {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const HEADERS: u8 = 1;
    const REFUSED: [u8; 4] = [0, 0, 0, 7];
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(mut stream) = tls.accept(stream).await else { continue };
        stream.write_all(&SETTINGS).await.unwrap();
        stream.read_exact(&mut [0; 24]).await.unwrap();
        let mut head = [0; 9];
        while stream.read_exact(&mut head).await.is_ok() {
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            stream.read_exact(&mut vec![0; length]).await.unwrap();
            if head[3] == HEADERS {
                streams.fetch_add(1, Ordering::SeqCst);
                let reset = [&[0, 0, 4, 3, 0], &head[5..], &REFUSED].concat();
                stream.write_all(&reset).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_refused_http2_stream_is_not_retried() {
    let (authority, tls) = private_tls(b"h2");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let streams = Arc::new(AtomicUsize::new(0));
    tokio::spawn(refuse_streams(listener, tls, streams.clone()));
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&format!("https://localhost:{port}/"));
    settings.ca_file = Some(folder.path().join("ca.pem"));
    std::fs::write(settings.ca_file.as_ref().unwrap(), authority).unwrap();
    let change = invite("alice@acme.io", Role::Analyst);
    let reply = client_with(&settings).send(&[&change]).await;
    assert!(
        matches!(&reply, Reply::Unknown(error) if error.kind == FailureKind::Reset),
        "{reply:?}"
    );
    assert_eq!(streams.load(Ordering::SeqCst), 1);
}

#[test]
fn an_unusable_ca_file_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let mut settings = settings("https://localhost/");
    settings.ca_file = Some(file.clone());
    assert!(Transport::new(&settings).unwrap_err().message.contains("cannot read"));
    for text in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&file, text).unwrap();
        let error = Transport::new(&settings).unwrap_err();
        assert!(error.message.contains("ca.pem") || error.message.contains("cannot"), "{error}");
    }
}

/// Runs one test of this file in a process of its own, with these environment variables.
async fn in_a_child(test: &str, variables: &[(&str, &str)]) {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("contract::connections::{test}"), "--nocapture"]);
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}\n{failed}");
}

#[tokio::test]
async fn remote_endpoints_use_the_proxy_of_the_environment() {
    let proxy = Scripted::start([answer(502, &[], b"")]).await;
    let url = format!("http://{}", proxy.address);
    let far = (CHILD, "https://api.acme.invalid/graphql");
    in_a_child("child_cannot_connect", &[far, ("HTTPS_PROXY", &url)]).await;
    let seen = proxy.seen();
    assert!(seen[0].head.starts_with("CONNECT api.acme.invalid:443 "), "{seen:?}");
    assert!(!seen[0].head.contains(SECRET));
    let before = proxy.count();
    let exempt = [far, ("HTTPS_PROXY", &url), ("NO_PROXY", "acme.invalid")];
    in_a_child("child_cannot_connect", &exempt).await;
    assert_eq!(proxy.count(), before, "NO_PROXY is honoured");
}

#[tokio::test]
async fn loopback_endpoints_use_no_proxy() {
    let proxy = Scripted::start([Act::Close]).await;
    let server = Scripted::start([json(EMPTY)]).await;
    let (proxy_url, url) = (format!("http://{}", proxy.address), server.url());
    in_a_child("child_lists", &[(CHILD, &url), ("HTTP_PROXY", &proxy_url)]).await;
    assert_eq!((proxy.count(), server.count()), (0, 1));
}

#[tokio::test]
async fn bundled_roots_are_used_without_system_roots() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("none").display().to_string();
    let none = [("SSL_CERT_FILE", &*nowhere), ("SSL_CERT_DIR", &*nowhere)];
    in_a_child("an_endpoint_that_exposes_secrets_is_rejected", &none).await;
}

/// A part of other tests, which name the endpoint; alone it has nothing to do.
#[tokio::test]
async fn child_lists() {
    if let Ok(endpoint) = std::env::var(CHILD) {
        client_with(&settings(&endpoint)).list().await.unwrap();
    }
}

/// Likewise. A change is sent, because it is not sent again.
#[tokio::test]
async fn child_cannot_connect() {
    let Ok(endpoint) = std::env::var(CHILD) else { return };
    let proxied = std::env::var("NO_PROXY").is_err();
    let message = tokio::time::timeout(Duration::from_secs(5), not_connected(&endpoint)).await;
    let message = message.unwrap_or_default();
    assert_eq!(message.contains("through the proxy http://127.0.0.1:"), proxied, "{message}");
}

/// The error of a connection that fails.
async fn not_connected(endpoint: &str) -> String {
    let client = Client::new(Arc::new(Transport::new(&settings(endpoint)).unwrap()), key_pair());
    match client.send(&[&invite("a@acme.io", Role::Developer)]).await {
        Reply::NotExecuted { error, .. } if error.kind == FailureKind::Connect => error.message,
        reply => panic!("{reply:?}"),
    }
}

#[tokio::test]
async fn a_failed_connection_says_what_to_check() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let no_tls = format!("https://{}/", plain.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut connection, _) = plain.accept().await.unwrap();
        connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    for (endpoint, advice) in [
        (format!("http://{address}/"), "check the port, and whether the server runs"),
        (no_tls, "does not speak TLS there"),
        ("https://api.acme.invalid/".to_owned(), "check the host of the endpoint"),
    ] {
        let message = not_connected(&endpoint).await;
        let no_dns_server = message.ends_with("operation timed out");
        assert!(message.contains(advice) || no_dns_server, "{message}");
    }
}
