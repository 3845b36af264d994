"""The name, logo and banner on the pages of the admin, which operators configure; the footer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from images.operations import health

MEDIA_TYPES: Final = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
LARGEST: Final = 1 << 20  # bytes
KEPT: Final = 300  # seconds for which browsers keep the logo


def context() -> dict[str, Any]:
    """Return the name, the banner and the URL of the logo, for each page. Without queries."""
    return {
        "site_header": settings.IMAGECATALOG_SITE_NAME,
        "site_title": settings.IMAGECATALOG_SITE_NAME,
        "site_banner": settings.IMAGECATALOG_SITE_BANNER,
        "logo_url": reverse("admin:logo")
        if settings.IMAGECATALOG_SITE_LOGO
        else static("images/icon.svg"),
    }


def footer() -> dict[str, Any]:
    """Return the contents of the footer: version, state of the workers, and time zone.

    The state is a function, because it costs a query, and not all pages have a footer.
    """
    return {
        "version": settings.IMAGECATALOG_VERSION,
        "workers": workers,
        "time_zone": timezone.get_current_timezone_name(),
    }


def workers() -> dict[str, Any]:
    """Return the state of the background workers: ``is_well`` and a text. One query."""
    texts = {
        "running": _("running"),
        "paused": _("paused"),
        "silent": _("none has reported"),
    }
    try:
        state = health.worker_state()
    except Error:
        return {"is_well": False, "text": _("unknown")}
    return {"is_well": state == "running", "text": texts[state]}


def logo(request: HttpRequest) -> HttpResponse:
    """Return the file of the setting IMAGECATALOG_SITE_LOGO, also to users who are not signed in.

    Raises Http404 if the setting is empty, or if its file is no image, too large or unreadable.
    """
    path = Path(settings.IMAGECATALOG_SITE_LOGO or "none")
    media_type = MEDIA_TYPES.get(path.suffix.lower())
    try:
        if media_type is None or path.stat().st_size > LARGEST:
            raise Http404
        data = path.read_bytes()
    except OSError:
        raise Http404 from None
    headers = {"Cache-Control": f"max-age={KEPT}"}
    return HttpResponse(data, content_type=media_type, headers=headers)
