//! A transport for tests that have no proxy: plain HTTP, straight to the origin.

use std::io;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use larder_proxy::body::{self, Body};

/// Sends requests to where their URI says; what fails is answered 502, as the proxy does.
pub(crate) struct PlainHttp(Client<HttpConnector, Body>);

impl Default for PlainHttp {
    fn default() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }
}

impl PlainHttp {
    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        match self.0.request(request).await {
            Ok(response) => response.map(|incoming| incoming.map_err(io::Error::other).boxed()),
            Err(error) => Response::builder()
                .status(StatusCode::BAD_GATEWAY)
                .header("content-type", "text/plain")
                .body(body::full(Bytes::from(chain(&error))))
                .unwrap(),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
