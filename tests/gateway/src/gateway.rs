//! The gateway as a test sees it.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::http::Request;
use crate::mapping::{Mapping, NewMapping};
use crate::providers::Provider;
use crate::server::{Server, Shared};
use crate::store::{Store, lock};
use crate::table::Database;
use crate::time::now_ms;
use crate::tls::Tls;
use crate::users::{Role, owner_id_of};

/// How long [`Gateway::wait_until`] waits before it gives up: far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running gateway on 127.0.0.1. Dropping it stops it.
pub struct Gateway {
    server: Server,
    shared: Arc<Shared>,
    ca_pem: Option<String>,
    path_prefix: String,
}

/// A gateway to be started: port, users, and what it runs on.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    port: u16,
    users: Vec<(String, Role)>,
    tls: bool,
    path_prefix: String,
    recording: bool,
    database: Database,
    utc_offset_minutes: i32,
}

impl Builder {
    /// A fixed port. Without one, a free port is taken.
    pub fn port(self, port: u16) -> Self {
        Builder { port, ..self }
    }

    /// A user. Without any there are `alice` and `bob` (users), `root` (admin) and `pat` (provider).
    pub fn user(mut self, name: &str, role: Role) -> Self {
        self.users.push((name.to_owned(), role));
        self
    }

    /// Speak https, with a certificate for `localhost` and `127.0.0.1`.
    pub fn tls(self) -> Self {
        Builder { tls: true, ..self }
    }

    /// A path in front of every route, such as `/ai/gateway`, as behind a proxy: without it, nothing is found.
    pub fn path_prefix(self, path_prefix: &str) -> Self {
        Builder { path_prefix: path_prefix.to_owned(), ..self }
    }

    /// Keep no record of requests, for runs of so many that the record would be what is measured.
    pub fn without_recording(self) -> Self {
        Builder { recording: false, ..self }
    }

    /// The database behind it, which shows in the text of a duplicate.
    pub fn database(self, database: Database) -> Self {
        Builder { database, ..self }
    }

    /// The gateway's time zone, which shows in every time. UTC without it.
    pub fn utc_offset_minutes(self, utc_offset_minutes: i32) -> Self {
        Builder { utc_offset_minutes, ..self }
    }

    /// Starts it. Fails if the port is taken.
    pub fn start(self) -> io::Result<Gateway> {
        let listener = TcpListener::bind(("127.0.0.1", self.port))?;
        let tls = self.tls.then(Tls::new);
        let users = if self.users.is_empty() { default_users() } else { self.users };
        let store = Store::new(&users, self.database, self.utc_offset_minutes);
        let config = tls.as_ref().map(|tls| Arc::clone(&tls.config));
        let shared = Arc::new(Shared::new(store, config, self.path_prefix.clone(), self.recording));
        let server = Server::start(listener, Arc::clone(&shared))?;
        Ok(Gateway { server, shared, ca_pem: tls.map(|tls| tls.ca_pem), path_prefix: self.path_prefix })
    }
}

fn default_users() -> Vec<(String, Role)> {
    let users = [("alice", Role::User), ("bob", Role::User), ("root", Role::Admin), ("pat", Role::Provider)];
    users.map(|(name, role)| (name.to_owned(), role)).to_vec()
}

/// Starting, and where it is.
impl Gateway {
    /// A gateway to be started with other than the default settings.
    pub fn builder() -> Builder {
        Builder {
            port: 0,
            users: Vec::new(),
            tls: false,
            path_prefix: String::new(),
            recording: true,
            database: Database::default(),
            utc_offset_minutes: 0,
        }
    }

    /// A gateway on a free port with the default users and models.
    pub fn start() -> Self {
        Gateway::builder().start().expect("127.0.0.1 has a free port")
    }

