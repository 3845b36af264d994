"""The sign-in log: records of sign-ins, and of changes of users, credentials, tokens and roles.

Operators read it. The records are rows of the database. Refused sign-ins are also written to the
process log; refusals for an unknown user name are written only there, so that clients without an
account cannot fill the database.
"""

from __future__ import annotations

import logging

from django.contrib.auth import get_user_model
from django.db import Error

from imagecatalog.identity import sign_in_counts
from imagecatalog.identity.models import SignInEvent
from imagecatalog.identity.origin import Origin

log = logging.getLogger(__name__)


def record(verb: str, user: str, origin: Origin, **detail: object) -> None:
    """Write a successful action to the sign-in log.

    ``verb`` names the action, such as ``token_issue``; ``detail`` has further facts.
    """
    _write(verb, user, origin, detail)


def refused(user: str, origin: Origin, how: str) -> None:
    """Record a refused sign-in: a wrong password or secret, or a user without a role.

    The refusal is counted, and written to the process log and, if a user has this name, to the
    sign-in log.
    ``how`` is the method of the sign-in, such as ``password``.
    """
    sign_in_counts.refused(how)
    users = get_user_model().objects.filter(username=user)
    known = "\0" not in user and users.exists()
    without_role = known and not users.filter(assignments__isnull=False).exists()
    reason = "no role in any project" if without_role else ""
    shown = f", {reason}" if reason else ""
    log.warning(
        "sign-in refused: %s of %r from %s%s", how, user[:150], origin.source, shown
    )
    if known:
        detail: dict[str, object] = {"method": how}
        if reason:
            detail["reason"] = reason
        _try_to_write("refused", user, origin, detail)


def _try_to_write(
    verb: str, user: str, origin: Origin, detail: dict[str, object]
) -> None:
    """Write a refusal to the sign-in log. If that fails, only log a warning.

    An error response would reveal that the user exists, because refusals are written only for
    existing users.
    """
    try:
        _write(verb, user, origin, detail)
    except Error as error:
        log.warning("the sign-in log cannot be written: %s", error)


def _write(verb: str, user: str, origin: Origin, detail: dict[str, object]) -> None:
    SignInEvent.objects.create(
        verb=verb,
        user=user,
        source=origin.source[:64],
        request_id=origin.request_id[:64],
        detail=detail,
    )
