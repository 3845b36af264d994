"""Sign-in with ``POST /v3/auth/tokens``: check the request body, and issue a token.

Follows the Identity API v3, "Authentication and token management". The error for wrong credentials
is always the same, so that an attacker learns nothing from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model

from imagecatalog.identity import (
    credentials,
    sign_in_counts,
    sign_in_log,
    throttle,
    tokens,
    users,
)
from imagecatalog.identity.api.views import DOMAIN, Unauthorized, existing, user_key
from imagecatalog.identity.models import ApplicationCredential, Project
from imagecatalog.identity.origin import Origin
from imagecatalog.identity.tokens import Valid
from images import errors

Fields = dict[str, Any]


def sign_in(document: object, origin: Origin) -> tuple[str, Valid]:
    """Check the credentials in the body of a sign-in request, and issue a token.

    Returns the text of the token, and its claims and identity. Records the sign-in in the sign-in
    log. Raises Invalid for a malformed body, TooManyAttempts after too many failures, and
    Unauthorized for wrong credentials or a project in which the user has no role. Raises Forbidden
    if a token of an application credential is to be exchanged for another token.
    """
    auth = _object(document, "auth")
    identity = _object(auth, "identity")
    methods = identity.get("methods")
    if not isinstance(methods, list) or len(methods) != 1:
        raise errors.Invalid(
            "A sign-in needs exactly one method. Name it in 'methods'."
        )
    method = METHODS.get(methods[0]) if isinstance(methods[0], str) else None
    if method is None:
        raise Unauthorized(
            f"The sign-in method is not supported. Use one of: {', '.join(sorted(METHODS))}."
        )
    issued = method(_object(identity, methods[0]), auth.get("scope"), origin)
    if issued is None:
        raise Unauthorized("The project does not exist, or the user has no role in it.")
    text, valid = issued
    claims = valid.claims
    sign_in_log.record(
        "token_issue",
        valid.identity.user,
        origin,
        method=methods[0],
        project=claims.project,
        audit_id=claims.audit_ids[0],
    )
    return text, valid


def _by_password(
    fields: Fields, scope: object, origin: Origin
) -> tuple[str, Valid] | None:
    user = _object(fields, "user")
    password = user.get("password")
    if not isinstance(password, str):
        raise errors.Invalid("The user's password is missing. Send it as a string.")
    # The password of a user that does not exist is verified, too, under a name that no user can
    # have. So neither the response time nor the number of attempts reveals which users exist.
    name = _user_name(user) or f"\0{user.get('id', '')}"
    identity = credentials.by_password(name, password, origin)
    if identity is None:
        raise Unauthorized(credentials.REFUSED)
    row = existing(get_user_model().objects.filter(username=name))
    issued = tokens.issue(row.pk, _project(scope), ["password"])
    if issued:
        users.set_last_sign_in(row.pk)
    return issued


def _by_token(
    fields: Fields, scope: object, origin: Origin
) -> tuple[str, Valid] | None:
    text = fields.get("id")
    valid = tokens.read(text) if isinstance(text, str) else None
    if valid is None:
        raise Unauthorized
    claims = valid.claims
    if claims.credential is not None:
        raise errors.Forbidden(
            "A token of an application credential cannot be exchanged for another one."
        )
    methods = dict.fromkeys([*claims.methods, "token"])
    return tokens.issue(claims.user_id, _project(scope), methods, parent=claims)


def _by_application_credential(
    fields: Fields, scope: object, origin: Origin
) -> tuple[str, Valid] | None:
    secret = fields.get("secret")
    if not isinstance(secret, str):
        raise errors.Invalid(
            "The application credential's secret is missing. Send it as a string."
        )
    if scope is not None:
        raise Unauthorized(
            "An application credential is for one project. Leave the scope out."
        )
    credential_id = _credential_id(fields, origin)
    identity = credentials.by_secret(credential_id, secret, origin)
    row = ApplicationCredential.objects.filter(pk=credential_id).first()
    if identity is None or row is None:
        raise Unauthorized
    return tokens.issue(
        row.user_id, row.project_id, ["application_credential"], credential=row.pk
    )


METHODS: dict[str, Callable[[Fields, object, Origin], tuple[str, Valid] | None]] = {
    "password": _by_password,
    "token": _by_token,
    "application_credential": _by_application_credential,
}


def _credential_id(fields: Fields, origin: Origin) -> str:
    """Return the id of the application credential that a sign-in request names.

    The request has either this id, or the user and the name of the credential. Empty if the user
    has no credential of this name. Raises Invalid for malformed fields, TooManyAttempts after too
    many unknown names from this origin.
    """
    if "id" in fields:
        return _text(fields, "id")
    user, name = _object(fields, "user"), _text(fields, "name")
    rows = ApplicationCredential.objects.filter(
        user__username=_user_name(user), name=name
    )
    found = rows.values_list("pk", flat=True).first()
    if found is None:
        # The limit would otherwise tell which names exist.
        with sign_in_counts.counting_throttled("secret"):
            throttle.count(f"\0{user.get('id', user.get('name'))} {name}", origin)
    return found or ""


def _user_name(user: Fields) -> str:
    """Return the user name that a sign-in request names by id or name.

    Empty for an unknown id or domain. A name is returned even if no user has it.
    """
    if "id" in user:
        users = get_user_model().objects.filter(pk=user_key(_text(user, "id")))
        return users.values_list("username", flat=True).first() or ""
    name = _text(user, "name")
    return name if _is_ours(user.get("domain")) else ""


def _project(scope: object) -> str | None:
    """Return the id of the project in the scope of a sign-in request; None if there is none.

    Raises Invalid for a malformed scope, Unauthorized for an unsupported scope or an unknown name.
    An id is not checked.
    """
    if (
        scope is None
        or scope == "unscoped"
        or (isinstance(scope, dict) and "unscoped" in scope)
    ):
        return None
    if not isinstance(scope, dict) or set(scope) != {"project"}:
        raise Unauthorized("The scope is not supported. Use a project, or no scope.")
    project = _object(scope, "project")
    if "id" in project:
        return _text(project, "id")
    name = _text(project, "name")
    row = Project.objects.filter(name=name).first()
    if row is None or not _is_ours(project.get("domain")):
        raise Unauthorized("The project does not exist, or the user has no role in it.")
    return row.pk


def _is_ours(domain: object) -> bool:
    """Return whether a domain in a request is "Default", the only domain of this service.

    ``domain`` is an object with an id or a name; None counts as the default domain. Raises Invalid
    for any other value.
    """
    if domain is None:
        return True
    if not isinstance(domain, dict):
        raise errors.Invalid("The domain must be an object with an id or a name.")
    if "id" in domain:
        return bool(domain["id"] == DOMAIN["id"])
    return str(domain.get("name", "")).lower() == DOMAIN["name"].lower()


def _object(document: object, name: str) -> Fields:
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, dict):
        raise errors.Invalid(
            f"'{name[:64]}' must be an object. Send {{\"{name[:64]}\": {{…}}}}."
        )
    return value


def _text(document: Fields, name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or "\0" in value:
        raise errors.Invalid(f"'{name}' must be a string.")
    return value
