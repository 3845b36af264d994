"""API views below ``/v3/auth``: sign-in, and what a token gives access to."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request

from imagecatalog.identity import sign_in_log, tokens
from imagecatalog.identity.api import documents
from imagecatalog.identity.api.sign_in import sign_in
from imagecatalog.identity.api.views import (
    IdentityViewSet,
    base,
    is_admin,
    own_projects,
)
from imagecatalog.identity.origin import origin_of
from imagecatalog.identity.tokens import Valid
from images import errors
from images.http import public_url, request_body, responses

SUBJECT = "X-Subject-Token"


class AuthViewSet(IdentityViewSet):
    """``/v3/auth``: tokens, and the projects and services to which a token gives access."""

    def perform_authentication(self, request: Request) -> None:
        """Read the caller's token in X-Auth-Token, except for a sign-in, which needs no token.

        Raises Unauthorized if the token is missing or not valid.
        """
        if self.action != "issue":  # a sign-in comes without X-Auth-Token
            super().perform_authentication(request)

    @action(detail=False, methods=["post"], url_path="tokens")
    def issue(self, request: Request) -> HttpResponse:
        """Sign in, and return a new token: its text in X-Subject-Token, its document in the body."""
        http = request._request
        document = request_body.json(http, request_body.SMALL)
        text, valid = sign_in(document, origin_of(http))
        return _token_response(request, text, valid, 201)

    @issue.mapping.get
    def validate(self, request: Request) -> HttpResponse:
        """Return the document of the token in X-Subject-Token, or 404 if that token is not valid."""
        text, subject = _subject(request, self.token)
        return _token_response(request, text, subject, 200)

    @issue.mapping.head
    def check(self, request: Request) -> HttpResponse:
        """Respond with 200 if the token in X-Subject-Token is valid, else 404 (HEAD)."""
        text, _ = _subject(request, self.token)
        response = responses.nothing(200)
        response.headers[SUBJECT] = text
        return response

    @issue.mapping.delete
    def revoke(self, request: Request) -> HttpResponse:
        """Revoke the token in X-Subject-Token."""
        _, subject = _subject(request, self.token)
        tokens.revoke(subject.claims)
        user = subject.identity.user
        audit_id = subject.claims.audit_ids[0]
        sign_in_log.record(
            "token_revoke", user, origin_of(request._request), audit_id=audit_id
        )
        return responses.nothing()

    @action(detail=False, methods=["get"])
    def projects(self, request: Request) -> HttpResponse:
        """Return the projects in which the token's user has a role.

        For a token of an application credential, this is only the project of the credential.
        """
        url = base(request)
        rows = own_projects(self.token).order_by("name")
        projects = [documents.project(row, url) for row in rows]
        page = documents.page("projects", projects, f"{url}/auth/projects")
        return responses.json(page)

    @action(detail=False, methods=["get"])
    def catalog(self, request: Request) -> HttpResponse:
        """Return the services that the token's project can use.

        Raises Forbidden if the token has no project.
        """
        if self.token.claims.project is None:
            raise errors.Forbidden(
                "This token has no project. Sign in to a project to see its catalog."
            )
        services = _catalog(request)
        links = {"self": f"{base(request)}/auth/catalog"}
        return responses.json({"catalog": services, "links": links})


def _subject(request: Request, asking: Valid) -> tuple[str, Valid]:
    """Return the text and the content of the token in X-Subject-Token.

    ``asking`` is the caller's own token, in X-Auth-Token. Users can name any of their tokens in
    X-Subject-Token, administrators all tokens; with a token of an application credential, users can
    name only this token. Raises NotFound for any other token, and for a token that is not valid.
    """
    text = request.headers.get(SUBJECT, "")
    subject = tokens.read(text)
    if subject is None or not (_is_own(subject, asking) or is_admin(asking)):
        raise errors.NotFound("The subject token is not valid, or is not yours.")
    return text, subject


def _is_own(subject: Valid, asking: Valid) -> bool:
    if asking.claims.credential is not None:
        return subject.claims == asking.claims
    return subject.claims.user_id == asking.claims.user_id


def _token_response(
    request: Request, text: str, valid: Valid, status: int
) -> HttpResponse:
    catalog = None if "nocatalog" in request.GET else _catalog(request)
    response = responses.json(documents.token(valid, catalog), status)
    response.headers[SUBJECT] = text
    response.headers["Vary"] = "X-Auth-Token"
    return response


def _catalog(request: Request) -> list[documents.Document]:
    return documents.catalog(public_url.base(request._request))
