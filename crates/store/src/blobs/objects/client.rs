//! The way to the server: one HTTP client that follows no redirect and repeats nothing by itself.

use super::failure::failed;
use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{HttpClient, HttpConnector},
};
use pixel_core::vendor::Secret;
use reqwest::{Client, redirect, retry};
use std::{io, time::Duration};

const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Between two pieces of an answer.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// Shorter than the keep-alive of common servers, so that we rarely meet one that is closing.
const POOL_TIME: Duration = Duration::from_secs(15);

/// Where blobs go and how to get in. The endpoint is the operator's word, so it is trusted.
#[derive(Clone)]
pub struct ObjectOptions {
    pub bucket: String,
    /// Without slashes around it; may be empty.
    pub prefix: String,
    /// Absent: AWS itself.
    pub endpoint: Option<String>,
    pub region: String,
    /// Whether the bucket stands in the path, not in the host's name.
    pub path_style: bool,
    pub key_id: Secret,
    pub secret: Secret,
    /// Of temporary keys.
    pub token: Option<Secret>,
    pub tls: rustls::ClientConfig,
}

pub(super) fn connect(options: ObjectOptions) -> io::Result<AmazonS3> {
    let client = Client::builder()
        .tls_backend_preconfigured(options.tls.clone())
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        // The length that is announced must be that of the object.
        .no_gzip()
        .http1_only()
        .connect_timeout(CONNECT_TIME)
        .read_timeout(IDLE_TIME)
        .pool_idle_timeout(POOL_TIME)
        .user_agent(concat!("Pixel/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(io::Error::other)?;
    let mut builder = AmazonS3Builder::new()
        .with_http_connector(Ready(client))
        .with_retry(retries())
        .with_bucket_name(&options.bucket)
        .with_region(&options.region)
        .with_access_key_id(options.key_id.reveal())
        .with_secret_access_key(options.secret.reveal())
        .with_virtual_hosted_style_request(!options.path_style);
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(address(endpoint, &options));
    }
    if let Some(token) = &options.token {
        builder = builder.with_token(token.reveal());
    }
    builder.build().map_err(|error| failed(&error).into())
}

/// The library wants the bucket in the endpoint's name when it stands there.
fn address(endpoint: &str, options: &ObjectOptions) -> String {
    match endpoint.split_once("://") {
        Some((scheme, rest)) if !options.path_style => format!("{scheme}://{}.{rest}", options.bucket),
        _ => endpoint.to_owned(),
    }
}

/// Short hiccups only: in a longer outage the engine waits, and says so.
fn retries() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        ..BackoffConfig::default()
    };
    RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(10) }
}

/// Hands the library a client that is made already.
#[derive(Debug)]
struct Ready(Client);

impl HttpConnector for Ready {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_stands_where_it_is_asked_for() {
        let at = |path_style| {
            let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            let (key_id, secret) = (Secret::new("id"), Secret::new("secret"));
            let (bucket, prefix, region) = ("media".to_owned(), String::new(), "us-east-1".to_owned());
            let options =
                ObjectOptions { bucket, prefix, endpoint: None, region, path_style, key_id, secret, token: None, tls };
            address("https://s3.example.com:9000", &options)
        };
        assert_eq!(at(true), "https://s3.example.com:9000");
        assert_eq!(at(false), "https://media.s3.example.com:9000");
    }
}
