//! Queue attributes and the permissions kept in one of them.

use super::{no_members, no_output};
use crate::local::error::SqsError;
use crate::local::input::{Administration, Text, read, required};
use crate::local::message::Millis;
use crate::local::policy::{AccessPolicy, Permission};
use crate::local::queue::Queue;
use crate::local::reply::ReplyWriter;
use crate::local::service::{Caller, Service, is_account};
use crate::local::settings::{COMPUTED, SETTABLE};

impl Service {
    pub(super) fn get_queue_attributes(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let queue = self.queue_mut(id)?;
        let wanted = input.attribute_names.as_deref().unwrap_or_default();
        let known = || COMPUTED.iter().chain(&SETTABLE);
        let unknown = |name: &&Text<'_>| &***name != "All" && !known().any(|known| *known == &***name);
        if let Some(name) = wanted.iter().find(unknown) {
            return Err(SqsError::unknown_attribute(name));
        }
        let all = wanted.iter().any(|name| &**name == "All");
        let mut values = Vec::new();
        for name in known().filter(|known| all || wanted.iter().any(|name| **known == &**name)) {
            if let Some(value) = attribute(queue, name, now) {
                values.push((name, value));
            }
        }
        if values.is_empty() {
            return Ok(no_members());
        }
        let mut reply = ReplyWriter::object(1_024);
        reply.key("Attributes").open(b'{');
        for (name, value) in values {
            reply.key(name).text(&value);
        }
        reply.close(b'}');
        Ok(reply.finish())
    }

    pub(super) fn set_queue_attributes(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let wanted = required(&input.attributes, "Attributes")?;
        let queue = self.queue_mut(id)?;
        let settings = queue.settings.with(wanted)?;
        if wanted.get("RedrivePolicy").is_some() {
            self.check_redrive(&settings, id)?;
        }
        let queue = self.queue_mut(id)?;
        queue.set(settings, now);
        self.touched.push(id);
        Ok(no_output())
    }

    pub(super) fn add_permission(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let label = required(&input.label, "Label")?;
        let accounts = required(&input.account_ids, "AWSAccountIds")?;
        let actions = required(&input.actions, "Actions")?;
        check_permission(label, accounts, actions)?;
        let queue = self.queue_mut(id)?;
        let mut policy = queue.settings.policy.clone().unwrap_or_else(|| AccessPolicy::of_queue(&queue.arn));
        if policy.has(label) {
            return Err(SqsError::invalid_value(&**label, "Label", "Already exists."));
        }
        if policy.statements() >= 20 {
            return Err(SqsError::over_limit(format!(
                "{} statements were found, maximum allowed is 20.",
                policy.statements() + 1
            )));
        }
        policy.add(Permission {
            label,
            principals: accounts.iter().map(|account| format!("arn:aws:iam::{}:root", &**account)).collect(),
            actions: actions.iter().map(|action| format!("SQS:{}", &**action)).collect(),
            resource: &queue.arn,
        });
        queue.settings.policy = Some(policy);
        queue.modified_at = now;
        Ok(no_output())
    }

    pub(super) fn remove_permission(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let label = required(&input.label, "Label")?;
        let queue = self.queue_mut(id)?;
        let Some(policy) = queue.settings.policy.as_mut().filter(|policy| policy.has(label)) else {
            return Err(SqsError::invalid_value(&**label, "Label", "can't find label."));
        };
        policy.remove(label);
        // A policy without statements is no policy.
        if policy.statements() == 0 {
            queue.settings.policy = None;
        }
        queue.modified_at = now;
        Ok(no_output())
    }
}

fn attribute(queue: &mut Queue, name: &str, now: Millis) -> Option<String> {
    match name {
        "QueueArn" => Some(queue.arn.to_string()),
        "ApproximateNumberOfMessages" => Some(queue.counts(now).visible.to_string()),
        "ApproximateNumberOfMessagesNotVisible" => Some(queue.counts(now).in_flight.to_string()),
        "ApproximateNumberOfMessagesDelayed" => Some(queue.counts(now).delayed.to_string()),
        "CreatedTimestamp" => Some((queue.created_at / 1_000).to_string()),
        "LastModifiedTimestamp" => Some((queue.modified_at / 1_000).to_string()),
        name => queue.settings.get(name),
    }
}

/// What a permission can be given for. The batch actions go by their plain ones.
const GRANTABLE: [&str; 17] = [
    "*",
    "CancelMessageMoveTask",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
    "StartMessageMoveTask",
    "ChangeMessageVisibilityBatch",
    "DeleteMessageBatch",
    "SendMessageBatch",
    "ListQueues",
];

/// What only the owner may do.
const OWNERS: [&str; 7] =
    ["AddPermission", "CreateQueue", "DeleteQueue", "RemovePermission", "SetQueueAttributes", "TagQueue", "UntagQueue"];

fn check_permission(label: &str, accounts: &[Text<'_>], actions: &[Text<'_>]) -> Result<(), SqsError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=80).contains(&label.len()) || !label.bytes().all(allowed) {
        return Err(SqsError::invalid_value(
            label,
            "Label",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    if actions.is_empty() {
        return Err(SqsError::missing("Actions"));
    }
    if actions.len() > 7 {
        return Err(SqsError::over_limit(format!("{} Actions were found, maximum allowed is 7.", actions.len())));
    }
    for action in actions {
        let reason = match &**action {
            action if OWNERS.contains(&action) => "Only the queue owner is allowed to invoke this action.",
            action if GRANTABLE.contains(&action) => continue,
            _ => "Please refer to the appropriate WSDL for a list of valid actions.",
        };
        return Err(SqsError::invalid_value(format!("SQS:{}", &**action), "ActionName", reason));
    }
    if accounts.is_empty() || !accounts.iter().all(|account| is_account(account)) {
        let list: Vec<&str> = accounts.iter().map(|account| &**account).collect();
        return Err(SqsError::invalid_value(format!("[{}]", list.join(", ")), "PrincipalId", "Unable to verify."));
    }
    Ok(())
}
