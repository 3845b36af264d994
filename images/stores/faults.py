"""Messages for operators about failures of object stores, chosen by the text of the error."""

from __future__ import annotations

from typing import Final

NO_BUCKET: Final = "NoSuchBucket"
NO_CREDENTIALS: Final = "no credentials are set"
_SET_CREDENTIALS: Final = (
    "There are no credentials. Set the environment variables of the cloud, such as "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
)
_REGION: Final = "The bucket is in another region. Add it to the URL of the store, like ?region=eu-west-1."
# A text in an error -> what is wrong, and what to do.
SENTENCES: Final = {
    NO_BUCKET: "The bucket does not exist. Create the bucket, or correct its name in the URL of "
    "the store.",
    "InvalidAccessKeyId": "The object store does not know the access key. Correct "
    "AWS_ACCESS_KEY_ID.",
    "SignatureDoesNotMatch": "The secret of the access key is wrong. Correct "
    "AWS_SECRET_ACCESS_KEY, and check the clock of this machine.",
    "ExpiredToken": "The temporary credential has expired. Renew AWS_SESSION_TOKEN and its key.",
    "RequestTimeTooSkewed": "The clock of this machine is wrong. Synchronize it (NTP).",
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "AccessDenied": "The object store denies access. Allow the access key to list, read, write "
    "and delete in the bucket, or correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    NO_CREDENTIALS: _SET_CREDENTIALS,
    "169.254.": _SET_CREDENTIALS,  # addresses that a cloud asks for credentials
    "metadata.google.internal": _SET_CREDENTIALS,
    "invalid peer certificate": "The certificate of the endpoint cannot be verified. Renew it, "
    "or add its authority to those of this machine.",
    "Connection refused": "Nothing answers at the endpoint. Start the object store, or correct "
    "the endpoint in the URL of the store.",
    "dns error": "The host of the endpoint is unknown. Correct the endpoint in the URL of the "
    "store.",
}
UNKNOWN: Final = "The object store failed."


def sentence(error: BaseException) -> str:
    """Return what is wrong and what to do, for operators, by the error of an object store's client."""
    text = str(error)
    return next((SENTENCES[word] for word in SENTENCES if word in text), UNKNOWN)
