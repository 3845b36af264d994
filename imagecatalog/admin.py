"""Django's admin as an app, with our site in place of its default one, and our roles."""

from __future__ import annotations

from django.apps import apps as installed
from django.contrib.admin import apps
from django.db.models.signals import post_migrate


class AdminConfig(apps.AdminConfig):
    default_site = "imagecatalog.site.CatalogueSite"

    def ready(self) -> None:
        super().ready()
        from images.admin import roles

        # Behind the receiver of django.contrib.auth, which makes the permissions.
        post_migrate.connect(roles.ensure, sender=installed.get_app_config("images"))
