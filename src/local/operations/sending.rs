//! SendMessage and SendMessageBatch.

use std::fmt::Display;

use sha2::{Digest, Sha256};

use super::batches::{Outcomes, write_failure};
use crate::local::digest::{attributes_md5, hex, md5, md5s};
use crate::local::error::SqsError;
use crate::local::input::{BatchInput, SendInput, read, required};
use crate::local::ledger::QueueKind;
use crate::local::message::{Attribute, Extra, Millis, TypedValue};
use crate::local::queue::{NewMessage, Queue, Sent};
use crate::local::reply::ReplyWriter;
use crate::local::service::{Caller, Service};
use crate::local::settings::MAXIMUM_MESSAGE_SIZE;
use crate::local::validate;
use crate::model::Action;

/// A message that passed the checks, and what its sender is told of it.
struct Prepared {
    message: NewMessage,
    attributes_md5: Option<[u8; 16]>,
    system_attributes_md5: Option<[u8; 16]>,
}

/// How a message is sent, which decides in what words it is refused.
#[derive(Clone, Copy)]
enum Form {
    Alone,
    /// As the entry of a batch at this position, from 0.
    Entry(usize),
}

impl Form {
    fn action(self) -> &'static str {
        match self {
            Form::Alone => "SendMessage",
            Form::Entry(_) => "SendMessageBatch",
        }
    }

    fn without_body(self) -> SqsError {
        match self {
            Form::Alone => SqsError::missing("MessageBody"),
            Form::Entry(position) => {
                SqsError::empty_value(&format!("SendMessageBatchRequestEntry.{}.MessageBody", position + 1))
            }
        }
    }

    fn too_long(self, limit: usize) -> SqsError {
        let what = match self {
            Form::Alone => "are invalid",
            Form::Entry(_) => "cannot be validated",
        };
        SqsError::invalid_parameter(format!(
            "One or more parameters {what}. Reason: Message must be shorter than {limit} bytes."
        ))
    }

    /// A deduplication id that a standard queue does not know.
    fn of_fifo_alone(self, id: &str) -> SqsError {
        match self {
            Form::Alone => of_another_queue_type(id, "MessageDeduplicationId"),
            Form::Entry(_) => SqsError::invalid_parameter(REASON_OF_TYPE),
        }
    }

    /// What refuses the request whatever else is in it.
    fn check(self, input: &SendInput<'_>, queue: &Queue) -> Result<(), SqsError> {
        check_fifo_members(input, queue, |name| match self {
            Form::Alone => SqsError::missing(name),
            // With another code than that of SendMessage.
            Form::Entry(_) => SqsError::invalid_parameter(format!("The request must contain the parameter {name}.")),
        })?;
        if let Some(seconds) = input.delay_seconds
            && seconds != 0
            && queue.is_fifo()
        {
            return Err(of_another_queue_type(seconds, "DelaySeconds"));
        }
        validate::no_list_values(input.message_attributes.as_ref(), self.action())?;
        validate::no_list_values(input.message_system_attributes.as_ref(), self.action())
    }
}

const REASON_OF_TYPE: &str = "The request include parameter that is not valid for this queue type";

/// A member that this type of queue does not know.
fn of_another_queue_type(value: impl Display, parameter: &str) -> SqsError {
    SqsError::invalid_value(value, parameter, &format!("{REASON_OF_TYPE}."))
}

/// The first number of the service's 20-digit sequence numbers; they grow by 256.
const FIRST_SEQUENCE: u128 = 18_849_496_460_467_696_128;

/// How a FIFO queue writes a position.
pub(super) fn sequence_number(sequence: u64) -> String {
    (FIRST_SEQUENCE + u128::from(sequence) * 256).to_string()
}

impl Service {
    pub(super) fn send_message(&mut self, caller: &Caller<'_>, body: &[u8], now: Millis) -> Result<Vec<u8>, SqsError> {
        let input: SendInput<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let queue = self.queue_mut(id)?;
        Form::Alone.check(&input, queue)?;
        let body_md5 = md5(input.message_body.as_deref().unwrap_or_default().as_bytes());
        let (prepared, size) = prepare(&input, Form::Alone, queue, body_md5, caller.trace)?;
        if size > queue.settings.maximum_message_size {
            return Err(Form::Alone.too_long(queue.settings.maximum_message_size));
        }
        let Prepared { message, attributes_md5, system_attributes_md5 } = prepared;
        let sent = queue.send(message, now);
        let kind = QueueKind::of(queue.is_fifo());
        self.ledger.carried(kind, Action::SendMessage, 1, size);
        self.touched.push(id);
        let mut reply = ReplyWriter::object(256);
        write_sent(&mut reply, sent, &body_md5, attributes_md5, system_attributes_md5);
        Ok(reply.finish())
    }

