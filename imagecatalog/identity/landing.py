"""The choice of the page of the admin that is shown after a sign-in."""

from __future__ import annotations

from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme


def landing(url: str) -> str:
    """Return ``url`` if it is a path of the admin; otherwise the path of the admin's front page."""
    first = reverse("admin:index")
    is_local = url_has_allowed_host_and_scheme(url, allowed_hosts=None)
    return url if is_local and url.startswith(first) else first
