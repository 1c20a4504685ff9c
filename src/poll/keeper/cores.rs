//! What keepers stand on: the leases of one client, queue and visibility timeout, and the requests that extend them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::state::{CoreState, Kept};
use super::{Keeper, LostLease};
use crate::client::{Client, Resources};
use crate::log::{self, Topic};
use crate::poll::LINGER;
use crate::poll::commands::{extension, run_out};
use crate::poll::leases::{Command, CommandKind, GroupMode, LeasePolicy, Leases, Told};
use crate::protocol::classify::is_expired;
use crate::protocol::entry::{Entry, QueueUrl, Single, visibility};
use crate::protocol::error::Error;
use crate::protocol::message::Reply;
use crate::receive::visibility::{DEFAULT, Visibilities};
use crate::runtime::lock::lock;
use crate::runtime::responder::{Responder, Sink};
use crate::runtime::{self, ProcessBound};
use crate::send::Limits;
use crate::send::batcher::Batcher;
use crate::send::batcher::own_changes::KeepsMessages;
use crate::transport::Transport;

/// What came before a keeper was made came in this time: its clock does not begin with zero.
const BEFORE: Duration = Duration::from_secs(100_000);

/// A queue, and for how many seconds its messages are kept invisible at a time; `None`: for as long as the queue does.
type KeeperKey = (QueueUrl, Option<u32>);

/// The cores of a client that keepers stand on.
#[derive(Debug, Default)]
pub(crate) struct KeeperCores(ProcessBound<Arc<CoresByKey>>);

/// What is made for each queue and visibility timeout, as long as a keeper stands on it.
type CoresByKey = Mutex<HashMap<KeeperKey, Weak<KeeperCore>>>;

/// What all keepers of one client, queue and visibility timeout have in common.
#[derive(Debug)]
pub(in crate::poll) struct KeeperCore {
    queue: QueueUrl,
    visibilities: Arc<Visibilities>,
    transport: Arc<dyn Transport>,
    changes: Arc<Batcher>,
    began: Instant,
    state: Mutex<CoreState>,
    /// The timer has to look again.
    pub(super) alarm: Notify,
}

impl KeeperCores {
    /// A new keeper. Nothing leaves before it has something to keep.
    pub(crate) fn open(
        &self,
        client: &Client,
        queue: QueueUrl,
        visibility: Option<u32>,
        listens: bool,
    ) -> Result<Keeper, Error> {
        let resources = client.resources()?;
        let cores = self.0.get_or_try_make(|| Ok::<_, Error>(Arc::default()))?;
        let mut cores = lock(&cores);
        cores.retain(|_, core| core.strong_count() > 0);
        let key = (Arc::clone(&queue), visibility);
        let core = cores.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
            let core = KeeperCore::over(&resources, queue, visibility);
            cores.insert(key, Arc::downgrade(&core));
            core
        });
        Ok(Keeper::on(core, listens))
    }
}

