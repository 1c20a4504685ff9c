//! ReceiveMessage, and what one does with what was received: DeleteMessage and ChangeMessageVisibility with their
//! batches.

use super::batches::{Outcomes, write_failure};
use super::sending::sequence_number;
use super::{no_members, no_output};
use crate::local::digest::attributes_md5;
use crate::local::error::SqsError;
use crate::local::handle::{Receipt as Opened, Seal};
use crate::local::input::{self, BatchInput, ReceiptInput, Text, read, required};
use crate::local::ledger::QueueKind;
use crate::local::message::{Attribute, Key, Message, MessageState, Millis, TypedValue};
use crate::local::queue::{Lapse, MAX_IN_FLIGHT, Queue};
use crate::local::reply::ReplyWriter;
use crate::local::service::{Answer, Caller, Service};
use crate::local::validate;
use crate::model::Action;

/// A receive that can be tried again: what a long poll keeps while it waits.
#[derive(Debug)]
pub(crate) struct Wait {
    pub queue: u32,
    /// Until when the caller waits.
    pub until: Millis,
    max: usize,
    visibility: u32,
    attempt: Option<String>,
    system: SystemNames,
    names: AttributeNames,
}

/// Who every message is said to be from: the server knows no users.
const SENDER_ID: &str = "AIDAQTURBOSQSLOCALAAA";

/// Which system attributes a caller wants to see.
#[derive(Clone, Copy, Debug, Default)]
struct SystemNames(u16);

