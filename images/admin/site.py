"""The site: its names, and the front page."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.utils.translation import gettext_lazy as _


class CatalogueSite(AdminSite):
    site_header = _("Image catalogue")
    site_title = _("Image catalogue")
    index_title = _("Overview")
    site_url = None  # the service has no other pages
    empty_value_display = "–"
