//! Over real sockets on the loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::{Arguments, ConfigError, Credentials, RetryMode, SharedFiles, Sources, resolve};
use crate::protocol::billing::Bill;
use crate::transport::Transport;
use crate::transport::aws::AwsTransport;

/// A machine without files and environment.
#[derive(Default)]
struct Nothing(SharedFiles);

impl Sources for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn variables(&self) -> Vec<(String, String)> {
        vec![]
    }

    fn files(&self) -> Result<&SharedFiles, ConfigError> {
        Ok(&self.0)
    }
}

fn settings(address: SocketAddr) -> Settings {
    let arguments = Arguments {
        region_name: Some("us-east-1".into()),
        endpoint_url: Some(format!("http://{address}")),
        aws_access_key_id: Some("id".into()),
        aws_secret_access_key: Some("secret".into()),
        aws_session_token: Some("token".into()),
        ..Default::default()
    };
    let mut settings = resolve(&arguments, &Nothing::default()).unwrap();
    settings.retries.mode = RetryMode::Standard;
    settings.retries.total_max_attempts = 3;
    settings
}

fn request() -> Request {
    let body = Bytes::from_static(b"{\"a\":1}");
    Request {
        action: Action::SendMessage,
        body,
        long_poll: Duration::ZERO,
        attempts: 0,
        not_after: None,
        trace: None,
        bill: Bill::default(),
    }
}

type Headers = BTreeMap<String, String>;

/// Answers each request with the next of the replies, which end in the last one; an empty one is none at all.
async fn serve(replies: &'static [&'static str]) -> (SocketAddr, Arc<Mutex<Vec<Headers>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = requests.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, from)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                loop {
                    let mut text = Vec::new();
                    while !text.ends_with(b"\r\n\r\n{\"a\":1}") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        text.push(byte);
                    }
                    let text = String::from_utf8(text).unwrap();
                    let lines = text.lines().filter_map(|line| line.split_once(": "));
                    let mut headers: Headers = lines.map(|(name, value)| (name.into(), value.into())).collect();
                    headers.insert("from".into(), from.to_string());
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(headers);
                        seen.len()
                    };
                    let reply = replies[(number - 1).min(replies.len() - 1)];
                    if !reply.is_empty() {
                        // Latin-1, so that each character is a byte.
                        let bytes: Vec<u8> = reply.chars().map(|character| character as u8).collect();
                        stream.write_all(&bytes).await.unwrap();
                    }
                }
            });
        }
    });
    (address, requests)
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-name: caf\u{e9}\r\n\r\n{}";
const BUSY: &str = "HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n";
const REFUSED: &str = "HTTP/1.1 400 X\r\ncontent-length: 2\r\n\r\n{}";
const SILENCE: &str = "";

#[tokio::test]
async fn attempts_of_an_operation_know_of_each_other() {
    let (address, requests) = serve(&[BUSY, BUSY, OK, OK]).await;
    let transport = AwsTransport::new(&settings(address), Arc::default()).unwrap();
    let reply = transport.send(request()).await.unwrap();
    assert_eq!((reply.attempts, reply.max_attempts, &*reply.body), (3, 3, b"{}".as_slice()));
    assert_eq!(reply.header("x-name").as_deref(), Some("caf\u{e9}"));
    transport.send(request()).await.unwrap();
    let requests = requests.lock().unwrap();
    let of = |name: &str| requests.iter().map(|headers| headers[name].clone()).collect::<Vec<_>>();
    let first = "attempt=1; max=3";
    assert_eq!(of("amz-sdk-request"), [first, "attempt=2; max=3", "attempt=3; max=3", first]);
    let ids = of("amz-sdk-invocation-id");
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
    assert_eq!(ids[0].len(), 36);
    let groups: Vec<_> = ids[0].split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert!(ids.iter().all(|id| id[14..].starts_with('4') && id[19..].starts_with(['8', '9', 'a', 'b'])), "{ids:?}");
}

