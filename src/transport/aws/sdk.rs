//! aws-sdk-sqs as the call path of the `adaptive` retry mode, which has no other implementation worth having.
//!
//! The SDK signs and retries, over HTTP connections of our own (see [`crate::transport::http`]); its typed
//! inputs and outputs stay empty. One interceptor, set once on the client, swaps the serializer and the deserializer of
//! each operation: the former writes the caller's JSON bytes, the latter keeps the raw reply. Both find the
//! call that they belong to in a task-local, because the SDK runs an operation within one task. A reply that
//! is no success is also given to the operation's own deserializer, so that the SDK's retry classifiers see
//! the typed error that they know.

use std::cell::RefCell;
use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_sqs::config::interceptors::{
    BeforeSerializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{
    BehaviorVersion, IdentityCache, Intercept, Region, RuntimeComponents, StalledStreamProtectionConfig,
};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime::client::retries::RetryPartition;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{Input, InterceptorContext, OutputOrError};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction, RetryClassifierPriority};
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::ErrorKind;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::region::SigningRegion;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};

use super::identity::{self, Identity, Provider};
use super::retry::{self, Quota};
use super::{Endpoint, describe, operations, user_agent};
use crate::config::Settings;
use crate::log::{self, Topic};
use crate::model::Action;
use crate::protocol::billing::{self, Bill};
use crate::protocol::error::{Error, Failure, Lost, Retry, ServiceError};
use crate::protocol::headers::ReplyHeaders;
use crate::protocol::message::{Reply, Request};
use crate::stats::Stats;
use crate::transport::http::{failure, pool};
use crate::transport::{ResponseFuture, clock};

/// Stands in for an empty region, which is good for signing (some emulators do not care) and which the SDK's endpoint
/// rules refuse, although the endpoint is given.
const ANY_REGION: &str = "us-east-1";

/// See [`clock`]. The SDK goes by it in everything, the age of credentials included.
#[derive(Debug)]
struct SigningClock;

impl TimeSource for SigningClock {
    fn now(&self) -> SystemTime {
        clock::now()
    }
}

/// The SDK's client for one set of settings.
#[derive(Debug)]
pub(super) struct Sdk {
    client: aws_sdk_sqs::Client,
    max_attempts: u32,
    endpoint: Endpoint,
    /// For the entries of batches; the SDK keeps its own for requests.
    quota: Arc<Quota>,
    stats: Arc<Stats>,
}

impl Sdk {
    /// Cheap: nothing is connected, read or asked for before the first operation.
    pub(super) fn new(
        settings: &Settings,
        endpoint: Endpoint,
        identity: Option<Arc<Identity>>,
        stats: Arc<Stats>,
    ) -> Sdk {
        let http_client = pool::http_client(settings);
        let max_attempts = settings.retries.total_max_attempts;
        let mut config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(if settings.region.is_empty() { ANY_REGION } else { &settings.region }.to_owned()))
            .endpoint_url(endpoint.origin())
            .retry_config(RetryConfig::adaptive().with_max_attempts(max_attempts))
            .retry_classifier(BotocoreRules)
            // The SDK shares one retry quota among all clients of a process; botocore gives each client its own.
            .retry_partition(RetryPartition::custom("turbosqs").build())
            .timeout_config(timeouts(settings, Duration::ZERO))
            // The read timeout covers a reply that stalls.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(RawJson::new(settings, endpoint.target()))
            .identity_cache(IdentityCache::no_cache())
            .time_source(SigningClock)
            .http_client(http_client);
        config = match identity {
            Some(identity) => config.credentials_provider(Provider(identity)),
            None => config.allow_no_auth(),
        };
        let client = aws_sdk_sqs::Client::from_conf(config.build());
        Sdk { client, max_attempts, endpoint, quota: Arc::new(Quota::new()), stats }
    }

    /// See [`Transport::retry`](crate::transport::Transport::retry).
    pub(super) fn retry(&self, attempts: u32, why: Retry) -> Option<Duration> {
        retry::after(&self.quota, self.max_attempts, attempts, why)
    }

    /// See [`Transport::recovered`](crate::transport::Transport::recovered).
    pub(super) fn recovered(&self, why: Retry) {
        self.quota.recovered(why);
    }

    pub(super) fn url(&self) -> String {
        self.endpoint.0.clone()
    }

    pub(super) fn send(&self, request: Request) -> ResponseFuture<Reply> {
        let client = self.client.clone();
        let endpoint = self.endpoint.clone();
        let quota = Arc::clone(&self.quota);
        let (stats, bill) = (Arc::clone(&self.stats), request.bill);
        let call = SdkCall {
            action: request.action,
            body: request.body,
            long_poll: request.long_poll,
            trace: request.trace,
            bill,
            max_attempts: self.max_attempts,
            reply: RefCell::new(None),
            stats: Arc::clone(&self.stats),
        };
        Box::pin(CALL.scope(call, async move {
            let outcome = operations::dispatch(&client, request.action).await;
            let reply = CALL.with(|call| call.reply.take());
            match (outcome, reply) {
                (Ok(()), Some(reply)) => {
                    quota.succeeded();
                    stats.brought(bill, billing::brought(request.action, &reply));
                    Ok(reply)
                }
                (Err(Unanswered::Refused), Some(reply)) => {
                    Err(Error::Service(Box::new(ServiceError::from_reply(reply))))
                }
                (Err(Unanswered::Lost(failure, detail, proxy)), _) => {
                    let url = proxy.unwrap_or(endpoint.0);
                    Err(Error::Lost(Box::new(Lost { failure, url, detail })))
                }
                (Err(Unanswered::Error(error)), _) => Err(error),
                (Ok(()) | Err(Unanswered::Refused), None) => {
                    Err(Error::Runtime("the SDK reported a reply that its deserializer never saw".into()))
                }
            }
        }))
    }
}

