//! Export of spans to a collector (feature `otlp`).

use crate::cli::test_env::TestEnv;
use crate::support::scripted::{Scripted, answer};

#[test]
fn a_run_and_each_request_are_exported_as_spans() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let collector = runtime.block_on(Scripted::start(vec![answer(200, &[], b"")]));
    let mut env = TestEnv::new();
    env.set("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", collector.address));
    env.set("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=acme");
    let ran = env.run(&["--once", "-q", "-u", "users.yaml"]).expect(0);
    let seen = collector.seen();
    assert!(!seen.is_empty(), "{}", ran.stderr());
    assert!(seen.iter().all(|it| it.head.starts_with("POST /v1/traces")), "{seen:?}");
    assert!(seen.iter().all(|it| it.header("x-tenant") == Some("acme")), "{seen:?}");
    let exported: String = seen.iter().map(|it| it.body.as_str()).collect();
    for part in ["service.name", "rosterd", "converged", "inviteUser", "updateUserAccountType"] {
        assert!(exported.contains(part), "{part} is missing in {exported:?}");
    }
    assert_eq!(exported.matches("listUsers").count(), 2, "before and after: {exported:?}");
    for secret in ["sandbox-secret", "sandbox-key", "@acme.io"] {
        assert!(!exported.contains(secret), "{secret} in {exported:?}");
    }
    env.set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    env.run(&["--once", "-q", "-u", "users.yaml"]).expect(0);
}
