//! What a client that asks for it is told of a call under way.

use std::future::pending;
use std::time::Duration;

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer};
use tokio::sync::watch;
use tokio::time::Instant;

/// The time between two words on a call: as often as a person can read, however fast the requests are answered.
const BETWEEN_STEPS: Duration = Duration::from_millis(100);

/// The progress of one call: how many of its requests are answered.
pub(super) struct Progress {
    /// None when the client did not ask.
    token: Option<ProgressToken>,
    client: Peer<RoleServer>,
    answered: watch::Receiver<u32>,
    not_before: Option<Instant>,
}

impl Progress {
    pub(super) fn of(context: &RequestContext<RoleServer>, answered: &watch::Sender<u32>) -> Self {
        let (token, client) = (context.meta.get_progress_token(), context.peer.clone());
        Self { token, client, answered: answered.subscribe(), not_before: None }
    }

    /// Waits for something new to tell. This may be dropped and asked again.
    pub(super) async fn made(&mut self) {
        if let Some(instant) = self.not_before {
            tokio::time::sleep_until(instant).await;
        }
        if self.token.is_none() || self.answered.changed().await.is_err() {
            pending().await
        }
    }

    /// Tells it. This is over once it is handed to the transport, so that it comes before the answer.
    pub(super) async fn tell(&mut self) {
        let Some(token) = &self.token else { return };
        let count = *self.answered.borrow();
        let requests = if count == 1 { "request" } else { "requests" };
        let step = ProgressNotificationParam::new(token.clone(), count.into());
        // An error says that the connection is ending.
        _ = self.client.notify_progress(step.with_message(format!("{count} {requests} answered"))).await;
        self.not_before = Some(Instant::now() + BETWEEN_STEPS);
    }
}
