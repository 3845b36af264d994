"""The JSON documents of the identity API, in Keystone's format."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from imagecatalog.identity.api.views import DOMAIN, existing
from imagecatalog.identity.models import ApplicationCredential, Project
from imagecatalog.identity.tokens import Valid
from images.access import implied

INTERFACES = ("public", "internal", "admin")
Document = dict[str, Any]


def token(valid: Valid, catalog: list[Document] | None) -> Document:
    """Return the JSON document of a token, with the service catalog unless ``catalog`` is None.

    Makes one query for the project and one for the application credential of the token, if any.
    Raises Unauthorized if one of them was deleted in the meantime.
    """
    claims, identity = valid.claims, valid.identity
    document: Document = {
        "methods": list(claims.methods),
        "user": user(claims.user_id, identity.user) | {"password_expires_at": None},
        "audit_ids": list(claims.audit_ids),
        "issued_at": timestamp(claims.issued_at),
        "expires_at": timestamp(claims.expires_at),
    }
    if claims.project is not None:
        document |= {
            "project": reference(existing(Project.objects.filter(pk=claims.project))),
            "is_domain": False,
            "roles": roles(identity.role),
        }
        if catalog is not None:
            document["catalog"] = catalog
    if claims.credential is not None:
        row = existing(ApplicationCredential.objects.filter(pk=claims.credential))
        document["application_credential"] = {
            "id": row.pk,
            "name": row.name,
            "restricted": True,
        }
    return {"token": document}


def catalog(base: str) -> list[Document]:
    """Return the service catalog: the image service and the identity service.

    The names of the services are those that clients such as Apache Libcloud look for. ``base``
    is the URL of the whole service, without a trailing slash.
    """
    return [
        _service("image", "glance", base),
        _service("identity", "keystone", f"{base}/identity"),
    ]


def user(user_id: int, name: str) -> Document:
    """Return the short JSON form of a user, a part of other documents: id, name and domain."""
    return {"id": str(user_id), "name": name, "domain": DOMAIN}


def reference(project: Project) -> Document:
    """Return the short JSON form of a project, a part of other documents: id, name and domain."""
    return {"id": project.pk, "name": project.name, "domain": DOMAIN}


def project(row: Project, base: str) -> Document:
    """Return the complete JSON document of a project. ``base`` is the URL of the identity service."""
    return {
        "id": row.pk,
        "name": row.name,
        "description": "",
        "domain_id": DOMAIN["id"],
        "parent_id": DOMAIN["id"],
        "enabled": True,
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": f"{base}/projects/{row.pk}"},
    }


def roles(name: str) -> list[Document]:
    """Return a list with a role and all roles that it implies, in JSON form; empty for an empty name."""
    return [
        {"id": role, "name": role} for role in sorted(implied(name) if name else ())
    ]


def application_credential(row: ApplicationCredential, base: str) -> Document:
    """Return the document of an application credential, without its secret.

    ``base`` is the URL of the identity service, without a trailing slash.
    """
    path = f"{base}/users/{row.user_id}/application_credentials/{row.pk}"
    return {
        "id": row.pk,
        "name": row.name,
        "description": row.description,
        "project_id": row.project_id,
        "user_id": str(row.user_id),
        "roles": roles(row.role),
        "expires_at": row.expires_at and f"{row.expires_at.astimezone(UTC):%FT%T.%f}",
        "unrestricted": False,
        "system": None,
        "links": {"self": path},
    }


def page(name: str, rows: list[Document], url: str) -> Document:
    """Return the document of a list, which has all its rows on one page.

    ``name`` is the key of the list in the document, ``url`` is the URL of the list.
    """
    return {name: rows, "links": {"self": url, "previous": None, "next": None}}


def timestamp(seconds: int) -> str:
    """Convert seconds since 1970 to a text in Keystone's form of ISO 8601."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _service(kind: str, name: str, url: str) -> Document:
    region = settings.IMAGECATALOG_REGION
    return {
        "id": name,
        "type": kind,
        "name": name,
        "endpoints": [
            {
                "id": f"{name}-{interface}",
                "interface": interface,
                "region": region,
                "region_id": region,
                "url": url,
            }
            for interface in INTERFACES
        ],
    }
