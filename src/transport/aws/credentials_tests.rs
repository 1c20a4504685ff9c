use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::{Arguments, ConfigError, SharedFiles, Sources};
use crate::error::Error as Failure;

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

    async fn ask(&self) -> Result<Keys, CredentialsError> {
        let arguments = Arguments { region_name: Some("us-east-1".into()), ..Default::default() };
        let settings = crate::config::resolve(&arguments, self).unwrap();
        provider(&settings).unwrap().provide_credentials().await
    }

    async fn failure(&self) -> Failure {
        failure(&self.ask().await.unwrap_err()).unwrap()
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
    assert_eq!(keys.account_id().map(|id| id.as_str()), Some("1"));
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
async fn a_process_that_fails_is_told() {
    let world = World::new("failing", "[default]\ncredential_process = echo no luck >&2; exit 3\n");
    match world.failure().await {
        Failure::Credentials { provider: "custom-process", detail } => {
            assert!(detail.contains("no luck"), "{detail}");
        }
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
        Failure::Credentials { provider: "assume-role", detail } => {
            assert!(detail.contains("AccessDenied") && detail.contains("not you"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_web_identity_without_its_token_is_told() {
    let world = World::new("web", "[default]\nrole_arn = r\nweb_identity_token_file = FOLDER/none\n");
    match world.failure().await {
        Failure::Credentials { provider: "assume-role-with-web-identity", detail } => {
            assert!(detail.contains("No such file"), "{detail}");
        }
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
    assert!(matches!(World::new("no-role", &config).failure().await, Failure::NoCredentials));
    let refused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = format!("[default]\nec2_metadata_service_endpoint = http://{refused}\n");
    assert!(matches!(World::new("no-metadata", &config).failure().await, Failure::NoCredentials));
}

#[tokio::test]
async fn nothing_is_nothing() {
    let world = World::new("missing", "[default]\n");
    let arguments = Arguments { region_name: Some("us-east-1".into()), ..Default::default() };
    let mut settings = crate::config::resolve(&arguments, &world).unwrap();
    settings.credentials = Credentials::Missing;
    let error = provider(&settings).unwrap().provide_credentials().await.unwrap_err();
    assert!(matches!(failure(&error), Some(Failure::NoCredentials)));
    settings.credentials = Credentials::Anonymous;
    assert!(provider(&settings).is_none());
}

#[test]
fn other_errors_are_not_ours() {
    assert!(failure(&std::fmt::Error).is_none());
}

#[test]
fn an_owners_keys_are_those_of_the_moment() {
    let handed = Handed::default();
    let owner = FromOwner::new(handed.clone());
    assert!(matches!(failure(&owner.credentials().unwrap_err()), Some(Failure::NoCredentials)));
    let set = |access_key: &str, token: Option<&str>| {
        let (access_key, token) = (access_key.to_owned(), token.map(str::to_owned));
        handed.set(StaticCredentials {
            access_key,
            secret_key: "s".into(),
            token,
            account_id: None,
            method: "explicit",
        });
    };
    set("first", None);
    let first = owner.credentials().unwrap();
    assert_eq!(first.access_key_id(), "first");
    // The signer derives a key for each allocation.
    assert!(Arc::ptr_eq(&first, &owner.credentials().unwrap()));
    set("second", Some("token"));
    let second = owner.credentials().unwrap();
    assert_eq!((second.access_key_id(), second.session_token()), ("second", Some("token")));
    set("line\nbreak", None);
    assert!(matches!(failure(&owner.credentials().unwrap_err()), Some(Failure::Credentials { .. })));
}
