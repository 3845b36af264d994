"""The WSGI application. Uploads need threads: Django under ASGI spools a body before the view."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from imagecatalog.identity import keystone

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imagecatalog.settings")
_django = get_wsgi_application()
_CHARSET = re.compile(r";\s*charset=[^;]*", re.IGNORECASE)


def _application(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    """Django, for which all text is UTF-8 whatever a client declares.

    Otherwise it would read the query string in that charset, and fail on some before any
    view could answer.
    """
    environ["CONTENT_TYPE"] = _CHARSET.sub("", environ.get("CONTENT_TYPE", ""))
    return _django(environ, start_response)


application = _application
if settings.IMAGECATALOG_AUTH == "keystone":
    application = keystone.protect(_application)
