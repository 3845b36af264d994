from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register


class ImagesConfig(AppConfig):
    name = "images"

    def ready(self) -> None:
        from imagecatalog import checks

        register(checks.variables)
