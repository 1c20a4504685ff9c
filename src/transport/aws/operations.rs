//! The SDK's operations by action: how each is sent, what its header is, what an empty output of its type is.

use aws_sdk_sqs::Client;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{Output, OutputOrError};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use aws_smithy_types::config_bag::ConfigBag;
use http::HeaderValue;

use super::sdk::Unanswered;
use crate::model::Action;

/// `Action, sdk_module, OutputType;`, and in brackets the members without which the SDK builds no output.
macro_rules! operations {
    ($($action:ident, $module:ident, $output:ident $([$($required:ident),+])?;)+) => {
        /// Send the operation of this action; what it carries is the [`super::sdk::SdkCall`] of this task.
        pub(super) async fn dispatch(client: &Client, action: Action) -> Result<(), Unanswered> {
            match action {
                $(Action::$action => match client.$module().send().await {
                    Ok(_) => Ok(()),
                    Err(error) => Err(Unanswered::from_sdk(error)),
                },)+
            }
        }

        /// The `x-amz-target` header.
        pub(super) fn target(action: Action) -> HeaderValue {
            match action {
                $(Action::$action => const { HeaderValue::from_static(concat!("AmazonSQS.", stringify!($action))) },)+
            }
        }

        /// What the SDK is told came back; it must be of the operation's own type.
        pub(super) fn empty_output(action: Action) -> Result<Output, BoxError> {
            match action {
                $(Action::$action => {
                    let builder = aws_sdk_sqs::operation::$module::$output::builder();
                    operations!(@build builder $([$($required),+])?)
                })+
            }
        }

        /// What the operation's own deserializer makes of a reply.
        pub(super) fn typed_error(action: Action, response: &HttpResponse, cfg: &ConfigBag) -> OutputOrError {
            let layer = match action {
                $(Action::$action => aws_sdk_sqs::operation::$module::$action::new().config(),)+
            };
            match layer.as_ref().and_then(|layer| layer.load::<SharedResponseDeserializer>()) {
                Some(own) => own.deserialize_nonstreaming_with_config(response, cfg),
                None => Err(OrchestratorError::other("the operation came without a deserializer")),
            }
        }
    };
    (@build $builder:ident) => { Ok(Output::erase($builder.build())) };
    (@build $builder:ident [$($required:ident),+]) => {
        Ok(Output::erase($builder$(.$required(Some(Vec::new())))+.build()?))
    };
}

operations! {
    AddPermission, add_permission, AddPermissionOutput;
    CancelMessageMoveTask, cancel_message_move_task, CancelMessageMoveTaskOutput;
    ChangeMessageVisibility, change_message_visibility, ChangeMessageVisibilityOutput;
    ChangeMessageVisibilityBatch, change_message_visibility_batch, ChangeMessageVisibilityBatchOutput [set_successful, set_failed];
    CreateQueue, create_queue, CreateQueueOutput;
    DeleteMessage, delete_message, DeleteMessageOutput;
    DeleteMessageBatch, delete_message_batch, DeleteMessageBatchOutput [set_successful, set_failed];
    DeleteQueue, delete_queue, DeleteQueueOutput;
    GetQueueAttributes, get_queue_attributes, GetQueueAttributesOutput;
    GetQueueUrl, get_queue_url, GetQueueUrlOutput;
    ListDeadLetterSourceQueues, list_dead_letter_source_queues, ListDeadLetterSourceQueuesOutput [set_queue_urls];
    ListMessageMoveTasks, list_message_move_tasks, ListMessageMoveTasksOutput;
    ListQueueTags, list_queue_tags, ListQueueTagsOutput;
    ListQueues, list_queues, ListQueuesOutput;
    PurgeQueue, purge_queue, PurgeQueueOutput;
    ReceiveMessage, receive_message, ReceiveMessageOutput;
    RemovePermission, remove_permission, RemovePermissionOutput;
    SendMessage, send_message, SendMessageOutput;
    SendMessageBatch, send_message_batch, SendMessageBatchOutput [set_successful, set_failed];
    SetQueueAttributes, set_queue_attributes, SetQueueAttributesOutput;
    StartMessageMoveTask, start_message_move_task, StartMessageMoveTaskOutput;
    TagQueue, tag_queue, TagQueueOutput;
    UntagQueue, untag_queue, UntagQueueOutput;
}
