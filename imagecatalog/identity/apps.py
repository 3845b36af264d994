"""The configuration of the Django app for users, projects, roles, credentials and tokens."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth import get_user_model
from django.db.models.signals import post_delete, post_save
from django.utils.translation import gettext_lazy as _


class IdentityConfig(AppConfig):
    """The configuration of the Django app ``imagecatalog.identity``."""

    name = "imagecatalog.identity"
    verbose_name = _("Identity")

    def ready(self) -> None:
        """Connect the app with the catalogue and with Django's signals.

        The catalogue can then find projects, sign-ins to the admin are recorded, and cached
        identities and tokens are cleared as their rows change.
        """
        from imagecatalog.identity import (
            admin_sign_ins,
            models,
            projects,
            tokens,
            verification,
        )
        from images import access

        access.provide_projects(projects.find_id)
        admin_sign_ins.connect()

        senders = (
            get_user_model(),
            models.RoleAssignment,
            models.ApplicationCredential,
            models.RevokedToken,
            models.TokenGeneration,
        )
        for sender in senders:
            for signal in (post_save, post_delete):
                signal.connect(verification.forget, sender=sender)
                signal.connect(tokens.forget, sender=sender)
