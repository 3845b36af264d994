"""``/v3/auth``: tokens, and what the holder of one can reach with it."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from imagecatalog.identity import sign_in_log, tokens
from imagecatalog.identity.api import documents
from imagecatalog.identity.api.sign_in import sign_in
from imagecatalog.identity.api.views import IdentityView, base, is_admin
from imagecatalog.identity.models import Project
from imagecatalog.identity.origin import origin_of
from imagecatalog.identity.tokens import Valid
from images import errors
from images.http import public_url, request_body, responses

SUBJECT = "X-Subject-Token"


class Tokens(IdentityView):
    http_method_names = ["get", "head", "post", "delete"]

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        if request.method != "POST":
            super().initial(request, *args, **kwargs)

    def post(self, request: Request, **kwargs: str) -> HttpResponse:
        text, valid = sign_in(
            request_body.json(request._request), origin_of(request._request)
        )
        return _shown(request, text, valid, 201)

    def get(self, request: Request, **kwargs: str) -> HttpResponse:
        text, subject = _subject(request, self.token)
        return _shown(request, text, subject, 200)

    def head(self, request: Request, **kwargs: str) -> HttpResponse:
        text, _ = _subject(request, self.token)
        response = responses.nothing(200)
        response.headers[SUBJECT] = text
        return response

    def delete(self, request: Request, **kwargs: str) -> HttpResponse:
        _, subject = _subject(request, self.token)
        tokens.revoke(subject.claims)
        user = subject.identity.user
        audit_id = subject.claims.audit_ids[0]
        sign_in_log.record(
            "token_revoke", user, origin_of(request._request), audit_id=audit_id
        )
        return responses.nothing()


class Projects(IdentityView):
    """The projects in which the holder has a role, to choose a scope from."""

    def get(self, request: Request, **kwargs: str) -> HttpResponse:
        url = base(request)
        rows = Project.objects.filter(assignments__user=self.token.claims.user_id)
        found = [documents.project(row, url) for row in rows.order_by("name")]
        page = documents.page("projects", found, f"{url}/auth/projects")
        return responses.json(page)


class Catalog(IdentityView):
    def get(self, request: Request, **kwargs: str) -> HttpResponse:
        if self.token.claims.project is None:
            raise errors.Forbidden("A catalog is for tokens with a project.")
        services = _catalog(request)
        links = {"self": f"{base(request)}/auth/catalog"}
        return responses.json({"catalog": services, "links": links})


def _subject(request: Request, asking: Valid) -> tuple[str, Valid]:
    """The token that is asked about: one's own, which for an application credential is this one.

    Admins may ask about everybody's.
    """
    text = request.headers.get(SUBJECT, "")
    subject = tokens.read(text)
    if subject is None or not (_is_own(subject, asking) or is_admin(asking)):
        raise errors.NotFound("This is not a valid token of yours.")
    return text, subject


def _is_own(subject: Valid, asking: Valid) -> bool:
    if asking.claims.credential is not None:
        return subject.claims == asking.claims
    return subject.claims.user_id == asking.claims.user_id


def _shown(request: Request, text: str, valid: Valid, status: int) -> HttpResponse:
    catalog = None if "nocatalog" in request.GET else _catalog(request)
    response = responses.json(documents.token(valid, catalog), status)
    response.headers[SUBJECT] = text
    response.headers["Vary"] = "X-Auth-Token"
    response.headers["Cache-Control"] = "no-store"
    return response


def _catalog(request: Request) -> list[documents.Document]:
    return documents.catalog(public_url.base(request._request))
