//! The attributes of a queue: what may be set, to what, and how it reads back.

use std::sync::Arc;

use super::error::SqsError;
use super::input::Pairs;
use super::policy::{AccessPolicy, Document};

pub(super) const MAXIMUM_MESSAGE_SIZE: usize = 1_048_576;

/// `DeduplicationScope`: within what a deduplication id is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeduplicationScope {
    Queue,
    MessageGroup,
}

/// `FifoThroughputLimit`: what the quota of a FIFO queue is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ThroughputLimit {
    PerQueue,
    PerMessageGroupId,
}

/// What only FIFO queues have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FifoSettings {
    pub content_based_deduplication: bool,
    pub scope: DeduplicationScope,
    pub limit: ThroughputLimit,
}

/// `RedrivePolicy`: where messages go that are received too often.
#[derive(Clone, Debug)]
pub(super) struct RedrivePolicy {
    pub target: Arc<str>,
    pub max_receive_count: u32,
    /// As it was set, for refusals.
    pub given: String,
}

impl RedrivePolicy {
    /// As the service reads it back, however it was written.
    fn json(&self) -> String {
        let target = serde_json::Value::from(&*self.target);
        format!(r#"{{"deadLetterTargetArn":{target},"maxReceiveCount":{}}}"#, self.max_receive_count)
    }
}

/// Which queues may name this one as their dead-letter queue.
#[derive(Clone, Debug)]
pub(super) enum RedrivePermission {
    AllowAll,
    DenyAll,
    ByQueue(Vec<String>),
}

/// `RedriveAllowPolicy`, and its text without blanks.
#[derive(Clone, Debug)]
pub(super) struct RedriveAllowPolicy {
    pub permission: RedrivePermission,
    pub json: String,
}

/// A queue's attributes, but for the computed ones.
#[derive(Clone, Debug)]
pub(super) struct QueueSettings {
    pub visibility_timeout: u32,
    pub delay: u32,
    pub maximum_message_size: usize,
    pub retention: u32,
    pub receive_wait: u32,
    pub policy: Option<AccessPolicy>,
    pub redrive: Option<RedrivePolicy>,
    pub redrive_allow: Option<RedriveAllowPolicy>,
    pub kms_key: Option<String>,
    pub kms_reuse: Option<u32>,
    pub managed_sse: bool,
    pub fifo: Option<FifoSettings>,
}

/// Attributes that the service computes: they can be read, never set.
pub(super) const COMPUTED: [&str; 6] = [
    "QueueArn",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
];

/// Attributes that can be set, in the order in which they are echoed.
pub(super) const SETTABLE: [&str; 15] = [
    "VisibilityTimeout",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "DelaySeconds",
    "ReceiveMessageWaitTimeSeconds",
    "Policy",
    "RedrivePolicy",
    "RedriveAllowPolicy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
    "FifoQueue",
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoThroughputLimit",
];

impl QueueSettings {
    pub(super) fn standard() -> QueueSettings {
        QueueSettings {
            visibility_timeout: 30,
            delay: 0,
            maximum_message_size: MAXIMUM_MESSAGE_SIZE,
            retention: 345_600,
            receive_wait: 0,
            policy: None,
            redrive: None,
            redrive_allow: None,
            kms_key: None,
            kms_reuse: None,
            managed_sse: true,
            fifo: None,
        }
    }

    pub(super) fn fifo() -> QueueSettings {
        let fifo = FifoSettings {
            content_based_deduplication: false,
            scope: DeduplicationScope::Queue,
            limit: ThroughputLimit::PerQueue,
        };
        QueueSettings { fifo: Some(fifo), ..QueueSettings::standard() }
    }

    /// Applies what a CreateQueue or SetQueueAttributes asks for, all of it or nothing.
    pub(super) fn with(&self, wanted: &Pairs<'_>) -> Result<QueueSettings, SqsError> {
        let mut settings = self.clone();
        for (name, value) in wanted.iter() {
            settings.set(name, value)?;
        }
        settings.check_encryption(wanted)?;
        if let Some(fifo) = settings.fifo
            && fifo.limit == ThroughputLimit::PerMessageGroupId
            && fifo.scope == DeduplicationScope::Queue
        {
            return Err(SqsError::invalid_attribute_value(
                "Invalid value for the parameter FifoThroughputLimit. Reason: The value perMessageGroupId is allowed \
                 only when the value for DeduplicationScope is messageGroup.",
            ));
        }
        Ok(settings)
    }

