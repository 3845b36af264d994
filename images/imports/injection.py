"""The plugin that sets custom properties of images into which clients import data."""

from __future__ import annotations

from django.conf import settings

from images import lifecycle
from images.access import Caller
from images.attributes import Changes, is_internal
from images.failpoints import failpoint
from images.models import Image

INJECTION = "inject_image_metadata"


def inject(image: Image, actor: Caller) -> None:
    """Set the operator's properties of a locked image, whose import was just requested.

    Nothing is set for a caller with one of the ignored roles. Raises the errors of a change of
    properties.
    """
    if actor.roles.intersection(settings.IMAGECATALOG_INJECTION_IGNORED_ROLES):
        return
    if injected := properties():
        changes = lifecycle.clean_changes(Changes(properties=injected))
        lifecycle.change(image, changes, actor, configured=True)
        failpoint("injection.set")


def properties() -> dict[str, str]:
    """Return the properties that the plugin sets; empty if it is switched off."""
    if INJECTION not in settings.IMAGECATALOG_IMPORT_PLUGINS:
        return {}
    pairs = (pair.split(":", 1) for pair in settings.IMAGECATALOG_INJECTED_PROPERTIES)
    return {name: value for name, value in pairs if not is_internal(name)}
