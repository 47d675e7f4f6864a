//! Faults that strike before a request: addresses to point a base URL, or a link, at.

use crate::fault::Fault;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// A name under the domain that never resolves.
const NAMELESS: &str = "http://vendor.invalid";
const ANY: &str = "127.0.0.1:0";
/// Connections that fill a listener's queue; it takes one or two more than it was told.
const FILLERS: usize = 8;
const FILL_LIMIT: Duration = Duration::from_millis(100);

/// HTTP/2: an empty SETTINGS frame, and GOAWAY that says that no stream was taken.
const GOAWAY: [u8; 26] = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Listeners, open as long as this lives.
pub(crate) struct Addresses {
    /// Bound and not listening: the port is nobody else's, and connecting to it is refused.
    _refusing: TcpSocket,
    refusing: SocketAddr,
    _full: TcpListener,
    _fillers: Vec<TcpStream>,
    full: SocketAddr,
    plain: SocketAddr,
    untrusted: SocketAddr,
    goaway: SocketAddr,
    listening: Vec<JoinHandle<()>>,
}

impl Drop for Addresses {
    fn drop(&mut self) {
        self.listening.iter().for_each(JoinHandle::abort);
    }
}

impl Addresses {
    pub async fn open() -> io::Result<Self> {
        let (_refusing, refusing) = bound()?;
        let (socket, full) = bound()?;
        let _full = socket.listen(1)?;
        let _fillers = fill(full).await;
        let acceptor = TlsAcceptor::from(Arc::new(untrusted().map_err(io::Error::other)?));
        let mut listening = Vec::new();
        let mut on = async |serve| {
            let listener = TcpListener::bind(ANY).await?;
            let address = listener.local_addr()?;
            listening.push(tokio::spawn(each(listener, serve)));
            io::Result::Ok(address)
        };
        let plain = on(Port::Plain).await?;
        let untrusted = on(Port::Untrusted(acceptor)).await?;
        let goaway = on(Port::Goaway).await?;
        Ok(Self { _refusing, refusing, _full, _fillers, full, plain, untrusted, goaway, listening })
    }

    /// Scheme, host and port.
    pub fn of(&self, fault: Fault) -> Option<String> {
        Some(match fault {
            Fault::NameNotFound => NAMELESS.to_owned(),
            Fault::ConnectionRefused => format!("http://{}", self.refusing),
            Fault::BlackHole => format!("http://{}", self.full),
            Fault::TlsFailure => format!("https://{}", self.plain),
            Fault::WrongCertificate => format!("https://{}", self.untrusted),
            Fault::Goaway => format!("http://{}", self.goaway),
            _ => return None,
        })
    }
}

fn bound() -> io::Result<(TcpSocket, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// Fills the queue of a listener that accepts nothing: what comes after waits for ever.
async fn fill(address: SocketAddr) -> Vec<TcpStream> {
    let mut fillers = Vec::new();
    while fillers.len() < FILLERS {
        match timeout(FILL_LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => fillers.push(stream),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    fillers
}

#[derive(Clone)]
enum Port {
    /// Not TLS.
    Plain,
    Untrusted(TlsAcceptor),
    Goaway,
}

async fn each(listener: TcpListener, port: Port) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(within(one(stream, port.clone())));
    }
}

/// No connection keeps the port busy for long.
async fn within(serve: impl Future<Output = io::Result<()>>) {
    // A client that refuses the handshake is what is wanted here.
    let _ = timeout(Duration::from_secs(10), serve).await;
}

async fn one(mut stream: TcpStream, port: Port) -> io::Result<()> {
    match port {
        Port::Plain => {
            hear(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await
        }
        Port::Untrusted(acceptor) => {
            let mut stream = acceptor.accept(stream).await?;
            // Whoever accepted the certificate hears that nothing is here.
            hear(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await
        }
        Port::Goaway => {
            hear(&mut stream).await?;
            stream.write_all(&GOAWAY).await?;
            stream.shutdown().await
        }
    }
}

/// The beginning of what a client says; nobody here cares what it is.
async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
    stream.read(&mut [0; 1024]).await
}

/// A self-signed certificate for a name that nobody asks for.
fn untrusted() -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["elsewhere.invalid".to_owned()])?.self_signed(&key)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)?)
}