    fn check_encryption(&mut self, wanted: &Pairs<'_>) -> Result<(), SqsError> {
        let kms = wanted.get("KmsMasterKeyId").is_some_and(|key| !key.is_empty());
        let managed = wanted.get("SqsManagedSseEnabled").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        match (kms, managed) {
            (true, true) => {
                return Err(SqsError::invalid_attribute_name(
                    "You can use one type of server-side encryption (SSE) at one time. \
                     You can either enable KMS SSE or SQS SSE.",
                ));
            }
            // Each kind of encryption turns the other off.
            (true, false) => self.managed_sse = false,
            (false, true) => self.kms_key = None,
            (false, false) => {}
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), SqsError> {
        let invalid = || SqsError::invalid_attribute_value(format!("Invalid value for the parameter {name}."));
        let number = |low: u32, high: u32| {
            value.parse::<u32>().ok().filter(|number| (low..=high).contains(number)).ok_or_else(invalid)
        };
        let truth = || match value {
            _ if value.eq_ignore_ascii_case("true") => Ok(true),
            _ if value.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(invalid()),
        };
        match name {
            "VisibilityTimeout" => self.visibility_timeout = number(0, 43_200)?,
            "DelaySeconds" => self.delay = number(0, 900)?,
            "MaximumMessageSize" => self.maximum_message_size = number(1_024, MAXIMUM_MESSAGE_SIZE as u32)? as usize,
            "MessageRetentionPeriod" => self.retention = number(60, 1_209_600)?,
            "ReceiveMessageWaitTimeSeconds" => self.receive_wait = number(0, 20)?,
            "Policy" => self.policy = access_policy(value, &invalid)?,
            "RedrivePolicy" => self.redrive = redrive_policy(value)?,
            "RedriveAllowPolicy" => self.redrive_allow = redrive_allow_policy(value)?,
            "KmsMasterKeyId" => self.kms_key = Some(value.to_owned()).filter(|key| !key.is_empty()),
            "KmsDataKeyReusePeriodSeconds" => {
                // The default is not remembered, and so not echoed.
                self.kms_reuse = Some(number(60, 86_400)?).filter(|seconds| *seconds != 300);
            }
            "SqsManagedSseEnabled" => self.managed_sse = truth()?,
            "FifoQueue" => self.set_fifo_queue(truth()?)?,
            "ContentBasedDeduplication" => match &mut self.fifo {
                Some(fifo) => fifo.content_based_deduplication = truth()?,
                None => return Err(SqsError::unknown_attribute(name)),
            },
            "DeduplicationScope" | "FifoThroughputLimit" => {
                let Some(fifo) = &mut self.fifo else {
                    return Err(SqsError::invalid_attribute_name(format!(
                        "You can specify the {name} only when FifoQueue is set to true."
                    )));
                };
                match (name, value) {
                    ("DeduplicationScope", "queue") => fifo.scope = DeduplicationScope::Queue,
                    ("DeduplicationScope", "messageGroup") => fifo.scope = DeduplicationScope::MessageGroup,
                    ("FifoThroughputLimit", "perQueue") => fifo.limit = ThroughputLimit::PerQueue,
                    ("FifoThroughputLimit", "perMessageGroupId") => fifo.limit = ThroughputLimit::PerMessageGroupId,
                    _ => return Err(invalid()),
                }
            }
            _ => return Err(SqsError::unknown_attribute(name)),
        }
        Ok(())
    }

    fn set_fifo_queue(&mut self, wanted: bool) -> Result<(), SqsError> {
        match (self.fifo.is_some(), wanted) {
            (true, true) => Ok(()),
            (false, _) => Err(SqsError::unknown_attribute("FifoQueue")),
            (true, false) => Err(SqsError::invalid_attribute_value(
                "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
            )),
        }
    }

    /// The value of a settable attribute as the service echoes it; `None` where there is nothing to echo.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let fifo = self.fifo;
        match name {
            "VisibilityTimeout" => Some(self.visibility_timeout.to_string()),
            "DelaySeconds" => Some(self.delay.to_string()),
            "MaximumMessageSize" => Some(self.maximum_message_size.to_string()),
            "MessageRetentionPeriod" => Some(self.retention.to_string()),
            "ReceiveMessageWaitTimeSeconds" => Some(self.receive_wait.to_string()),
            "Policy" => self.policy.as_ref().map(AccessPolicy::text),
            "RedrivePolicy" => self.redrive.as_ref().map(RedrivePolicy::json),
            "RedriveAllowPolicy" => self.redrive_allow.as_ref().map(|policy| policy.json.clone()),
            "KmsMasterKeyId" => self.kms_key.clone(),
            "KmsDataKeyReusePeriodSeconds" => self.kms_reuse.map(|seconds| seconds.to_string()),
            "SqsManagedSseEnabled" => Some(self.managed_sse.to_string()),
            "FifoQueue" => fifo.map(|_| "true".to_owned()),
            "ContentBasedDeduplication" => fifo.map(|fifo| fifo.content_based_deduplication.to_string()),
            "DeduplicationScope" => fifo.map(|fifo| match fifo.scope {
                DeduplicationScope::Queue => "queue".to_owned(),
                DeduplicationScope::MessageGroup => "messageGroup".to_owned(),
            }),
            "FifoThroughputLimit" => fifo.map(|fifo| match fifo.limit {
                ThroughputLimit::PerQueue => "perQueue".to_owned(),
                ThroughputLimit::PerMessageGroupId => "perMessageGroupId".to_owned(),
            }),
            _ => None,
        }
    }

