//! Faults on demand, so that tests can see what a client makes of them.

use std::time::Duration;

use super::error::SqsError;
use crate::model::Action;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// The request is carried out this much later.
    Delay(Duration),
    /// Refused as `RequestThrottled`; not carried out.
    Throttle,
    /// Answered with this 5xx status; not carried out.
    ServerError(u16),
    /// Refused as `AccessDenied`; not carried out.
    AccessDenied,
    /// The connection is reset, before the request is carried out or, with `performed`, after.
    Reset { performed: bool },
    /// Entries of a batch fail; the others are carried out. Actions that are no batches are spared.
    PartialFailure {
        /// Positions of the entries; without them each entry fails by the fault's rate.
        entries: Option<Vec<usize>>,
        /// Whose fault the failures are said to be.
        sender_fault: bool,
    },
    /// Carried out, but the connection ends in the middle of the reply.
    HalfReply,
}

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub kind: FaultKind,
    /// Which actions it strikes; empty for all.
    pub actions: Vec<Action>,
    /// How likely it is to strike, from 0 to 1.
    pub rate: f64,
    /// How often it can strike; `None` for ever.
    pub times: Option<u64>,
}

impl Fault {
    /// Strikes every request, until cleared.
    pub fn always(kind: FaultKind) -> Fault {
        Fault { kind, actions: Vec::new(), rate: 1.0, times: None }
    }

    fn concerns(&self, action: Action) -> bool {
        let batch = !matches!(self.kind, FaultKind::PartialFailure { .. })
            || matches!(
                action,
                Action::SendMessageBatch | Action::DeleteMessageBatch | Action::ChangeMessageVisibilityBatch
            );
        batch && self.times != Some(0) && (self.actions.is_empty() || self.actions.contains(&action))
    }

    /// Throws the dice.
    fn strikes(&self) -> bool {
        fastrand::f64() < self.rate
    }
}

/// The most entries that a batch can have.
pub(crate) const MAX_ENTRIES: usize = 10;

/// The longest that faults delay a request, all of them together.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(86_400);

/// Which entries of a batch are to fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryFault {
    /// A bit for each position.
    struck: u16,
    sender_fault: bool,
}

impl EntryFault {
    /// What the entry at this position fails with, if it does.
    pub(super) fn strike(&self, position: usize) -> Option<SqsError> {
        let struck = position < MAX_ENTRIES && self.struck & (1 << position) != 0;
        struck.then(|| match self.sender_fault {
            true => SqsError::invalid_parameter("This entry was refused by a fault that was asked for."),
            false => SqsError { code: "InternalError", ..SqsError::server_fault(500) },
        })
    }
}

/// What the faults come to for one request.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub delay: Duration,
    pub refusal: Option<SqsError>,
    pub connection: Option<ConnectionFault>,
    pub entries: Option<EntryFault>,
}

/// How a connection ends by a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionFault {
    ResetBefore,
    ResetAfter,
    HalfReply,
}

/// The faults of a server, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Vec<Fault>,
}

impl Faults {
    pub(super) fn set(&mut self, faults: Vec<Fault>) {
        self.faults = faults;
    }

    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Decides what becomes of a request: delays add up, of the rest the first of each kind counts. One that comes to
    /// nothing has not struck.
    pub(super) fn plan(&mut self, action: Action) -> Plan {
        let mut plan = Plan::default();
        for fault in self.faults.iter_mut().filter(|fault| fault.concerns(action)) {
            if plan.take(fault)
                && let Some(times) = &mut fault.times
            {
                *times -= 1;
            }
        }
        self.faults.retain(|fault| fault.times != Some(0));
        plan
    }
}

