"""The rules of a retention policy, in the form in which decisions use them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple, Self

from images.models import RetentionPolicy, SharedImages
from images.units import parse_duration

HIDE: Final = "hide"
DEACTIVATE: Final = "deactivate"
DELETE: Final = "delete"
ACTIONS: Final = (HIDE, DEACTIVATE, DELETE)  # in their order


class Stage(NamedTuple):
    """An action of a policy, and the time after which it is due for an image that is not kept."""

    action: str
    after: timedelta


@dataclass(frozen=True)
class Rules:
    """The rules of a policy: an image is kept while at least one rule keeps it.

    A rule that the policy does not have is None or empty.
    """

    last: int | None = None
    newer_than: timedelta | None = None
    used_within: timedelta | None = None
    labels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    until_property: str | None = None
    stages: tuple[Stage, ...] = ()
    acts_on_shared: bool = False
    has_trash: bool = True  # a deleted image goes to the trash

    @classmethod
    def of(cls, policy: RetentionPolicy, *, has_trash: bool) -> Self:
        """Return the rules of a policy whose values were checked when they were stored.

        ``has_trash`` says that deleted images go to the trash.
        """
        keep = policy.keep
        return cls(
            last=keep.get("last"),
            newer_than=_span(keep.get("newer_than")),
            used_within=_span(keep.get("used_within")),
            labels=tuple(keep.get("labels", ())),
            tags=tuple(keep.get("tags", ())),
            until_property=keep.get("until_property"),
            stages=tuple(_stage(it) for it in policy.actions),
            acts_on_shared=policy.shared == SharedImages.ACT,
            has_trash=has_trash,
        )


def _span(text: str | None) -> timedelta | None:
    return None if text is None else timedelta(seconds=parse_duration(text))


def _stage(item: dict[str, Any]) -> Stage:
    ((action, after),) = item.items()
    return Stage(action, timedelta(seconds=parse_duration(after)))
