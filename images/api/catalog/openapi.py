"""The OpenAPI description of the catalogue's own API."""

from __future__ import annotations

from images.api.catalog.quotas import QuotaViewSet
from images.http import openapi
from images.http.openapi import (
    NUMBER,
    TEXT,
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
    """Return the operations by path and method."""
    project = [parameter("path", "project", TEXT | {"minLength": 1})]
    over = parameter(
        "query", "over", NUMBER | {"minimum": 1}, "Percent, by default 80."
    )
    wanted = {name: {"type": ["integer", "null"]} for name in limits.UNITS}
    full = fields(
        project={"type": ["string", "null"]},
        **dict.fromkeys(("limit", "used", "percent", "growth"), NUMBER),
        full_on={"type": ["string", "null"]},
    )
    return openapi.tagged(
        "Quotas",
        {
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
        },
    )


def components() -> Document:
    """Return the schemas to which the operations refer."""
    numbers = dict.fromkeys(("limit", "used", "reserved", "trash"), NUMBER)
    quota = fields("limit", "used", "source", source=TEXT, **numbers)
    return {"Quotas": fields(**dict.fromkeys(limits.UNITS, quota))}
