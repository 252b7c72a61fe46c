//! Sends the client's requests to a sandbox in this process.

use axum::body::{self, Body};
use axum::http::Request;
use rosterd::client::http::{HttpRequest, HttpResponse};
use rosterd::sandbox::InProcessSandbox;

/// The response to one request; takes the request's headers and body.
pub async fn ask(api: &InProcessSandbox, post: &mut HttpRequest) -> HttpResponse {
    let mut request = Request::post("/graphql");
    *request.headers_mut().unwrap() = std::mem::take(&mut post.headers);
    let request = request.body(Body::from(std::mem::take(&mut post.body))).unwrap();
    let (head, body) = api.answer(request).await.into_parts();
    let body = body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
    HttpResponse { status: head.status.as_u16(), headers: head.headers, body }
}
