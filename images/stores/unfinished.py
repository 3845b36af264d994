"""What a process that died while it wrote to S3 has left there: parts of an object that never was.

Nobody sees them, and the bucket's owner pays for them. obstore can neither list nor abort
multipart uploads. botocore can; it is loaded here, only when it is needed, as it is large.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

PATIENCE = 20  # seconds


def abort(url: str, options: Mapping[str, str], key: str) -> None:
    """Abort the multipart uploads of this key in the store at ``s3://bucket/prefix``.

    A bucket that does not let us list or abort them is said in the log, and is no failure:
    its lifecycle rule (AbortIncompleteMultipartUpload) does the same after a while.
    See https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
    """
    from botocore.exceptions import BotoCoreError, ClientError

    place = urlsplit(url)
    name = "/".join(filter(None, [place.path.strip("/"), key]))
    try:
        client = _client(options.get("endpoint"), options.get("region"))
        found = client.list_multipart_uploads(Bucket=place.netloc, Prefix=name)
        for upload in found.get("Uploads", []):
            if upload["Key"] == name:
                client.abort_multipart_upload(
                    Bucket=place.netloc, Key=name, UploadId=upload["UploadId"]
                )
    except (BotoCoreError, ClientError) as error:
        log.warning("unfinished uploads are left to the bucket's rule: %s", error)


@lru_cache(maxsize=8)
def _client(endpoint: str | None, region: str | None) -> Any:
    from botocore.config import Config
    from botocore.session import get_session

    settings = Config(
        connect_timeout=5,
        read_timeout=PATIENCE,
        retries={"total_max_attempts": 2},
        s3={"addressing_style": "path"},
    )
    return get_session().create_client(
        "s3",
        endpoint_url=endpoint or os.environ.get("AWS_ENDPOINT"),
        region_name=region or os.environ.get("AWS_REGION"),
        config=settings,
    )