    /// The first of the wanted attributes in which these settings differ from `other`.
    pub(super) fn first_difference<'a>(&self, other: &QueueSettings, wanted: &'a Pairs<'_>) -> Option<&'a str> {
        wanted.iter().map(|(name, _)| name).find(|name| match *name {
            "RedrivePolicy" => {
                let essence = |settings: &QueueSettings| {
                    settings.redrive.as_ref().map(|policy| (policy.target.clone(), policy.max_receive_count))
                };
                essence(self) != essence(other)
            }
            "Policy" | "RedriveAllowPolicy" => meaning(self.get(name)) != meaning(other.get(name)),
            name => self.get(name) != other.get(name),
        })
    }
}

/// A JSON document without what whitespace and the order of its members add.
fn meaning(document: Option<String>) -> Option<serde_json::Value> {
    document.and_then(|document| serde_json::from_str(&document).ok())
}

fn access_policy(value: &str, invalid: &dyn Fn() -> SqsError) -> Result<Option<AccessPolicy>, SqsError> {
    if value.is_empty() {
        return Ok(None);
    }
    AccessPolicy::read(value).map(Some).ok_or_else(invalid)
}

/// A JSON object, or the complaint that goes with the parameter: that one is of another kind than those about members.
fn json_map(value: &str, parameter: &str, name: &str) -> Result<serde_json::Map<String, serde_json::Value>, SqsError> {
    match serde_json::from_str(value) {
        Ok(serde_json::Value::Object(map)) => Ok(map),
        _ => Err(SqsError::invalid_attribute_value(format!(
            "Invalid value for the parameter {parameter}. Reason: {name} is not a valid JSON map."
        ))),
    }
}

fn redrive_policy(value: &str) -> Result<Option<RedrivePolicy>, SqsError> {
    if value.is_empty() {
        return Ok(None);
    }
    let invalid = |reason: &str| SqsError::invalid_value(value, "RedrivePolicy", reason);
    let policy = json_map(value, "RedrivePolicy", "Redrive policy")?;
    let mandatory = |name: &str| {
        let lacking = || invalid(&format!("Redrive policy does not contain mandatory attribute: {name}."));
        policy.get(name).ok_or_else(lacking)
    };
    let count = mandatory("maxReceiveCount")?;
    let target = mandatory("deadLetterTargetArn")?;
    if policy.len() > 2 {
        return Err(invalid("Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount]."));
    }
    let number = count.as_u64().or_else(|| count.as_str()?.parse().ok()).filter(|count| (1..=1_000).contains(count));
    let Some(max_receive_count) = number else {
        let count = count.as_str().map_or_else(|| count.to_string(), str::to_owned);
        return Err(invalid(&format!(
            "Invalid value for maxReceiveCount: {count}, valid values are from 1 to 1000 both inclusive."
        )));
    };
    let target = target.as_str().ok_or_else(|| invalid("Invalid value for deadLetterTargetArn."))?;
    let max_receive_count = max_receive_count as u32;
    Ok(Some(RedrivePolicy { target: target.into(), max_receive_count, given: value.to_owned() }))
}

fn redrive_allow_policy(value: &str) -> Result<Option<RedriveAllowPolicy>, SqsError> {
    if value.is_empty() {
        return Ok(None);
    }
    let invalid = |reason: &str| SqsError::invalid_value(value, "RedriveAllowPolicy", reason);
    let policy = json_map(value, "RedriveAllowPolicy", "Redrive allow policy")?;
    let sources = match policy.get("sourceQueueArns") {
        None => None,
        Some(serde_json::Value::Array(arns)) => {
            let arns: Option<Vec<String>> = arns.iter().map(|arn| arn.as_str().map(str::to_owned)).collect();
            Some(arns.ok_or_else(|| invalid("sourceQueueArns must be a list of queue ARNs."))?)
        }
        Some(_) => return Err(invalid("sourceQueueArns must be a list of queue ARNs.")),
    };
    let permission = match (policy.get("redrivePermission").and_then(serde_json::Value::as_str), sources) {
        (Some("allowAll"), None) => RedrivePermission::AllowAll,
        (Some("denyAll"), None) => RedrivePermission::DenyAll,
        (Some("byQueue"), Some(arns)) if (1..=10).contains(&arns.len()) => RedrivePermission::ByQueue(arns),
        (Some("byQueue"), _) => return Err(invalid("byQueue takes between 1 and 10 sourceQueueArns.")),
        (Some("allowAll" | "denyAll"), Some(_)) => {
            return Err(invalid("sourceQueueArns can be given only when redrivePermission is byQueue."));
        }
        _ => return Err(invalid("redrivePermission must be one of allowAll, denyAll and byQueue.")),
    };
    let json = serde_json::from_str::<Document>(value).and_then(|document| serde_json::to_string(&document));
    Ok(Some(RedriveAllowPolicy { permission, json: json.unwrap_or_default() }))
}