const SYSTEM_NAMES: [&str; 9] = [
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

impl SystemNames {
    fn of(names: &[Text<'_>]) -> Result<SystemNames, SqsError> {
        let mut wanted = 0;
        for name in names {
            wanted |= match SYSTEM_NAMES.iter().position(|known| *known == &**name) {
                Some(bit) => 1 << bit,
                None if &**name == "All" => u16::MAX,
                None => return Err(SqsError::unknown_attribute(name)),
            };
        }
        Ok(SystemNames(wanted))
    }
}

/// Which message attributes a caller wants to see.
#[derive(Debug, Default)]
struct AttributeNames {
    all: bool,
    exact: Vec<String>,
    prefixes: Vec<String>,
}

impl AttributeNames {
    fn of(names: &[Text<'_>]) -> AttributeNames {
        let mut wanted = AttributeNames::default();
        for name in names {
            match &**name {
                "All" | ".*" | "*" => wanted.all = true,
                name => match name.strip_suffix(".*") {
                    Some(prefix) => wanted.prefixes.push(prefix.to_owned()),
                    None => wanted.exact.push(name.to_owned()),
                },
            }
        }
        wanted
    }

    fn wants(&self, name: &str) -> bool {
        self.all || self.exact.iter().any(|exact| exact == name) || self.prefixes.iter().any(|p| name.starts_with(&**p))
    }
}

impl Service {
    pub(super) fn receive_message(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Answer, SqsError> {
        let input: input::Receive<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let queue = self.queue_mut(id)?;
        let wait = match input.wait_time_seconds {
            None => queue.settings.receive_wait,
            Some(seconds) => {
                validate::within(seconds, 0, 20, "WaitTimeSeconds", "Must be >= 0 and <= 20, if provided.")?
            }
        };
        let most = input.max_number_of_messages.unwrap_or(1);
        let max =
            validate::within(most, 1, 10, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")? as usize;
        let visibility = match input.visibility_timeout {
            None => queue.settings.visibility_timeout,
            Some(seconds) => validate::visibility_timeout(seconds)?,
        };
        let attempt = match &input.receive_request_attempt_id {
            None => None,
            Some(attempt) if queue.is_fifo() => {
                validate::fifo_id(attempt, "ReceiveRequestAttemptId")?;
                Some(attempt.to_string())
            }
            Some(attempt) => {
                return Err(SqsError::invalid_value(
                    &**attempt,
                    "ReceiveRequestAttemptId",
                    "The request include parameter that is not valid for this queue type.",
                ));
            }
        };
        let system = [&input.attribute_names, &input.message_system_attribute_names];
        let mut wanted = SystemNames::default();
        for names in system {
            wanted.0 |= SystemNames::of(names.as_deref().unwrap_or_default())?.0;
        }
        let request = Wait {
            queue: id,
            until: now + Millis::from(wait) * 1_000,
            max,
            visibility,
            attempt,
            system: wanted,
            names: AttributeNames::of(input.message_attribute_names.as_deref().unwrap_or_default()),
        };
        // The service tells short polls of a full queue; long polls and FIFO queues just bring nothing.
        if wait == 0 && !queue.is_fifo() && queue.counts(now).in_flight >= MAX_IN_FLIGHT {
            return Err(SqsError::over_limit("Too many messages in flight."));
        }
        // What is in flight now may be what waiting polls are to get next.
        self.touched.push(id);
        match self.try_receive(&request, now)? {
            Some(reply) => Ok(Answer::Reply(reply)),
            None if wait > 0 => Ok(Answer::Wait(request)),
            None => Ok(Answer::Reply(no_members())),
        }
    }

    /// Receives what can be had now; `None` when there is nothing.
    pub(crate) fn try_receive(&mut self, request: &Wait, now: Millis) -> Result<Option<Vec<u8>>, SqsError> {
        let dead_letter = self.dead_letter_queue(request.queue)?;
        let (queue, seal) = self.queue_and_seal(request.queue)?;
        let again = match &request.attempt {
            Some(attempt) => queue.receive_again(attempt, request.visibility, now),
            None => None,
        };
        let (keys, dead) = match again {
            Some(keys) => (keys, Vec::new()),
            None => {
                let most = dead_letter.map(|(_, most)| most);
                let received = queue.receive(request.max, request.visibility, most, now);
                if let Some(attempt) = &request.attempt
                    && !received.keys.is_empty()
                {
                    queue.remember_attempt(attempt, &received.keys, now);
                }
                (received.keys, received.dead)
            }
        };
        let reply = (!keys.is_empty()).then(|| write_messages(queue, seal, &keys, request));
        let (source, kind) = (queue.arn.clone(), QueueKind::of(queue.is_fifo()));
        self.ledger.carried(kind, Action::ReceiveMessage, keys.len());
        if let Some((target, _)) = dead_letter {
            self.move_to_dead_letter_queue(dead, source, target, now)?;
        }
        Ok(reply)
    }

    pub(super) fn delete_message(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        let input: ReceiptInput<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        self.delete(id, &input, now)?;
        self.carried(id, Action::DeleteMessage, 1);
        Ok(no_output())
    }

    pub(super) fn delete_message_batch(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        self.for_each_entry(caller, body, Action::DeleteMessageBatch, |service, id, entry| {
            service.delete(id, entry, now)
        })
    }

    pub(super) fn change_message_visibility(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        let input: ReceiptInput<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        self.change_visibility(id, &input, now)?;
        self.carried(id, Action::ChangeMessageVisibility, 1);
        Ok(no_output())
    }

    pub(super) fn change_message_visibility_batch(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        self.for_each_entry(caller, body, Action::ChangeMessageVisibilityBatch, |service, id, entry| {
            service.change_visibility(id, entry, now)
        })
    }

    fn for_each_entry(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        action: Action,
        act: impl Fn(&mut Service, u32, &ReceiptInput<'_>) -> Result<(), SqsError>,
    ) -> Result<Vec<u8>, SqsError> {
        let input: BatchInput<'_, ReceiptInput<'_>> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let entries = input.entries.as_deref().unwrap_or_default();
        let kind = [action.operation().name, "RequestEntry"].concat();
        validate::batch(entries, &kind, |entry| entry.id.as_deref())?;
        let mut carried = 0;
        let mut outcomes = Outcomes::new(entries.len() * 24);
        let fault = self.entry_fault.take();
        for (position, entry) in entries.iter().enumerate() {
            let entry_id = entry.id.as_deref().unwrap_or_default();
            let struck = fault.as_ref().and_then(|fault| fault.strike(position));
            match struck.map_or_else(|| act(self, id, entry), Err) {
                Ok(()) => {
                    carried += 1;
                    outcomes.successful(entry_id).close(b'}');
                }
                Err(error) => outcomes.failed(|reply| write_failure(reply, entry_id, &error)),
            }
        }
        self.carried(id, action, carried);
        Ok(outcomes.finish())
    }

    fn carried(&mut self, id: u32, action: Action, messages: usize) {
        let is_fifo = self.queue(id).is_ok_and(Queue::is_fifo);
        self.ledger.carried(QueueKind::of(is_fifo), action, messages);
    }

    fn delete(&mut self, id: u32, input: &ReceiptInput<'_>, now: Millis) -> Result<(), SqsError> {
        let handle = required(&input.receipt_handle, "ReceiptHandle")?;
        let Opened { key, receive, .. } = self.open_handle(handle, id)?;
        let queue = self.queue_mut(id)?;
        match queue.delete(key, receive, now) {
            Ok(()) => {
                // Its group may be free now, or the queue below its limit of messages in flight.
                self.touched.push(id);
                Ok(())
            }
            Err(Lapse::Expired) => Err(expired(handle)),
            // A message that is gone is deleted.
            Err(Lapse::Gone | Lapse::TooLong) => Ok(()),
        }
    }

    fn change_visibility(&mut self, id: u32, input: &ReceiptInput<'_>, now: Millis) -> Result<(), SqsError> {
        let handle = required(&input.receipt_handle, "ReceiptHandle")?;
        let seconds = *required(&input.visibility_timeout, "VisibilityTimeout")?;
        let visibility = validate::visibility_timeout(seconds)?;
        let Opened { key, receive, .. } = self.open_handle(handle, id)?;
        match self.queue_mut(id)?.change_visibility(key, receive, visibility, now) {
            Ok(()) => {
                self.touched.push(id);
                Ok(())
            }
            Err(Lapse::TooLong) => Err(SqsError::invalid_value(
                seconds,
                "VisibilityTimeout",
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
            )),
            Err(Lapse::Expired) => Err(expired(handle)),
            Err(Lapse::Gone) => Err(SqsError::invalid_value(
                &**handle,
                "ReceiptHandle",
                "Message does not exist or is not available for visibility timeout change.",
            )),
        }
    }
}

fn expired(handle: &str) -> SqsError {
    SqsError::invalid_value(handle, "ReceiptHandle", "The receipt handle has expired.")
}

fn write_messages(queue: &Queue, seal: &Seal, keys: &[Key], request: &Wait) -> Vec<u8> {
    let messages = || keys.iter().filter_map(|key| Some((*key, queue.message(*key)?)));
    let bodies: usize = messages().map(|(_, message)| message.body.len()).sum();
    let mut reply = ReplyWriter::object(bodies + bodies / 8 + keys.len() * 256);
    reply.key("Messages").open(b'[');
    for (key, message) in messages() {
        let handle = seal.seal(Opened { queue: queue.id, key, receive: message.receive_count });
        reply.open(b'{').key("MessageId").uuid(message.id).key("ReceiptHandle").text(&handle);
        reply.key("MD5OfBody").md5(&message.md5).key("Body").text(&message.body);
        write_system_attributes(&mut reply, queue, message, request.system);
        write_attributes(&mut reply, message, &request.names);
        reply.close(b'}');
    }
    reply.close(b']');
    reply.finish()
}

/// What LocalStack writes for the handle of a message that nobody received.
const NO_HANDLE: &str = "SQS/BACKDOOR/ACCESS";

/// Messages as ReceiveMessage shows them, without receiving them, and whether they can be had.
pub(crate) fn write_peeked(queue: &Queue, keys: &[Key], in_flight: bool, delayed: bool) -> Vec<u8> {
    let names = AttributeNames { all: true, ..AttributeNames::default() };
    let mut reply = ReplyWriter::object(keys.len() * 512);
    if !keys.is_empty() {
        reply.key("Messages").open(b'[');
        for message in keys.iter().filter_map(|key| queue.message(*key)) {
            reply.open(b'{').key("MessageId").uuid(message.id).key("ReceiptHandle").text(NO_HANDLE);
            reply.key("MD5OfBody").md5(&message.md5).key("Body").text(&message.body);
            reply.key("Attributes").open(b'{');
            write_shown(&mut reply, queue, message, SystemNames(u16::MAX));
            if in_flight {
                let is_visible = !matches!(message.state, MessageState::InFlight(_));
                reply.key("IsVisible").text(if is_visible { "true" } else { "false" });
            }
            if delayed {
                let is_delayed = matches!(message.state, MessageState::Delayed(_));
                reply.key("IsDelayed").text(if is_delayed { "true" } else { "false" });
            }
            reply.close(b'}');
            write_attributes(&mut reply, message, &names);
            reply.close(b'}');
        }
        reply.close(b']');
    }
    reply.finish()
}

fn write_system_attributes(reply: &mut ReplyWriter, queue: &Queue, message: &Message, wanted: SystemNames) {
    let shown = |bit: usize| !matches!(Shown::at(bit, queue, message), Shown::Nothing);
    if (0..SYSTEM_NAMES.len()).any(|bit| wanted.0 & (1 << bit) != 0 && shown(bit)) {
        reply.key("Attributes").open(b'{');
        write_shown(reply, queue, message, wanted);
        reply.close(b'}');
    }
}

fn write_shown(reply: &mut ReplyWriter, queue: &Queue, message: &Message, wanted: SystemNames) {
    for (bit, name) in SYSTEM_NAMES.iter().enumerate().filter(|(bit, _)| wanted.0 & (1 << bit) != 0) {
        match Shown::at(bit, queue, message) {
            Shown::Text(text) => reply.key(name).text(text),
            Shown::Number(number) => reply.key(name).text_number(number),
            Shown::Sequence(sequence) => reply.key(name).text(&sequence_number(sequence)),
            Shown::Nothing => reply,
        };
    }
}

/// The value of a system attribute.
enum Shown<'a> {
    Text(&'a str),
    Number(u64),
    Sequence(u64),
    Nothing,
}

impl<'a> Shown<'a> {
    /// The value of the attribute at this place of [`SYSTEM_NAMES`].
    fn at(bit: usize, queue: &Queue, message: &'a Message) -> Shown<'a> {
        let extra = message.extra();
        match bit {
            0 => Shown::Text(SENDER_ID),
            1 => Shown::Number(message.sent_at),
            2 => Shown::Number(u64::from(message.receive_count)),
            3 if message.first_received_at > 0 => Shown::Number(message.first_received_at),
            4 if queue.is_fifo() => Shown::Sequence(message.place),
            5 => Shown::of(extra.and_then(|extra| extra.deduplication_id.as_deref())),
            6 => Shown::of(message.group_id().map(|group| &**group)),
            7 => Shown::of(extra.and_then(|extra| extra.trace_header.as_deref())),
            8 => Shown::of(extra.and_then(|extra| extra.dead_letter_source.as_deref())),
            _ => Shown::Nothing,
        }
    }

    fn of(text: Option<&'a str>) -> Shown<'a> {
        text.map_or(Shown::Nothing, Shown::Text)
    }
}

/// The wanted attributes and their digest, which covers those alone.
fn write_attributes(reply: &mut ReplyWriter, message: &Message, wanted: &AttributeNames) {
    let Some(extra) = message.extra() else { return };
    let shown = || extra.attributes.iter().filter(|attribute| wanted.wants(&attribute.name));
    if shown().next().is_none() {
        return;
    }
    reply.key("MD5OfMessageAttributes").md5(&attributes_md5(shown()));
    reply.key("MessageAttributes").open(b'{');
    for attribute in shown() {
        write_attribute(reply, attribute);
    }
    reply.close(b'}');
}

fn write_attribute(reply: &mut ReplyWriter, attribute: &Attribute) {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    reply.text_key(&attribute.name).open(b'{');
    match &attribute.value {
        TypedValue::Text(text) => reply.key("StringValue").text(text),
        TypedValue::Binary(bytes) => reply.key("BinaryValue").text(&BASE64_STANDARD.encode(bytes)),
    };
    reply.key("DataType").text(&attribute.data_type).close(b'}');
}
