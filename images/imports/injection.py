"""The plugin that sets the operator's custom properties on images into which clients import data."""

from __future__ import annotations

from django.conf import settings

from images import lifecycle
from images.access import Caller
from images.attributes import Changes, is_managed
from images.failpoints import failpoint
from images.models import Image

INJECTION = "inject_image_metadata"


def inject(image: Image, actor: Caller) -> None:
    """Set the operator's configured properties on a locked image whose import was just requested.

    Nothing is set for a caller with one of the roles in IMAGECATALOG_INJECTION_IGNORED_ROLES.
    Raises the errors of ``lifecycle.change``.
    """
    if actor.roles.intersection(settings.IMAGECATALOG_INJECTION_IGNORED_ROLES):
        return
    if injected := properties():
        changes = lifecycle.clean_changes(Changes(properties=injected))
        lifecycle.change(image, changes, actor, configured=True)
        failpoint("injection.set")


def properties() -> dict[str, str]:
    """Return the properties that the plugin sets, by name; empty if the plugin is switched off."""
    if INJECTION not in settings.IMAGECATALOG_IMPORT_PLUGINS:
        return {}
    pairs = (pair.split(":", 1) for pair in settings.IMAGECATALOG_INJECTED_PROPERTIES)
    return {name: value for name, value in pairs if not is_managed(name)}
