//! The members of requests, read from JSON without copying what need not be copied.

mod values;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;

use super::error::SqsError;
pub(super) use values::{CastText, Map, Text};
use values::{List, Object, integer};

/// Names and values, both strings: queue attributes and tags.
pub(super) type Pairs<'a> = Map<'a, CastText<'a>>;

impl Pairs<'_> {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    pub(super) fn get(&self, wanted: &str) -> Option<&str> {
        self.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
    }
}

/// Reads the input of an action. Every member is optional here, since a missing one is the service's to complain of;
/// unknown ones are passed over.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, SqsError> {
    let body = if body.is_empty() { b"{}" } else { body };
    // serde would take an array for an object without names.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(SqsError::serialization("The request is not a JSON object."));
    }
    serde_json::from_slice(body).map_err(|error| {
        // Without the position, which tells of the client's way to write JSON and of nothing that its caller did.
        let position = format!(" at line {} column {}", error.line(), error.column());
        let text = error.to_string();
        let text = text.strip_suffix(&position).unwrap_or(&text);
        SqsError::serialization(match error.classify() {
            Category::Data => text.to_owned(),
            Category::Syntax | Category::Eof | Category::Io => format!("The request is not valid JSON: {text}"),
        })
    })
}

/// A member that the action cannot do without.
pub(super) fn required<'a, T>(member: &'a Option<T>, name: &str) -> Result<&'a T, SqsError> {
    member.as_ref().ok_or_else(|| SqsError::missing(name))
}

/// A message attribute as a request spells it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct AttributeValue<'a> {
    #[serde(borrow)]
    pub data_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub string_value: Option<CastText<'a>>,
    #[serde(borrow)]
    pub binary_value: Option<Text<'a>>,
    pub string_list_values: Option<IgnoredAny>,
    pub binary_list_values: Option<IgnoredAny>,
}

/// Message attributes, by their names.
pub(super) type AttributeValues<'a> = Map<'a, Object<AttributeValue<'a>>>;

/// SendMessage, and an entry of SendMessageBatch.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct SendInput<'a> {
    #[serde(borrow)]
    pub queue_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow)]
    pub message_body: Option<Text<'a>>,
    #[serde(deserialize_with = "integer")]
    pub delay_seconds: Option<i64>,
    #[serde(borrow)]
    pub message_attributes: Option<AttributeValues<'a>>,
    #[serde(borrow)]
    pub message_system_attributes: Option<AttributeValues<'a>>,
    #[serde(borrow)]
    pub message_deduplication_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub message_group_id: Option<Text<'a>>,
}

/// DeleteMessage and ChangeMessageVisibility, and an entry of their batches.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ReceiptInput<'a> {
    #[serde(borrow)]
    pub queue_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow)]
    pub receipt_handle: Option<Text<'a>>,
    #[serde(deserialize_with = "integer")]
    pub visibility_timeout: Option<i64>,
}

/// The batch form of any of the above.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchInput<'a, T> {
    #[serde(borrow, default)]
    pub queue_url: Option<Text<'a>>,
    pub entries: Option<List<Object<T>>>,
}

/// ReceiveMessage at the place where messages are shown: LocalStack's parameters, and pages.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Peek<'a> {
    #[serde(borrow)]
    pub queue_url: Option<Text<'a>>,
    pub show_invisible: bool,
    pub show_delayed: bool,
    pub offset: usize,
    pub limit: Option<usize>,
}

/// ReceiveMessage.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Receive<'a> {
    #[serde(borrow)]
    pub queue_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub attribute_names: Option<List<Text<'a>>>,
    #[serde(borrow)]
    pub message_system_attribute_names: Option<List<Text<'a>>>,
    #[serde(borrow)]
    pub message_attribute_names: Option<List<Text<'a>>>,
    #[serde(deserialize_with = "integer")]
    pub max_number_of_messages: Option<i64>,
    #[serde(deserialize_with = "integer")]
    pub visibility_timeout: Option<i64>,
    #[serde(deserialize_with = "integer")]
    pub wait_time_seconds: Option<i64>,
    #[serde(borrow)]
    pub receive_request_attempt_id: Option<Text<'a>>,
}

/// The members of every action on queues themselves: their names never mean two things.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Administration<'a> {
    #[serde(borrow)]
    pub queue_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub queue_name: Option<Text<'a>>,
    #[serde(borrow, rename = "QueueOwnerAWSAccountId")]
    pub queue_owner: Option<Text<'a>>,
    #[serde(borrow)]
    pub queue_name_prefix: Option<Text<'a>>,
    #[serde(borrow)]
    pub attributes: Option<Pairs<'a>>,
    #[serde(borrow)]
    pub attribute_names: Option<List<Text<'a>>>,
    /// CreateQueue spells its tags in lower case, TagQueue does not.
    #[serde(borrow, alias = "tags")]
    pub tags: Option<Pairs<'a>>,
    #[serde(borrow)]
    pub tag_keys: Option<List<Text<'a>>>,
    #[serde(borrow)]
    pub label: Option<Text<'a>>,
    #[serde(borrow, rename = "AWSAccountIds")]
    pub account_ids: Option<List<Text<'a>>>,
    #[serde(borrow)]
    pub actions: Option<List<Text<'a>>>,
    #[serde(borrow)]
    pub next_token: Option<Text<'a>>,
    #[serde(deserialize_with = "integer")]
    pub max_results: Option<i64>,
    #[serde(borrow)]
    pub source_arn: Option<Text<'a>>,
    #[serde(borrow)]
    pub destination_arn: Option<Text<'a>>,
    #[serde(deserialize_with = "integer")]
    pub max_number_of_messages_per_second: Option<i64>,
    #[serde(borrow)]
    pub task_handle: Option<Text<'a>>,
}
