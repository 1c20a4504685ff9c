"""botocore's exceptions, for a process without botocore.

``turbosqs.exceptions`` hands these out only where botocore cannot be imported. Names, bases, attributes and texts are
botocore's, so that a handler written for boto3 needs no change; a test compares each with the original.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .types import ErrorResponse


def _rebuild(cls, args, kwargs):  # type: ignore[no-untyped-def]
    """Unpickle an exception whose constructor takes keywords; pickle itself passes positions only."""
    return cls(*args, **kwargs)


class BotoCoreError(Exception):
    """The base of everything that is not the service's own refusal.

    Attributes:
        fmt: the text, with a field for each keyword argument of the constructor.
        kwargs: those arguments.
    """

    fmt = "An unspecified error occurred"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(self.fmt.format(**kwargs))
        self.kwargs = kwargs

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.__class__, (), self.kwargs)


class ClientError(Exception):
    """The service refused a request.

    Attributes:
        response: the reply as a dict; ``response["Error"]["Code"]`` and ``["Message"]`` say what was wrong.
        operation_name: ``SendMessage`` and so on.
    """

    MSG_TEMPLATE = (
        "An error occurred ({error_code}) when calling the {operation_name} operation{retry_info}: {error_message}"
    )

    response: ErrorResponse
    operation_name: str

    def __init__(self, error_response: Any, operation_name: str) -> None:
        error = error_response.get("Error", {})
        super().__init__(
            self.MSG_TEMPLATE.format(
                error_code=error.get("Code", "Unknown"),
                error_message=error.get("Message", "Unknown"),
                operation_name=operation_name,
                retry_info=self._get_retry_info(error_response),
            )
        )
        self.response = error_response
        self.operation_name = operation_name

    def _get_retry_info(self, response: ErrorResponse) -> str:
        metadata: Any = response.get("ResponseMetadata", {})
        if metadata.get("MaxAttemptsReached") and "RetryAttempts" in metadata:
            return f" (reached max retries: {metadata['RetryAttempts']})"
        return ""

    def __reduce__(self) -> tuple[object, ...]:
        # The modelled subclasses are made at run time and no module holds them: they unpickle as ClientError.
        return ClientError, (self.response, self.operation_name)


class DataNotFoundError(BotoCoreError):
    """There is no such service or version."""

    fmt = "Unable to load data for: {data_path}"


class UnknownServiceError(DataNotFoundError):
    """There is no service of that name."""

    fmt = "Unknown service: '{service_name}'. Valid service names are: {known_service_names}"


class HTTPClientError(BotoCoreError):
    """Something went wrong after the connection was made.

    Attributes:
        request: what was sent, where known.
        response: what came back, where known.
    """

    fmt = "An HTTP Client raised an unhandled exception: {error}"

    def __init__(self, request: object = None, response: object = None, **kwargs: Any) -> None:
        self.request = request
        self.response = response
        super().__init__(**kwargs)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.__class__, (self.request, self.response), self.kwargs)


class ConnectionError(BotoCoreError):  # noqa: A001
    """No connection could be made."""

    fmt = "An HTTP Client failed to establish a connection: {error}"


class EndpointConnectionError(ConnectionError):
    """Nobody answers at the endpoint: a wrong host or port, or no network."""

    fmt = 'Could not connect to the endpoint URL: "{endpoint_url}"'


class SSLError(ConnectionError):
    """The endpoint's certificate was not accepted, or TLS failed otherwise."""

    fmt = "SSL validation failed for {endpoint_url} {error}"


class ConnectTimeoutError(ConnectionError):
    """No connection within ``Config(connect_timeout=)``."""

    fmt = 'Connect timeout on endpoint URL: "{endpoint_url}"'


class ProxyConnectionError(ConnectionError):
    """The proxy could not be reached."""

    fmt = 'Failed to connect to proxy URL: "{proxy_url}"'


class ConnectionClosedError(HTTPClientError):
    """The other side hung up before it had answered."""

    fmt = 'Connection was closed before we received a valid response from endpoint URL: "{endpoint_url}".'


class ReadTimeoutError(HTTPClientError):
    """No answer within ``Config(read_timeout=)``."""

    fmt = 'Read timeout on endpoint URL: "{endpoint_url}"'


class ResponseStreamingError(HTTPClientError):
    """The answer broke off in the middle."""

    fmt = "An error occurred while reading from response stream: {error}"


class IncompleteReadError(BotoCoreError):
    """The answer was shorter than it had said."""

    fmt = "{actual_bytes} read, but total bytes expected is {expected_bytes}."


