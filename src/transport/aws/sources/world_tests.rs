use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::{Arguments, ConfigError, SharedFiles, Sources};

/// Files on disk, gone with the value, and no environment.
struct World {
    folder: PathBuf,
    files: SharedFiles,
}

impl World {
    fn new(name: &str, config: &str) -> World {
        let folder = std::env::temp_dir().join(format!("turbosqs-credentials-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("config").to_str().unwrap().to_owned();
        let config = config.replace("FOLDER", folder.to_str().unwrap());
        std::fs::write(&path, &config).unwrap();
        World { folder, files: SharedFiles::parse(Some((path, config)), None).unwrap() }
    }

    async fn ask(&self) -> Result<Keys, Error> {
        let arguments = Arguments { region_name: Some("us-east-1".into()), ..Default::default() };
        let settings = crate::config::resolve(&arguments, self).unwrap();
        source(&settings.credentials, &settings.services).unwrap().find().await
    }

    async fn failure(&self) -> Error {
        self.ask().await.unwrap_err()
    }
}

impl Sources for World {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn variables(&self) -> Vec<(String, String)> {
        vec![]
    }

    fn files(&self) -> Result<&SharedFiles, ConfigError> {
        Ok(&self.files)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Answers each request by its first line.
async fn serve(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 64 * 1024];
            let length = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let (status, body) = answer(&request);
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
            let extra = "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n";
            let _ = stream.write_all(format!("{head}{extra}\r\n{body}").as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn keys_that_are_at_hand_are_used_as_they_are() {
    let pair = "aws_access_key_id = k\naws_secret_access_key = s\n";
    let keys =
        World::new("static", &format!("[default]\n{pair}aws_session_token = t\naws_account_id = 1\n")).ask().await;
    let keys = keys.unwrap();
    assert_eq!((keys.access_key_id(), keys.secret_access_key(), keys.session_token()), ("k", "s", Some("t")));
}

#[tokio::test]
async fn a_process_is_asked() {
    let output = r#"{"Version": 1, "AccessKeyId": "pk", "SecretAccessKey": "ps", "SessionToken": "pt"}"#;
    let world = World::new("process", "[default]\ncredential_process = cat FOLDER/out.json\n");
    std::fs::write(world.folder.join("out.json"), output).unwrap();
    let keys = world.ask().await.unwrap();
    assert_eq!((keys.access_key_id(), keys.secret_access_key(), keys.session_token()), ("pk", "ps", Some("pt")));
}

#[tokio::test]
async fn no_shell_reads_the_command_of_a_process() {
    let world =
        World::new("quoted", "[default]\ncredential_process = printf '%s' 'pa$$word `x` *' ; touch FOLDER/made\n");
    match world.failure().await {
        Error::Source(error) => match *error {
            SourceError::NotJson(text) => assert!(text.starts_with("pa$$word `x` *;touch"), "{text}"),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    assert!(!world.folder.join("made").exists());
}

#[tokio::test]
async fn a_process_that_fails_is_told() {
    let world = World::new("failing", "[default]\ncredential_process = sh -c 'echo no luck >&2; exit 3'\n");
    match world.failure().await {
        Error::Credentials { provider: "custom-process", detail } => assert_eq!(detail, "no luck\n"),
        other => panic!("{other:?}"),
    }
    let world = World::new("none", "[default]\ncredential_process = FOLDER/none\n");
    match world.failure().await {
        Error::Source(error) => assert!(matches!(*error, SourceError::System { number: 2, .. }), "{error:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_role_is_assumed_with_the_keys_of_another_profile() {
    let sts = serve(|request| {
        let asked = request.contains("Credential=base/") && request.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr");
        let status = if asked { 200 } else { 403 };
        let keys = "<AccessKeyId>ak</AccessKeyId><SecretAccessKey>as</SecretAccessKey><SessionToken>at</SessionToken>\
                    <Expiration>2099-01-01T00:00:00Z</Expiration>";
        let user = "<AssumedRoleUser><AssumedRoleId>i:s</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser>";
        let result = format!("<AssumeRoleResult><Credentials>{keys}</Credentials>{user}</AssumeRoleResult>");
        (status, format!("<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">{result}</AssumeRoleResponse>"))
    })
    .await;
    let config = format!(
        "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\nendpoint_url = http://{sts}\n\
         [profile base]\naws_access_key_id = base\naws_secret_access_key = s\n"
    );
    let keys = World::new("role", &config).ask().await.unwrap();
    assert_eq!((keys.access_key_id(), keys.session_token()), ("ak", Some("at")));
    assert!(keys.expiry().is_some());
}

#[tokio::test]
async fn a_role_that_is_denied_is_told() {
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message></Error>\
                </ErrorResponse>";
    let sts = serve(|_| (403, body.to_owned())).await;
    let config = format!(
        "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\nendpoint_url = http://{sts}\n\
         [profile base]\naws_access_key_id = base\naws_secret_access_key = s\n"
    );
    match World::new("denied", &config).failure().await {
        Error::Source(error) => assert_eq!(
            error.to_string(),
            "An error occurred (AccessDenied) when calling the AssumeRole operation: not you"
        ),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_web_identity_without_its_token_is_told() {
    let world = World::new("web", "[default]\nrole_arn = r\nweb_identity_token_file = FOLDER/none\n");
    match world.failure().await {
        Error::Source(error) => assert!(error.to_string().contains("[Errno 2] No such file"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn instance_metadata_is_asked() {
    let imds = serve(|request| match request.split(' ').nth(1) {
        Some("/latest/api/token") => (200, "token".into()),
        Some("/latest/meta-data/iam/security-credentials/") => (200, "role".into()),
        Some("/latest/meta-data/iam/security-credentials/role") => (
            200,
            r#"{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ik", "SecretAccessKey": "is", "Token": "it",
                "Expiration": "2099-01-01T00:00:00Z", "LastUpdated": "2026-01-01T00:00:00Z"}"#
                .into(),
        ),
        _ => (404, String::new()),
    })
    .await;
    let config = format!("[default]\nec2_metadata_service_endpoint = http://{imds}\n");
    let keys = World::new("metadata", &config).ask().await.unwrap();
    assert_eq!((keys.access_key_id(), keys.session_token()), ("ik", Some("it")));
}

#[tokio::test]
async fn a_machine_without_instance_metadata_has_no_credentials() {
    let imds = serve(|_| (404, String::new())).await;
    let config = format!("[default]\nec2_metadata_service_endpoint = http://{imds}\n");
    assert!(matches!(World::new("no-role", &config).failure().await, Error::NoCredentials));
    let refused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = format!("[default]\nec2_metadata_service_endpoint = http://{refused}\n");
    assert!(matches!(World::new("no-metadata", &config).failure().await, Error::NoCredentials));
}

/// Answers as a metadata service does that gives tokens with this status; what it was asked for is listed.
async fn metadata(status: u16, asked: Arc<std::sync::Mutex<Vec<String>>>) -> SocketAddr {
    serve(move |request| {
        let line = request.lines().next().unwrap_or_default().to_owned();
        let with_token = request.contains("x-aws-ec2-metadata-token: token");
        asked.lock().unwrap().push(format!("{line}{}", if with_token { " +token" } else { "" }));
        match request.split(' ').nth(1) {
            Some("/latest/api/token") => (status, "token".into()),
            Some("/latest/meta-data/iam/security-credentials/") => (200, "role".into()),
            _ => (
                200,
                r#"{"AccessKeyId": "ik", "SecretAccessKey": "is", "Token": "it", "Expiration": "2099-01-01T00:00:00Z"}"#
                    .into(),
            ),
        }
    })
    .await
}

#[tokio::test]
async fn without_a_token_version_1_is_asked_unless_that_is_forbidden() {
    for status in [200, 403, 404, 405, 500] {
        let asked = Arc::default();
        let config = format!(
            "[default]\nec2_metadata_service_endpoint = http://{}\n",
            metadata(status, Arc::clone(&asked)).await
        );
        let keys = World::new(&format!("v1-{status}"), &config).ask().await.unwrap();
        assert_eq!(keys.access_key_id(), "ik", "{status}");
        let with_token = asked.lock().unwrap().iter().filter(|line| line.ends_with("+token")).count();
        assert_eq!(with_token, if status == 200 { 2 } else { 0 }, "{status}");
        let config = format!("{config}ec2_metadata_v1_disabled = true\n");
        let result = World::new(&format!("v2-{status}"), &config).ask().await;
        match (status, result) {
            (200, result) => assert!(result.is_ok()),
            (_, Err(Error::Source(error))) => {
                assert!(error.to_string().contains("IMDSv1 has been disabled"), "{error}")
            }
            (_, other) => panic!("{other:?}"),
        }
    }
    // Not a metadata service at all.
    let config = format!("[default]\nec2_metadata_service_endpoint = http://{}\n", metadata(400, Arc::default()).await);
    assert!(matches!(World::new("v1-400", &config).failure().await, Error::NoCredentials));
}

#[test]
fn keys_that_no_header_can_carry_are_refused() {
    for found in ["line\nbreak", "nul\0"] {
        assert!(matches!(
            made("explicit", (found, "s"), None, None, None),
            Err(Error::Credentials { provider: "explicit", .. })
        ));
    }
}

/// The world, its keys' number, and how often a source was asked.
type Counted = Arc<std::sync::atomic::AtomicUsize>;

fn next(asked: &Counted) -> String {
    format!("key {}", asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1)
}

fn role_reply(key: &str, operation: &str, expiry: &str) -> String {
    format!(
        "<R><{operation}Result><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
         <SessionToken>t</SessionToken><Expiration>{expiry}</Expiration></Credentials></{operation}Result></R>"
    )
}

/// Under the load of many calls, the keys of each source are replaced before they run out: by one request, while the others
/// go on with what they have, and in the end by one that all wait for.
#[tokio::test]
async fn keys_are_replaced_in_mid_load() {
    use std::sync::atomic::Ordering;

    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    let milliseconds = (now + 9 * hour).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    // The answers live longer each time, as time goes on.
    for kind in ["role", "web identity", "single sign-on", "container", "metadata", "process"] {
        let asked = Counted::default();
        let counter = Arc::clone(&asked);
        let address = serve(move |request| {
            let count = u32::try_from(counter.load(Ordering::Relaxed)).unwrap();
            let expiry = written(now + (count + 1) * hour);
            let json = |key: &str| {
                format!(r#"{{"AccessKeyId": "{key}", "SecretAccessKey": "s", "Token": "t", "Expiration": "{expiry}"}}"#)
            };
            let body = match kind {
                "role" => role_reply(&next(&counter), "AssumeRole", &expiry),
                "web identity" => role_reply(&next(&counter), "AssumeRoleWithWebIdentity", &expiry),
                "single sign-on" => {
                    let expiration = milliseconds - u128::from(8 - count) * 3_600_000;
                    format!(
                        r#"{{"roleCredentials": {{"accessKeyId": "{}", "secretAccessKey": "s", "sessionToken": "t",
                            "expiration": {expiration}}}}}"#,
                        next(&counter)
                    )
                }
                "container" => json(&next(&counter)),
                _ if request.starts_with("PUT") => "token".to_owned(),
                _ if request.contains("security-credentials/ ") => "role".to_owned(),
                _ => json(&next(&counter)),
            };
            (200, body)
        })
        .await;
        let base = "[profile base]\naws_access_key_id = k\naws_secret_access_key = s\n";
        let config = match kind {
            "role" => format!("role_arn = r\nsource_profile = base\nendpoint_url = http://{address}\n{base}"),
            "web identity" => {
                format!("role_arn = r\nweb_identity_token_file = FOLDER/token\nendpoint_url = http://{address}\n")
            }
            "single sign-on" => format!(
                "sso_role_name = r\nsso_account_id = a\nsso_region = e\nsso_start_url = u\n\
                 endpoint_url = http://{address}\n"
            ),
            "metadata" => format!("ec2_metadata_service_endpoint = http://{address}\n"),
            "process" => "credential_process = sh FOLDER/program\n".to_owned(),
            _ => String::new(),
        };
        let world = World::new(&format!("load-{}", kind.replace(' ', "-")), &format!("[default]\n{config}"));
        std::fs::write(world.folder.join("token"), "token").unwrap();
        let expiries: Vec<_> = (1..4).map(|count| written(now + count * hour)).collect();
        let program = format!(
            "cd '{}'; echo x >> runs; n=$(wc -l < runs); set -- {}; shift $((n - 1)); \
             echo '{{\"Version\": 1, \"AccessKeyId\": \"key '$((n))'\", \"SecretAccessKey\": \"s\", \"Expiration\": \"'$1'\"}}'",
            world.folder.display(),
            expiries.join(" "),
        );
        std::fs::write(world.folder.join("program"), program).unwrap();
        let arguments = Arguments { region_name: Some("us-east-1".into()), ..Default::default() };
        let mut settings = crate::config::resolve(&arguments, &world).unwrap();
        match &mut settings.credentials {
            Credentials::Sso(sso) => {
                sso.cache = world.folder.to_str().unwrap().to_owned();
                let token = serde_json::json!({"accessToken": "a", "expiresAt": written(now + hour)});
                // SHA-1 of the start URL.
                tokens::save(&sso.cache, "51e69892ab49df85c6230ccc57f8e1d1606caccc", token.as_object().unwrap())
                    .unwrap();
            }
            credentials if kind == "container" => {
                let url = format!("http://{address}/");
                *credentials = Credentials::Container(crate::config::Container { url, token: None });
            }
            _ => {}
        }
        let source = source(&settings.credentials, &settings.services).unwrap();
        let kept = super::super::identity::CachedCredentials::new(source, settings.credentials.method());
        let key = async |minutes: u32| kept.credentials(now + minutes * 60 * Duration::from_secs(1)).await.unwrap();
        for (minutes, fetched, used) in
            [(0, "key 1", "key 1"), (44, "key 1", "key 1"), (46, "key 2", "key 1"), (111, "key 3", "key 3")]
        {
            let (first, second, third) = tokio::join!(key(minutes), key(minutes), key(minutes));
            let found = [first, second, third].map(|keys| keys.access_key_id().to_owned());
            assert_eq!(found, [fetched, used, used], "{kind} after {minutes} minutes");
        }
        if kind != "process" {
            assert_eq!(asked.load(Ordering::Relaxed), 3, "{kind}");
        }
    }
}
