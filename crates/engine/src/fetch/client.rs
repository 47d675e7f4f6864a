//! HTTP clients that can reach nothing but addresses which were judged.

use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect, retry,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// Installs the process's TLS provider. Call it before any HTTP client is built; calling it again,
/// or after someone else did, changes nothing.
pub fn install_tls() {
    // An error means that a provider is installed already, which is all that is wanted.
    let _ = ring::default_provider().install_default();
}

/// TLS with the system's certificates. A machine without any still gets a configuration: then only
/// `https` fails, each time with its reason, and all that needs no `https` works.
pub fn tls_config() -> Result<ClientConfig, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!(ignored, errors = ?found.errors, "the system has no CA certificates, https links will fail");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| format!("TLS cannot be set up: {why}"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

pub(super) struct Clients {
    tls: ClientConfig,
    literal: Client,
    connect: Duration,
}

impl Clients {
    pub(super) fn new(connect: Duration) -> Result<Self, String> {
        let tls = tls_config()?;
        let literal = build(&tls, Vec::new(), connect)?;
        Ok(Self { tls, literal, connect })
    }

    /// Reaches addresses that are written out in a link, and no name.
    pub(super) fn literal(&self) -> Client {
        self.literal.clone()
    }

    /// Reaches these addresses, whatever name the link has. A client serves one request, so that a
    /// name cannot lead elsewhere between its judgement and the connection. TLS sessions are
    /// still resumed: the configuration's clones share their cache.
    pub(super) fn pinned(&self, addrs: Vec<SocketAddr>) -> Result<Client, String> {
        build(&self.tls, addrs, self.connect)
    }
}

fn build(tls: &ClientConfig, addrs: Vec<SocketAddr>, connect: Duration) -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .dns_resolver(Pinned(addrs))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .connect_timeout(connect)
        // The announced length must be the length of what is stored.
        .no_gzip()
        .http1_only()
        .referer(false)
        .user_agent(concat!("Pixel/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|why| format!("the HTTP client cannot be built: {why}"))
}

/// Answers every name with the same addresses, and without any, with an error.
struct Pinned(Vec<SocketAddr>);

impl Resolve for Pinned {
    fn resolve(&self, _name: Name) -> Resolving {
        let addrs = self.0.clone();
        Box::pin(async move {
            if addrs.is_empty() {
                return Err("this client resolves no names".into());
            }
            Ok(Box::new(addrs.into_iter()) as Addrs)
        })
    }
}
