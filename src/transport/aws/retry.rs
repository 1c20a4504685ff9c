//! botocore's standard retry mode: which failures are worth another attempt, after which delay, at whose cost.
//!
//! No clock, no chance and no I/O: the caller brings the random number and does the waiting.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::protocol::error::{Failure, Retry};

/// What a client may spend on retries while a service is down: each costs tokens, and success brings them back.
#[derive(Debug)]
pub(super) struct Quota {
    tokens: AtomicU32,
}

impl Quota {
    const FULL: u32 = 500;
    const COST: u32 = 14;
    const THROTTLED_COST: u32 = 5;
    const UNRETRIED_SUCCESS: u32 = 1;

    pub(super) fn new() -> Quota {
        Quota { tokens: AtomicU32::new(Self::FULL) }
    }

    fn acquire(&self, cost: u32) -> bool {
        self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| tokens.checked_sub(cost)).is_ok()
    }

    fn cost(why: Retry) -> u32 {
        match why {
            Retry::Throttled => Self::THROTTLED_COST,
            Retry::Transient => Self::COST,
        }
    }

    /// An operation has succeeded that was not retried.
    pub(super) fn succeeded(&self) {
        self.release(Self::UNRETRIED_SUCCESS);
    }

    /// A retry has succeeded.
    pub(super) fn recovered(&self, why: Retry) {
        self.release(Self::cost(why));
    }

    fn release(&self, amount: u32) {
        // Every call comes by here, and almost always there is nothing to do.
        if self.tokens.load(Ordering::Relaxed) < Self::FULL {
            let more = |tokens: u32| Some(tokens.saturating_add(amount).min(Self::FULL));
            let _ = self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        }
    }
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Try again after this delay.
    Retry(Duration),
    /// Tell the caller, after this delay.
    GiveUp(Duration),
}

/// The attempts of one operation.
#[derive(Debug)]
pub(super) struct Attempts<'a> {
    quota: &'a Quota,
    /// The first attempt included.
    max: u32,
    /// Whether this is `ReceiveMessage`: a loop of them must not spin when the quota is used up.
    long_polling: bool,
    number: u32,
    /// What the last retry has cost.
    paid: Option<u32>,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(quota: &'a Quota, max: u32, long_polling: bool) -> Attempts<'a> {
        Attempts { quota, max, long_polling, number: 1, paid: None }
    }

    /// After some attempts that were made elsewhere.
    pub(super) fn after(self, made: u32) -> Attempts<'a> {
        Attempts { number: made + 1, ..self }
    }

    /// Of the attempt that is being made; the first is 1.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn succeeded(self) {
        self.quota.release(self.paid.unwrap_or(Quota::UNRETRIED_SUCCESS));
    }

    /// `why` the attempt is worth repeating, the value of its reply's `x-amz-retry-after` header, and a number from
    /// 0 to 1.
    pub(super) fn failed(&mut self, why: Option<Retry>, retry_after: Option<&str>, random: f64) -> Next {
        let Some(why) = why.filter(|_| self.number < self.max) else { return Next::GiveUp(Duration::ZERO) };
        let cost = Quota::cost(why);
        let delay = delay(why, self.number, retry_after.and_then(milliseconds), random);
        if !self.quota.acquire(cost) {
            return Next::GiveUp(if self.long_polling { delay } else { Duration::ZERO });
        }
        self.paid = Some(cost);
        self.number += 1;
        Next::Retry(delay)
    }
}

/// The delay before part of a request, `attempts` times asked for, is asked for again; `None` when its attempts or the quota
/// are used up.
pub(super) fn after(quota: &Quota, max: u32, attempts: u32, why: Retry) -> Option<Duration> {
    match Attempts::new(quota, max, false).after(attempts.saturating_sub(1)).failed(Some(why), None, fastrand::f64()) {
        Next::Retry(delay) => Some(delay),
        Next::GiveUp(_) => None,
    }
}

/// Whether an attempt that was lost on the way is worth repeating. What no second try can mend is not.
pub(super) fn lost(failure: Failure) -> Option<Retry> {
    match failure {
        Failure::Dns
        | Failure::Connect
        | Failure::ConnectTimeout
        | Failure::ReadTimeout
        | Failure::Proxy
        | Failure::Closed => Some(Retry::Transient),
        Failure::Tls | Failure::Other => None,
    }
}

const MAX_BACKOFF: Duration = Duration::from_secs(20);
/// By how much the service may prolong a delay.
const RETRY_AFTER_MAX_ADDITIONAL: Duration = Duration::from_secs(5);

/// The delay after attempt `number`: exponential, with full jitter, and prolonged if the service asks for it.
fn delay(why: Retry, number: u32, retry_after: Option<Duration>, random: f64) -> Duration {
    let base = match why {
        Retry::Throttled => Duration::from_secs(1),
        Retry::Transient => Duration::from_millis(50),
    };
    let factor = 2_u32.saturating_pow(number.saturating_sub(1));
    let backoff = base.saturating_mul(factor).min(MAX_BACKOFF).mul_f64(random.clamp(0.0, 1.0));
    match retry_after {
        Some(asked) => asked.clamp(backoff, backoff + RETRY_AFTER_MAX_ADDITIONAL),
        None => backoff,
    }
}

