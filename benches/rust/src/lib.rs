//! A client of SQS as one writes it by hand for a program that sends: hyper on one connection, bodies by serde_json,
//! signatures by aws-sigv4, credentials that do not change.
//!
//! Its requests are turbosqs's, header by header. It is quicker than what most programs can do with, for it has no
//! retries, no timeouts, no batching, no credentials that expire, no telemetry and no second connection.

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

pub type Error = Box<dyn std::error::Error + Send + Sync>;

const JSON: &str = "application/x-amz-json-1.0";
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const QUERY_MODE: HeaderName = HeaderName::from_static("x-amzn-query-mode");
const INVOCATION: HeaderName = HeaderName::from_static("amz-sdk-invocation-id");
const ATTEMPT: HeaderName = HeaderName::from_static("amz-sdk-request");

/// One connection to an endpoint, with what signs its requests.
pub struct Client {
    connection: SendRequest<Full<Bytes>>,
    url: String,
    host: HeaderValue,
    region: String,
    identity: Identity,
}

/// An operation's parameters.
trait Input: Serialize {
    const TARGET: &'static str;
    type Output: DeserializeOwned;
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage<'a> {
    queue_url: &'a str,
    message_body: &'a str,
}

/// What SQS says of a message that it has taken.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SentMessage {
    pub message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    pub md5_of_message_body: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessageBatch<'a> {
    queue_url: &'a str,
    entries: &'a [Entry<'a>],
}

/// A message of a batch.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry<'a> {
    pub id: String,
    pub message_body: &'a str,
}

/// What SQS says of a batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SentBatch {
    #[serde(default)]
    pub successful: Vec<SentEntry>,
    #[serde(default)]
    pub failed: Vec<RefusedEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SentEntry {
    pub id: String,
    pub message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    pub md5_of_message_body: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RefusedEntry {
    pub id: String,
    pub code: String,
    pub message: Option<String>,
    pub sender_fault: bool,
}

impl Input for SendMessage<'_> {
    const TARGET: &'static str = "AmazonSQS.SendMessage";
    type Output = SentMessage;
}

impl Input for SendMessageBatch<'_> {
    const TARGET: &'static str = "AmazonSQS.SendMessageBatch";
    type Output = SentBatch;
}

/// A reply that is no success.
#[derive(Debug)]
struct RefusedError {
    status: StatusCode,
    body: Bytes,
}

impl fmt::Display for RefusedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server has refused: {} {}", self.status, self.body.escape_ascii())
    }
}

impl std::error::Error for RefusedError {}

impl Client {
    /// Connects to an endpoint by plain HTTP; the connection is served by the runtime that this is called on.
    pub async fn connect(endpoint: &str, region: &str, credentials: Credentials) -> Result<Client, Error> {
        let uri: Uri = endpoint.parse()?;
        let authority = uri.authority().ok_or("an endpoint needs a host")?;
        if uri.scheme_str() != Some("http") {
            return Err("only plain HTTP is spoken here".into());
        }
        let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80))).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        // What goes wrong with it is also what the request says that was under way.
        tokio::spawn(driver);
        Ok(Client {
            connection,
            url: format!("http://{authority}/"),
            host: HeaderValue::from_str(authority.as_str())?,
            region: region.to_owned(),
            identity: credentials.into(),
        })
    }

    pub async fn send_message(&mut self, queue_url: &str, body: &str) -> Result<SentMessage, Error> {
        self.call(&SendMessage { queue_url, message_body: body }).await
    }

    pub async fn send_message_batch(&mut self, queue_url: &str, entries: &[Entry<'_>]) -> Result<SentBatch, Error> {
        self.call(&SendMessageBatch { queue_url, entries }).await
    }

    async fn call<I: Input>(&mut self, input: &I) -> Result<I::Output, Error> {
        let request = self.signed::<I>(serde_json::to_vec(input)?)?;
        self.connection.ready().await?;
        let response = self.connection.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status != StatusCode::OK {
            return Err(RefusedError { status, body }.into());
        }
        Ok(serde_json::from_slice(&body)?)
    }

    fn signed<I: Input>(&self, body: Vec<u8>) -> Result<Request<Full<Bytes>>, Error> {
        let signable = SignableRequest::new(
            "POST",
            self.url.as_str(),
            [
                ("content-type", JSON),
                ("host", self.host.to_str()?),
                ("x-amz-target", I::TARGET),
                ("x-amzn-query-mode", "true"),
            ]
            .into_iter(),
            SignableBody::Bytes(&body),
        )?;
        let params = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name("sqs")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let (instructions, _) = sign(signable, &params)?.into_parts();
        let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(QUERY_MODE, HeaderValue::from_static("true"));
        headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
        headers.insert(TARGET, HeaderValue::from_static(I::TARGET));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(INVOCATION, HeaderValue::try_from(id.to_string())?);
        headers.insert(ATTEMPT, HeaderValue::from_static("attempt=1; max=1"));
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = http::Method::POST;
        *request.headers_mut() = headers;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// As long as turbosqs's.
const USER_AGENT_VALUE: &str =
    "aws-sdk-rust/1.7.0 ua/2.1 api/sqs/1.119.0 os/linux lang/rust/1.95.0 m/E,N md/hand-written";
