"""Abort multipart uploads that dead processes have left behind in S3.

Their parts are invisible, but the owner of the bucket pays for them. obstore can neither list
nor abort multipart uploads. botocore can do both; it is large, so it is loaded only when
needed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

READ_TIMEOUT = 20  # seconds


def abort(url: str, options: Mapping[str, str], key: str) -> None:
    """Abort the multipart uploads of a key in the store at ``s3://bucket/prefix``.

    Errors are logged, not raised: a bucket that allows neither listing nor aborting uploads can
    have a lifecycle rule that aborts them (AbortIncompleteMultipartUpload). See
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
    """
    from botocore.exceptions import BotoCoreError, ClientError

    bucket = urlsplit(url).netloc
    name = "/".join(filter(None, [urlsplit(url).path.strip("/"), key]))
    try:
        client = _client(options.get("endpoint"), options.get("region"))
        listing = client.list_multipart_uploads(Bucket=bucket, Prefix=name)
        for upload in listing.get("Uploads", []):
            if upload["Key"] == name:
                client.abort_multipart_upload(
                    Bucket=bucket, Key=name, UploadId=upload["UploadId"]
                )
    except (BotoCoreError, ClientError) as error:
        log.warning(
            "Unfinished multipart uploads are left to the bucket's lifecycle rule: %s",
            error,
        )


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
