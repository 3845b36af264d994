"""Edits: the same change of attributes, tags and properties for many images, and its undo.

The row of an edited image keeps the values before and after the edit, as a document:
``{"fields": {name: [before, after]}, "properties": {name: [before, after]}}``, where null stands
for a property that does not exist. The row of an undo has a copy of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from images import attributes, errors, lifecycle
from images.access import Caller
from images.attributes import Changes
from images.custom_properties import clean_property_name
from images.lifecycle import family_members
from images.models import BulkRow, Image
from images.transitions import locked

EDIT = "edit"  # verbs of bulk changes
UNDO_EDIT = "undo-edit"
EDITS = (EDIT, UNDO_EDIT)

Document = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Edit:
    """Changes to make in each of many images: attributes, tags and custom properties."""

    fields: Mapping[str, Any] = field(default_factory=dict)  # name -> value
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)  # name -> value
    remove_properties: tuple[str, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Return the edit that ``as_document`` has converted to this document."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in document.items()
        }
        return cls(**values)

    @property
    def as_document(self) -> dict[str, Any]:
        """The edit as a document that can be stored as JSON; empty if nothing changes."""
        return {name: value for name, value in asdict(self).items() if value}

    def check(self) -> None:
        """Raise Invalid or Forbidden if a value of the edit is one that no image can have."""
        lifecycle.clean_changes(Changes(dict(self.fields), dict(self.properties)))
        attributes.clean_fields({"tags": [*self.add_tags, *self.remove_tags]})
        for name in self.remove_properties:
            clean_property_name(name)
        named = dict.fromkeys(self.remove_properties, "") | {**self.properties}
        family_members.check_new(named)
        for names in (
            {*self.add_tags} & {*self.remove_tags},
            {*self.properties} & {*self.remove_properties},
        ):
            if names:
                raise errors.Invalid(
                    f"'{min(names)}' is to be both set and removed. Choose one of them."
                )

    def changes_of(self, image: Image) -> Changes:
        """Return the changes to an image, without values that the image has already."""
        tags = {*image.tags, *self.add_tags} - {*self.remove_tags}
        fields = {**self.fields, "tags": sorted(tags)}
        return Changes(
            {name: new for name, new in fields.items() if getattr(image, name) != new},
            {
                name: value
                for name, value in self.properties.items()
                if image.properties.get(name) != value
            },
            {*self.remove_properties} & image.properties.keys(),
        )


def is_empty(changes: Changes) -> bool:
    """Return whether the changes are empty: they set and remove nothing."""
    return not (changes.fields or changes.properties or changes.removed)


def edit(edit: Edit, row: BulkRow, actor: Caller, reason: str) -> None:
    """Make an edit in the image of a row, and keep the values before and after in the row.

    Does nothing if the image already has all values of the edit. Raises the errors of ``lifecycle.update``.
    """
    _change(edit.changes_of, row, actor, reason)


def undo(row: BulkRow, actor: Caller, reason: str) -> None:
    """Give the image of a row the values back that it had before the edit.

    Raises Conflict if the image no longer has the values of the edit, and the errors of
    ``lifecycle.update``.
    """
    _change(changes_back(row), row, actor, reason)


def _change(
    changes_of: Callable[[Image], Changes], row: BulkRow, actor: Caller, reason: str
) -> None:
    with locked(row.image_id, actor) as image:
        changes = changes_of(image)
        if is_empty(changes):
            return
        changes = lifecycle.clean_changes(changes)
        row.changed = _values(image, changes)
        lifecycle.change(image, changes, actor, reason=reason)
        row.save(update_fields=["changed"])


def _values(image: Image, changes: Changes) -> Document:
    """Return the values of an image before and after changes, as rows keep them."""
    names = sorted({*changes.properties, *changes.removed})
    return {
        "fields": {
            name: [getattr(image, name), value]
            for name, value in changes.fields.items()
        },
        "properties": {
            name: [image.properties.get(name), changes.properties.get(name)]
            for name in names
        },
    }


def changes_back(row: BulkRow) -> Callable[[Image], Changes]:
    """Return the function that returns the changes which undo the edit of a row's image.

    It raises Conflict if the image no longer has the values of the edit.
    """

    def back(image: Image) -> Changes:
        if row.changed is None:
            raise errors.Conflict("The values before the edit are not known.")
        fields, properties = row.changed["fields"], row.changed["properties"]
        now = {name: getattr(image, name) for name in fields}
        now |= {name: image.properties.get(name) for name in properties}
        for name, (_before, after) in {**fields, **properties}.items():
            if now[name] != after:
                raise errors.Conflict(f"Somebody has changed '{name}' since.")
        before = {name: values[0] for name, values in properties.items()}
        return Changes(
            {name: values[0] for name, values in fields.items()},
            {name: value for name, value in before.items() if value is not None},
            {name for name, value in before.items() if value is None},
        )

    return back


def refusal(
    changes_of: Callable[[Image], Changes], image: Image, family: str
) -> tuple[bool, str]:
    """Return whether an edit would change an image, and the reason if it would be refused.

    The reason is empty if the edit would be made. ``changes_of`` returns the changes of the edit;
    ``family`` is the name of the image's family, empty if it is in none. Changes ``image`` in
    memory, and makes no query.
    """
    try:
        if image.deleted_at is not None:
            raise errors.Conflict("The image is deleted.")
        changes = changes_of(image)
        managed = [name for name in family_members.MANAGED if name in changes.fields]
        if family and managed:
            raise family_members.managed_by(family, managed[0])
        lifecycle.apply_checked(image, changes)
    except errors.ImageError as error:
        return False, error.for_operator()
    return not is_empty(changes), ""