    pub(super) fn send_message_batch(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        let input: BatchInput<'_, SendInput<'_>> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let fault = self.entry_fault.take();
        let queue = self.queue_mut(id)?;
        let entries = input.entries.as_deref().unwrap_or_default();
        validate::batch(entries, "SendMessageBatchRequestEntry", |entry| entry.id.as_deref())?;
        for (position, entry) in entries.iter().enumerate() {
            Form::Entry(position).check(entry, queue)?;
        }
        let mut total = 0;
        let mut prepared = Vec::with_capacity(entries.len());
        let bodies: Vec<&[u8]> =
            entries.iter().map(|entry| entry.message_body.as_deref().unwrap_or_default().as_bytes()).collect();
        for (position, (entry, body_md5)) in entries.iter().zip(md5s(&bodies)).enumerate() {
            let form = Form::Entry(position);
            let checked = prepare(entry, form, queue, body_md5, caller.trace);
            total += match &checked {
                Ok((_, size)) => *size,
                Err(_) => entry.message_body.as_deref().map_or(0, str::len),
            };
            prepared.push(checked.and_then(|(prepared, size)| {
                let limit = queue.settings.maximum_message_size;
                // A batch of one message over 1 MiB is too long as a batch.
                if size > limit && size <= MAXIMUM_MESSAGE_SIZE {
                    return Err(form.too_long(limit));
                }
                Ok(prepared)
            }));
        }
        if total > MAXIMUM_MESSAGE_SIZE {
            return Err(SqsError::batch_too_long(MAXIMUM_MESSAGE_SIZE, total));
        }
        let mut outcomes = Outcomes::new(entries.len() * 160);
        let (kind, mut carried) = (QueueKind::of(queue.is_fifo()), 0);
        for (position, (entry, prepared)) in entries.iter().zip(prepared).enumerate() {
            let entry_id = entry.id.as_deref().unwrap_or_default();
            let struck = fault.as_ref().and_then(|fault| fault.strike(position));
            match struck.map_or(prepared, Err) {
                Ok(Prepared { message, attributes_md5, system_attributes_md5 }) => {
                    let body_md5 = message.md5;
                    let sent = queue.send(message, now);
                    carried += 1;
                    let reply = outcomes.successful(entry_id);
                    write_sent(reply, sent, &body_md5, attributes_md5, system_attributes_md5);
                    reply.close(b'}');
                }
                Err(error) => outcomes.failed(|reply| write_failure(reply, entry_id, &error)),
            }
        }
        self.ledger.carried(kind, Action::SendMessageBatch, carried, total);
        self.touched.push(id);
        Ok(outcomes.finish())
    }
}

fn write_sent(
    reply: &mut ReplyWriter,
    sent: Sent,
    body_md5: &[u8; 16],
    attributes_md5: Option<[u8; 16]>,
    system_attributes_md5: Option<[u8; 16]>,
) {
    reply.key("MessageId").uuid(sent.id).key("MD5OfMessageBody").md5(body_md5);
    if let Some(digest) = attributes_md5 {
        reply.key("MD5OfMessageAttributes").md5(&digest);
    }
    if let Some(digest) = system_attributes_md5 {
        reply.key("MD5OfMessageSystemAttributes").md5(&digest);
    }
    if sent.sequence > 0 {
        reply.key("SequenceNumber").text(&sequence_number(sent.sequence));
    }
}

/// What FIFO queues demand of every message.
fn check_fifo_members(
    input: &SendInput<'_>,
    queue: &Queue,
    missing: impl Fn(&str) -> SqsError,
) -> Result<(), SqsError> {
    let Some(fifo) = queue.settings.fifo else { return Ok(()) };
    required(&input.message_group_id, "MessageGroupId").map_err(|_| missing("MessageGroupId"))?;
    if input.message_deduplication_id.is_none() && !fifo.content_based_deduplication {
        return Err(SqsError::invalid_parameter(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        ));
    }
    Ok(())
}

fn prepare(
    input: &SendInput<'_>,
    form: Form,
    queue: &Queue,
    md5: [u8; 16],
    trace: Option<&str>,
) -> Result<(Prepared, usize), SqsError> {
    let body = input.message_body.as_deref().filter(|body| !body.is_empty());
    let body = body.ok_or_else(|| form.without_body())?;
    validate::characters(body)?;
    // A FIFO queue takes 0 for not given, and nothing else.
    let delay = input.delay_seconds.filter(|_| !queue.is_fifo()).map(validate::delay).transpose()?;
    if let Some(group) = &input.message_group_id {
        validate::fifo_id(group, "MessageGroupId")?;
    }
    if let Some(id) = &input.message_deduplication_id {
        validate::fifo_id(id, "MessageDeduplicationId")?;
        if !queue.is_fifo() {
            return Err(form.of_fifo_alone(id));
        }
    }
    let attributes = match &input.message_attributes {
        Some(wanted) => validate::message_attributes(wanted)?,
        None => Vec::new(),
    };
    let trace_header = match &input.message_system_attributes {
        Some(wanted) => validate::system_attributes(wanted)?,
        None => None,
    };
    let size = validate::size(body, &attributes);
    let content_based = queue.settings.fifo.is_some_and(|fifo| fifo.content_based_deduplication);
    let deduplication_id = match &input.message_deduplication_id {
        Some(id) => Some(Box::from(&**id)),
        None if content_based => Some(sha256(body)),
        None => None,
    };
    let group = input.message_group_id.as_deref().map(Into::into);
    let attributes_md5 = (!attributes.is_empty()).then(|| attributes_md5(&attributes));
    let system_attributes_md5 = trace_header.as_ref().map(|header| {
        let header = Attribute {
            name: "AWSTraceHeader".into(),
            data_type: "String".into(),
            value: TypedValue::Text(Box::clone(header)),
        };
        crate::local::digest::attributes_md5([&header])
    });
    // The attribute overrides the header, of which the sender is told nothing.
    let trace_header = trace_header.or_else(|| trace.map(Box::from));
    let plain = attributes.is_empty() && trace_header.is_none() && group.is_none() && deduplication_id.is_none();
    let extra =
        (!plain).then(|| Box::new(Extra { attributes, trace_header, group, deduplication_id, ..Extra::default() }));
    let message = NewMessage { md5, body: body.into(), delay, extra };
    Ok((Prepared { message, attributes_md5, system_attributes_md5 }, size))
}

fn sha256(body: &str) -> Box<str> {
    let mut out = Vec::new();
    hex(&Sha256::digest(body.as_bytes()), &mut out);
    String::from_utf8_lossy(&out).into()
}
