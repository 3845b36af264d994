"""Django's admin as an app, with our site in place of its default one."""

from __future__ import annotations

from django.contrib.admin import apps


class AdminConfig(apps.AdminConfig):
    default_site = "images.admin.site.CatalogueSite"
