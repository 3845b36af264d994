"""The verbs of bulk changes, such as ``delete``, and the function that each calls for one image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from images import lifecycle
from images.access import Caller
from images.operations import manual_transitions

Verb = Callable[[str, Caller, str], None]  # image id, actor, reason

VERBS: Final[Mapping[str, Verb]] = {
    "deactivate": lifecycle.deactivate,
    "reactivate": lifecycle.reactivate,
    "fail": manual_transitions.fail,
    "restore": lifecycle.restore,
    "delete": lifecycle.delete,
    "scrub": lifecycle.scrub,
}