impl KeeperCore {
    pub(in crate::poll) fn over(resources: &Resources, queue: QueueUrl, visibility: Option<u32>) -> Arc<KeeperCore> {
        let limits = Limits { linger: LINGER, at_once: false, ..resources.batchers.limits() };
        let policy = LeasePolicy {
            visibility: Duration::ZERO,
            life: Duration::ZERO,
            max_wait: Duration::ZERO,
            groups: GroupMode::None,
            keeps: true,
        };
        let mut state = CoreState {
            leases: Leases::new(policy),
            kept: HashMap::new(),
            keepers: HashMap::new(),
            next_keeper: 0,
            is_known: false,
            asks: false,
            sleeps_until: None,
        };
        let known = visibility.or_else(|| resources.visibilities.known(&queue)).filter(|seconds| *seconds > 0);
        known.into_iter().for_each(|seconds| state.set_visibility(seconds));
        let core = Arc::new(KeeperCore {
            changes: resources.batchers.make(Single::ChangeMessageVisibility, Arc::clone(&queue), limits),
            visibilities: Arc::clone(&resources.visibilities),
            transport: Arc::clone(&resources.transport),
            queue,
            began: runtime::now(),
            state: Mutex::new(state),
            alarm: Notify::new(),
        });
        let kept: Arc<dyn KeepsMessages> = Arc::<KeeperCore>::clone(&core);
        resources.pollers.register(Arc::downgrade(&kept));
        core
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, CoreState> {
        // Every change is whole before anything runs that could panic.
        lock(&self.state)
    }

    pub(super) fn now(&self) -> Duration {
        runtime::now().saturating_duration_since(self.began) + BEFORE
    }

    fn moment(&self, at: Duration) -> Option<Instant> {
        self.began.checked_add(at.saturating_sub(BEFORE))
    }

    /// Have the queue asked for its visibility timeout, unless it is.
    pub(super) fn ask_queue(self: &Arc<Self>, state: &mut CoreState) -> Result<(), Error> {
        if !state.asks {
            state.asks = true;
            let core = Arc::clone(self);
            runtime::handle()?.spawn(async move {
                let answer = core.visibilities.of(&*core.transport, &core.queue).await;
                core.asked_queue(answer);
            });
        }
        Ok(())
    }

    fn asked_queue(self: &Arc<Self>, answer: Result<u32, Error>) {
        let now = self.now();
        let mut state = self.lock();
        if let Err(error) = &answer {
            log::warning(Topic::Requests, || {
                format!(
                    "{}: its VisibilityTimeout cannot be asked for, so its messages are kept invisible for {DEFAULT} seconds \
                     at a time. Give VisibilityTimeout, or permit sqs:GetQueueAttributes. {}",
                    self.url(),
                    error.cause()
                )
            });
        }
        // How long they are leased is known only if the queue has said it; else they are extended at once.
        let known = answer.ok().filter(|seconds| *seconds > 0);
        state.set_visibility(known.unwrap_or(DEFAULT));
        state.asks = false;
        state.hold_early(now, known.is_some());
        // What cannot be asked for is told to its callers.
        let _ = self.follow(state, Vec::new());
    }

    fn url(&self) -> String {
        serde_json::from_slice(&self.queue).unwrap_or_default()
    }

    /// Everything that follows from a change: what is due is asked for, `commands` as well, what was lost is told, and the timer
    /// is set.
    pub(super) fn follow(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, CoreState>,
        mut commands: Vec<Command>,
    ) -> Result<(), Error> {
        let now = self.now();
        commands.extend(state.leases.tick(now));
        let woken = self.hear(&mut state);
        let next = state.leases.next_tick();
        let starts = next.is_some() && state.sleeps_until.is_none();
        if starts {
            state.sleeps_until = Some(Duration::ZERO);
        } else if let (Some(next), Some(until)) = (next, state.sleeps_until)
            && next < until
        {
            // It sets the time anew when it looks; until then it need not be told again.
            state.sleeps_until = Some(Duration::ZERO);
            self.alarm.notify_one();
        }
        drop(state);
        woken.into_iter().for_each(|responder| responder.respond(Ok(())));
        if starts {
            runtime::handle()?.spawn(Arc::clone(self).look_after());
        }
        let entries: Vec<_> = commands.into_iter().filter_map(|command| self.entry(command, now)).collect();
        if !entries.is_empty() {
            self.changes.enter_all(entries)?;
        }
        Ok(())
    }

    fn entry(self: &Arc<Self>, command: Command, now: Duration) -> Option<(Entry, Responder<Reply>)> {
        // Nothing else is ever wanted of a keeper.
        let CommandKind::Extend(seconds) = command.kind else { return None };
        let sink = ExtensionSink { core: Arc::clone(self), id: command.id, seconds, sent: now };
        let entry = visibility(&command.handle, seconds);
        Some((Entry { not_after: self.moment(command.not_after), ..entry }, Responder::new(sink)))
    }

    /// What was lost goes to its keepers, who are to be woken outside of the lock, or is logged.
    fn hear(&self, state: &mut CoreState) -> Vec<Responder<()>> {
        let mut woken = Vec::new();
        for told in state.leases.told() {
            let (Told::Lost(Kept { keeper, handle }, error) | Told::Failed(Kept { keeper, handle }, _, error)) = told;
            let Some(keeper) = state.keepers.get_mut(&keeper) else { continue };
            let error = error.unwrap_or_else(run_out);
            keeper.losses += 1;
            if keeper.listens {
                keeper.lost.push(LostLease { handle, error });
                woken.append(&mut keeper.waiting.take_all());
            } else {
                log::warning(Topic::Requests, || {
                    format!(
                        "{}: the visibility timeout of a message that is being handled could not be extended, so others may \
                         receive it: {}",
                        self.url(),
                        error.cause()
                    )
                });
            }
        }
        woken
    }

    /// Looks after what is kept, for as long as there is something.
    async fn look_after(self: Arc<Self>) {
        loop {
            let next = {
                let mut state = self.lock();
                let next = state.leases.next_tick();
                if state.leases.is_empty() {
                    state.sleeps_until = None;
                    return;
                }
                state.sleeps_until = Some(next.unwrap_or(Duration::MAX));
                next
            };
            let alarmed = self.alarm.notified();
            match next.and_then(|next| self.moment(next)) {
                None => alarmed.await,
                Some(next) => tokio::select! {
                    biased;
                    () = runtime::sleep_until(next) => {}
                    () = alarmed => continue,
                },
            }
            // What cannot be asked for is told to its callers.
            let _ = self.follow(self.lock(), Vec::new());
        }
    }
}

impl KeepsMessages for KeeperCore {
    fn is_changed(self: Arc<Self>, handle: &str, seconds: u32) {
        let now = self.now();
        let mut state = self.lock();
        for id in state.leases_of(now, handle) {
            state.leases.leave_alone(now, id, seconds);
        }
        // What cannot be asked for is told to its callers.
        let _ = self.follow(state, Vec::new());
    }

    fn is_deleted(self: Arc<Self>, handle: &str) {
        let now = self.now();
        let mut state = self.lock();
        for id in state.leases_of(now, handle) {
            state.leases.is_deleted(id);
        }
    }
}

/// The sink of an extension's answer.
struct ExtensionSink {
    core: Arc<KeeperCore>,
    id: u64,
    seconds: u32,
    /// When it was asked for.
    sent: Duration,
}

impl Sink<Reply> for ExtensionSink {
    fn deliver(self: Box<Self>, answer: Result<Reply, Error>) {
        let core = &self.core;
        let now = core.now();
        if answer.as_ref().is_err_and(is_expired) {
            core.transport.renew_credentials();
        }
        let mut state = core.lock();
        // First what has run out by now: an answer that comes after that does not count any more.
        let mut commands = state.leases.tick(now);
        let keeper = state.leases.message(self.id).map(|kept| kept.keeper);
        if let Some(keeper) = keeper.and_then(|keeper| state.keepers.get_mut(&keeper)) {
            keeper.extended += u64::from(answer.is_ok());
        }
        commands.extend(state.leases.extended(now, self.id, extension(answer, self.sent, self.seconds)));
        // What cannot be asked for is told to its callers.
        let _ = core.follow(state, commands);
    }
}
