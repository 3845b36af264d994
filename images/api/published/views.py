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
    """The authentication of readers of published trees.

    Where IMAGECATALOG_PUBLISH is ``public``, readers do not sign in; where it is ``signed-in``,
    they sign in as at the API.
    """

    def authenticate(self, request: HttpRequest) -> tuple[Caller, None]:
        """Return the caller; where readers do not sign in, it is one without a user or a project.

        Such readers are not authenticated: credentials in their requests are ignored. Raises the
        errors of CallerAuthentication where IMAGECATALOG_PUBLISH is ``signed-in``.
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
        """Return the name by which the requests of a reader are counted for the rate limit.

        Where readers do not sign in, it names the network of the client's address; otherwise it is
        that of ``ApiView``.
        """
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
        """Return a file of a published tree, or an HTML page that lists a folder.

        ``project`` is the id of the project whose tree is read, empty for the public tree; ``path``
        is a path in the tree, None for its root without a slash.
        """
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
    """Raise NotFound unless the caller can read the published tree of a project.

    ``project`` is the project's id, empty for the public tree.
    """
    is_own = not project or (
        settings.IMAGECATALOG_PUBLISH == "signed-in" and access.owns(caller, project)
    )
    can_read = "reader" in caller.roles and access.key_allows(caller, "get_family")
    if not (is_own and can_read):
        raise reading.missing()


class _Tree:
    """A published tree, whose methods build the responses to one request of a caller."""

    def __init__(self, http: HttpRequest, caller: Caller, project: str) -> None:
        self.http, self.caller, self.project = http, caller, project
        self.root = paths.root(project)
        self.site = Site(
            url=public_url.base(http) + self.root,
            is_signed=bool(settings.IMAGECATALOG_PUBLISH_KEY),
            needs_sign_in=settings.IMAGECATALOG_PUBLISH == "signed-in",
        )

    def answer(self, path: str | None) -> HttpResponseBase:
        """Return the response for a path within the tree, such as ``images/``.

        None as ``path`` stands for the root of the tree without its slash. Raises NotFound if there
        is nothing at the path.
        """
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
        """Return a redirection to the path with a slash at its end, which relative links need."""
        response = responses.nothing(301)
        response.headers["Location"] = f"{quote(self.http.path)}/"
        return response

    def page(self, content: bytes) -> HttpResponse:
        """Return the response with an HTML page, or 304 if the client has the page already."""
        return documents.send(self.http, content, documents.HTML)

    def index(self, path: str) -> HttpResponse:
        """Return the response with the index at ``path``, a generated file that lists images.

        If the request has If-None-Match, the content, which can have megabytes, is read only if the
        index has changed. Raises NotFound if there is no such index.
        """
        is_conditional = "If-None-Match" in self.http.headers
        row = reading.index(self.project, path, with_content=not is_conditional)
        return documents.send_index(self.http, row)

    def top(self) -> bytes:
        """Return the HTML page that lists the top folder of the tree."""
        entries = pages.top_entries(reading.entries(self.project))
        return _top_page(self.site, reading.cards(self.project), tuple(entries))

    def family(self, name: str) -> tuple[Publication, PublishedFamily]:
        """Return the row of a family's publication, and the published family that this row has.

        Raises NotFound if there is no such family, or if the policy file hides it from the caller.
        """
        row, family = reading.family(self.project, name)
        if access.overrides().get("get_family"):
            access.get_family(self.caller, str(row.family))
        return row, family

    def family_page(self, name: str) -> bytes:
        """Return the HTML page of a published family, which lists its versions. Raises NotFound."""
        site = replace(self.site, key=reading.key(self.project))
        return pages.family_page(site, self.family(name)[1])

    def version(self, family: str, label: str) -> bytes:
        """Return the HTML page that lists the folder of a version. Raises NotFound."""
        folder = reading.folder(*self.family(family), label)
        return pages.version_page(
            self.site, folder.family, folder.version, folder.entries(), folder=label
        )

    def file(self, family: str, label: str, name: str) -> HttpResponseBase:
        """Return the response with a file in the folder of a version of a family.

        ``label`` is that of the version, or ``current`` for the current one. Raises NotFound, and
        for the data of the image the errors of ``image_files.send``.
        """
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