    /// `http://127.0.0.1:PORT`, with TLS `https://localhost:PORT`, and the path prefix if there is one.
    pub fn url(&self) -> String {
        let prefix = &self.path_prefix;
        match self.ca_pem {
            None => format!("http://127.0.0.1:{}{prefix}", self.port()),
            Some(_) => format!("https://localhost:{}{prefix}", self.port()),
        }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// With TLS, the certificate authority to trust, in PEM.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Closes the listener and every connection. Dropping does the same.
    pub fn stop(mut self) {
        self.server.stop();
    }
}

/// Users and their keys. Panics if there is no user of the name.
impl Gateway {
    /// The user's key: `ak_` and 48 hexadecimal digits, the same in every run.
    pub fn key(&self, user: &str) -> &str {
        &self.shared.store.users.named(user).key
    }

    /// The user's UUID, as `owner_id` shows it.
    pub fn owner_id(&self, user: &str) -> &str {
        &self.shared.store.users.named(user).owner_id
    }

    /// Revokes the user's key as the real gateway does it: if it was used in the last five minutes, it goes
    /// on working until they are over.
    pub fn revoke_key(&self, user: &str) {
        self.shared.store.state().keys.revoke(self.key(user));
    }

    /// Revokes the user's key for the very next request.
    pub fn revoke_key_at_once(&self, user: &str) {
        let mut state = self.shared.store.state();
        state.keys.revoke(self.key(user));
        state.keys.forget(self.key(user));
    }

    /// Takes the user's revocation back.
    pub fn restore_key(&self, user: &str) {
        self.shared.store.state().keys.restore(self.key(user));
    }

    /// Empties the cache of valid keys, as if five minutes had passed.
    pub fn forget_cached_keys(&self) {
        self.shared.store.state().keys.forget_all();
    }
}

/// What it received.
impl Gateway {
    /// Every request received so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        lock(&self.shared.requests).clear();
    }

    /// The number of TCP connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// The number of connections that are open now. A connection that its client closed is noticed within
    /// milliseconds, also while a fault delays its answer.
    pub fn open_connections(&self) -> usize {
        self.shared.open_connections()
    }

    /// Closes every connection that is open now, idle ones too, and goes on listening.
    pub fn close_connections(&self) {
        self.shared.end_connections();
    }

    /// Waits until the condition holds. Panics after ten seconds, naming `what` was waited for.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&Gateway) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(start.elapsed() < PATIENCE, "the gateway waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What it knows.
impl Gateway {
    /// The rows as they are stored, in the order of a list.
    pub fn mappings(&self) -> Vec<Mapping> {
        self.shared.store.state().table.rows().iter().map(|row| row.mapping.clone()).collect()
    }

    /// Puts a row in directly, and returns it as stored. Panics if its alias is taken.
    pub fn insert(&self, new: NewMapping) -> Mapping {
        let now = now_ms();
        let mapping = Mapping {
            id: 0,
            alias: new.alias,
            provider_id: new.provider_id,
            model_name: new.model_name,
            description: new.description,
            enabled: new.enabled,
            priority: new.priority,
            owner_id: new.owner.as_deref().map(owner_id_of),
            created_at_ms: now,
            updated_at_ms: now,
        };
        let inserted = self.shared.store.state().table.insert_unchecked(mapping);
        match inserted {
            Ok(row) => row.mapping.clone(),
            Err(refusal) => panic!("the row cannot be put in: {refusal}"),
        }
    }

    /// Takes every row out.
    pub fn clear_mappings(&self) {
        let table = &mut self.shared.store.state().table;
        for row in table.rows().to_vec() {
            table.remove(&row);
        }
    }

    /// Replaces the providers and their built-in models.
    pub fn set_providers(&self, providers: Vec<Provider>) {
        self.shared.store.state().providers = providers;
    }
}

/// What goes wrong.
impl Gateway {
    /// Adds a fault behind those that are still to come.
    pub fn fault(&self, fault: Fault) {
        lock(&self.shared.faults).add(fault);
    }

    /// Drops the faults that are still to come.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// The number of faults that are still to come, those for all requests included.
    pub fn faults_to_come(&self) -> usize {
        lock(&self.shared.faults).waiting()
    }

    /// Takes the database down, or up again.
    pub fn set_database_down(&self, down: bool) {
        self.shared.store.state().database_down = down;
    }

    /// Takes Redis down, or up again.
    pub fn set_redis_down(&self, down: bool) {
        self.shared.store.state().redis_down = down;
    }
}
