//! The client: settings, and one transport per process made from them.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::config::Settings;
use crate::error::Error;
use crate::runtime::{self, PerProcess};
use crate::transport::aws::AwsTransport;
use crate::transport::{Answer, Presign, Reply, Request, Transport};

#[derive(Debug)]
pub struct Client {
    settings: Settings,
    transport: PerProcess<Arc<dyn Transport>>,
}

impl Client {
    pub fn new(settings: Settings) -> Self {
        Client { settings, transport: PerProcess::new() }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Set an operation going. It runs whether or not anybody waits, until the [`Pending`] is dropped.
    pub fn start(&self, request: Request) -> Result<Pending<Reply>, Error> {
        Pending::spawn(self.transport()?.send(request))
    }

    /// Have a URL signed, which may take a request for credentials.
    pub fn presign(&self, presign: Presign) -> Result<Pending<String>, Error> {
        Pending::spawn(self.transport()?.presign(presign))
    }

    fn transport(&self) -> Result<Arc<dyn Transport>, Error> {
        self.transport.get_or_try_make(|| Ok(Arc::new(AwsTransport::new(&self.settings)?)))
    }

    /// Let go of connections and cached credentials. As in boto3, the client can be used afterwards.
    pub fn close(&self) {
        self.transport.clear();
    }
}

/// An answer under way. Dropping it gives the operation up.
#[derive(Debug)]
pub struct Pending<T> {
    receiver: Receiver<Result<T, Error>>,
    task: AbortHandle,
}

impl<T: Send + 'static> Pending<T> {
    fn spawn(answer: Answer<T>) -> Result<Self, Error> {
        let (sender, receiver) = sync_channel(1);
        let task = runtime::handle()?.spawn(async move {
            // The channel has room; a closed one means that nobody waits any more.
            let _ = sender.try_send(answer.await);
        });
        Ok(Pending { receiver, task: task.abort_handle() })
    }

    /// Block until the answer is there or `patience` is over; `None` is the latter.
    pub fn wait_for(&mut self, patience: Duration) -> Option<Result<T, Error>> {
        match self.receiver.recv_timeout(patience) {
            Ok(result) => Some(result),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(lost_task())),
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task ended without an answer: it panicked (the hook has printed where) or the reactor is gone.
fn lost_task() -> Error {
    Error::Runtime("the operation ended without an answer; its task panicked, which is a bug in turbosqs".into())
}
