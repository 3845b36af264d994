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
        """Let the catalogue find projects, and clear cached identities and tokens as their rows change."""
        from imagecatalog.identity import models, projects, tokens, verification
        from images import access

        access.provide_projects(projects.find_id)

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
