//! The listener and a thread for every connection.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;

use crate::answer::Answer;
use crate::api;
use crate::connection::{Connection, Received};
use crate::delivery::{Behind, Then, deliver, whole};
use crate::fault::Faults;
use crate::http::Request;
use crate::socket::Socket;
use crate::store::{Store, lock};

/// All that the threads of a gateway share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) faults: Mutex<Faults>,
    /// Every request received, unless the gateway does not record.
    pub(crate) requests: Mutex<Vec<Request>>,
    pub(crate) accepted: AtomicUsize,
    path_prefix: String,
    recording: bool,
    tls: Option<Arc<ServerConfig>>,
    /// The sockets of connections, to end them from outside. Weak, since a socket is closed, or reset,
    /// when the last owner drops it.
    sockets: Mutex<HashMap<usize, Weak<TcpStream>>>,
    /// Where it listens, once it does.
    address: OnceLock<SocketAddr>,
    stopping: AtomicBool,
    /// The connection that is to end last, if there is one: its number.
    last: AtomicUsize,
    /// Whether the listener is closed.
    stopped: (Mutex<bool>, Condvar),
}

impl Shared {
    pub(crate) fn new(store: Store, tls: Option<Arc<ServerConfig>>, path_prefix: String, recording: bool) -> Self {
        Shared {
            store,
            faults: Mutex::default(),
            requests: Mutex::default(),
            accepted: AtomicUsize::new(0),
            path_prefix,
            recording,
            tls,
            sockets: Mutex::default(),
            address: OnceLock::new(),
            stopping: AtomicBool::new(false),
            last: AtomicUsize::new(0),
            stopped: (Mutex::new(false), Condvar::new()),
        }
    }

    pub(crate) fn open_connections(&self) -> usize {
        lock(&self.sockets).values().filter(|socket| socket.strong_count() > 0).count()
    }

    /// Ends every connection from outside, as a gateway that restarts does it.
    pub(crate) fn end_connections(&self) {
        let last = self.last.load(Ordering::SeqCst);
        let sockets = lock(&self.sockets);
        for socket in sockets.iter().filter(|(number, _)| **number != last).filter_map(|(_, socket)| socket.upgrade()) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Has the listener closed by its thread.
    fn stop_listening(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes up the listener, which then sees that it is to stop.
        let _ = self.address.get().map(TcpStream::connect);
    }

    /// The same as seen from a connection, which goes on for one more answer.
    fn stop_before(&self, last: usize) {
        self.last.store(last, Ordering::SeqCst);
        self.stop_listening();
        let (stopped, change) = &self.stopped;
        drop(change.wait_while(lock(stopped), |stopped| !*stopped));
    }

    fn record(&self, request: &Request) {
        if self.recording {
            lock(&self.requests).push(request.clone());
        }
    }
}

/// A running listener.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Self> {
        let address = *shared.address.get_or_init(|| listener.local_addr().expect("a listener has an address"));
        let accepting = {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("gateway".to_owned()).spawn(move || accept_all(listener, &shared))?
        };
        Ok(Server { address, shared, accepting: Some(accepting) })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Closes the listener and every connection, and waits for their threads.
    pub(crate) fn stop(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.shared.stop_listening();
        accepting.join().expect("accepting connections does not panic");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept_all(listener: TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        match accepted {
            Ok((socket, _)) => threads.extend(spawn_connection(shared, socket)),
            // Out of descriptors, as a rule. Some will be free again.
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
    drop(listener);
    *lock(&shared.stopped.0) = true;
    shared.stopped.1.notify_all();
    shared.end_connections();
    for thread in threads {
        // A connection that panicked has printed why, and its client has seen it.
        let _ = thread.join();
    }
}

fn spawn_connection(shared: &Arc<Shared>, socket: TcpStream) -> Option<JoinHandle<()>> {
    socket.set_nodelay(true).ok()?;
    let socket = Socket(Arc::new(socket));
    let number = shared.accepted.fetch_add(1, Ordering::SeqCst) + 1;
    lock(&shared.sockets).insert(number, Arc::downgrade(&socket.0));
    let shared = Arc::clone(shared);
    let run = move || {
        let connection = match &shared.tls {
            None => Ok(Connection::plain(number, socket)),
            Some(config) => Connection::tls(number, socket, Arc::clone(config)),
        };
        if let Ok(connection) = connection {
            serve(&shared, connection);
        }
        lock(&shared.sockets).remove(&number);
    };
    thread::Builder::new().name(format!("gateway-{number}")).spawn(run).ok()
}

/// Answers requests until the connection ends.
fn serve(shared: &Shared, mut connection: Connection) {
    loop {
        let (request, keep_alive) = match connection.receive() {
            Received::Request { request, keep_alive } => (request, keep_alive),
            Received::Malformed(status) => {
                let _ = whole(&mut connection, &api::bad_request(status));
                return connection.close_unread();
            }
            Received::Closed => return,
        };
        shared.record(&request);
        match respond(shared, &mut connection, &request, keep_alive) {
            Ok(Then::Next) if keep_alive => {}
            Ok(Then::Next | Then::Close) => return connection.close(),
            Ok(Then::Reset) => return connection.reset(),
            Ok(Then::Cut) | Err(_) => return connection.cut(),
        }
    }
}

fn respond(shared: &Shared, connection: &mut Connection, request: &Request, keep_alive: bool) -> io::Result<Then> {
    let backend = Backend { shared, request, keep_alive };
    let fault = lock(&shared.faults).take(request);
    match fault {
        Some(what) => deliver(what, &backend, connection, request),
        None => whole(connection, &backend.perform()),
    }
}

/// The gateway behind a fault.
struct Backend<'s> {
    shared: &'s Shared,
    request: &'s Request,
    keep_alive: bool,
}

impl Behind for Backend<'_> {
    fn perform(&self) -> Answer {
        let Request { method, target, .. } = self.request;
        // A proxy passes on what is below its prefix, and knows nothing else.
        let prefix = &self.shared.path_prefix;
        let below = target.strip_prefix(prefix).filter(|below| prefix.is_empty() || below.starts_with('/'));
        let answer = match below {
            Some(target) => api::answer(&self.shared.store, target, self.request),
            None => api::not_found(),
        };
        let answer = if method == "HEAD" { answer.without_body() } else { answer };
        if self.keep_alive { answer } else { answer.closing() }
    }

    fn revoke_key(&self) {
        if let Some(key) = self.request.key() {
            let keys = &mut self.shared.store.state().keys;
            keys.revoke(key);
            keys.forget(key);
        }
    }

    fn stop_listening(&self) {
        self.shared.stop_before(self.request.connection);
    }

    fn sleep(&self, duration: Duration) -> io::Result<()> {
        let (stopped, change) = &self.shared.stopped;
        let waiting = change.wait_timeout_while(lock(stopped), duration, |stopped| !*stopped);
        let (stopped, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        if *stopped { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}
