"""The Django app configurations of the admin site and the images app."""

from __future__ import annotations

from django.apps import AppConfig
from django.apps import apps as installed
from django.contrib import admin
from django.contrib.admin import apps
from django.core.checks import Tags, register
from django.core.checks.registry import registry
from django.core.checks.security.base import check_secret_key
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class AdminConfig(apps.AdminConfig):
    """The app of Django's admin, with ``CatalogueSite`` as its site.

    At start it also registers the system checks, and the signal receivers that create the default
    groups of users and the database index for the search of images.
    """

    default_site = "imagecatalog.site.CatalogueSite"

    def ready(self) -> None:
        """Register the system checks and the receivers of Django's signal post_migrate.

        After a migration the receivers create the default groups of users, and the database index
        for the search of images.
        """
        super().ready()
        _hide_accounts()
        from imagecatalog import checks
        from images.admin import roles
        from images.console import CONFIGURATION
        from images.search import index

        for check in (
            checks.variables,
            checks.places,
            checks.rules,
            checks.protections,
            checks.properties,
            checks.remote_services,
            checks.certificates,
            checks.logo,
            checks.ldap_ca_file,
            checks.publish_key,
            checks.secret_key,
            checks.secret_files,
            checks.owner,
        ):
            register(check, CONFIGURATION)
        register(checks.interpreter, "interpreter", deploy=True)
        register(checks.public_url, Tags.security, deploy=True)
        # It would create the data folder and the key. `checks.secret_key` looks at a key that is set.
        registry.deployment_checks.discard(check_secret_key)
        register(checks.needed_stores, Tags.database)
        register(checks.search_index, Tags.database)
        # This receiver runs after that of django.contrib.auth, which creates the permissions.
        post_migrate.connect(roles.ensure, sender=installed.get_app_config("images"))
        post_migrate.connect(index.ensure, sender=installed.get_app_config("images"))


def _hide_accounts() -> None:
    """Remove the pages of django-allauth's models from the admin.

    They would always be empty, because this service does not use the tables of these models.
    """
    models = (
        model
        for config in installed.get_app_configs()
        if config.name.startswith("allauth.")
        for model in config.get_models()
    )
    for model in filter(admin.site.is_registered, models):
        admin.site.unregister(model)


class ImagesConfig(AppConfig):
    """The configuration of the Django app ``images``."""

    name = "images"
    verbose_name = _("Images")