class NoCredentialsError(BotoCoreError):
    """No credentials: not in the arguments, the environment, the shared files or anywhere else in the chain."""

    fmt = "Unable to locate credentials"


class PartialCredentialsError(BotoCoreError):
    """One half of a key pair was given without the other."""

    fmt = "Partial credentials found in {provider}, missing: {cred_var}"


class CredentialRetrievalError(BotoCoreError):
    """A source of credentials (a process, a role, a metadata service) failed."""

    fmt = "Error when retrieving credentials from {provider}: {error_msg}"


class MetadataRetrievalError(BotoCoreError):
    """The instance or container metadata service failed."""

    fmt = "Error retrieving metadata: {error_msg}"


class TokenRetrievalError(BotoCoreError):
    """A bearer token could not be fetched."""

    fmt = "Error when retrieving token from {provider}: {error_msg}"


class SSOError(BotoCoreError):
    """Single sign-on gave no credentials."""

    fmt = "An unspecified error happened when resolving AWS credentials or an access token from SSO."


class SSOTokenLoadError(SSOError):
    """The cached single sign-on token could not be read."""

    fmt = "Error loading SSO Token: {error_msg}"


class UnauthorizedSSOTokenError(SSOError):
    """The single sign-on session has ended."""

    fmt = (
        "The SSO session associated with this profile has expired or is otherwise invalid. "
        "To refresh this SSO session run aws sso login with the corresponding profile."
    )


class LoginError(BotoCoreError):
    """A login to the console gave no credentials."""

    fmt = "An unspecified error happened when resolving AWS credentials or refreshing a login session profile."


class LoginRefreshRequired(LoginError):  # noqa: N818
    """The login has ended."""

    fmt = "Your session has expired or credentials have changed. Please reauthenticate using 'aws login'."


class LoginInsufficientPermissions(LoginError):  # noqa: N818
    """The user of the login may not have credentials."""

    fmt = (
        "Unable to create or refresh login credentials due to insufficient permissions. "
        "You may be missing permission for the 'signin:CreateOAuth2Token' action."
    )


class LoginTokenLoadError(LoginError):
    """The cached token of a login could not be read."""

    fmt = "Error loading login session token: {error_msg}"


class RefreshWithMFAUnsupportedError(BotoCoreError):
    """The role needs a code from a device, which nobody is there to type."""

    fmt = "Cannot refresh credentials: MFA token required."


class InvalidConfigError(BotoCoreError):
    """The shared configuration contradicts itself."""

    fmt = "{error_msg}"


class InfiniteLoopConfigError(InvalidConfigError):
    """Profiles name each other as their source."""

    fmt = (
        "Infinite loop in credential configuration detected. Attempting to load from profile {source_profile} "
        "which has already been visited. Visited profiles: {visited_profiles}"
    )


class UnknownSignatureVersionError(BotoCoreError):
    """There is no such way of signing."""

    fmt = "Unknown Signature Version: {signature_version}."


class UnsupportedSignatureVersionError(BotoCoreError):
    """There is such a way of signing, but not here."""

    fmt = "Signature version(s) are not supported: {signature_version}"


class BaseEndpointResolverError(BotoCoreError):
    """The base of what can go wrong in finding the endpoint."""


class NoRegionError(BaseEndpointResolverError):
    """No region: not in the arguments, the environment or the profile."""

    fmt = "You must specify a region."


class EndpointVariantError(BaseEndpointResolverError):
    """The endpoint has no FIPS or dual-stack form."""

    fmt = "Unable to construct a modeled endpoint with the following variant(s) {tags}: "


class UnknownEndpointError(BaseEndpointResolverError, ValueError):
    """The service has no endpoint in that region."""

    fmt = "Unable to construct an endpoint for {service_name} in region {region_name}"


class UnknownFIPSEndpointError(BaseEndpointResolverError):
    """The service has no FIPS endpoint in that region."""

    fmt = (
        'The provided FIPS pseudo-region "{region_name}" is not known for the service "{service_name}". '
        "A FIPS compliant endpoint cannot be constructed."
    )


class InvalidEndpointConfigurationError(BotoCoreError):
    """Endpoint settings that exclude each other."""

    fmt = "Invalid endpoint configuration: {msg}"


class EndpointProviderError(BotoCoreError):
    """The base of what can go wrong in the endpoint rules."""

    fmt = "{msg}"


class EndpointResolutionError(EndpointProviderError):
    """The endpoint rules refused the settings."""

    fmt = "{msg}"


class ProfileNotFound(BotoCoreError):  # noqa: N818
    """Neither shared file has that profile."""

    fmt = "The config profile ({profile}) could not be found"


