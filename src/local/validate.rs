//! What the service accepts in the parameters of messages and batches, and what it says otherwise.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::error::SqsError;
use super::input::{AttributeValue, AttributeValues};
use super::message::{Attribute, TypedValue};

pub(super) const MAX_BATCH: usize = 10;

/// A number within bounds, or the service's sentence.
pub(super) fn within(value: i64, low: i64, high: i64, parameter: &str, reason: &str) -> Result<u32, SqsError> {
    if (low..=high).contains(&value) {
        Ok(value as u32)
    } else {
        Err(SqsError::invalid_value(value, parameter, reason))
    }
}

pub(super) fn visibility_timeout(seconds: i64) -> Result<u32, SqsError> {
    within(seconds, 0, 43_200, "VisibilityTimeout", "Must be >= 0 and <= 43200, if provided.")
}

pub(super) fn delay(seconds: i64) -> Result<u32, SqsError> {
    within(seconds, 0, 900, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
}

/// `#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF`: what a message may hold.
pub(super) fn characters(text: &str) -> Result<(), SqsError> {
    // Without an early end: that lets it look at many bytes at once, and nearly every body is good. In UTF-8 U+FFFE and
    // U+FFFF begin with EF, as others do; surrogates cannot be in a string at all.
    let control = |byte: u8| (byte < 0x20) & !matches!(byte, b'\t' | b'\n' | b'\r');
    let suspect = text.bytes().fold(false, |found, byte| found | control(byte) | (byte == 0xEF));
    let bad = |character: char| {
        matches!(character, '\u{FFFE}' | '\u{FFFF}') || character.is_ascii() && control(character as u8)
    };
    if suspect && text.contains(bad) {
        return Err(SqsError::invalid_contents(
            "Invalid characters found. Valid unicode characters are \
             #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
        ));
    }
    Ok(())
}

/// MessageGroupId and MessageDeduplicationId.
pub(super) fn fifo_id(value: &str, parameter: &str) -> Result<(), SqsError> {
    if (1..=128).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let reason = format!("{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length.");
    Err(SqsError::invalid_value(value, parameter, &reason))
}

/// The entries of a batch as such: their number and their ids.
pub(super) fn batch<'a, T: 'a>(
    entries: &'a [T],
    kind: &str,
    id: impl Fn(&'a T) -> Option<&'a str>,
) -> Result<(), SqsError> {
    if entries.is_empty() {
        return Err(SqsError::empty_batch(kind));
    }
    if entries.len() > MAX_BATCH {
        return Err(SqsError::too_many_entries(entries.len()));
    }
    for (position, entry) in entries.iter().enumerate() {
        let Some(this) = id(entry) else {
            return Err(SqsError::missing(&format!("{kind}.{}.Id", position + 1)));
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(1..=80).contains(&this.len()) || !this.bytes().all(allowed) {
            return Err(SqsError::invalid_entry_id());
        }
        if entries.iter().take(position).any(|earlier| id(earlier) == Some(this)) {
            return Err(SqsError::entry_ids_not_distinct(this));
        }
    }
    Ok(())
}

/// Refuses lists as values, even empty ones, which refuses a whole batch.
pub(super) fn no_list_values(wanted: Option<&AttributeValues<'_>>, action: &str) -> Result<(), SqsError> {
    let is_list = |value: &AttributeValue<'_>| value.string_list_values.is_some() || value.binary_list_values.is_some();
    if wanted.is_some_and(|wanted| wanted.0.iter().any(|(_, value)| is_list(value))) {
        return Err(SqsError::unsupported(format!(
            "Message attribute list values in {action} operation are not supported."
        )));
    }
    Ok(())
}

/// Message attributes as they are kept: checked, decoded, sorted by name.
pub(super) fn message_attributes(wanted: &AttributeValues<'_>) -> Result<Vec<Attribute>, SqsError> {
    if wanted.0.len() > 10 {
        return Err(SqsError::invalid_parameter(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [10].",
            wanted.0.len()
        )));
    }
    let mut attributes = Vec::with_capacity(wanted.0.len());
    for (name, value) in &wanted.0 {
        attribute_name(name)?;
        attributes.push(attribute(name, value)?);
    }
    attributes.sort_unstable_by(|left: &Attribute, right| left.name.cmp(&right.name));
    Ok(attributes)
}

fn attribute_name(name: &str) -> Result<(), SqsError> {
    if name.is_empty() {
        return Err(SqsError::invalid_parameter("Message (user) attribute names must not be empty."));
    }
    if name.len() >= 256 {
        return Err(SqsError::invalid_parameter("Message (user) attribute names must be shorter than 256 Bytes"));
    }
    // The documentation says A-Z, a-z and 0-9; the service takes letters of other Latin alphabets as well.
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') || ('\u{C0}'..='\u{17F}').contains(&c);
    if !name.chars().all(allowed) {
        return Err(SqsError::invalid_parameter(
            "Message (user) attributes name can only contain upper and lower score characters, digits, periods, \
             hyphens and underscores.",
        ));
    }
    let starts = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if starts("AWS.") || starts("Amazon.") || name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Err(SqsError::invalid_parameter(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for \
             internal use. Additionally, they cannot start or end with '.', nor have two of them in a row.",
        ));
    }
    Ok(())
}

fn attribute(name: &str, value: &AttributeValue<'_>) -> Result<Attribute, SqsError> {
    let invalid = SqsError::invalid_parameter;
    let data_type = value.data_type.as_deref().unwrap_or_default();
    if data_type.is_empty() {
        return Err(invalid(format!("The message attribute '{name}' must contain non-empty message attribute type.")));
    }
    let kind = data_type.split('.').next().unwrap_or_default();
    if !matches!(kind, "String" | "Number" | "Binary") {
        return Err(invalid(format!(
            "The type of message (user) attribute '{name}' is invalid. You must use only the following supported type \
             prefixes: Binary, Number, String."
        )));
    }
    if data_type.len() >= 256 {
        return Err(invalid("Message (user) attribute types must be shorter than 256 Bytes".to_owned()));
    }
    let empty =
        || invalid(format!("Message (user) attribute '{name}' must contain a non-empty value of type '{kind}'."));
    if kind == "Binary" {
        let encoded = value.binary_value.as_deref().filter(|text| !text.is_empty()).ok_or_else(empty)?;
        let bytes = BASE64_STANDARD
            .decode(encoded)
            .map_err(|_| SqsError::serialization(format!("The value of attribute '{name}' is not base64.")))?;
        return Ok(Attribute {
            name: name.into(),
            data_type: data_type.into(),
            value: TypedValue::Binary(bytes.into()),
        });
    }
    let text = value.string_value.as_deref().filter(|text| !text.is_empty()).ok_or_else(empty)?;
    characters(text).map_err(|error| invalid(error.message))?;
    if kind == "Number" && !is_number(text) {
        return Err(invalid(format!("Can't cast the value of message (user) attribute '{name}' to a number.")));
    }
    Ok(Attribute { name: name.into(), data_type: data_type.into(), value: TypedValue::Text(text.into()) })
}

/// A decimal number of up to 38 digits, from -10^128 to 10^126.
fn is_number(text: &str) -> bool {
    let of_numbers = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    let Ok(value) = text.parse::<f64>() else { return false };
    if !text.bytes().all(of_numbers) || !(-1e128..=1e126).contains(&value) {
        return false;
    }
    // Zeros before the first digit and after the last add nothing to the number's precision.
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len() <= 38
}

/// The X-Ray header, the one system attribute that can be sent.
pub(super) fn system_attributes(wanted: &AttributeValues<'_>) -> Result<Option<Box<str>>, SqsError> {
    let mut header = None;
    for (name, value) in &wanted.0 {
        if &**name != "AWSTraceHeader" {
            return Err(SqsError::invalid_parameter(format!(
                "Message system attribute name '{}' is invalid. The only supported message system attribute is \
                 AWSTraceHeader.",
                &**name
            )));
        }
        if value.data_type.as_deref() != Some("String") {
            return Err(SqsError::invalid_parameter(
                "Message system attribute 'AWSTraceHeader' must have the type String.",
            ));
        }
        let text = value.string_value.as_deref().filter(|text| !text.is_empty()).ok_or_else(|| {
            SqsError::invalid_parameter(
                "Message system attribute 'AWSTraceHeader' must contain a non-empty value of type 'String'.",
            )
        })?;
        header = Some(text.into());
    }
    Ok(header)
}

/// What counts against the size limits: the body, and name, type and value of every attribute.
pub(super) fn size<'a>(body: &str, attributes: impl IntoIterator<Item = &'a Attribute>) -> usize {
    let of = |attribute: &Attribute| {
        let value = match &attribute.value {
            TypedValue::Text(text) => text.len(),
            TypedValue::Binary(bytes) => bytes.len(),
        };
        attribute.name.len() + attribute.data_type.len() + value
    };
    body.len() + attributes.into_iter().map(of).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let digits = "1234567890".repeat(4);
        let good = ["0", "-1.5e3", "+7", ".5", "1e126", "-1e128", "1e-300", &digits[..38], "000001", "1e05"];
        let zeros = format!("1{}", "0".repeat(100));
        for text in good.into_iter().chain([zeros.as_str()]) {
            assert!(is_number(text), "{text}");
        }
        for text in
            ["", "ten", "1e127", "-1e129", "1e400", "-1e400", "inf", "NaN", "0x1", "1 ", &digits[..39], "1e", "--1"]
        {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn every_character_is_taken_or_refused_as_documented() {
        let allowed =
            |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
        for character in '\0'..=char::MAX {
            // With one beside it that begins as the bad ones do.
            assert_eq!(characters(&format!("\u{FF01}{character}")).is_ok(), allowed(character), "{character:?}");
        }
    }
}
