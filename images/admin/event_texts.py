"""Sentences for the events of images and families: what happened, in the words of the admin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from images import activity
from images.models import MemberStatus, Status

Detail = Mapping[str, Any]
Names = Mapping[str, str]  # of projects, by id

LISTED: Final = 4  # changed attributes that a sentence names
LABELS: Final[Mapping[str, Mapping[str, Any]]] = {
    activity.IMAGE: {
        "create": gettext_lazy("Created"),
        "update": gettext_lazy("Changed"),
        "upload": gettext_lazy("Upload started"),
        "stage": gettext_lazy("Resumable upload started"),
        "import": gettext_lazy("Import started"),
        "copy": gettext_lazy("Download from a URL started"),
        "request_copy": gettext_lazy("Download from a URL requested"),
        "receive": gettext_lazy("Data received"),
        "fail": gettext_lazy("Transfer ended without data"),
        "request_copy_image": gettext_lazy("Copy to another store requested"),
        "copy_image": gettext_lazy("Copied to another store"),
        "add_location": gettext_lazy("Location added"),
        "remove_location": gettext_lazy("Location removed"),
        "replace_locations": gettext_lazy("Locations changed"),
        "add_member": gettext_lazy("Shared with a project"),
        "change_member": gettext_lazy("Member changed"),
        "set_member_status": gettext_lazy("Sharing answered"),
        "remove_member": gettext_lazy("Sharing ended"),
        "deactivate": gettext_lazy("Deactivated"),
        "reactivate": gettext_lazy("Reactivated"),
        "delete": gettext_lazy("Deleted"),
        "restore": gettext_lazy("Restored"),
        "scrub": gettext_lazy("Deleted permanently"),
        "verify": gettext_lazy("Data verified"),
        "lose": gettext_lazy("Copy lost"),
    },
    activity.FAMILY: {
        "create": gettext_lazy("Family created"),
        "update": gettext_lazy("Family changed"),
        "add": gettext_lazy("Version added"),
        "promote": gettext_lazy("Version promoted"),
        "rollback": gettext_lazy("Rolled back"),
        "withdraw": gettext_lazy("Version withdrawn"),
        "remove": gettext_lazy("Version removed"),
        "delete": gettext_lazy("Family deleted"),
    },
}


def label(kind: str, verb: str) -> str:
    """Return the name of an event's verb as pages show it; ``kind`` is ``image`` or ``family``."""
    named = LABELS[kind].get(verb)
    return str(named) if named else verb.replace("_", " ").capitalize()


def sentence(event: Mapping[str, Any], detail: Detail, names: Names) -> str:
    """Return what happened, such as "Shared with project lab", in one line.

    ``detail`` is that part of the event's detail that the reader can see; ``names`` has the names of
    projects by their ids.
    """
    kind, verb = event["kind"], event["verb"]
    describe = _SENTENCES[kind].get(verb)
    return describe(event, detail, names) if describe else label(kind, verb)


def projects_in(event: Mapping[str, Any]) -> set[str]:
    """Return the ids of the projects that the texts of an event name."""
    named = {event["project"]}
    if event["kind"] == activity.IMAGE and event["verb"].endswith(
        ("_member", "_member_status")
    ):
        named.add(str(event["detail"].get("member", "")))
    return named - {""}


def _changed(event: Mapping[str, Any], detail: Detail, names: Names) -> str:
    changed = [name for name, value in detail.items() if isinstance(value, list)]
    if not changed:
        return label(event["kind"], event["verb"])
    listed = ", ".join(changed[:LISTED])
    more = len(changed) - LISTED
    if more <= 0:
        return _("Changed %(listed)s") % {"listed": listed}
    text = ngettext(
        "Changed %(listed)s and %(more)d more",
        "Changed %(listed)s and %(more)d more",
        more,
    )
    return text % {"listed": listed, "more": more}


def _failed(event: Mapping[str, Any], detail: Detail, names: Names) -> str:
    if event["interface"] in ("admin", "command"):
        return _("Transfer cancelled")
    return _("Transfer failed")


def _deleted(event: Mapping[str, Any], detail: Detail, names: Names) -> str:
    if event["to_status"] == Status.PENDING_DELETE:
        return _("Moved to the trash")
    return _("Deleted permanently")


def _verified(event: Mapping[str, Any], detail: Detail, names: Names) -> str:
    if "damage" not in detail:
        return _("Digests computed")
    if detail["damage"]:
        return _("Damage found in store %(store)s") % {"store": detail.get("store")}
    return _("Copy in store %(store)s is intact again") % {"store": detail.get("store")}


def _copied(event: Mapping[str, Any], detail: Detail, names: Names) -> str:
    store = detail.get("store")
    if not store:
        return label(event["kind"], event["verb"])
    if event["verb"] == "copy_image":
        return _("Copied to store %(store)s") % {"store": store}
    if event["verb"] == "lose":
        return _("Copy in store %(store)s lost") % {"store": store}
    return _("Copy to store %(store)s requested") % {"store": store}


def _member(detail: Detail, names: Names) -> dict[str, str]:
    member = str(detail.get("member", ""))
    return {"project": names.get(member, member)}


def _shared(event: Mapping[str, Any], detail: Detail, names: Names) -> str:
    return _("Shared with project %(project)s") % _member(detail, names)


def _unshared(event: Mapping[str, Any], detail: Detail, names: Names) -> str:
    return _("No longer shared with project %(project)s") % _member(detail, names)


def _member_changed(event: Mapping[str, Any], detail: Detail, names: Names) -> str:
    if _after(detail, "can_share"):
        return _("Project %(project)s can share the image") % _member(detail, names)
    return _("Project %(project)s cannot share the image") % _member(detail, names)


def _answered(event: Mapping[str, Any], detail: Detail, names: Names) -> str:
    status = _after(detail, "status")
    shown = MemberStatus(status).label if status in MemberStatus.values else status
    return _("Sharing with project %(project)s: %(status)s") % {
        **_member(detail, names),
        "status": str(shown).lower(),
    }


def _after(detail: Detail, name: str) -> Any:
    value = detail.get(name)
    return value[-1] if isinstance(value, list) and value else value


def _version(event: Mapping[str, Any], detail: Detail, names: Names) -> str:
    version = event["to_version"] or event["from_version"]
    texts = {
        "add": _("Version %(version)s added"),
        "promote": _("Version %(version)s promoted"),
        "rollback": _("Rolled back to version %(version)s"),
        "withdraw": _("Version %(version)s withdrawn"),
        "remove": _("Version %(version)s removed"),
    }
    if not version:
        return label(event["kind"], event["verb"])
    return texts[event["verb"]] % {"version": version}


_Describe = Callable[[Mapping[str, Any], Detail, Names], str]
_SENTENCES: Final[Mapping[str, Mapping[str, _Describe]]] = {
    activity.IMAGE: {
        "update": _changed,
        "fail": _failed,
        "delete": _deleted,
        "verify": _verified,
        "copy_image": _copied,
        "request_copy_image": _copied,
        "lose": _copied,
        "add_member": _shared,
        "remove_member": _unshared,
        "change_member": _member_changed,
        "set_member_status": _answered,
    },
    activity.FAMILY: {
        "update": _changed,
        **dict.fromkeys(("add", "promote", "rollback", "withdraw", "remove"), _version),
    },
}
