"""The credentials for S3, which come from the environment variables of the cloud."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, NoReturn

from images.stores.faults import NO_CREDENTIALS

# Each of these is a source of credentials, or says that none are needed.
VARIABLES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_METADATA_ENDPOINT",
    "AWS_SKIP_SIGNATURE",
)
OPTIONS: Final = ("skip_signature", "metadata_endpoint")
ENDPOINTS: Final = ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")


def are_missing(options: Mapping[str, str]) -> bool:
    """Return whether a store with these options has an endpoint of its own, but no credentials.

    The names of the options are in lower case.

    Clients would ask the metadata service of the machine for credentials, which only Amazon's S3
    accepts. Without an endpoint the store is Amazon's, and the machine can have a role there.
    """
    own = any("endpoint" in name for name in options) or any(
        map(os.environ.get, ENDPOINTS)
    )
    given = any(map(os.environ.get, VARIABLES)) or any(
        name.endswith(OPTIONS) for name in options
    )
    return own and not given


def refuse() -> NoReturn:
    """Raise ValueError: there are no credentials."""
    raise ValueError(NO_CREDENTIALS)
