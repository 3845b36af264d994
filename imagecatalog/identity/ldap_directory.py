"""Sign-in to the admin with a password in an LDAP directory, by django-auth-ldap.

external_accounts.py decides whether an account has access, and which groups its user gets. Users
are recognised by a permanent id, never by their names. Import this module only if
IMAGECATALOG_LDAP_URL is set: it needs python-ldap, which has to be compiled and is in no lock file.
"""

from __future__ import annotations

from typing import Any, Final

import ldap
from django.conf import settings
from django.http import HttpRequest
from django_auth_ldap import config
from django_auth_ldap.backend import LDAPBackend, ldap_error

from imagecatalog.identity import external_accounts
from imagecatalog.identity.external_accounts import Account, GroupRules
from imagecatalog.identity.origin import NOWHERE, origin_of
from images import db, errors

METHOD: Final = "ldap"  # in the sign-in log
TIMEOUT: Final = 5  # seconds for a connection, and for an answer
GROUP_TYPES: Final = {
    "groupOfNames": config.GroupOfNamesType,
    "groupOfUniqueNames": config.GroupOfUniqueNamesType,
    "posixGroup": config.PosixGroupType,
    "group": config.NestedActiveDirectoryGroupType,
}


class DirectoryFailed(errors.ImageError):
    """The error for an LDAP directory that does not answer, or refuses the service's own requests."""

    code = "directory-failed"


class DirectoryBackend(LDAPBackend):  # type: ignore[misc]
    """django-auth-ldap's backend, which checks a user's password in the LDAP directory.

    The class is not in AUTHENTICATION_BACKENDS: the backend ``Passwords`` uses it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.default_settings = _options()

    def get_or_build_user(self, username: str, ldap_user: Any) -> tuple[Any, bool]:
        """Return the user of an LDAP account, and False (called by django-auth-ldap).

        django-auth-ldap calls this after a right password. False means that the user exists
        already, so that django-auth-ldap does not change it. Raises Forbidden if no group of the
        account gives access, or if the user is disabled.
        """
        request = ldap_user._request
        account = Account(
            issuer=f"ldap:{settings.IMAGECATALOG_LDAP_USERS}",
            subject=_subject(ldap_user.attrs),
            name=username,
            groups=frozenset(ldap_user.group_names),
        )
        rules = GroupRules.parse(
            settings.IMAGECATALOG_LDAP_GROUPS, settings.IMAGECATALOG_LDAP_ADMIN_GROUP
        )
        origin = origin_of(request) if request else NOWHERE
        return external_accounts.sign_in(account, rules, METHOD, origin), False


def authenticate(request: HttpRequest | None, name: str, password: str) -> Any:
    """Return the user with this name and password in the LDAP directory, or None if there is none.

    Raises DirectoryFailed if the directory cannot check the password, and Forbidden if the password
    is right but the user has no access.
    """
    if not password or "\0" in name:
        return None
    db.release_connection()
    return DirectoryBackend().authenticate(request, username=name, password=password)


def _options() -> dict[str, Any]:
    """Return the settings of django-auth-ldap, by their names without the prefix ``AUTH_LDAP_``."""
    url, groups = settings.IMAGECATALOG_LDAP_URL, settings.IMAGECATALOG_LDAP_GROUP_CLASS
    subtree, ca_file = ldap.SCOPE_SUBTREE, settings.IMAGECATALOG_LDAP_CA_FILE
    return {
        "SERVER_URI": url,
        "START_TLS": url.startswith("ldap:"),
        "CONNECTION_OPTIONS": {
            ldap.OPT_NETWORK_TIMEOUT: TIMEOUT,
            ldap.OPT_TIMEOUT: TIMEOUT,
            ldap.OPT_REFERRALS: 0,
            ldap.OPT_X_TLS_REQUIRE_CERT: ldap.OPT_X_TLS_DEMAND,
            **({ldap.OPT_X_TLS_CACERTFILE: ca_file} if ca_file else {}),
            ldap.OPT_X_TLS_NEWCTX: 0,  # the last one: applies those before it
        },
        "BIND_DN": settings.IMAGECATALOG_LDAP_BIND_DN,
        "BIND_PASSWORD": settings.IMAGECATALOG_LDAP_BIND_PASSWORD,
        "USER_SEARCH": config.LDAPSearch(
            settings.IMAGECATALOG_LDAP_USERS,
            subtree,
            f"({settings.IMAGECATALOG_LDAP_USER_ATTRIBUTE}=%(user)s)",
            ["*", settings.IMAGECATALOG_LDAP_ID_ATTRIBUTE],
        ),
        "GROUP_SEARCH": config.LDAPSearch(
            settings.IMAGECATALOG_LDAP_GROUP_BASE, subtree, f"(objectClass={groups})"
        ),
        "GROUP_TYPE": GROUP_TYPES[groups](),
        "ALWAYS_UPDATE_USER": False,
    }


def _subject(attributes: Any) -> str:
    """Return the permanent id of a user, from the user's LDAP attributes; empty if there is none.

    An id that is not printable ASCII, such as Active Directory's, is returned in hexadecimal.
    """
    (value,) = attributes.get(settings.IMAGECATALOG_LDAP_ID_ATTRIBUTE, [""])[:1]
    if isinstance(value, str) and value.isascii() and value.isprintable():
        return value
    raw = value if isinstance(value, bytes) else value.encode()
    return raw.hex()


def _fail(sender: Any, exception: Exception, **signal: Any) -> None:
    """Raise DirectoryFailed after an error of the LDAP directory (receiver of a signal).

    Otherwise django-auth-ldap, which has logged the error, would treat the password as wrong.
    """
    raise DirectoryFailed(
        "The directory does not answer. Try again in a minute. If it happens again, ask an "
        "operator to read the log."
    )


ldap_error.connect(_fail)
