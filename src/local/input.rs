//! The members of requests, read from JSON without copying what need not be copied.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::SqsError;

/// A string of the request, borrowed from its bytes unless it held an escape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text<'a>(pub Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A number; clients that take a boolean for one may send it as it is.
fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Integer(i64),
        Boolean(bool),
    }
    Ok(Option::<Number>::deserialize(deserializer)?.map(|number| match number {
        Number::Integer(number) => number,
        Number::Boolean(truth) => i64::from(truth),
    }))
}

/// The most elements of a list or an object that are taken in. Those of SQS have ten, or fifty tags; a body can hold
/// millions, each of which would take a hundred times its size in memory.
const MAX_ELEMENTS: usize = 200;

fn check_number<E: serde::de::Error>(taken: usize) -> Result<(), E> {
    if taken < MAX_ELEMENTS {
        return Ok(());
    }
    Err(E::custom(format_args!("a list or an object has more than {MAX_ELEMENTS} elements")))
}

/// A JSON array.
#[derive(Debug)]
pub(super) struct List<T>(Vec<T>);

impl<T> std::ops::Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List<T>, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<List<T>, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = access.next_element()? {
                    check_number(elements.len())?;
                    elements.push(element);
                }
                Ok(List(elements))
            }
        }
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

/// A JSON object kept as pairs: those of SQS are small, and their order is the sender's. Of a name that comes twice the
/// last value counts.
#[derive(Clone, Debug)]
pub(super) struct Map<'a, T>(pub Vec<(Text<'a>, T)>);

impl<T> Default for Map<'_, T> {
    fn default() -> Self {
        Map(Vec::new())
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Map<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Map<'a, T>, D::Error> {
        struct MapVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for MapVisitor<T> {
            type Value = Map<'de, T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Map<'de, T>, A::Error> {
                let mut pairs: Vec<(Text<'de>, T)> = Vec::new();
                while let Some((name, value)) = access.next_entry::<Text<'de>, T>()? {
                    match pairs.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, known)) => *known = value,
                        None => {
                            check_number(pairs.len())?;
                            pairs.push((name, value));
                        }
                    }
                }
                Ok(Map(pairs))
            }
        }
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

/// Names and values, both strings: queue attributes and tags.
pub(super) type Pairs<'a> = Map<'a, Text<'a>>;

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
        SqsError::serialization(format!("The request is not valid: {}", text.strip_suffix(&position).unwrap_or(&text)))
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
    pub string_value: Option<Text<'a>>,
    #[serde(borrow)]
    pub binary_value: Option<Text<'a>>,
    pub string_list_values: Option<IgnoredAny>,
    pub binary_list_values: Option<IgnoredAny>,
}

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
    pub message_attributes: Option<Map<'a, AttributeValue<'a>>>,
    #[serde(borrow)]
    pub message_system_attributes: Option<Map<'a, AttributeValue<'a>>>,
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
    pub entries: Option<List<T>>,
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