#[tokio::test]
async fn a_refusal_is_final() {
    let (address, requests) = serve(&[REFUSED]).await;
    let error = AwsTransport::new(&settings(address), Arc::default()).unwrap().send(request()).await.unwrap_err();
    assert!(matches!(error, Error::Service(error) if error.reply.status == 400 && error.reply.attempts == 1));
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn both_call_paths_send_the_same_headers() {
    let (address, requests) = serve(&[OK]).await;
    let mut settings = settings(address);
    settings.user_agent.extra = Some("extra/1".into());
    for mode in [RetryMode::Standard, RetryMode::Adaptive] {
        settings.retries.mode = mode;
        AwsTransport::new(&settings, Arc::default()).unwrap().send(request()).await.unwrap();
    }
    let varying = ["amz-sdk-invocation-id", "authorization", "from", "user-agent", "x-amz-date"];
    let requests = requests.lock().unwrap();
    let [ours, mut sdk] = [0, 1].map(|at| requests[at].clone());
    // The SDK's copy of the User-Agent is for browsers, which do not let a page set that.
    assert!(sdk.remove("x-amz-user-agent").is_some());
    let names = |headers: &Headers| headers.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&sdk));
    for (name, value) in &ours {
        assert!(varying.contains(&name.as_str()) || *value == sdk[name], "{name}: {value} / {}", sdk[name]);
    }
    let tokens = |headers: &Headers| {
        let agent = headers["user-agent"].split(' ').filter(|token| !token.starts_with("m/"));
        agent.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(tokens(&ours), tokens(&sdk));
    assert!(ours["authorization"].contains(
        "/us-east-1/sqs/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target;x-amzn-query-mode, Signature="
    ));
}

#[tokio::test]
async fn anonymous_requests_are_not_signed() {
    let (address, requests) = serve(&[OK]).await;
    let mut settings = settings(address);
    settings.credentials = Credentials::Anonymous;
    AwsTransport::new(&settings, Arc::default()).unwrap().send(request()).await.unwrap();
    let headers = requests.lock().unwrap()[0].clone();
    assert_eq!(headers["x-amz-target"], "AmazonSQS.SendMessage");
    for name in ["authorization", "x-amz-date", "x-amz-security-token"] {
        assert!(!headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_does_not_leave_its_connection_to_others() {
    let (address, requests) = serve(&[OK, SILENCE, OK]).await;
    let transport = AwsTransport::new(&settings(address), Arc::default()).unwrap();
    transport.send(request()).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(100), transport.send(request())).await.is_err());
    for _ in 0..2 {
        transport.send(request()).await.unwrap();
    }
    let from: Vec<_> = requests.lock().unwrap().iter().map(|headers| headers["from"].clone()).collect();
    assert!(from[0] == from[1] && from[1] != from[2] && from[2] == from[3], "{from:?}");
}

#[tokio::test]
async fn a_long_poll_may_outlast_the_read_timeout() {
    let (address, _) = serve(&[SILENCE]).await;
    let mut settings = settings(address);
    settings.retries.total_max_attempts = 1;
    settings.read_timeout = Some(Duration::from_millis(50));
    let transport = AwsTransport::new(&settings, Arc::default()).unwrap();
    let request = Request { long_poll: Duration::from_millis(200), ..request() };
    let began = std::time::Instant::now();
    let error = transport.send(request).await.unwrap_err();
    assert!(matches!(&error, Error::Lost(lost) if lost.failure == Failure::ReadTimeout), "{error}");
    assert!((240..1000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

/// What must not be done after a moment is not tried again after it, however often the settings would try.
#[tokio::test]
async fn no_attempt_is_made_when_the_time_for_it_is_over() {
    for (left, attempts) in [(Duration::ZERO, 1), (Duration::from_secs(600), 3)] {
        let (address, requests) = serve(&[BUSY]).await;
        let transport = AwsTransport::new(&settings(address), Arc::default()).unwrap();
        let request = Request { not_after: Some(std::time::Instant::now() + left), ..request() };
        let error = transport.send(request).await.unwrap_err();
        assert!(matches!(&error, Error::Service(error) if error.reply.status == 503), "{error}");
        assert_eq!(requests.lock().unwrap().len(), attempts, "{left:?}");
    }
}

/// Of an attempt of which nothing is heard half of the time is waited for, whatever the read timeout says; so there is time for
/// another. All attempts of the SDK have the time of one.
#[tokio::test]
async fn an_attempt_of_which_nothing_is_heard_leaves_time_for_another() {
    for (mode, attempts) in [(RetryMode::Standard, 2), (RetryMode::Adaptive, 1)] {
        let (address, requests) = serve(&[SILENCE, OK]).await;
        let mut settings = settings(address);
        settings.retries.mode = mode;
        settings.read_timeout = Some(Duration::from_secs(600));
        let transport = AwsTransport::new(&settings, Arc::default()).unwrap();
        // The least that an attempt is given.
        let soon = std::time::Instant::now() + Duration::from_secs(2);
        let outcome = transport.send(Request { not_after: Some(soon), ..request() }).await;
        // A machine that was busy for long has had no time for the second.
        let late = std::time::Instant::now() > soon + Duration::from_millis(500);
        assert!(late || requests.lock().unwrap().len() == attempts, "{mode:?}");
        match outcome {
            Ok(reply) => assert_eq!((attempts, reply.attempts), (2, 2)),
            Err(Error::Lost(lost)) => assert!(lost.detail.contains("half of the time") && (late || attempts == 1)),
            Err(error) => panic!("{mode:?}: {error}"),
        }
    }
}
