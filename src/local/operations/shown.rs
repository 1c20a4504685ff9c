//! Messages as replies show them: which attributes a caller wants to see, and what there is of them.

use super::sending::sequence_number;
use crate::local::digest::attributes_md5;
use crate::local::error::SqsError;
use crate::local::handle::{Receipt as Opened, Seal};
use crate::local::input::Text;
use crate::local::message::{Attribute, Key, Message, MessageState, TypedValue};
use crate::local::queue::Queue;
use crate::local::reply::ReplyWriter;
use crate::local::validate;

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
    fn of<'a>(names: impl IntoIterator<Item = &'a Text<'a>>) -> Result<SystemNames, SqsError> {
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

/// What a caller wants to see of messages beside their bodies.
#[derive(Debug)]
pub(super) struct WantedAttributes {
    system: SystemNames,
    names: AttributeNames,
}

impl WantedAttributes {
    /// Of the names of system attributes, which a request has under two names, and those of message attributes.
    pub(super) fn of<'a>(system: [&'a [Text<'a>]; 2], names: &[Text<'_>]) -> Result<WantedAttributes, SqsError> {
        Ok(WantedAttributes {
            system: SystemNames::of(system.into_iter().flatten())?,
            names: AttributeNames::of(names),
        })
    }

    /// Bytes of a message with those of its attributes that are wanted.
    pub(super) fn size(&self, message: &Message) -> usize {
        let all = message.extra().map(|extra| &*extra.attributes).unwrap_or_default();
        validate::size(&message.body, all.iter().filter(|attribute| self.names.wants(&attribute.name)))
    }
}

/// The reply to a ReceiveMessage that brought these messages.
pub(super) fn write_messages(queue: &Queue, seal: &Seal, keys: &[Key], wanted: &WantedAttributes) -> Vec<u8> {
    let messages = || keys.iter().filter_map(|key| Some((*key, queue.message(*key)?)));
    let bodies: usize = messages().map(|(_, message)| message.body.len()).sum();
    let mut reply = ReplyWriter::object(bodies + bodies / 8 + keys.len() * 256);
    reply.key("Messages").open(b'[');
    for (key, message) in messages() {
        let handle = seal.seal(Opened { queue: queue.id, key, receive: message.receive_count });
        reply.open(b'{').key("MessageId").uuid(message.id).key("ReceiptHandle").text(&handle);
        reply.key("MD5OfBody").md5(&message.md5).key("Body").text(&message.body);
        write_system_attributes(&mut reply, queue, message, wanted.system);
        write_attributes(&mut reply, message, &wanted.names);
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