class ConfigNotFound(BotoCoreError):  # noqa: N818
    """The shared file is not there."""

    fmt = "The specified config file ({path}) could not be found."


class ConfigParseError(BotoCoreError):
    """The shared file is there and is no INI file."""

    fmt = "Unable to parse config file: {path}"


class ValidationError(BotoCoreError):
    """A setting has a value that it cannot have."""

    fmt = "Invalid value ('{value}') for param {param} of type {type_name} "


class InvalidRegionError(ValidationError, ValueError):
    """The region cannot be part of a host name."""

    fmt = "Provided region_name '{region_name}' doesn't match a supported format."


class ParamValidationError(BotoCoreError):
    """The arguments of a call do not fit the operation; ``report`` lists every problem."""

    fmt = "Parameter validation failed:\n{report}"


class PaginationError(BotoCoreError):
    """The service gave the same continuation token twice, or paging was asked for what the operation cannot do."""

    fmt = "Error during pagination: {message}"


class OperationNotPageableError(BotoCoreError):
    """The operation has no pages."""

    fmt = "Operation cannot be paginated: {operation_name}"


class UnknownClientMethodError(BotoCoreError):
    """The client has no method of that name."""

    fmt = "Client does not have method: {method_name}"


class MissingDependencyException(BotoCoreError):  # noqa: N818
    """An optional package is needed for what was asked."""

    fmt = "Missing Dependency: {msg}"


class InvalidRetryConfigurationError(BotoCoreError):
    """``Config(retries=)`` has a key that means nothing."""

    fmt = (
        'Cannot provide retry configuration for "{retry_config_option}". '
        "Valid retry configuration options are: {valid_options}"
    )


class InvalidMaxRetryAttemptsError(InvalidRetryConfigurationError):
    """The number of attempts is too small or no number."""

    fmt = (
        'Value provided to "max_attempts": {provided_max_attempts} must be an integer '
        "greater than or equal to {min_value}."
    )


class InvalidRetryModeError(InvalidRetryConfigurationError):
    """There is no such retry mode."""

    fmt = 'Invalid value provided to "mode": "{provided_retry_mode}" must be one of: {valid_modes}'


class InvalidS3AddressingStyleError(BotoCoreError):
    """``Config(s3=)`` has an addressing style that S3 does not have."""

    fmt = "S3 addressing style {s3_addressing_style} is invalid. Valid options are: 'auto', 'virtual', and 'path'"


class InvalidProxiesConfigError(BotoCoreError):
    """``Config(proxies_config=)`` has values that mean nothing."""

    fmt = "Invalid configuration value(s) provided for proxies_config."


class InvalidDefaultsMode(BotoCoreError):  # noqa: N818
    """There is no such defaults mode."""

    fmt = "Client configured with invalid defaults mode: {mode}. Valid defaults modes include: {valid_modes}."


class InvalidSTSRegionalEndpointsConfigError(BotoCoreError):
    """``sts_regional_endpoints`` is neither ``legacy`` nor ``regional``."""

    fmt = (
        "STS regional endpoints option {sts_regional_endpoints_config} is invalid. "
        'Valid options are: "legacy", "regional"'
    )


class InvalidS3UsEast1RegionalEndpointConfigError(BotoCoreError):
    """``us_east_1_regional_endpoint`` is neither ``legacy`` nor ``regional``."""

    fmt = (
        "S3 us-east-1 regional endpoint option {s3_us_east_1_regional_endpoint_config} is invalid. "
        'Valid options are: "legacy", "regional"'
    )


class InvalidChecksumConfigError(BotoCoreError):
    """A checksum setting is neither ``when_supported`` nor ``when_required``."""

    fmt = "Unsupported configuration value for {config_key}. Expected one of {valid_options} but got {config_value}."


class InvalidIMDSEndpointError(BotoCoreError):
    """The address given for the instance metadata service is none."""

    fmt = "Invalid endpoint EC2 Instance Metadata endpoint: {endpoint}"


class InvalidIMDSEndpointModeError(BotoCoreError):
    """The mode given for the instance metadata service is none."""

    fmt = "Invalid EC2 Instance Metadata endpoint mode: {mode} Valid endpoint modes (case-insensitive): {valid_modes}."


class Boto3Error(Exception):
    """The base of boto3's own exceptions, none of which the SQS client raises; for ``except`` clauses that name it."""


# What users see and what pickles refer to is ``turbosqs.exceptions``: an exception pickled here unpickles as botocore's
# class where botocore is installed.
for _class in [value for value in globals().values() if isinstance(value, type)]:
    _class.__module__ = "turbosqs.exceptions"
del _class
