"""The page of the admin to which a sign-in leads."""

from __future__ import annotations

from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme


def landing(url: str) -> str:
    """Return a URL that somebody asked for, if it is a path of the admin, else its first page."""
    first = reverse("admin:index")
    is_local = url_has_allowed_host_and_scheme(url, allowed_hosts=None)
    return url if is_local and url.startswith(first) else first
