"""The documents of the identity face, in Keystone's shapes. Knows no requests."""

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
    """A token, for its holder. One query for the project's name, one for a credential's."""
    claims, identity = valid.claims, valid.identity
    document: Document = {
        "methods": list(claims.methods),
        "user": user(claims.user_id, identity.user) | {"password_expires_at": None},
        "audit_ids": list(claims.audit_ids),
        "issued_at": moment(claims.issued_at),
        "expires_at": moment(claims.expires_at),
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
        about = {"id": row.pk, "name": row.name, "restricted": True}
        document["application_credential"] = about
    return {"token": document}


def catalog(base: str) -> list[Document]:
    """What clients find here: the image service and this one. ``base`` has no slash at its end."""
    return [
        _service("image", "imagecatalog", base),
        _service("identity", "imagecatalog-identity", f"{base}/identity"),
    ]


def user(user_id: int, name: str) -> Document:
    return {"id": str(user_id), "name": name, "domain": DOMAIN}


def reference(project: Project) -> Document:
    """A project, as others refer to it."""
    return {"id": project.pk, "name": project.name, "domain": DOMAIN}


def project(row: Project, base: str) -> Document:
    """A project by itself."""
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
    """A role with those that it includes. A role's id is its name."""
    return [
        {"id": role, "name": role} for role in sorted(implied(name) if name else ())
    ]


def application_credential(row: ApplicationCredential, base: str) -> Document:
    """Without its secret."""
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
    """A list, all of it."""
    return {name: rows, "links": {"self": url, "previous": None, "next": None}}


def moment(seconds: int) -> str:
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
