//! The credentials of a container: one request to an address that its environment names. No proxy sees it: it carries a
//! token that is good for the credentials.

use std::time::Duration;

use aws_credential_types::Credentials as Keys;
use aws_smithy_types::body::SdkBody;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Request, StatusCode};

use super::services::{connection_error, uri};
use super::{Finding, Source, made, required, retrieval, text, time};
use crate::config::{self, ContainerToken, Proxies, Verify};
use crate::protocol::error::{Error, SourceError};
use crate::transport::http::pool::Pool;

const METHOD: &str = "container-role";
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// The keys of a container's role.
#[derive(Debug)]
pub(super) struct ContainerSource {
    container: config::Container,
    pool: Pool,
}

impl ContainerSource {
    pub(super) fn new(container: &config::Container) -> ContainerSource {
        ContainerSource { container: container.clone(), pool: Pool::to_source(Verify::Yes, Proxies::default()) }
    }

    async fn ask(&self) -> Result<Keys, Error> {
        let authorization = self.authorization()?;
        uri(&self.container.url)?;
        let mut attempt = 1;
        let found = loop {
            match self.attempt(authorization.clone()).await {
                Ok(found) => break found,
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
            tokio::time::sleep(PAUSE).await;
        };
        let required = |name: &str| required(METHOD, &found, name);
        let expiry = time(METHOD, required("Expiration")?)?;
        let pair = (required("AccessKeyId")?, required("SecretAccessKey")?);
        made(METHOD, pair, Some(required("Token")?), Some(expiry), text(&found, "AccountId"))
    }

    /// Read anew for each request: the file is replaced now and then.
    fn authorization(&self) -> Result<Option<HeaderValue>, Error> {
        let token = match &self.container.token {
            None => return Ok(None),
            Some(ContainerToken::Text(token)) => token.clone(),
            Some(ContainerToken::File(path)) => {
                std::fs::read_to_string(path).map_err(|error| SourceError::of_system(&error, path))?
            }
        };
        let mut value = HeaderValue::from_str(&token)
            .map_err(|_| Error::from(SourceError::Value("Auth token value is not a legal header value".to_owned())))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    async fn attempt(
        &self,
        authorization: Option<HeaderValue>,
    ) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
        let mut request = Request::new(SdkBody::empty());
        *request.uri_mut() = uri(&self.container.url)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization);
        }
        let response = self.pool.send(request, Some(TIMEOUT), Some(TIMEOUT)).await.map_err(|failed| {
            let error = connection_error(&failed, &self.container.url);
            retrieval(
                METHOD,
                format!("{WORDS}: Received error when attempting to retrieve container metadata: {error}"),
            )
        })?;
        let (status, body) = (response.status(), response.into_body());
        if status != StatusCode::OK {
            let text = String::from_utf8_lossy(&body);
            let status = status.as_u16();
            return Err(retrieval(
                METHOD,
                format!("{WORDS}: Received non 200 response {status} from container metadata: {text}"),
            ));
        }
        match serde_json::from_slice(&body) {
            Ok(serde_json::Value::Object(found)) => Ok(found),
            _ => Err(retrieval(
                METHOD,
                format!("{WORDS}: Unable to parse JSON returned from container metadata services"),
            )),
        }
    }
}

/// botocore puts the text of one exception into another.
const WORDS: &str = "Error retrieving metadata";

impl Source for ContainerSource {
    fn is_asked_first(&self) -> bool {
        true
    }

    fn find(&self) -> Finding<'_> {
        Box::pin(self.ask())
    }
}
