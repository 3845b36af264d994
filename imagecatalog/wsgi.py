"""The WSGI application of the service.

The service uses WSGI and threads because Django under ASGI would store a whole request body before
it calls the view.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from imagecatalog.identity import keystone
from images.formats import disks  # noqa: F401  # once, before the processes fork
from images.http import client_address, request_url

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imagecatalog.settings")
_django = get_wsgi_application()
if settings.IMAGECATALOG_AUTH == "keystone":
    _django = keystone.protect(_django)
LONGEST = 255  # characters of a media type (RFC 6838)
_BOUNDARY = re.compile(
    "boundary=(\"?)([0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-])\\1",
    re.IGNORECASE,
)


def application(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    """Answer a request with Django, after removing parameters from the Content-Type header.

    Django would decode the query string in the charset that the client declares, and fail for
    some charsets. It would also parse some parameters in quadratic time. Both would happen
    before a view is called. All text is UTF-8.

    The response to HEAD has the headers of the response to GET, but no body (RFC 9110 section
    9.3.2).
    """
    environ["CONTENT_TYPE"] = _plain(environ.get("CONTENT_TYPE", ""))
    request_url.keep_path(environ)
    environ[client_address.CLIENT] = client_address.client_of(environ)
    response = _django(environ, start_response)
    return _without_body(response) if environ["REQUEST_METHOD"] == "HEAD" else response


def _without_body(response: Any) -> Iterable[bytes]:
    if hasattr(response, "close"):
        response.close()
    return ()


def _plain(content_type: str) -> str:
    """Return a media type in lower case without its parameters; a multipart form keeps its boundary.

    See RFC 2046 section 5.1.1.
    """
    media_type, _, parameters = content_type.partition(";")
    media_type = media_type.strip().lower()[:LONGEST]
    if media_type == "multipart/form-data":
        for parameter in parameters.split(";"):
            if match := _BOUNDARY.fullmatch(parameter.strip()):
                return f'{media_type}; boundary="{match[2]}"'
    return media_type
