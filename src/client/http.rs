//! One HTTP exchange: the request, its whole response, and the error where there is none.

use futures_util::future::BoxFuture;
use reqwest::header::HeaderMap;

use crate::failure::FailureKind;

/// Sends requests to the endpoint: over the network, or over a simulation of it. It follows no
/// redirect and sends nothing twice.
pub trait HttpTransport: Send + Sync {
    /// Sends the request once, and waits for the whole response.
    fn post(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, TransportError>>;
}

/// One request. The headers hold secrets.
#[derive(Debug)]
pub struct HttpRequest {
    pub headers: HeaderMap,
    pub body: String,
    /// Maximum size of the response body, in bytes.
    pub max_body: usize,
}

/// One whole response, whatever its status.
#[derive(Debug)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// No response, or only a part of it.
#[derive(Debug)]
pub struct TransportError {
    /// With `Tls` and `Connect` nothing was sent; otherwise `Timeout`, `Truncated`, `Reset` or
    /// `TooLarge`.
    pub kind: FailureKind,
    /// The innermost error. It holds no URL.
    pub cause: String,
}
