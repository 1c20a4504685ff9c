//! `credential_process`: a program that prints credentials. No shell reads its command line.

use std::process::{Command, Stdio};

use aws_credential_types::Credentials as Keys;
use serde_json::Value;

use super::{Finding, Source, made, object, required, retrieval, text, time};
use crate::config::{self, command_words};
use crate::protocol::error::{Error, SourceError};
use crate::runtime;

const METHOD: &str = "custom-process";

/// The keys that a program prints.
#[derive(Debug)]
pub(super) struct ProcessSource(config::Process);

impl ProcessSource {
    pub(super) fn new(process: &config::Process) -> ProcessSource {
        ProcessSource(process.clone())
    }
}

impl Source for ProcessSource {
    fn is_asked_first(&self) -> bool {
        true
    }

    fn find(&self) -> Finding<'_> {
        let command = self.0.command.clone();
        Box::pin(async move {
            // A thread that waits, and not tokio's own processes: they would handle SIGCHLD, which is the program's.
            let run = runtime::spawn_blocking(move || run(&command)).await;
            read(&run.map_err(|error| retrieval(METHOD, error.to_string()))??, self.0.account_id.as_deref())
        })
    }
}

/// What the program prints. It may ask a person, so there is no limit to how long it takes.
fn run(command: &str) -> Result<Vec<u8>, Error> {
    let Some(words) = command_words(command) else {
        return Err(SourceError::Value("No closing quotation".to_owned()).into());
    };
    let Some((program, arguments)) = words.split_first() else {
        return Err(SourceError::Value("credential_process names no program".to_owned()).into());
    };
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::inherit())
        .output()
        .map_err(|error| SourceError::of_system(&error, program))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(retrieval(METHOD, String::from_utf8_lossy(&output.stderr)))
}

/// `account_id`: the profile's, for a program that does not say whose its keys are.
fn read(output: &[u8], account_id: Option<&str>) -> Result<Keys, Error> {
    let found = object(METHOD, output)?;
    let version = match found.get("Version") {
        Some(Value::Number(number)) if number.as_f64() == Some(1.0) => None,
        Some(Value::String(version)) => Some(version.clone()),
        Some(Value::Null) => Some("None".to_owned()),
        Some(other) => Some(other.to_string()),
        None => Some("<Version key not provided>".to_owned()),
    };
    if let Some(version) = version {
        let message = format!("Unsupported version '{version}' for credential process provider, supported versions: 1");
        return Err(retrieval(METHOD, message));
    }
    let expiry = text(&found, "Expiration").map(|expiry| time(METHOD, expiry)).transpose()?;
    let pair = (required(METHOD, &found, "AccessKeyId")?, required(METHOD, &found, "SecretAccessKey")?);
    let account = text(&found, "AccountId").filter(|account| !account.is_empty()).or(account_id);
    made(METHOD, pair, text(&found, "SessionToken"), expiry, account)
}
