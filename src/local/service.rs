//! All queues of one server, by account and region, and the way from a request to the queue that it means.
//! Pure like the queues themselves: the time is an argument.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::error::SqsError;
use super::faults::EntryFault;
use super::handle::{Receipt, Seal};
use super::ledger::{Ledger, QueueKind};
use super::message::Millis;
use super::operations::Wait;
use super::queue::Queue;
use super::settings::QueueSettings;
use super::tasks::MoveTask;
use crate::model::Action;

/// Who asks, as the request's signature and its Host header say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    pub account: &'a str,
    pub region: &'a str,
    /// `http`, or what a proxy before the server says that it speaks.
    pub scheme: &'a str,
    /// Host and port under which the client reached the server: queue URLs are made of it.
    pub host: &'a str,
    /// The request's trace, from its header `X-Amzn-Trace-Id`: that of the messages that it sends, unless they have one.
    pub trace: Option<&'a str>,
}

impl Caller<'_> {
    /// `http://localhost:9324`.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.host)
    }

    pub(super) fn queue_url(&self, account: &str, name: &str) -> String {
        format!("{}://{}/{account}/{name}", self.scheme, self.host)
    }
}

/// What an action comes to.
#[derive(Debug)]
pub(super) enum Answer {
    Reply(Vec<u8>),
    /// Nothing to receive yet, and the caller is ready to wait.
    Wait(Wait),
}

/// The queues of one account in one region.
#[derive(Debug, Default)]
pub(super) struct Realm {
    pub names: BTreeMap<Arc<str>, u32>,
    /// When names were deleted, kept only under the 60-second rules.
    pub deleted: HashMap<Arc<str>, Millis>,
}

/// All queues of all accounts, and the tasks that move messages between them.
#[derive(Debug)]
pub(super) struct Service {
    /// By `account/region`.
    realms: HashMap<String, Realm>,
    queues: HashMap<u32, Queue>,
    last_queue: u32,
    pub(super) seal: Seal,
    /// The service's rules of 60 seconds between purges, and between deleting a name and making it again.
    pub(super) sixty_second_rules: bool,
    /// Queues in which messages may have become available since this was last emptied.
    pub touched: Vec<u32>,
    /// Oldest first, those that are done included.
    pub(super) tasks: Vec<MoveTask>,
    pub ledger: Ledger,
    /// The queue that the request at hand named.
    pub(super) asked: Cell<Option<u32>>,
    /// A fault for the entries of the batch at hand.
    pub entry_fault: Option<EntryFault>,
}

fn realm_key(account: &str, region: &str) -> String {
    [account, "/", region].concat()
}

/// Account and queue name of a queue URL; a bare name is taken as one of the caller's own queues.
fn parse_queue_url<'a>(url: &'a str, caller: &Caller<'a>) -> Option<(&'a str, &'a str)> {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => url.trim_start_matches('/'),
    };
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.rsplit_once('/') {
        None if !path.is_empty() && !url.contains("://") => Some((caller.account, path)),
        None => None,
        Some((front, name)) => {
            let account = front.rsplit('/').next().unwrap_or(front);
            // The URLs of ElasticMQ and of LocalStack's older releases name no account.
            let account = if front == "queue" { caller.account } else { account };
            (is_account(account) && !name.is_empty()).then_some((account, name))
        }
    }
}

pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn is_region(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The interval of the service's rules on purging and on making a deleted queue again.
pub(super) const SIXTY_SECONDS: Millis = 60_000;

/// The parts of a queue's ARN: region, account, name.
pub(super) fn parse_arn(arn: &str) -> Option<(&str, &str, &str)> {
    let mut parts = arn.split(':');
    let (Some("arn"), Some(partition), Some("sqs")) = (parts.next(), parts.next(), parts.next()) else { return None };
    let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = parts.next().is_none() && partition.starts_with("aws") && !region.is_empty() && !name.is_empty();
    (whole && is_account(account)).then_some((region, account, name))
}

pub(super) fn arn(region: &str, account: &str, name: &str) -> String {
    let partition = match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    format!("arn:{partition}:sqs:{region}:{account}:{name}")
}

impl Service {
    pub(super) fn new(sixty_second_rules: bool) -> Service {
        Service {
            realms: HashMap::new(),
            queues: HashMap::new(),
            last_queue: 0,
            seal: Seal::new(),
            sixty_second_rules,
            touched: Vec::new(),
            tasks: Vec::new(),
            ledger: Ledger::default(),
            asked: Cell::new(None),
            entry_fault: None,
        }
    }

    /// Forgets everything. Receipt handles from before open to queues that are no more.
    pub(super) fn reset(&mut self) {
        self.realms.clear();
        self.queues.clear();
        self.tasks.clear();
        self.ledger = Ledger::default();
    }

    /// `None` where there are no queues: what a caller names does not exist by being named.
    pub(super) fn realm(&self, account: &str, region: &str) -> Option<&Realm> {
        self.realms.get(&realm_key(account, region))
    }

    /// `account/region` of all that have queues.
    pub(super) fn realms(&self) -> impl Iterator<Item = &String> {
        self.realms.iter().filter(|(_, realm)| !realm.names.is_empty()).map(|(key, _)| key)
    }

    fn find(&self, account: &str, region: &str, name: &str) -> Option<u32> {
        self.realm(account, region)?.names.get(name).copied()
    }

    pub(super) fn find_by_name(&self, account: &str, region: &str, name: &str) -> Result<&Queue, SqsError> {
        let id = self.find(account, region, name);
        id.and_then(|id| self.queues.get(&id)).ok_or_else(SqsError::queue_does_not_exist)
    }

    pub(super) fn find_by_arn(&self, arn: &str) -> Option<u32> {
        let (region, account, name) = parse_arn(arn)?;
        self.find(account, region, name)
    }

    /// The queue that a request's QueueUrl names.
    pub(super) fn find_by_url(&self, url: Option<&str>, caller: &Caller<'_>) -> Result<u32, SqsError> {
        let url = url.filter(|url| !url.is_empty()).ok_or_else(|| SqsError::missing("QueueUrl"))?;
        let (account, name) = parse_queue_url(url, caller).ok_or_else(|| SqsError::invalid_address(url))?;
        let found = self.find(account, caller.region, name);
        self.asked.set(found);
        found.ok_or_else(SqsError::queue_does_not_exist)
    }

    /// Writes a request down that was carried out.
    pub(super) fn requested(&mut self, action: Action) {
        let asked = self.asked.take().and_then(|id| self.queues.get(&id));
        self.ledger.requested(QueueKind::billed(action, asked.is_some_and(Queue::is_fifo)), action);
    }

    pub(super) fn queue(&self, id: u32) -> Result<&Queue, SqsError> {
        self.queues.get(&id).ok_or_else(SqsError::queue_does_not_exist)
    }

    pub(super) fn queue_mut(&mut self, id: u32) -> Result<&mut Queue, SqsError> {
        self.queues.get_mut(&id).ok_or_else(SqsError::queue_does_not_exist)
    }

    /// A queue with the seal of its receipt handles: replies need both.
    pub(super) fn queue_and_seal(&mut self, id: u32) -> Result<(&mut Queue, &Seal), SqsError> {
        let queue = self.queues.get_mut(&id).ok_or_else(SqsError::queue_does_not_exist)?;
        Ok((queue, &self.seal))
    }

    pub(super) fn queues_mut(&mut self) -> impl Iterator<Item = &mut Queue> {
        self.queues.values_mut()
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values()
    }

    pub(super) fn add_queue(
        &mut self,
        caller: &Caller<'_>,
        name: &str,
        settings: QueueSettings,
        now: Millis,
    ) -> &mut Queue {
        self.last_queue += 1;
        let id = self.last_queue;
        let name: Arc<str> = name.into();
        let realm = self.realms.entry(realm_key(caller.account, caller.region)).or_default();
        realm.names.insert(name.clone(), id);
        let arn = arn(caller.region, caller.account, &name).into();
        let queue = Queue::new(id, caller.account.into(), name, arn, settings, now);
        self.queues.entry(id).insert_entry(queue).into_mut()
    }

    pub(super) fn remove_queue(&mut self, id: u32, now: Millis) {
        let Some(queue) = self.queues.remove(&id) else { return };
        self.tasks.retain(|task| task.source_id != id);
        let remember = self.sixty_second_rules;
        if let Some((region, account, name)) = parse_arn(&queue.arn)
            && let Some(realm) = self.realms.get_mut(&realm_key(account, region))
        {
            realm.names.remove(name);
            if remember {
                realm.deleted.insert(name.into(), now);
            }
        }
        self.realms.retain(|_, realm| {
            realm.deleted.retain(|_, deleted_at| now < *deleted_at + SIXTY_SECONDS);
            !realm.names.is_empty() || !realm.deleted.is_empty()
        });
        // Long polls on it are to hear that it is gone.
        self.touched.push(id);
    }

    pub(super) fn queue_url(&self, caller: &Caller<'_>, queue: &Queue) -> String {
        caller.queue_url(&queue.account, &queue.name)
    }

    /// What a receipt handle names, when it is one of this queue's.
    pub(super) fn open_handle(&self, handle: &str, queue: u32) -> Result<Receipt, SqsError> {
        self.seal
            .open(handle)
            .filter(|receipt| receipt.queue == queue)
            .ok_or_else(|| SqsError::receipt_handle_is_invalid(handle))
    }
}

impl Realm {
    /// Queue names after `after` (exclusive) that begin with `prefix`, in order.
    pub(super) fn names_from<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a Arc<str>, u32)> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.names
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(name, _)| name.starts_with(prefix))
            .map(|(name, id)| (name, *id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: Caller<'static> =
        Caller { account: "000000000000", region: "eu-west-1", scheme: "http", host: "localhost:9324", trace: None };

    #[test]
    fn queue_urls_in_every_form_that_clients_send() {
        for url in [
            "http://localhost:9324/123456789012/q",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/q",
            "/123456789012/q",
        ] {
            assert_eq!(parse_queue_url(url, &CALLER), Some(("123456789012", "q")), "{url}");
        }
        for url in ["http://localhost:9324/queue/q", "/queue/q", "queue/q"] {
            assert_eq!(parse_queue_url(url, &CALLER), Some(("000000000000", "q")), "{url}");
        }
        assert_eq!(parse_queue_url("q.fifo", &CALLER), Some(("000000000000", "q.fifo")));
        for url in [
            "http://localhost",
            "http://localhost/",
            "http://localhost/q",
            "http://h/12/q",
            "/",
            "http://h/123456789012/",
        ] {
            assert_eq!(parse_queue_url(url, &CALLER), None, "{url}");
        }
    }

    #[test]
    fn nothing_is_left_of_regions_without_queues() {
        for sixty_second_rules in [false, true] {
            let mut service = Service::new(sixty_second_rules);
            for now in 0..100 {
                let region = format!("region-{now}");
                let caller = Caller { region: &region, ..CALLER };
                assert!(service.find_by_url(Some("q"), &caller).is_err());
                let id = service.add_queue(&caller, "q", QueueSettings::standard(), now * 1_000).id;
                service.remove_queue(id, now * 1_000);
            }
            assert_eq!(service.realms.len(), if sixty_second_rules { 60 } else { 0 });
        }
        for region in ["", "eu:west", "eu west", "é", &"a".repeat(65)] {
            assert!(!is_region(region), "{region}");
        }
    }

    #[test]
    fn arns_read_back_and_others_do_not() {
        let of = arn("cn-north-1", "123456789012", "q");
        assert_eq!(of, "arn:aws-cn:sqs:cn-north-1:123456789012:q");
        assert_eq!(parse_arn(&of), Some(("cn-north-1", "123456789012", "q")));
        for wrong in [
            "dummy",
            "arn:aws:sns:eu-west-1:123456789012:q",
            "arn:aws:sqs:eu-west-1:123456789012:q:x",
            "arn:aws:sqs:eu-west-1:1:q",
        ] {
            assert_eq!(parse_arn(wrong), None, "{wrong}");
        }
    }
}
