"""Edits: the same change of attributes, tags and properties for many images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from images import attributes, errors, lifecycle
from images.access import Caller
from images.attributes import Changes
from images.custom_properties import clean_property_name
from images.lifecycle import family_members
from images.models import Image
from images.transitions import locked

EDIT = "edit"  # verb of bulk changes


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
        """Return the edit of a document that ``as_document`` has made."""
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
        """Raise Invalid or Forbidden for a value that no image can have."""
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
    """Return whether changes change nothing."""
    return not (changes.fields or changes.properties or changes.removed)


def edit(edit: Edit, image_id: str, actor: Caller, reason: str) -> None:
    """Edit an image, if that changes anything. Raises the errors of ``lifecycle.update``."""
    with locked(image_id, actor) as image:
        changes = edit.changes_of(image)
        if not is_empty(changes):
            lifecycle.change(
                image, lifecycle.clean_changes(changes), actor, reason=reason
            )


def refusal(edit: Edit, image: Image, family: str) -> tuple[Changes, str]:
    """Return what an edit would change in an image, and the reason if it would be refused.

    The reason is empty if the edit would be made.
    ``family`` is the name of the image's family, empty if it is in none. Changes ``image`` in
    memory, and makes no query.
    """
    changes = edit.changes_of(image)
    managed = [name for name in family_members.MANAGED if name in changes.fields]
    try:
        if image.deleted_at is not None:
            raise errors.Conflict("The image is deleted.")
        if family and managed:
            raise family_members.managed_by(family, managed[0])
        lifecycle.apply_checked(image, changes)
    except errors.ImageError as error:
        return changes, error.for_operator()
    return changes, ""