/// Both are our connector's to keep, per connection and per read. A long poll is silence that was asked for.
fn timeouts(settings: &Settings, long_poll: Duration) -> TimeoutConfig {
    let mut builder = TimeoutConfig::builder().disable_operation_timeout().disable_operation_attempt_timeout();
    builder = match settings.connect_timeout {
        Some(timeout) => builder.connect_timeout(timeout),
        None => builder.disable_connect_timeout(),
    };
    builder = match settings.read_timeout {
        Some(timeout) => builder.read_timeout(timeout + long_poll),
        None => builder.disable_read_timeout(),
    };
    builder.build()
}

tokio::task_local! {
    static CALL: SdkCall;
}

/// One operation on its way through the SDK.
#[derive(Debug)]
pub(super) struct SdkCall {
    action: Action,
    body: Bytes,
    long_poll: Duration,
    trace: Option<Arc<str>>,
    bill: Bill,
    max_attempts: u32,
    reply: RefCell<Option<Reply>>,
    stats: Arc<Stats>,
}

/// Why there is no successful reply.
pub(super) enum Unanswered {
    /// There is a reply; it is a refusal.
    Refused,
    /// What happened, in words, and the proxy where it was the proxy.
    Lost(Failure, String, Option<String>),
    Error(Error),
}

impl Unanswered {
    pub(super) fn from_sdk<E: std::error::Error + Send + Sync + 'static>(error: SdkError<E, HttpResponse>) -> Self {
        // Missing credentials come as a failure to dispatch too.
        if let Some(error) = identity::failure(&error) {
            return Unanswered::Error(error);
        }
        match &error {
            SdkError::ServiceError(_) => Unanswered::Refused,
            SdkError::DispatchFailure(dispatch) => match dispatch.as_connector_error() {
                Some(connector) => Unanswered::Lost(
                    failure::classify(connector),
                    connector.source().map_or_else(|| connector.to_string(), describe),
                    failure::proxy_url(connector).map(str::to_owned),
                ),
                // The SDK's text would show the request, and with it the message.
                None => Unanswered::Lost(Failure::Connect, "no request can be made for this endpoint".into(), None),
            },
            _ => Unanswered::Error(Error::Runtime(describe(&error))),
        }
    }
}

/// The interceptor that makes the SDK carry our bytes.
#[derive(Debug)]
struct RawJson {
    serializer: SharedRequestSerializer,
    settings: Settings,
}

impl RawJson {
    fn new(settings: &Settings, target: String) -> Self {
        let serializer = SharedRequestSerializer::new(RawSerializer { target });
        RawJson { serializer, settings: settings.clone() }
    }
}

