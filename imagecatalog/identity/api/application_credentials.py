"""``/v3/users/{id}/application_credentials``: credentials for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request

from imagecatalog.identity import application_credentials
from imagecatalog.identity.api import documents
from imagecatalog.identity.api.views import IdentityViewSet, base, existing
from imagecatalog.identity.models import ApplicationCredential
from imagecatalog.identity.origin import origin_of
from images import errors
from images.http import request_body, responses

NAME = "application_credential"


class ApplicationCredentialViewSet(IdentityViewSet):
    """``/v3/users/{id}/application_credentials``: a user's own, and no other user's."""

    lookup_url_kwarg = "credential_id"
    lookup_value_regex = "[^/]+"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if kwargs["user_id"] != str(self.token.claims.user_id):
            raise errors.Forbidden(
                "You are not authorized to see or change what belongs to another user."
            )

    def list(self, request: Request, user_id: str) -> HttpResponse:
        """Return the caller's application credentials, without their secrets."""
        url = base(request)
        rows = self._rows()
        if "name" in request.GET:
            rows = rows.filter(name=request.GET["name"].replace("\0", ""))
        credentials = [documents.application_credential(row, url) for row in rows]
        own = f"{url}/users/{user_id}/application_credentials"
        return responses.json(documents.page(f"{NAME}s", credentials, own))

    def create(self, request: Request, user_id: str) -> HttpResponse:
        """Create an application credential and return its secret, once."""
        self._check_may_change()
        claims = self.token.claims
        if claims.project is None:
            raise errors.Forbidden(
                "This token has no project. Sign in to the project that the credential "
                "is for."
            )
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
        document = documents.application_credential(row, base(request))
        return responses.json({NAME: document | {"secret": secret}}, 201)

    def retrieve(
        self, request: Request, user_id: str, credential_id: str
    ) -> HttpResponse:
        """Return an application credential, without its secret."""
        row = self._row(credential_id)
        document = documents.application_credential(row, base(request))
        return responses.json({NAME: document})

    def destroy(
        self, request: Request, user_id: str, credential_id: str
    ) -> HttpResponse:
        """Delete an application credential, which revokes its tokens."""
        self._check_may_change()
        row = self._row(credential_id)
        application_credentials.delete(row, origin_of(request._request))
        return responses.nothing()

    def _check_may_change(self) -> None:
        if self.token.claims.credential is not None:
            raise errors.Forbidden(
                "An application credential cannot create or delete application "
                "credentials. Sign in with your password."
            )

    def _rows(self) -> QuerySet[ApplicationCredential]:
        return ApplicationCredential.objects.filter(user_id=self.token.claims.user_id)

    def _row(self, credential_id: str) -> ApplicationCredential:
        rows = self._rows().select_related("user")
        row = rows.filter(pk=credential_id).first()
        if row is None:
            raise errors.NotFound("There is no such application credential.")
        return row


def _given(document: object) -> dict[str, Any]:
    given = document.get(NAME) if isinstance(document, dict) else None
    if not isinstance(given, dict):
        raise errors.Invalid(f"'{NAME}' must be given, and be an object.")
    if given.get("unrestricted"):
        raise errors.Forbidden(
            "Unrestricted application credentials are not supported. Leave 'unrestricted' out."
        )
    if given.get("access_rules"):
        # Ignoring them would grant more than was requested.
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
    """Return the named role that includes the other named ones; None if none is named."""
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
    except (ValueError, OverflowError):  # a day that does not exist, or not in UTC
        moment = None
    if moment is None:
        raise errors.Invalid("'expires_at' must be a time like 2026-01-31T12:00:00.")
    return moment


def _in_utc(moment: datetime) -> datetime:
    """Return a time in UTC, which is also the zone of times without one. Raises OverflowError."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)
