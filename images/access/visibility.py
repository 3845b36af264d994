"""The images that a caller can see, and look-ups of an image by its id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache

from django.db.models import Exists, OuterRef, Q, QuerySet

from images import errors
from images.access.caller import Caller, implied
from images.access.rules import check_shown, rule_allows, shown
from images.models import Image, Member, rows
from images.models.rows import Row
from images.models.statements import Placeholders, Query, Statement


def seen_by(caller: Caller) -> Q:
    """Return the query condition for the images that a caller can look up by their ids.

    Lists may show fewer. Rules are not checked, so the policy file has no effect here.
    """
    if caller.is_admin:
        return Q()
    if "reader" not in caller.roles:
        return Q(pk__in=[])
    shared = Member.objects.filter(image=OuterRef("pk"), member=caller.project)
    return (
        Q(owner=caller.project)
        | Q(owner=None)
        | Q(visibility__in=("public", "community"))
        | Q(Exists(shared), visibility="shared")
    )


def find(caller: Caller, image_id: str, *, deleted: bool = False) -> Row:
    """Return the row of an image that the caller can see, without checking a rule. One query.

    The calling code must check a rule before it uses the row. With ``deleted``, deleted images are
    found, too. Raises NotFound if there is no such image or the caller cannot see it.
    """
    if not caller.roles:
        raise missing(image_id)
    placeholders = Placeholders()
    pk = placeholders.add(image_id)
    if caller.is_admin:
        statement = _by_id(pk, deleted)
    else:
        statement = _seen_by_id(pk, deleted, placeholders.add(caller.project))
    return _only(Query(placeholders.fill_in(statement)), image_id)


def current(image_id: str) -> Row:
    """Return the row of an image, whether or not a caller can see it. One query.

    Use it for the response to a change that the caller was allowed to make. Raises NotFound if the
    image no longer exists.
    """
    return Changed(image_id).row()


class Changed:
    """The row of an image as a change leaves it, whether or not a caller can see the image.

    Use it for the response to a change that the caller was allowed to make, and pass its ``step``
    to the change: then the row is read together with the commit.
    """

    def __init__(self, image_id: str) -> None:
        placeholders = Placeholders()
        statement = _by_id(placeholders.add(image_id), deleted=True)
        self._image_id = image_id
        self._query = Query(placeholders.fill_in(statement))

    @contextmanager
    def step(self, image: Image) -> Iterator[None]:
        """Send the query once the locked image was changed, in the same transaction."""
        yield
        self._query.send()

    def row(self) -> Row:
        """Return the row. Raises NotFound if the image no longer exists."""
        return _only(self._query, self._image_id)


def _only(query: Query, image_id: str) -> Row:
    """Return the only row of a query. Raises NotFound without a row."""
    matching = rows.fetched_by(query)
    if not matching:
        raise missing(image_id)
    return matching[0]


def require(caller: Caller, action: str, image: Row) -> None:
    """Raise an error unless the caller is allowed ``action`` on the row of an image.

    Raises NotFound if the caller is not even allowed to see the image, so that the response does
    not reveal that the image exists; otherwise Forbidden.
    """
    check_shown(caller, image, "get_image", missing(image["id"]), action)


def visible(caller: Caller, page: Sequence[Row]) -> list[Row]:
    """Return those rows of a page of images that the rule get_image allows the caller to see."""
    return shown(caller, page, "get_image", lambda row: row)


def get_image(
    caller: Caller, image_id: str, action: str = "get_image", *, deleted: bool = False
) -> Row:
    """Return the row of an image on which the caller is allowed ``action``. One query.

    With ``deleted``, deleted images are found, too. Raises NotFound if the caller cannot see the
    image, Forbidden if the action is not allowed.
    """
    image = find(caller, image_id, deleted=deleted)
    require(caller, action, image)
    return image


def permitting(
    caller: Caller, action: str
) -> Callable[[Image], AbstractContextManager[None]]:
    """Return a step that lets a locked image change if the caller is allowed ``action`` on it.

    It needs no query, unlike ``get_image``, for changes whose request does not depend on the image.
    The change itself must refuse images of other projects. The step raises NotFound if the caller
    cannot see the image, Forbidden if the action is not allowed.
    """

    @contextmanager
    def step(image: Image) -> Iterator[None]:
        if not (caller.is_admin or "reader" in caller.roles):
            raise missing(image.pk)
        require(caller, action, rows.row_of(image))
        yield

    return step


def get_remembered_image(caller: Caller, image_id: str, action: str) -> Row:
    """Return the row of an existing or deleted image on which the caller is allowed ``action``.

    A deleted image is found only for callers who are allowed to read its history. Raises NotFound
    if the caller cannot see the image, Forbidden if the action is not allowed.
    """
    image = find(caller, image_id, deleted=True)
    is_deleted = image["deleted_at"] is not None
    if is_deleted and not rule_allows(caller, "get_image_history", image):
        raise missing(image_id)
    require(caller, action, image)
    return image


def missing(image_id: str) -> errors.NotFound:
    """Return the error for an image that does not exist or that the caller cannot see."""
    return errors.NotFound(f"No image found with ID {image_id}")


# Compiled once with placeholders, because every request for an image executes one of them.


@cache
def _by_id(image_id: str, deleted: bool) -> Statement:
    return rows.statement(_with_id(image_id, deleted))


@cache
def _seen_by_id(image_id: str, deleted: bool, project: str | None) -> Statement:
    reader = Caller(user="", project=project, roles=implied("reader"))
    return rows.statement(_with_id(image_id, deleted).filter(seen_by(reader)))


def _with_id(image_id: str, deleted: bool) -> QuerySet[Image]:
    images = Image.objects.all() if deleted else Image.objects.existing()
    return images.filter(pk=image_id)
