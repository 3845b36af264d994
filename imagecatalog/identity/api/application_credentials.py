"""``/v3/users/{id}/application_credentials``: what programs sign in with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request

from imagecatalog.identity import application_credentials
from imagecatalog.identity.api import documents
from imagecatalog.identity.api.views import IdentityView, base, existing
from imagecatalog.identity.models import ApplicationCredential
from imagecatalog.identity.origin import origin_of
from images import errors
from images.http import request_body, responses

NAME = "application_credential"


class OfUser(IdentityView):
    """Resources of one user, for nobody else and for no credential of its own."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if kwargs["user_id"] != str(self.token.claims.user_id):
            raise errors.Forbidden(
                "You are not authorized to see or change what belongs to another user."
            )

    def may_change(self) -> None:
        if self.token.claims.credential is not None:
            raise errors.Forbidden(
                "Sign in with your password for this: an application credential cannot "
                "make or delete any."
            )


class ApplicationCredentials(OfUser):
    def get(self, request: Request, user_id: str, **kwargs: str) -> HttpResponse:
        url = base(request)
        rows = ApplicationCredential.objects.filter(user_id=self.token.claims.user_id)
        if "name" in request.GET:
            rows = rows.filter(name=request.GET["name"].replace("\0", ""))
        found = [documents.application_credential(row, url) for row in rows]
        own = f"{url}/users/{user_id}/application_credentials"
        return responses.json(documents.page(f"{NAME}s", found, own))

    def post(self, request: Request, user_id: str, **kwargs: str) -> HttpResponse:
        self.may_change()
        claims = self.token.claims
        if claims.project is None:
            raise errors.Forbidden("Sign in to the project that it shall be for.")
        given = _given(request_body.json(request._request))
        row, secret = application_credentials.draft(
            existing(get_user_model().objects.filter(pk=claims.user_id)),
            claims.project,
            given.get("name"),
            role=_role(given.get("roles")),
            secret=given.get("secret"),
            description=given.get("description"),
            expires_at=_time(given.get("expires_at")),
            actions=given.get("actions"),
        )
        application_credentials.store(row, origin_of(request._request))
        shown = documents.application_credential(row, base(request))
        return responses.json({NAME: shown | {"secret": secret}}, 201)


class OneApplicationCredential(OfUser):
    def get(self, request: Request, credential_id: str, **kwargs: str) -> HttpResponse:
        row = self._row(credential_id)
        return responses.json(
            {NAME: documents.application_credential(row, base(request))}
        )

    def delete(
        self, request: Request, credential_id: str, **kwargs: str
    ) -> HttpResponse:
        self.may_change()
        application_credentials.delete(
            self._row(credential_id), origin_of(request._request)
        )
        return responses.nothing()

    def _row(self, credential_id: str) -> ApplicationCredential:
        own = ApplicationCredential.objects.filter(user_id=self.token.claims.user_id)
        row = own.select_related("user").filter(pk=credential_id).first()
        if row is None:
            raise errors.NotFound("There is no such application credential.")
        return row


def _given(document: object) -> dict[str, Any]:
    given = document.get(NAME) if isinstance(document, dict) else None
    if not isinstance(given, dict):
        raise errors.Invalid(f"'{NAME}' must be given, and be an object.")
    if given.get("unrestricted"):
        raise errors.Forbidden(
            "Unrestricted application credentials, which could make others, do not exist."
        )
    if given.get("access_rules"):
        # To take no notice would give more than was asked for.
        raise errors.Invalid(
            "Access rules are not supported. Name the allowed actions instead: "
            '"actions": ["get_images", "get_image", "download_image"].'
        )
    actions = given.get("actions")
    if actions is not None and not (
        isinstance(actions, list) and all(isinstance(it, str) for it in actions)
    ):
        raise errors.Invalid("'actions' must be a list of strings.")
    return given


def _role(roles: object) -> str | None:
    """Of the roles that are named the one that includes the others."""
    if not roles:
        return None
    names = [
        it.get("name", it.get("id")) if isinstance(it, dict) else None
        for it in (roles if isinstance(roles, list) else [None])
    ]
    for name in ("admin", "member", "reader", "service"):
        if name in names:
            return name
    raise errors.Invalid("The roles are: admin, member, reader, service.")


def _time(text: object) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parse_datetime(text) if isinstance(text, str) else None
        moment = moment and _in_utc(moment)
    except (ValueError, OverflowError):  # no such day, or none that UTC has
        moment = None
    if moment is None:
        raise errors.Invalid("'expires_at' must be a time like 2026-01-31T12:00:00.")
    return moment


def _in_utc(moment: datetime) -> datetime:
    """Times without a zone are UTC. Raises OverflowError."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)
