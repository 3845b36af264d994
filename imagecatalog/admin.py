"""Configurations of the apps: the admin site, names of apps, roles and system checks."""

from __future__ import annotations

import axes.apps
from django.apps import AppConfig
from django.apps import apps as installed
from django.contrib.admin import apps
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class AdminConfig(apps.AdminConfig):
    """The admin app with the site of the catalogue, which also registers checks and roles."""

    default_site = "imagecatalog.site.CatalogueSite"

    def ready(self) -> None:
        """Register the system checks, and the default groups after each migration."""
        super().ready()
        from imagecatalog import checks
        from images.admin import roles
        from images.console import CONFIGURATION

        for check in (
            checks.variables,
            checks.places,
            checks.rules,
            checks.protections,
            checks.properties,
            checks.remote_services,
            checks.certificates,
            checks.secret_key,
            checks.secret_files,
            checks.owner,
        ):
            register(check, CONFIGURATION)
        register(checks.interpreter, "interpreter", deploy=True)
        register(checks.needed_stores, Tags.database)
        # This receiver runs after that of django.contrib.auth, which creates the permissions.
        post_migrate.connect(roles.ensure, sender=installed.get_app_config("images"))


class ImagesConfig(AppConfig):
    """The app of the images."""

    name = "images"
    verbose_name = _("Images")


class SignInsConfig(axes.apps.AppConfig):  # type: ignore[misc]
    """The app of django-axes, under the name "Sign-ins"."""

    verbose_name = _("Sign-ins")
