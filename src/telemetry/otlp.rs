//! Exports spans by OTLP over HTTP (feature `otlp`) if `OTEL_EXPORTER_OTLP_ENDPOINT` is set; the
//! other variables of the specification are supported too
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
use crate::client::{Settings, connections, read_body};

/// Timeout of the last export when the process exits.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout of one export.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of bytes that are read of a response; it has a few.
const MAX_BODY: usize = 64 << 10;

/// The export pipeline.
#[derive(Debug)]
pub struct Export(SdkTracerProvider);

impl Export {
    /// Sends pending spans.
    pub fn finish(self) {
        // Spans are best effort; the library logs the error at debug level.
        let _ = self.0.shutdown_with_timeout(SHUTDOWN_TIMEOUT);
    }
}

/// The layer and its pipeline.
pub type Exported<S> = (OpenTelemetryLayer<S, SdkTracer>, Export);

/// Sets up the export; None if no endpoint is configured. Requires a tokio runtime.
pub fn layer<S>() -> Result<Option<Exported<S>>, String>
where
    S: tracing::Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
{
    let variables = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    let endpoint = variables.iter().find_map(|name| std::env::var(name).ok());
    let Some(endpoint) = endpoint.filter(|it| !it.trim().is_empty()) else { return Ok(None) };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(CollectorClient::new(&endpoint)?)
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

/// Our HTTP client on our runtime: the library exports from a thread without a runtime.
#[derive(Debug)]
struct CollectorClient {
    http: reqwest::Client,
    runtime: Handle,
}

impl CollectorClient {
    fn new(endpoint: &str) -> Result<Self, String> {
        let endpoint = endpoint.parse().map_err(|error| format!("{error}"))?;
        let settings = Settings::new(endpoint, TIMEOUT);
        let http = connections(&settings).map_err(|error| error.message)?;
        Ok(Self { http, runtime: Handle::current() })
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, request) = (self.http.clone(), request.try_into()?);
        let response = self.runtime.spawn(async move {
            let mut response = http.execute(request).await?;
            let (body, end) = read_body(&mut response, MAX_BODY).await;
            end.map(|_| (response.status(), Bytes::from(body)))
        });
        let (status, body) = response.await??;
        Ok(Response::builder().status(status).body(body)?)
    }
}
