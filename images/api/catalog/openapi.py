"""The OpenAPI description of the catalogue's own API."""

from __future__ import annotations

from images.api.catalog import (
    family_openapi,
    job_openapi,
    retention_openapi,
)
from images.api.catalog.features import FeatureViewSet
from images.api.catalog.image_digests import (
    IMAGES,
    SHOWN,
    ImageDigestViewSet,
    SameImageViewSet,
)
from images.api.catalog.quotas import QuotaViewSet
from images.http import openapi
from images.http.openapi import (
    NOT_EMPTY,
    NUMBER,
    NUMBER_OR_NULL,
    OBJECT,
    PAGE_LINKS,
    PAGING,
    TEXT,
    TEXT_OR_NULL,
    UUID,
    Document,
    answer,
    fields,
    json_body,
    many,
    operation,
    parameter,
    ref,
)
from images.transfers import limits

QUOTAS = "/catalog/v1/quotas"


def paths() -> Document:
    """Return the OpenAPI operations of ``/catalog/v1``: path -> method -> operation."""
    features = fields("features", "version", features=OBJECT, version=TEXT)
    about = operation(FeatureViewSet.list, {200: answer(features)})
    return {
        **openapi.tagged("Features", {"/catalog/v1": {"get": about}}),
        **openapi.tagged("Families", family_openapi.paths()),
        **openapi.tagged("Digests", _digests()),
        **openapi.tagged("Quotas", _quotas()),
        **openapi.tagged("Jobs", job_openapi.paths()),
        **openapi.tagged("Retention", retention_openapi.paths()),
    }


def _digests() -> Document:
    digest = parameter("query", "digest", TEXT, "ALGORITHM:HEX, such as sha256:9f86…")
    return {
        IMAGES: {
            "get": operation(
                SameImageViewSet.list,
                {200: answer(ref("SameImages"))},
                parameters=[digest, *PAGING],
            )
        },
        f"{IMAGES}/{{image_id}}/digests": {
            "get": operation(
                ImageDigestViewSet.list,
                {200: answer(ref("Digests"))},
                parameters=[parameter("path", "image_id", UUID)],
            )
        },
    }


def _quotas() -> Document:
    project = [parameter("path", "project", NOT_EMPTY)]
    over = parameter(
        "query", "over", NUMBER | {"minimum": 1}, "Percent, by default 80."
    )
    wanted = dict.fromkeys(limits.UNITS, NUMBER_OR_NULL)
    full = fields(
        project=TEXT_OR_NULL,
        **dict.fromkeys(("limit", "used", "percent", "growth"), NUMBER),
        full_on=TEXT_OR_NULL,
    )
    return {
        QUOTAS: {
            "get": operation(
                QuotaViewSet.list,
                {200: answer(fields(quotas=many(full)))},
                parameters=[over],
            )
        },
        f"{QUOTAS}/{{project}}": {
            "get": operation(
                QuotaViewSet.retrieve,
                {200: answer(ref("Quotas"))},
                parameters=project,
            ),
            "put": operation(
                QuotaViewSet.update,
                {200: answer(ref("Quotas"))},
                (409,),
                parameters=project,
                body=json_body(fields(**wanted)),
            ),
        },
    }


def components() -> Document:
    """Return the OpenAPI schemas of the bodies of ``/catalog/v1``, by name."""
    numbers = dict.fromkeys(("limit", "used", "reserved", "trash"), NUMBER)
    quota = fields("limit", "used", "source", source=TEXT, **numbers)
    image: Document = {
        **dict.fromkeys(SHOWN, TEXT_OR_NULL),
        "size": NUMBER_OR_NULL,
    }
    digests = fields(
        digests=OBJECT | {"additionalProperties": TEXT},
        source_digests=OBJECT | {"additionalProperties": TEXT},
        **dict.fromkeys(
            ("verified_by", "verified_at", "stored_verified_at"), TEXT_OR_NULL
        ),
        damaged=many(TEXT),
    )
    return {
        **family_openapi.components(),
        **job_openapi.components(),
        **retention_openapi.components(),
        "SameImages": fields(images=many(fields(**image)), **PAGE_LINKS),
        "Digests": digests,
        "Quotas": fields(**dict.fromkeys(limits.UNITS, quota)),
    }
