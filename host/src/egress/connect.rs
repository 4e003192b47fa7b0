//! Connections to the one granted origin: resolve once, vet every address, dial a vetted one, TLS by the granted name.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::io::TokioIo;

use super::address;
use super::answer::MOST_HEADERS;
use crate::grants::{Check, Denial, Grants, Scheme};

/// Connections that are kept while nobody uses them: as many as run at the same time by default.
const MOST_IDLE: usize = 32;

/// How long an unused connection is kept. Most servers close one after 60 seconds or more; to be earlier avoids
/// finding it closed.
const IDLE_FOR: Duration = Duration::from_secs(50);

/// Looks a name up. A trait, so that tests decide what a name resolves to.
pub trait Resolve: Send + Sync {
    /// All addresses of the host, in the order of preference.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;
}

/// The operating system's resolver.
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Why there is no connection.
pub(super) enum ConnectError {
    /// An address may not be dialled.
    Denied(Denial),
    /// The network or the peer said no.
    Failed(Error),
}

impl From<Error> for ConnectError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A connection to the origin; dropping it closes it.
pub(super) struct Connection {
    /// Where requests are put in.
    pub(super) sender: SendRequest<Full<Bytes>>,
    /// The address that was vetted and dialled.
    pub(super) address: SocketAddr,
    /// Whether it has served a request before.
    pub(super) reused: bool,
    /// Whether it was opened for a read: others may follow on it.
    for_reads: bool,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The connections to one origin.
pub(super) struct Connector {
    grants: Arc<Grants>,
    resolver: Arc<dyn Resolve>,
    roots: Vec<CertificateDer<'static>>,
    tls: OnceLock<TlsConnector>,
    idle: Mutex<Vec<(Instant, Connection)>>,
}

impl Connector {
    /// Reads the CA file, if one is granted. The system's roots are read at the first use of TLS.
    pub(super) fn new(grants: Arc<Grants>, resolver: Arc<dyn Resolve>) -> anyhow::Result<Self> {
        let roots = match &grants.ca_file {
            Some(file) => read_roots(Path::new(file)).with_context(|| format!("cannot use the CA file `{file}`"))?,
            None => Vec::new(),
        };
        Ok(Self { grants, resolver, roots, tls: OnceLock::new(), idle: Mutex::default() })
    }

    /// A connection for a read, which may be sent again: one that is idle and not known to be closed, or else a new one.
    pub(super) async fn connect(&self) -> Result<Connection, ConnectError> {
        while let Some(mut connection) = self.take_idle() {
            // The last answer may only just have been read.
            if connection.sender.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        self.connect_anew(true).await
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().ok()?;
        idle.retain(|(since, connection)| since.elapsed() < IDLE_FOR && !connection.sender.is_closed());
        idle.pop().map(|(_, connection)| connection)
    }

    /// Keeps a connection whose answer was read to its end; one of a write only where there is no other.
    pub(super) fn keep(&self, mut connection: Connection) {
        let most = if connection.for_reads { MOST_IDLE } else { 1 };
        (connection.reused, connection.for_reads) = (true, true);
        if let Ok(mut idle) = self.idle.lock()
            && idle.len() < most
        {
            idle.push((Instant::now(), connection));
        }
    }

    /// Resolves, vets and dials.
    pub(super) async fn connect_anew(&self, for_reads: bool) -> Result<Connection, ConnectError> {
        let mut failure = ConnectError::Failed(Error::DestinationNotFound);
        for address in self.resolve().await? {
            match self.dial(address).await {
                Ok(mut connection) => {
                    connection.for_reads = for_reads;
                    return Ok(connection);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The addresses of the origin that may be dialled; a denial if there are addresses and none of them may.
    async fn resolve(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        let origin = &self.grants.base_url.origin;
        let found = match origin.address() {
            Some(ip) => vec![SocketAddr::new(ip, origin.port)],
            None => self
                .resolver
                .resolve(&origin.host, origin.port)
                .await
                .map_err(|error| Error::DnsError { rcode: Some(error.to_string()), info_code: None })?,
        };
        let plaintext = origin.scheme == Scheme::Http && !self.grants.allow_plaintext;
        let loopback_only = plaintext || origin.host == "localhost" || origin.host.ends_with(".localhost");
        let mut refused = None;
        let mut vetted = Vec::new();
        for address in found {
            match address::refusal(address.ip(), loopback_only) {
                None => vetted.push(address),
                Some(reason) => refused = Some(format!("`{}` is at {}: {reason}", origin.host, address.ip())),
            }
        }
        match refused {
            Some(reason) if vetted.is_empty() => Err(ConnectError::Denied(Denial::new(Check::Address, reason))),
            _ => Ok(vetted),
        }
    }

    async fn dial(&self, address: SocketAddr) -> Result<Connection, ConnectError> {
        let seconds = self.grants.limits.connect_seconds;
        let late = || Denial::new(Check::Deadline, format!("no connection within `connect_seconds` = {seconds}"));
        let connected = tokio::time::timeout(Duration::from_secs(seconds), self.dial_unlimited(address));
        connected.await.unwrap_or_else(|_| Err(ConnectError::Denied(late())))
    }

    async fn dial_unlimited(&self, address: SocketAddr) -> Result<Connection, ConnectError> {
        let stream = TcpStream::connect(address).await.map_err(connect_error)?;
        // Requests are written whole: waiting for more to send only delays them.
        stream.set_nodelay(true).map_err(connect_error)?;
        match self.grants.base_url.origin.scheme {
            Scheme::Http => Ok(self.handshake(stream, address).await?),
            Scheme::Https => {
                let tls = self.tls()?.connect(self.server_name()?, stream).await.map_err(tls_error)?;
                Ok(self.handshake(tls, address).await?)
            }
        }
    }

    async fn handshake<S>(&self, stream: S, address: SocketAddr) -> Result<Connection, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut http = http1::Builder::new();
        http.max_header_size(self.grants.limits.header_bytes).max_headers(MOST_HEADERS);
        let (sender, driver) = http.handshake(TokioIo::new(stream)).await?;
        // What becomes of the connection is seen by whoever sends the next request.
        let driver = tokio::spawn(async move { _ = driver.await }).abort_handle();
        Ok(Connection { sender, address, reused: false, for_reads: true, driver })
    }

    fn server_name(&self) -> Result<ServerName<'static>, Error> {
        let origin = &self.grants.base_url.origin;
        match origin.address() {
            Some(ip) => Ok(ServerName::from(ip)),
            None => ServerName::try_from(origin.host.clone()).map_err(|_| Error::TlsCertificateError),
        }
    }

    fn tls(&self) -> Result<TlsConnector, Error> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(self.roots.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| Error::ConfigurationError)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(self.tls.get_or_init(|| TlsConnector::from(Arc::new(config))).clone())
    }
}

fn read_roots(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>()?;
    ensure!(!certificates.is_empty(), "it holds no certificate; a PEM file with `BEGIN CERTIFICATE` is wanted");
    Ok(certificates)
}

fn connect_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Error::DestinationIpUnroutable,
        _ => Error::Connect(error),
    }
}

fn tls_error(error: io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Error::TlsCertificateError
        }
        Some(_) => Error::TlsProtocolError,
        None => Error::ConnectionTerminated,
    }
}
