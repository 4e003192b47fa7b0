//! The gateway without a sandbox: a pooled HTTP client, and nothing between it and the requests.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// A client of one gateway.
pub(crate) struct Native {
    client: Client<HttpConnector, Empty<Bytes>>,
    url: String,
    key: String,
}

impl Native {
    /// For the gateway at `url`, with an API key.
    pub(crate) fn new(url: &str, key: &str) -> Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(50))
            .build(connector);
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), key: key.to_owned() })
    }

    /// The body of an answer, which has to be a 200.
    pub(crate) async fn get(&self, target: &str) -> Result<Bytes> {
        let request = Request::get(format!("{}{target}", self.url)).header("x-api-key", &self.key).body(Empty::new())?;
        let response = self.client.request(request).await?;
        ensure!(response.status() == 200, "the gateway answered {}", response.status());
        Ok(response.into_body().collect().await?.to_bytes())
    }
}