impl Plan {
    /// Whether the fault strikes and has a place in the plan.
    fn take(&mut self, fault: &Fault) -> bool {
        match &fault.kind {
            FaultKind::Delay(delay) if fault.strikes() => {
                self.delay = self.delay.saturating_add(*delay).min(MAX_DELAY);
                true
            }
            FaultKind::Throttle => put(&mut self.refusal, fault, SqsError::throttled),
            FaultKind::AccessDenied => {
                put(&mut self.refusal, fault, || SqsError::access_denied("Access to the resource is denied."))
            }
            FaultKind::ServerError(status) => put(&mut self.refusal, fault, || SqsError::server_fault(*status)),
            FaultKind::Reset { performed: false } => put(&mut self.connection, fault, || ConnectionFault::ResetBefore),
            FaultKind::Reset { performed: true } => put(&mut self.connection, fault, || ConnectionFault::ResetAfter),
            FaultKind::HalfReply => put(&mut self.connection, fault, || ConnectionFault::HalfReply),
            FaultKind::PartialFailure { entries, sender_fault } if self.entries.is_none() => {
                // It throws its dice for each entry.
                let strikes = |position: &usize| match entries {
                    Some(entries) => entries.contains(position),
                    None => fault.strikes(),
                };
                let struck = (0..MAX_ENTRIES).filter(strikes).fold(0, |struck, position| struck | 1 << position);
                self.entries = (struck != 0).then_some(EntryFault { struck, sender_fault: *sender_fault });
                struck != 0
            }
            FaultKind::Delay(_) | FaultKind::PartialFailure { .. } => false,
        }
    }
}

fn put<T>(place: &mut Option<T>, fault: &Fault, what: impl FnOnce() -> T) -> bool {
    let strikes = place.is_none() && fault.strikes();
    if strikes {
        *place = Some(what());
    }
    strikes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_its_actions_as_often_as_it_may() {
        let mut faults = Faults::default();
        let twice = Fault { times: Some(2), actions: vec![Action::SendMessage], ..Fault::always(FaultKind::Throttle) };
        faults.add(twice);
        assert!(faults.plan(Action::ReceiveMessage).refusal.is_none());
        for _ in 0..2 {
            assert_eq!(faults.plan(Action::SendMessage).refusal, Some(SqsError::throttled()));
        }
        assert!(faults.plan(Action::SendMessage).refusal.is_none());
        assert!(faults.faults.is_empty());
    }

    #[test]
    fn partial_failures_spare_what_is_no_batch() {
        let mut faults = Faults::default();
        let kind = FaultKind::PartialFailure { entries: Some(vec![1]), sender_fault: true };
        faults.add(Fault { times: Some(1), ..Fault::always(kind) });
        assert!(faults.plan(Action::SendMessage).entries.is_none());
        let plan = faults.plan(Action::SendMessageBatch).entries.unwrap();
        assert!(plan.strike(0).is_none());
        assert!(plan.strike(1).unwrap().sender);
    }

    #[test]
    fn a_fault_behind_another_keeps_its_strikes() {
        let mut faults = Faults::default();
        faults.add(Fault { times: Some(1), ..Fault::always(FaultKind::Throttle) });
        faults.add(Fault { times: Some(1), ..Fault::always(FaultKind::ServerError(503)) });
        assert_eq!(faults.plan(Action::SendMessage).refusal, Some(SqsError::throttled()));
        assert_eq!(faults.plan(Action::SendMessage).refusal, Some(SqsError::server_fault(503)));
        assert_eq!(faults.plan(Action::SendMessage).refusal, None);
    }

    #[test]
    fn a_partial_failure_that_fails_no_entry_has_not_struck() {
        let mut faults = Faults::default();
        let kind = FaultKind::PartialFailure { entries: None, sender_fault: false };
        faults.add(Fault { times: Some(3), rate: 0.01, ..Fault::always(kind) });
        let struck = |plan: &Plan| plan.entries.is_some_and(|fault| (0..10).any(|at| fault.strike(at).is_some()));
        let plans = (0..100_000).map(|_| faults.plan(Action::SendMessageBatch));
        assert_eq!(plans.filter(struck).count(), 3);
        assert!(faults.faults.is_empty());
    }

    #[test]
    fn delays_add_up_to_their_limit() {
        let mut faults = Faults::default();
        faults.add(Fault::always(FaultKind::Delay(Duration::from_secs(2))));
        faults.add(Fault::always(FaultKind::Delay(Duration::from_secs(3))));
        assert_eq!(faults.plan(Action::SendMessage).delay, Duration::from_secs(5));
        faults.add(Fault::always(FaultKind::Delay(Duration::MAX)));
        assert_eq!(faults.plan(Action::SendMessage).delay, MAX_DELAY);
    }

    #[test]
    fn a_rate_of_a_half_strikes_about_half() {
        fastrand::seed(7);
        let mut faults = Faults::default();
        faults.add(Fault { rate: 0.5, ..Fault::always(FaultKind::Throttle) });
        let struck = (0..1_000).filter(|_| faults.plan(Action::SendMessage).refusal.is_some()).count();
        assert!((400..600).contains(&struck), "{struck}");
    }
}
