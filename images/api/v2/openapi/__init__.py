"""The OpenAPI description of the Image API v2 and its extensions."""

from __future__ import annotations

from images.api.v2 import schemas
from images.api.v2.metadefs import openapi as metadefs
from images.api.v2.openapi import images, imports, service, transfers
from images.http import openapi
from images.http.openapi import Document


def paths() -> Document:
    """Return the OpenAPI operations of API v2: path -> method -> operation."""
    return {
        **openapi.tagged("Images", images.paths()),
        **openapi.tagged("Image data", transfers.paths()),
        **openapi.tagged("Import and tasks", imports.paths()),
        **openapi.tagged("Service", service.paths()),
        **openapi.tagged("Metadata definitions", metadefs.paths()),
    }


def components() -> Document:
    """Return the OpenAPI schemas of the bodies of API v2, by name."""
    written = {
        "Image": schemas.plain_image(),
        "Images": schemas.page("images", openapi.ref("Image")),
        "Member": schemas.member(),
        "Members": schemas.members(),
        "Task": schemas.task(),
        "Tasks": schemas.tasks(),
    }
    return {
        **openapi.schemas(written),
        **images.components(),
        **transfers.components(),
        **imports.components(),
        **metadefs.components(),
    }
