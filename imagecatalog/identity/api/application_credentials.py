"""API views of application credentials, which users create for their programs."""

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
from imagecatalog.identity.api.views import (
    IdentityViewSet,
    base,
    existing,
    filter_by_name,
)
from imagecatalog.identity.models import ApplicationCredential
from imagecatalog.identity.origin import origin_of
from images import errors
from images.http import request_body, responses

NAME = "application_credential"


class ApplicationCredentialViewSet(IdentityViewSet):
    """``/v3/users/{id}/application_credentials``: the application credentials of the caller."""

    lookup_url_kwarg = "credential_id"
    lookup_value_regex = "[^/]+"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Read the caller's token, and check that the caller owns the credentials in the path.

        Raises Unauthorized without a valid token, and Forbidden for credentials of other users.
        Raises Forbidden, too, if the token is that of an application credential limited to some
        actions, unless the path names this credential.
        """
        super().initial(request, *args, **kwargs)
        if kwargs["user_id"] != str(self.token.claims.user_id):
            raise errors.Forbidden(
                "You are not authorized to see or change the application credentials of "
                "another user."
            )
        token = self.token
        is_limited = token.identity.actions is not None
        if is_limited and kwargs.get("credential_id") != token.claims.credential:
            raise errors.Forbidden(
                "An application credential that is limited to some actions can see only "
                "itself. Sign in with your password."
            )

    def list(self, request: Request, user_id: str) -> HttpResponse:
        """Return the caller's application credentials, without their secrets."""
        url = base(request)
        rows = filter_by_name(self._rows(), request)
        credentials = [documents.application_credential(row, url) for row in rows]
        own = f"{url}/users/{user_id}/application_credentials"
        return responses.json(documents.page(f"{NAME}s", credentials, own))

    def create(self, request: Request, user_id: str) -> HttpResponse:
        """Create an application credential and return its secret, which cannot be read later."""
        self._check_may_change()
        claims = self.token.claims
        if claims.project is None:
            raise errors.Forbidden(
                "This token has no project. Sign in to the project that the credential "
                "is for."
            )
        attributes = _attributes(
            request_body.json(request._request, request_body.SMALL)
        )
        row, secret = application_credentials.draft(
            existing(get_user_model().objects.filter(pk=claims.user_id)),
            claims.project,
            attributes.get("name"),
            role=_role(attributes.get("roles")),
            secret=attributes.get("secret"),
            description=attributes.get("description"),
            expires_at=_time(attributes.get("expires_at")),
            actions=attributes.get("actions"),
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
        """Delete an application credential and revoke its tokens."""
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


def _attributes(document: object) -> dict[str, Any]:
    """Return the attributes of a new application credential from a request body, by name.

    Raises Invalid if the body is malformed or has access rules, Forbidden for an unrestricted
    credential.
    """
    attributes = document.get(NAME) if isinstance(document, dict) else None
    if not isinstance(attributes, dict):
        raise errors.Invalid(f"'{NAME}' must be an object. Send {{\"{NAME}\": {{…}}}}.")
    if attributes.get("unrestricted"):
        raise errors.Forbidden(
            "Unrestricted application credentials are not supported. Leave 'unrestricted' out."
        )
    if attributes.get("access_rules"):
        # Ignoring them would grant more than was requested.
        raise errors.Invalid(
            "Access rules are not supported. Name the allowed actions instead: "
            '"actions": ["get_images", "get_image", "download_image"].'
        )
    actions = attributes.get("actions")
    if actions is not None and not (
        isinstance(actions, list) and all(isinstance(action, str) for action in actions)
    ):
        raise errors.Invalid("'actions' must be a list of strings.")
    return attributes


def _role(roles: object) -> str | None:
    """Return the highest role in the list ``roles`` of a request; None if the list is empty.

    Raises Invalid if the list has no known role.
    """
    if not roles:
        return None
    names = [
        role.get("name", role.get("id")) if isinstance(role, dict) else None
        for role in (roles if isinstance(roles, list) else [None])
    ]
    for name in ("admin", "member", "reader", "service"):
        if name in names:
            return name
    raise errors.Invalid(
        "The role is unknown. Name one of: admin, member, reader, service."
    )


def _time(text: object) -> datetime | None:
    if text is None:
        return None
    try:
        time = parse_datetime(text) if isinstance(text, str) else None
        time = time and _in_utc(time)
    except (ValueError, OverflowError):  # a day that does not exist, or out of range
        time = None
    if time is None:
        raise errors.Invalid("'expires_at' must be a time like 2026-01-31T12:00:00.")
    return time


def _in_utc(time: datetime) -> datetime:
    """Convert a time to UTC; a time without a zone is taken as UTC.

    Raises OverflowError if the result is before the year 1 or after 9999.
    """
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    return time.astimezone(UTC)
