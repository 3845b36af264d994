"""Texts on what a bulk change does: the name of its verb, and a line for each value of an edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from images.admin import actions
from images.admin.actions import ACTIONS
from images.admin.changelist import project_names
from images.bulk.edits import EDIT, EDITS, UNDO_EDIT, Edit

EDIT_PERMISSION: Final = "images.change_image"
# Verb -> the verb that undoes it.
UNDO: Final[Mapping[str, str]] = {**actions.UNDO, EDIT: UNDO_EDIT}


def permission(verb: str) -> str:
    """Return the Django permission that a bulk change with this verb needs."""
    return EDIT_PERMISSION if verb in EDITS else ACTIONS[verb].permission


def label(verb: str) -> str:
    """Return the name of a verb as pages show it; the verb itself if this release has no such verb."""
    if verb == EDIT:
        return _("Edit")
    if verb == UNDO_EDIT:
        return _("Undo of an edit")
    return str(ACTIONS[verb].label) if verb in ACTIONS else verb


def edit_lines(edit: Edit) -> list[str]:
    """Return what an edit changes, a line for each attribute, tag and property."""
    fields = dict(edit.fields)
    if owner := fields.get("owner"):
        fields["owner"] = project_names({owner}).get(owner, owner)
    return [
        *(f"{name}: {_value(value)}" for name, value in fields.items()),
        *(_("tag %(tag)s added") % {"tag": tag} for tag in edit.add_tags),
        *(_("tag %(tag)s removed") % {"tag": tag} for tag in edit.remove_tags),
        *(f"{name}={value}" for name, value in edit.properties.items()),
        *(
            _("property %(name)s removed") % {"name": name}
            for name in edit.remove_properties
        ),
    ]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return str(value)
