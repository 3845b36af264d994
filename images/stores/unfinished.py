"""Multipart uploads that have not ended in S3, such as uploads by processes that have died.

Their parts are invisible, but the owner of the bucket pays for them. obstore can neither list
nor abort multipart uploads. botocore can do both; it is large, so it is loaded only when
needed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from images.errors import StoreError
from images.stores import credentials

log = logging.getLogger(__name__)

READ_TIMEOUT = 20  # seconds


@dataclass(frozen=True)
class Upload:
    """A multipart upload that has not ended."""

    bucket: str
    name: str  # the key, with the prefix of the store
    upload_id: str
    begun_at: datetime | None  # None if the server does not tell


def uploads(url: str, options: Mapping[str, str], key: str = "") -> Iterator[Upload]:
    """Yield the multipart uploads in the store at ``s3://bucket/prefix`` that have not ended.

    With ``key``, only uploads of this key, and of all keys in a folder of that name. Raises
    StoreError, also if the bucket does not allow listing uploads.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
    """
    bucket = urlsplit(url).netloc
    name = "/".join(filter(None, [urlsplit(url).path.strip("/"), key]))
    with _errors():
        pages = _client_of(options).get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=bucket, Prefix=name):
            for found in page.get("Uploads", []):
                # The server compares beginnings of keys: "images" is one of "images-2/x", too.
                if name in ("", found["Key"]) or found["Key"].startswith(f"{name}/"):
                    yield Upload(
                        bucket, found["Key"], found["UploadId"], found.get("Initiated")
                    )


def abort(url: str, options: Mapping[str, str], key: str) -> None:
    """Abort the multipart uploads of a key, and of all keys in a folder of that name.

    Errors are logged, not raised: a bucket that allows neither listing nor aborting uploads can
    have a lifecycle rule that aborts them (AbortIncompleteMultipartUpload).
    """
    try:
        for upload in uploads(url, options, key):
            with _errors():
                _client_of(options).abort_multipart_upload(
                    Bucket=upload.bucket, Key=upload.name, UploadId=upload.upload_id
                )
    except StoreError as error:
        log.warning(
            "Unfinished multipart uploads are left to the bucket's lifecycle rule: %s",
            error.__cause__,
        )


@contextmanager
def _errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, ValueError) as error:
        raise StoreError(
            "The object store does not list or abort multipart uploads."
        ) from error


def _client_of(options: Mapping[str, str]) -> Any:
    """Return the client for a store with these options. Raises ValueError without credentials."""
    if credentials.are_missing(options):
        credentials.refuse()
    return _client(options.get("endpoint"), options.get("region"))


@lru_cache(maxsize=8)
def _client(endpoint: str | None, region: str | None) -> Any:
    from botocore.config import Config
    from botocore.session import get_session

    settings = Config(
        connect_timeout=5,
        read_timeout=READ_TIMEOUT,
        retries={"total_max_attempts": 2},
        s3={"addressing_style": "path"},
    )
    return get_session().create_client(
        "s3",
        endpoint_url=endpoint or os.environ.get("AWS_ENDPOINT"),
        region_name=region or os.environ.get("AWS_REGION"),
        config=settings,
    )
