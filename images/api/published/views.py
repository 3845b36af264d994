"""The view of published trees: their files, and pages that list their folders."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import ClassVar
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.request import Request

from images import access, errors
from images.access import Caller
from images.api.authentication import CallerAuthentication
from images.api.published import documents, image_files
from images.http import client_address, public_url, responses
from images.http.views import ApiView, get_caller
from images.models import Publication
from images.publishing import juju, pages, paths, reading
from images.publishing.pages import Entry
from images.publishing.paths import CURRENT
from images.publishing.snapshot import PublishedFamily
from images.publishing.usage import Site

IMMUTABLE = "max-age=31536000, immutable"
FOLDERS = ("streams", "streams/v1")  # of indexes
JUJU_FOLDERS = tuple(f"{juju.FOLDER}{it}" for it in ("", "/streams", "/streams/v1"))


class PublishedAuthentication(CallerAuthentication):
    """The authentication of readers: none at all if everything published is public."""

    def authenticate(self, request: HttpRequest) -> tuple[Caller, None]:
        """Return the caller; in the mode ``public`` it is everybody, whatever the request sends.

        Raises the errors of CallerAuthentication in the mode ``signed-in``.
        """
        if settings.IMAGECATALOG_PUBLISH != "public":
            return super().authenticate(request)
        request_id: str = request.request_id  # type: ignore[attr-defined]
        return replace(access.visitor(role="member"), request_id=request_id), None


class PublishedView(ApiView):
    """``/pub/…``: a published tree, for reading only."""

    http_method_names = ["get", "head"]
    authentication_classes = [PublishedAuthentication]
    error_headers: ClassVar = {
        errors.StoreError: {"Retry-After": str(responses.RETRY_SECONDS)}
    }

    def rate_key(self, request: Request) -> str:
        """Return the name by which requests are counted: by address if nobody signs in."""
        if settings.IMAGECATALOG_PUBLISH != "public":
            return super().rate_key(request)
        address = client_address.client(request._request)
        return f"address {client_address.network_of(address)}"

    def head(
        self, request: Request, project: str, path: str | None
    ) -> HttpResponseBase:
        """Answer as GET does, without a body."""
        return self.get(request, project, path)

    def get(self, request: Request, project: str, path: str | None) -> HttpResponseBase:
        """Return a file, or the page that lists a folder; ``project`` names the tree."""
        caller = get_caller(request)
        if "\0" in f"{project}{path}":  # PostgreSQL cannot compare it
            raise reading.missing()
        _check_tree(caller, project)
        reading.open_tree(project)
        response = _Tree(request._request, caller, project).answer(path)
        scope = "public" if settings.IMAGECATALOG_PUBLISH == "public" else "private"
        kept = response.headers.get("Cache-Control", "no-cache")
        response.headers["Cache-Control"] = f"{scope}, {kept}"
        response.headers["Content-Security-Policy"] = pages.POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _check_tree(caller: Caller, project: str) -> None:
    """Raise NotFound unless the caller can read the families of a tree."""
    is_own = not project or (
        settings.IMAGECATALOG_PUBLISH == "signed-in" and access.owns(caller, project)
    )
    can_read = "reader" in caller.roles and access.key_allows(caller, "get_family")
    if not (is_own and can_read):
        raise reading.missing()


class _Tree:
    """The answers to requests for a tree."""

    def __init__(self, http: HttpRequest, caller: Caller, project: str) -> None:
        self.http, self.caller, self.project = http, caller, project
        self.root = paths.root(project)
        self.site = Site(
            url=public_url.base(http) + self.root,
            is_signed=bool(settings.IMAGECATALOG_PUBLISH_KEY),
            needs_sign_in=settings.IMAGECATALOG_PUBLISH == "signed-in",
        )

    def answer(self, path: str | None) -> HttpResponseBase:
        """Return the response for a path within the tree; None: the tree without a slash."""
        if path is None:
            return self.to_folder()
        match path.split("/"):
            case [""]:
                return self.page(self.top())
            case ["images", ""]:
                cards = reading.cards(self.project)
                return self.page(_families_page(self.site, cards))
            case ["images", family, ""]:
                return self.page(self.family_page(family))
            case ["images", family, label, ""]:
                return self.page(self.version(family, label))
            case ["images", family, label, name]:
                return self.file(family, label, name)
            case ["images", *_] if path.count("/") < 3:
                return self.to_folder()
        folders = FOLDERS + (JUJU_FOLDERS if settings.IMAGECATALOG_PUBLISH_JUJU else ())
        if path in folders:
            return self.to_folder()
        if path.removesuffix("/") in folders:
            entries = reading.entries(self.project, path)
            return self.page(pages.folder_page(self.site, path, entries))
        if path == pages.STYLE:
            kind = documents.media_type(path)
            return documents.send(self.http, pages.style(), kind)
        return self.index(path)

    def to_folder(self) -> HttpResponse:
        """Return the redirection to the path with a slash, without which relative links are wrong."""
        response = responses.nothing(301)
        response.headers["Location"] = f"{quote(self.http.path)}/"
        return response

    def page(self, content: bytes) -> HttpResponse:
        """Return the response with a page."""
        return documents.send(self.http, content, documents.HTML)

    def index(self, path: str) -> HttpResponse:
        """Return the response with an index, whose content can have megabytes."""
        is_conditional = "If-None-Match" in self.http.headers
        row = reading.index(self.project, path, with_content=not is_conditional)
        return documents.send_index(self.http, row)

    def top(self) -> bytes:
        """Return the page of the top folder."""
        entries = pages.top_entries(reading.entries(self.project))
        return _top_page(self.site, reading.cards(self.project), tuple(entries))

    def family(self, name: str) -> tuple[Publication, PublishedFamily]:
        """Return a published family that the caller can see. Raises NotFound."""
        row, family = reading.family(self.project, name)
        if access.overrides().get("get_family"):
            access.get_family(self.caller, str(row.family))
        return row, family

    def family_page(self, name: str) -> bytes:
        """Return the page of a family."""
        site = replace(self.site, key=reading.key(self.project))
        return pages.family_page(site, self.family(name)[1])

    def version(self, family: str, label: str) -> bytes:
        """Return the page of a version's folder."""
        folder = reading.folder(*self.family(family), label)
        return pages.version_page(
            self.site, folder.family, folder.version, folder.entries(), folder=label
        )

    def file(self, family: str, label: str, name: str) -> HttpResponseBase:
        """Return the response with a file in a version's folder."""
        folder = reading.folder(*self.family(family), label)
        if name not in folder.files:
            raise reading.missing()
        content = folder.files[name]
        if content is not None:
            kind = documents.media_type(name)
            modified = folder.modified_of(name)
            return documents.send(
                self.http, content, kind, modified, is_fixed=label != CURRENT
            )
        is_current = label == CURRENT
        response = image_files.send(
            self.http, self.caller, folder, name, is_current=is_current
        )
        if is_current:
            path = paths.image_file(folder.family, folder.version)
            response.headers["Content-Location"] = f"{self.root}/{path}"
        else:
            response.headers["Cache-Control"] = IMMUTABLE
        return response


# A page of a thousand families takes a tenth of a second. Cards are parsed with the page.
@lru_cache(maxsize=4)
def _top_page(site: Site, cards: bytes, entries: tuple[Entry, ...]) -> bytes:
    return pages.top_page(site, pages.read_cards(cards), entries)


@lru_cache(maxsize=4)
def _families_page(site: Site, cards: bytes) -> bytes:
    return pages.families_page(site, pages.read_cards(cards))
