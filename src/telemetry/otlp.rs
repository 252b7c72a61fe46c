//! Spans to a collector, by OTLP over HTTP (feature `otlp`), where
//! `OTEL_EXPORTER_OTLP_ENDPOINT` says so; its siblings of the specification count too
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing_opentelemetry::OpenTelemetryLayer;

use super::TRACE;
use crate::client::{Settings, connections};

/// What is exported waits so long at the end of the process.
const LAST: Duration = Duration::from_secs(2);
/// A collector answers within this.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Exports until the process ends.
#[derive(Debug)]
pub struct Export(SdkTracerProvider);

impl Export {
    /// Sends what has not been sent yet.
    pub fn finish(self) {
        // It is the collector's loss, and told by the library where somebody looks.
        let _ = self.0.shutdown_with_timeout(LAST);
    }
}

/// A layer, and the export behind it.
pub type Exported<S> = (OpenTelemetryLayer<S, SdkTracer>, Export);

/// What exports; None where no collector is named. It needs a runtime.
pub fn layer<S>() -> Result<Option<Exported<S>>, String>
where
    S: tracing::Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
{
    let named = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    let named = named.iter().find_map(|name| std::env::var(name).ok());
    let Some(endpoint) = named.filter(|it| !it.trim().is_empty()) else { return Ok(None) };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Network::to(&endpoint)?)
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|error| error.to_string())?;
    let resource = Resource::builder().with_service_name("rosterd").build();
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(TRACE))
        .with_location(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_threads(false);
    Ok(Some((layer, Export(provider))))
}

/// Our own connections, on our own runtime: the library exports from a thread that has none.
#[derive(Debug)]
struct Network {
    http: reqwest::Client,
    runtime: Handle,
}

impl Network {
    fn to(endpoint: &str) -> Result<Self, String> {
        let endpoint = endpoint.parse().map_err(|error| format!("{error}"))?;
        let settings =
            Settings { endpoint, workspace_uid: None, timeout: TIMEOUT, rate: None, ca_file: None };
        let http = connections(&settings).map_err(|error| error.message)?;
        Ok(Self { http, runtime: Handle::current() })
    }
}

#[async_trait]
impl HttpClient for Network {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, request) = (self.http.clone(), request.try_into()?);
        let sent = self.runtime.spawn(async move {
            let answer = http.execute(request).await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        });
        let (status, body) = sent.await??;
        Ok(Response::builder().status(status).body(body)?)
    }
}
