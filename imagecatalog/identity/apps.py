from __future__ import annotations

from django.apps import AppConfig
from django.contrib.auth import get_user_model
from django.db.models.signals import post_delete, post_save


class IdentityConfig(AppConfig):
    name = "imagecatalog.identity"

    def ready(self) -> None:
        from imagecatalog.identity import credentials, models

        for model in (get_user_model(), models.RoleAssignment):
            post_save.connect(credentials.forget, sender=model)
            post_delete.connect(credentials.forget, sender=model)
