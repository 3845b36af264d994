"""The documents of the identity API, in Keystone's form. Independent of requests."""

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
    """Return a token as a JSON document, with the service catalog unless that is None.

    Makes one query for the name of the project and one for that of the application
    credential. Raises Unauthorized if one of them was deleted meanwhile.
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

    The services have the names that clients such as Apache Libcloud look for. ``base``, the
    URL of the whole service, has no trailing slash.
    """
    return [
        _service("image", "glance", base),
        _service("identity", "keystone", f"{base}/identity"),
    ]


def user(user_id: int, name: str) -> Document:
    """Return the short form of a user that other documents embed."""
    return {"id": str(user_id), "name": name, "domain": DOMAIN}


def reference(project: Project) -> Document:
    """Return the short form of a project that other documents embed."""
    return {"id": project.pk, "name": project.name, "domain": DOMAIN}


def project(row: Project, base: str) -> Document:
    """Return a project as a document of its own."""
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
    """Return a role and the roles that it implies. The id of a role is its name."""
    return [
        {"id": role, "name": role} for role in sorted(implied(name) if name else ())
    ]


def application_credential(row: ApplicationCredential, base: str) -> Document:
    """Return an application credential without its secret."""
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
    """Return the document of a list that has only one page.

    ``name`` is the key of the list in the document, ``url`` is the URL of the list itself.
    """
    return {name: rows, "links": {"self": url, "previous": None, "next": None}}


def timestamp(seconds: int) -> str:
    """Return a time, given in seconds since 1970, in Keystone's form of ISO 8601."""
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
