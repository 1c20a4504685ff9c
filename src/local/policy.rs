//! Access policies: JSON documents of the user's, kept in the form in which the service reads them back.

use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

/// A JSON value whose members stay in the order in which they were written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Document {
    /// Null, a boolean or a number.
    Plain(serde_json::Value),
    Text(String),
    List(Vec<Document>),
    Object(Vec<(String, Document)>),
}

impl From<&str> for Document {
    fn from(text: &str) -> Document {
        Document::Text(text.to_owned())
    }
}

impl Document {
    fn get(&self, name: &str) -> Option<&Document> {
        let Document::Object(members) = self else { return None };
        members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Document::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The service writes a list of one as the one.
    fn one_or_many(self) -> Document {
        match self {
            Document::List(mut values) if values.len() == 1 => values.pop().unwrap_or(Document::List(values)),
            other => other,
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Document, D::Error> {
        struct DocumentVisitor;
        impl<'de> Visitor<'de> for DocumentVisitor {
            type Value = Document;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON value")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Document, E> {
                Ok(Document::Plain(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Document, E> {
                Ok(Document::Plain(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Document, E> {
                Ok(Document::Plain(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Document, E> {
                Ok(Document::Plain(value.into()))
            }
            fn visit_unit<E>(self) -> Result<Document, E> {
                Ok(Document::Plain(serde_json::Value::Null))
            }
            fn visit_str<E>(self, value: &str) -> Result<Document, E> {
                Ok(value.into())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Document, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = access.next_element()? {
                    values.push(value);
                }
                Ok(Document::List(values))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Document, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = access.next_entry()? {
                    members.push(member);
                }
                Ok(Document::Object(members))
            }
        }
        deserializer.deserialize_any(DocumentVisitor)
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Document::Plain(value) => value.serialize(serializer),
            Document::Text(text) => serializer.serialize_str(text),
            Document::List(values) => values.serialize(serializer),
            Document::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// An access policy: a JSON object with statements.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AccessPolicy {
    /// All members but the statements, the version first.
    members: Vec<(String, Document)>,
    statements: Vec<Document>,
}

/// The version of policies that name none.
const VERSION: &str = "2008-10-17";

/// A permission that AddPermission gives: a statement of the policy.
pub(super) struct Permission<'a> {
    pub label: &'a str,
    pub principals: Vec<String>,
    pub actions: Vec<String>,
    pub resource: &'a str,
}

impl AccessPolicy {
    /// The policy that AddPermission begins with.
    pub(super) fn of_queue(arn: &str) -> AccessPolicy {
        let id = format!("{arn}/SQSDefaultPolicy");
        let members = vec![("Version".to_owned(), VERSION.into()), ("Id".to_owned(), Document::Text(id))];
        AccessPolicy { members, statements: Vec::new() }
    }

    /// `None` for what is no policy: no JSON object, or one without a statement.
    pub(super) fn read(text: &str) -> Option<AccessPolicy> {
        let Ok(Document::Object(mut members)) = serde_json::from_str(text) else { return None };
        let position = members.iter().position(|(name, _)| name == "Statement")?;
        let statements = match members.remove(position).1 {
            Document::List(statements) => statements,
            // The policy language lets a statement stand alone.
            alone => vec![alone],
        };
        let all_objects = statements.iter().all(|statement| matches!(statement, Document::Object(_)));
        if statements.is_empty() || !all_objects {
            return None;
        }
        if !members.iter().any(|(name, _)| name == "Version") {
            members.insert(0, ("Version".to_owned(), VERSION.into()));
        }
        let statements = statements.into_iter().map(normal).collect();
        Some(AccessPolicy { members, statements })
    }

    /// As the service reads it back.
    pub(super) fn text(&self) -> String {
        let mut members = self.members.clone();
        members.push(("Statement".to_owned(), Document::List(self.statements.clone())));
        serde_json::to_string(&Document::Object(members)).unwrap_or_default()
    }

    pub(super) fn statements(&self) -> usize {
        self.statements.len()
    }

    pub(super) fn has(&self, label: &str) -> bool {
        self.statements.iter().any(|statement| statement.text("Sid") == Some(label))
    }

    pub(super) fn add(&mut self, permission: Permission<'_>) {
        let several = |texts: Vec<String>| Document::List(texts.into_iter().map(Document::Text).collect());
        let principal = vec![("AWS".to_owned(), several(permission.principals))];
        let members = [
            ("Sid", permission.label.into()),
            ("Effect", "Allow".into()),
            ("Principal", Document::Object(principal)),
            ("Action", several(permission.actions)),
            ("Resource", permission.resource.into()),
        ];
        let members = members.map(|(name, value)| (name.to_owned(), value));
        self.statements.push(normal(Document::Object(members.into())));
    }

    pub(super) fn remove(&mut self, label: &str) {
        self.statements.retain(|statement| statement.text("Sid") != Some(label));
    }
}

/// A statement as the service keeps it.
fn normal(statement: Document) -> Document {
    let Document::Object(members) = statement else { return statement };
    let members = members.into_iter().map(|(name, value)| {
        let value = match (name.as_str(), value) {
            ("Action" | "NotAction" | "Resource" | "NotResource", value) => value.one_or_many(),
            ("Principal" | "NotPrincipal", Document::Object(kinds)) => {
                Document::Object(kinds.into_iter().map(|(kind, who)| (kind, who.one_or_many())).collect())
            }
            (_, value) => value,
        };
        (name, value)
    });
    Document::Object(members.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_read_back_in_their_normal_form() {
        let given = r#"{ "Id": "x", "Statement": [{"Sid":"a", "Action": ["sqs:SendMessage"], "Principal": {"AWS": ["1"]},
            "Resource": ["r", "s"], "Condition": {"Bool": {"aws:SecureTransport": ["true"]}}, "n": [1, null, true, 1.5]}] }"#;
        let policy = AccessPolicy::read(given).unwrap();
        let expected = concat!(
            r#"{"Version":"2008-10-17","Id":"x","Statement":[{"Sid":"a","Action":"sqs:SendMessage","Principal":{"AWS":"1"},"#,
            r#""Resource":["r","s"],"Condition":{"Bool":{"aws:SecureTransport":["true"]}},"n":[1,null,true,1.5]}]}"#
        );
        assert_eq!(policy.text(), expected);
        assert_eq!(AccessPolicy::read(expected), Some(policy));
    }

    #[test]
    fn what_is_no_policy() {
        for text in
            ["", "{", "[]", "5", "{}", r#"{"Version":"2012-10-17"}"#, r#"{"Statement":[]}"#, r#"{"Statement":[1]}"#]
        {
            assert_eq!(AccessPolicy::read(text), None, "{text}");
        }
        assert!(AccessPolicy::read(&format!(r#"{{"Statement":{}"#, "[".repeat(100_000))).is_none());
    }
}
