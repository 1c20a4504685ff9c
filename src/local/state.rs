//! What requests change, and what they and the time bring about: the queues, the polls that wait, the clock, the faults.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::clock::{Clock, ClockMode};
use super::error::SqsError;
use super::faults::{EntryFault, Faults, Plan};
use super::message::Millis;
use super::operations::Wait;
use super::polls::Polls;
use super::service::{Answer, Caller, Service};
use crate::model::Action;

/// What a server has done so far.
#[derive(Clone, Debug, Default)]
pub struct ServerStats {
    /// Requests by action, those refused included.
    pub requests: BTreeMap<&'static str, u64>,
    /// Connections accepted.
    pub connections: u64,
    /// TLS handshakes that came to their end.
    pub handshakes: u64,
    /// Those of them that took up the session of an earlier one.
    pub resumed: u64,
}

/// Everything that requests change, behind one lock that is never held across a wait.
#[derive(Debug)]
pub(super) struct ServerState {
    pub service: Service,
    pub polls: Polls,
    pub clock: Clock,
    pub stats: ServerStats,
    pub faults: Faults,
}

impl ServerState {
    pub(super) fn new(clock: ClockMode, sixty_second_rules: bool) -> ServerState {
        ServerState {
            service: Service::new(sixty_second_rules),
            polls: Polls::default(),
            clock: Clock::new(clock),
            stats: ServerStats::default(),
            faults: Faults::default(),
        }
    }

    pub(super) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Decides what faults a request meets.
    pub(super) fn plan(&mut self, action: Action) -> Plan {
        self.faults.plan(action)
    }

    /// Counts a request. One that waits is counted under the same lock, so whoever sees it counted can rely on it.
    pub(super) fn count(&mut self, action: Action) {
        *self.stats.requests.entry(action.operation().name).or_default() += 1;
    }

    /// Carries an action out, and hands what it made available to whoever waits for it.
    pub(super) fn call(
        &mut self,
        action: Action,
        caller: &Caller<'_>,
        body: &[u8],
        entry_fault: Option<EntryFault>,
    ) -> Result<Answer, SqsError> {
        self.count(action);
        let now = self.clock.now();
        self.service.entry_fault = entry_fault;
        self.service.asked.set(None);
        let answer = self.service.call(action, caller, body, now);
        if answer.is_ok() {
            self.service.requested(action);
        }
        self.service.unblock_tasks(now);
        self.polls.serve(&mut self.service, now);
        answer
    }

    /// Looks at messages, which changes nothing.
    pub(super) fn peek(&mut self, caller: &Caller<'_>, body: &[u8]) -> Result<Vec<u8>, SqsError> {
        let now = self.clock.now();
        self.service.peek_by_request(caller, body, now)
    }

    /// The queues with the books, and how many connections there were.
    pub(super) fn books(&mut self) -> (&mut Service, u64) {
        (&mut self.service, self.stats.connections)
    }

    /// When something happens by time alone: a waiting poll's message becomes visible, a move task goes on.
    pub(super) fn next_event(&self) -> Option<Millis> {
        let polls = self.polls.next_wake();
        polls.into_iter().chain(self.service.next_task()).min()
    }

    /// Lets what is due happen.
    pub(super) fn tick(&mut self) {
        let now = self.clock.now();
        self.service.run_tasks(now);
        self.polls.tick(&mut self.service, now);
    }

    pub(super) fn wait(&mut self, request: Wait) -> oneshot::Receiver<Result<Vec<u8>, SqsError>> {
        let queue = request.queue;
        let receiver = self.polls.add(request);
        // Not to receive, which was tried just now, but to be scheduled.
        self.service.touched.push(queue);
        let now = self.clock.now();
        self.polls.serve(&mut self.service, now);
        receiver
    }
}
