"""Users who sign in elsewhere: at an identity provider, or with the password of an LDAP directory.

Such a user is created at the first sign-in. The permissions of the user in the admin follow from
the groups of the account at the provider or directory, and are updated at each sign-in.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from imagecatalog.identity import sign_in_log
from imagecatalog.identity.models import ExternalAccount
from imagecatalog.identity.origin import Origin
from images import errors

LONGEST_NAME: Final = 150  # characters, the length of Django's column
LONGEST_SUBJECT: Final = 255  # characters (OpenID Connect Core 1.0 section 2)
ATTEMPTS: Final = 3  # another request can create the user, or take the name, meanwhile

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Account:
    """The account of a user at an identity provider or in a directory, as reported at a sign-in."""

    issuer: str
    subject: str
    name: str  # a proposal for the user name
    groups: frozenset[str]


@dataclass(frozen=True)
class GroupRules:
    """The rules that give users groups of the admin, by the groups of their external accounts.

    An external account is one at an identity provider or in a directory. Its user is a superuser if
    the account is in the group ``admin_group``; if ``admin_group`` is empty, no rule makes
    superusers.
    """

    groups: tuple[tuple[str, str], ...]  # (group there, group of the admin)
    admin_group: str = ""

    @classmethod
    def parse(cls, pairs: Iterable[str], admin_group: str) -> GroupRules:
        """Return the rules that pairs such as ``cloud-operators:Operators`` describe.

        The second part of a pair is a group of the admin; the first part, a group of the account,
        can have colons.
        """
        split = (pair.rpartition(":") for pair in pairs)
        return cls(tuple((there, here) for there, _, here in split), admin_group)

    def granted(self, groups: frozenset[str]) -> set[str]:
        """Return the names of the admin's groups that the rules give to an account in these groups."""
        return {here for there, here in self.groups if there in groups}

    def is_admin(self, groups: frozenset[str]) -> bool:
        """Return whether the user of an account with these groups is a superuser."""
        return bool(self.admin_group) and self.admin_group in groups


def sign_in(account: Account, rules: GroupRules, method: str, origin: Origin) -> Any:
    """Return the user of an account, with updated groups; create the user at the first sign-in.

    ``method`` names the kind of sign-in in the sign-in log. Raises Forbidden if no group of the
    account gives access (an existing user also loses the groups of the rules then), if the user is
    disabled, or if the id of the account cannot be stored.
    """
    _check(account)
    user = _find(account)
    is_admin, granted = rules.is_admin(account.groups), rules.granted(account.groups)
    if not (is_admin or granted):
        if user is not None:
            _set_groups(user, rules, granted, is_admin, origin)
        _refuse(user, account, method, origin)
        raise errors.Forbidden(
            f"The account {account.name or account.subject} is in no group that has access "
            "to the catalogue. Ask an operator."
        )
    if user is None:
        user = _create(account, origin)
    _set_groups(user, rules, granted, is_admin, origin)
    if not user.is_active:
        _refuse(user, account, method, origin)
        raise errors.Forbidden(
            f"The user {user.get_username()} is disabled. Ask an operator."
        )
    return user


def _check(account: Account) -> None:
    """Raise Forbidden unless the account's subject is printable ASCII of 1 to 255 characters."""
    subject = account.subject
    is_text = subject.isascii() and subject.isprintable()
    if not (is_text and 0 < len(subject) <= LONGEST_SUBJECT):
        raise errors.Forbidden(
            f"The account has no id of at most {LONGEST_SUBJECT} characters. Ask an operator."
        )


def _find(account: Account) -> Any:
    users = get_user_model().objects
    return users.filter(
        external_accounts__issuer=account.issuer,
        external_accounts__subject=account.subject,
    ).first()


def _create(account: Account, origin: Origin) -> Any:
    """Create the user of an account, without a password, and return it.

    Returns the existing user if another request has created it meanwhile. Raises Conflict if the
    user cannot be created because other requests take its name.
    """
    for _ in range(ATTEMPTS):
        try:
            with transaction.atomic():
                return _new_user(account, origin)
        except IntegrityError:
            if user := _find(account):
                return user
    raise errors.Conflict("Too many users are created at once. Sign in again.")


def _new_user(account: Account, origin: Origin) -> Any:
    users = get_user_model().objects
    names = _names(account)
    name = next(name for name in names if not users.filter(username=name).exists())
    user = users.create_user(name)
    # The row is there if the previous release has deleted the user.
    ExternalAccount.objects.update_or_create(
        issuer=account.issuer, subject=account.subject, defaults={"user": user}
    )
    sign_in_log.record(
        "user_create", name, origin, issuer=account.issuer, subject=account.subject
    )
    return user


def _names(account: Account) -> Iterator[str]:
    """Yield possible names for an account's user: ``NAME``, then ``NAME-2``, ``NAME-3`` and so on."""
    users = get_user_model()
    own = users.normalize_username(account.name)
    own = re.sub(r"[^\w.@+-]+", "-", own)[: LONGEST_NAME - 10].strip("-") or "user"
    yield own
    yield from (f"{own}-{number}" for number in count(2))


def _set_groups(
    user: Any, rules: GroupRules, granted: set[str], is_admin: bool, origin: Origin
) -> None:
    """Give a user the groups in ``granted``, and remove the user from all other groups of the rules.

    The user keeps groups that no rule names, and can open the admin only if ``granted`` or
    ``is_admin`` is true. If the rules have an ``admin_group``, ``is_admin`` says whether the user
    becomes or remains a superuser. Changes are recorded in the sign-in log.
    """
    governed = Group.objects.filter(name__in={here for _, here in rules.groups})
    known = {group.name: group for group in governed}
    if missing := granted - known.keys():
        log.warning("there is no group %s in the admin", ", ".join(sorted(missing)))
    before = set(user.groups.filter(name__in=known).values_list("name", flat=True))
    wanted = granted & known.keys()
    is_superuser = is_admin if rules.admin_group else user.is_superuser
    flags = {"is_staff": bool(granted or is_admin), "is_superuser": is_superuser}
    changed = [name for name, value in flags.items() if getattr(user, name) != value]
    if before == wanted and not changed:
        return
    with transaction.atomic():
        user.groups.remove(*(known[name] for name in before - wanted))
        user.groups.add(*(known[name] for name in wanted - before))
        for name in changed:
            setattr(user, name, flags[name])
        if changed:
            user.save(update_fields=changed)
        sign_in_log.record(
            "groups_change",
            user.get_username(),
            origin,
            groups=sorted(wanted),
            **flags,
        )


def _refuse(user: Any, account: Account, method: str, origin: Origin) -> None:
    name = user.get_username() if user else f"{account.subject} of {account.issuer}"
    sign_in_log.refused(name, origin, method)