#[dyn_dispatch_hint]
impl Intercept for RawJson {
    fn name(&self) -> &'static str {
        "RawJson"
    }

    fn modify_before_serialization(
        &self,
        _context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let long_poll = CALL.with(|call| call.long_poll);
        let state = cfg.interceptor_state();
        if self.settings.region.is_empty() {
            state.store_put(SigningRegion::from(Region::from_static("")));
        }
        state.store_put(self.serializer.clone());
        state.store_put(SharedResponseDeserializer::new(RawDeserializer));
        if !long_poll.is_zero() {
            state.store_put(timeouts(&self.settings, long_poll));
        }
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        CALL.with(|call| {
            let attempt = cfg.load::<RequestAttempts>().map_or(1, RequestAttempts::attempts);
            call.stats.requested(call.action, attempt, call.bill);
            log::debug(Topic::Requests, || {
                format!("{}, attempt {attempt} of {}", call.action.operation().name, call.max_attempts)
            });
        });
        let headers = context.request_mut().headers_mut();
        let value = user_agent::complete(&self.settings.user_agent, headers.get(USER_AGENT).unwrap_or_default());
        headers.try_insert(USER_AGENT, value)?;
        if let Some(trace) = CALL.with(|call| call.trace.clone()) {
            headers.try_insert("x-amzn-trace-id", trace.to_string())?;
        }
        Ok(())
    }
}

/// Makes the SDK's request of the caller's JSON, as it is.
#[derive(Debug)]
struct RawSerializer {
    target: String,
}

impl SerializeRequest for RawSerializer {
    fn serialize_input(&self, _input: Input, _cfg: &mut ConfigBag) -> Result<HttpRequest, BoxError> {
        let (target, body) = CALL.with(|call| (operations::target(call.action), call.body.clone()));
        let request = http::Request::post(&self.target)
            .header(CONTENT_TYPE, const { HeaderValue::from_static("application/x-amz-json-1.0") })
            .header(const { HeaderName::from_static("x-amz-target") }, target)
            .header(const { HeaderName::from_static("x-amzn-query-mode") }, const { HeaderValue::from_static("true") })
            .header(CONTENT_LENGTH, body.len())
            .body(SdkBody::from(body))?;
        Ok(request.try_into()?)
    }
}

/// Keeps the reply as it is for the caller, and tells the SDK no more than whether it is a success.
#[derive(Debug)]
struct RawDeserializer;

impl DeserializeResponse for RawDeserializer {
    fn deserialize_nonstreaming_with_config(&self, response: &HttpResponse, cfg: &ConfigBag) -> OutputOrError {
        let attempts = cfg.load::<RequestAttempts>().map_or(1, RequestAttempts::attempts);
        CALL.with(|call| {
            call.reply.replace(Some(Reply {
                status: response.status().as_u16(),
                headers: ReplyHeaders::of(response.headers().iter_bytes()),
                body: Bytes::copy_from_slice(response.body().bytes().unwrap_or_default()),
                attempts,
                max_attempts: call.max_attempts,
                is_legacy: false,
            }));
            if response.status().is_success() {
                return operations::empty_output(call.action).map_err(OrchestratorError::other);
            }
            log::debug(Topic::Retries, || {
                let error = call.reply.borrow().clone().map(ServiceError::from_reply);
                let (name, status) = (call.action.operation().name, response.status().as_u16());
                let code = error.map(|error| error.code).unwrap_or_default();
                format!("{name}, attempt {attempts} of {}, has failed with {code} (status {status})", call.max_attempts)
            });
            operations::typed_error(call.action, response, cfg)
        })
    }
}

/// botocore's rules for replies, over the SDK's own; attempts without a reply are left to the SDK.
#[derive(Debug)]
struct BotocoreRules;

impl ClassifyRetry for BotocoreRules {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        if context.response().is_none() || !context.is_failed() {
            return RetryAction::NoActionIndicated;
        }
        let Some(reply) = CALL.with(|call| call.reply.borrow().clone()) else { return RetryAction::NoActionIndicated };
        match ServiceError::from_reply(reply).retry() {
            Some(Retry::Throttled) => RetryAction::throttling_error(),
            Some(Retry::Transient) => RetryAction::retryable_error(ErrorKind::TransientError),
            None => RetryAction::RetryForbidden,
        }
    }

    fn name(&self) -> &'static str {
        "botocore rules"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
