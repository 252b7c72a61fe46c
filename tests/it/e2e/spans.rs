//! Spans on their way to a collector (feature `otlp`).

use crate::cli::test_env::TestEnv;
use crate::support::scripted::{Scripted, answer};

#[test]
fn a_collector_is_sent_a_span_for_the_run_and_one_for_each_request() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let collector = runtime.block_on(Scripted::start(vec![answer(200, &[], b"")]));
    let mut stage = TestEnv::new();
    stage.set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", collector.address));
    stage.set("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=acme");
    let ran = stage.run(&["--once", "-q", "-u", "users.yaml"]).expect(0);
    let seen = collector.seen();
    assert!(!seen.is_empty(), "{}", ran.stderr());
    assert!(seen.iter().all(|it| it.head.starts_with("POST /v1/traces")), "{seen:?}");
    assert!(seen.iter().all(|it| it.header("x-tenant") == Some("acme")), "{seen:?}");
    let told: String = seen.iter().map(|it| it.body.as_str()).collect();
    for part in ["service.name", "rosterd", "converged", "inviteUser", "updateUserAccountType"] {
        assert!(told.contains(part), "{part} is missing in {told:?}");
    }
    assert_eq!(told.matches("listUsers").count(), 2, "before and after: {told:?}");
    for secret in ["sandbox-secret", "sandbox-key", "@acme.io"] {
        assert!(!told.contains(secret), "{secret} in {told:?}");
    }
    stage.set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    stage.run(&["--once", "-q", "-u", "users.yaml"]).expect(0);
}
