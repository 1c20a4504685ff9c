//! Keys in environment variables with a time at which they expire (`AWS_CREDENTIAL_EXPIRATION`): whoever wrote them writes
//! new ones before that, into the environment of this process.

use aws_credential_types::Credentials as Keys;

use super::{Finding, Preparing, Source, made_of, time};
use crate::config::{self, EnvironmentKeys};
use crate::protocol::error::{Error, SourceError};

const METHOD: &str = "env";

/// The keys of the environment, read anew when they run out.
#[derive(Debug)]
pub(super) struct EnvironmentSource;

impl EnvironmentSource {
    fn read() -> Result<Keys, Error> {
        let found = EnvironmentKeys::find(&config::System::default()).map_err(gone)?;
        let expiration = found.expiration.as_deref().ok_or_else(|| gone(EnvironmentKeys::EXPIRATION))?;
        let unreadable = |_| SourceError::Value(format!("Unknown string format: {expiration}"));
        made_of(&found.keys, Some(time(METHOD, expiration).map_err(unreadable)?))
    }
}

impl Source for EnvironmentSource {
    fn find(&self) -> Finding<'_> {
        Box::pin(std::future::ready(EnvironmentSource::read()))
    }

    fn prepare(&self) -> Preparing<'_> {
        Box::pin(std::future::ready(EnvironmentSource::read().map(drop)))
    }
}

/// A variable says nothing when the keys are read anew.
fn gone(cred_var: &'static str) -> Error {
    let kwargs = vec![("provider", METHOD.to_owned()), ("cred_var", cred_var.to_owned())];
    let text = format!("Partial credentials found in {METHOD}, missing: {cred_var}");
    SourceError::Named { class: "PartialCredentialsError", kwargs, text }.into()
}
