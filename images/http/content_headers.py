"""The check of headers that say that a request body is only a part of the data, or encoded."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest

from images import errors

# The last two are from the IETF's drafts of resumable uploads: some systems always send them.
PARTIAL: Final = {
    "HTTP_CONTENT_RANGE": None,  # with any value (RFC 9110 section 14.5)
    "HTTP_UPLOAD_COMPLETE": "?0",
    "HTTP_UPLOAD_INCOMPLETE": "?1",
}


class EncodedContent(errors.Invalid):
    """The error for a request body that is encoded, for example compressed (RFC 9110 section 8.4)."""

    code = "encoded-content"


def check_plain_and_whole(request: HttpRequest) -> None:
    """Raise an error if the headers say that a request body is not the whole data, unencoded.

    Raises Invalid if the body is only a part of the data, EncodedContent if it is encoded. Such
    a body, stored as the data, would silently corrupt the image.
    """
    for key, value in PARTIAL.items():
        sent = request.META.get(key)
        # The value of these fields can have parameters (RFC 9651 section 3.3).
        if sent is not None and value in (None, sent.partition(";")[0].strip()):
            name = key.removeprefix("HTTP_").replace("_", "-").title()
            raise errors.Invalid(
                f"The header {name} declares the body a part of the data. Send all of the "
                "data in one request without this header, or use a resumable upload."
            )
    coding = request.META.get("HTTP_CONTENT_ENCODING", "").strip()
    if coding.lower() not in ("", "identity"):
        raise EncodedContent(
            "Bodies with a Content-Encoding are not supported. Send the data as it is, "
            "without this header."
        )
