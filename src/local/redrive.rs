//! Dead-letter queues: who may use which, and how messages get there.

use std::sync::Arc;

use super::error::SqsError;
use super::message::{Message, Millis};
use super::queue::Queue;
use super::service::{Service, parse_arn};
use super::settings::{QueueSettings, RedrivePermission};

impl Service {
    /// The queue into which this one's messages go, and after how many receives.
    pub(super) fn dead_letter_queue(&self, id: u32) -> Result<Option<(u32, u32)>, SqsError> {
        let Some(policy) = &self.queue(id)?.settings.redrive else { return Ok(None) };
        // A target that has been deleted since keeps nothing: messages stay where they are.
        Ok(self.find_by_arn(&policy.target).map(|target| (target, policy.max_receive_count)))
    }

    /// Puts messages that were given up by `source` into the dead-letter queue.
    pub(super) fn move_to_dead_letter_queue(
        &mut self,
        dead: Vec<Message>,
        source: Arc<str>,
        target: u32,
        now: Millis,
    ) -> Result<(), SqsError> {
        if dead.is_empty() {
            return Ok(());
        }
        let queue = self.queue_mut(target)?;
        for mut message in dead {
            message.extra.get_or_insert_default().dead_letter_source = Some(source.clone());
            queue.adopt(message, now);
        }
        self.touched.push(target);
        Ok(())
    }

    /// Whether the queue may have the redrive policy in these settings.
    pub(super) fn check_redrive(&self, settings: &QueueSettings, id: u32) -> Result<(), SqsError> {
        let arn = self.queue(id)?.arn.clone();
        self.check_redrive_of(settings, &arn)
    }

    pub(super) fn check_redrive_of(&self, settings: &QueueSettings, source: &str) -> Result<(), SqsError> {
        let Some(policy) = &settings.redrive else { return Ok(()) };
        let invalid = |reason: &str| Err(SqsError::invalid_value(&policy.given, "RedrivePolicy", reason));
        let Some((region, account, _)) = parse_arn(&policy.target) else {
            return invalid("Invalid value for deadLetterTargetArn.");
        };
        let Some((own_region, own_account, _)) = parse_arn(source) else { return Ok(()) };
        if (region, account) != (own_region, own_account) {
            return invalid("Dead letter target owner or region does not match the source's.");
        }
        let Some(target) = self.find_by_arn(&policy.target) else {
            return invalid("Dead letter target does not exist.");
        };
        let target = self.queue(target)?;
        if target.is_fifo() != settings.fifo.is_some() {
            return invalid("Dead-letter queue must be same type of queue as the source.");
        }
        let allowed = match target.settings.redrive_allow.as_ref().map(|policy| &policy.permission) {
            None | Some(RedrivePermission::AllowAll) => true,
            Some(RedrivePermission::DenyAll) => false,
            Some(RedrivePermission::ByQueue(arns)) => arns.iter().any(|arn| arn == source),
        };
        if allowed {
            Ok(())
        } else {
            invalid("The dead-letter queue's redrive allow policy does not allow this source.")
        }
    }

    /// The queues whose dead-letter queue this is.
    pub(super) fn sources_of(&self, arn: &str) -> Vec<&Queue> {
        let names_it = |queue: &&Queue| queue.settings.redrive.as_ref().is_some_and(|policy| &*policy.target == arn);
        self.queues().filter(names_it).collect()
    }
}