/// A number that is none, or negative, is as no header.
fn milliseconds(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(quota: &Quota) -> u32 {
        quota.tokens.load(Ordering::Relaxed)
    }

    fn seconds(number: f64) -> Duration {
        Duration::from_secs_f64(number)
    }

    #[test]
    fn delays_double_up_to_a_limit() {
        for (number, transient, throttled) in
            [(1, 0.05, 1.0), (2, 0.1, 2.0), (3, 0.2, 4.0), (9, 12.8, 20.0), (10, 20.0, 20.0), (u32::MAX, 20.0, 20.0)]
        {
            assert_eq!(delay(Retry::Transient, number, None, 1.0), seconds(transient), "{number}");
            assert_eq!(delay(Retry::Throttled, number, None, 1.0), seconds(throttled), "{number}");
            assert_eq!(delay(Retry::Throttled, number, None, 0.5), seconds(throttled / 2.0), "{number}");
        }
    }

    #[test]
    fn the_service_may_prolong_a_delay_but_not_for_long() {
        for (asked, expected) in [
            ("0", 0.5),
            ("499", 0.5),
            (" 700 ", 0.7),
            ("5500", 5.5),
            ("999999", 5.5),
            ("-1", 0.5),
            ("soon", 0.5),
            ("", 0.5),
        ] {
            let quota = Quota::new();
            let mut attempts = Attempts::new(&quota, 2, false);
            let next = attempts.failed(Some(Retry::Throttled), Some(asked), 0.5);
            assert_eq!(next, Next::Retry(seconds(expected)), "{asked:?}");
        }
    }

    #[test]
    fn attempts_are_counted_and_limited() {
        let quota = Quota::new();
        let mut attempts = Attempts::new(&quota, 3, true);
        for number in [1, 2] {
            assert_eq!(attempts.number(), number);
            assert!(matches!(attempts.failed(Some(Retry::Transient), None, 1.0), Next::Retry(_)));
        }
        assert_eq!(attempts.failed(Some(Retry::Transient), None, 1.0), Next::GiveUp(Duration::ZERO));
        assert_eq!((attempts.number(), tokens(&quota)), (3, 500 - 2 * 14));
    }

    #[test]
    fn what_is_not_worth_it_costs_nothing() {
        let quota = Quota::new();
        let mut attempts = Attempts::new(&quota, 3, true);
        assert_eq!(attempts.failed(None, Some("700"), 1.0), Next::GiveUp(Duration::ZERO));
        assert_eq!(tokens(&quota), 500);
    }

    #[test]
    fn success_gives_back_the_last_cost() {
        let quota = Quota::new();
        let mut attempts = Attempts::new(&quota, 3, false);
        attempts.failed(Some(Retry::Transient), None, 0.0);
        attempts.failed(Some(Retry::Throttled), None, 0.0);
        assert_eq!(tokens(&quota), 500 - 14 - 5);
        attempts.succeeded();
        assert_eq!(tokens(&quota), 500 - 14);
        Attempts::new(&quota, 3, false).succeeded();
        assert_eq!(tokens(&quota), 500 - 14 + 1);
    }

    #[test]
    fn without_quota_only_a_long_poll_waits() {
        let quota = Quota::new();
        for _ in 0..500 / 14 {
            assert!(matches!(
                Attempts::new(&quota, 2, false).failed(Some(Retry::Transient), None, 1.0),
                Next::Retry(_)
            ));
        }
        assert_eq!(tokens(&quota), 500 % 14);
        for (long_polling, expected) in [(false, Duration::ZERO), (true, Duration::from_millis(50))] {
            let mut attempts = Attempts::new(&quota, 2, long_polling);
            assert_eq!(attempts.failed(Some(Retry::Transient), None, 1.0), Next::GiveUp(expected));
            assert_eq!(attempts.number(), 1);
        }
        // A throttle is cheaper.
        assert!(matches!(Attempts::new(&quota, 2, false).failed(Some(Retry::Throttled), None, 1.0), Next::Retry(_)));
        assert_eq!(tokens(&quota), 500 % 14 - 5);
    }

    #[test]
    fn broken_connections_are_tried_again_and_certificates_are_not() {
        use Failure::*;
        for failure in [Dns, Connect, ConnectTimeout, ReadTimeout, Proxy, Closed] {
            assert_eq!(lost(failure), Some(Retry::Transient), "{failure:?}");
        }
        assert_eq!((lost(Tls), lost(Other)), (None, None));
    }

    #[derive(Clone, Copy, Debug)]
    enum Outcome {
        Success,
        Failure(Option<Retry>),
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            1 => Just(Outcome::Success),
            1 => Just(Outcome::Failure(None)),
            1 => Just(Outcome::Failure(Some(Retry::Throttled))),
            4 => Just(Outcome::Failure(Some(Retry::Transient))),
        ]
    }

    proptest! {
        #[test]
        fn the_quota_is_spent_and_refilled_as_botocore_does(
            calls in prop::collection::vec((prop::collection::vec(outcome(), 1..6), 1..6_u32), 0..200),
        ) {
            let quota = Quota::new();
            let mut expected = 500_u32;
            for (outcomes, max) in calls {
                let mut attempts = Attempts::new(&quota, max, false);
                let mut last = 1;
                let mut made = 1;
                for outcome in outcomes {
                    match outcome {
                        Outcome::Success => {
                            attempts.succeeded();
                            expected = (expected + last).min(500);
                            break;
                        }
                        Outcome::Failure(why) => {
                            let cost = match why { Some(Retry::Throttled) => 5, _ => 14 };
                            let next = attempts.failed(why, None, 0.5);
                            if why.is_none() || made == max || cost > expected {
                                prop_assert_eq!(next, Next::GiveUp(Duration::ZERO));
                                break;
                            }
                            prop_assert!(matches!(next, Next::Retry(delay) if delay <= MAX_BACKOFF));
                            expected -= cost;
                            last = cost;
                            made += 1;
                        }
                    }
                }
                prop_assert_eq!(tokens(&quota), expected);
            }
        }
    }
}
