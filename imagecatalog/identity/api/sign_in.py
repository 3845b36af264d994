"""From the document of ``POST /v3/auth/tokens`` to a token.

Follows the Identity API v3, "Authentication and token management". Whatever is wrong with a
credential is answered with the same words: who guesses shall learn nothing from them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model

from imagecatalog.identity import credentials, sign_in_log, tokens
from imagecatalog.identity.api.views import DOMAIN, Unauthorized, existing, user_key
from imagecatalog.identity.models import ApplicationCredential, Project
from imagecatalog.identity.origin import Origin
from imagecatalog.identity.tokens import Valid
from images import errors

Fields = dict[str, Any]


def sign_in(document: object, origin: Origin) -> tuple[str, Valid]:
    """A token and what it stands for. Raises Invalid, Unauthorized, Forbidden, TooManyAttempts."""
    auth = _object(document, "auth")
    identity = _object(auth, "identity")
    methods = identity.get("methods")
    if not isinstance(methods, list) or len(methods) != 1:
        raise errors.Invalid("Give exactly one method of signing in.")
    method = METHODS.get(methods[0]) if isinstance(methods[0], str) else None
    if method is None:
        raise Unauthorized(
            f"The methods of signing in here are: {', '.join(sorted(METHODS))}."
        )
    found = method(_object(identity, methods[0]), auth.get("scope"), origin)
    if found is None:
        raise Unauthorized(
            "The user has no role in this project, or there is no such project."
        )
    claims = found[1].claims
    sign_in_log.record(
        "token_issue",
        found[1].identity.user,
        origin,
        method=methods[0],
        project=claims.project,
        audit_id=claims.audit_ids[0],
    )
    return found


def _by_password(
    given: Fields, scope: object, origin: Origin
) -> tuple[str, Valid] | None:
    user = _object(given, "user")
    password = user.get("password")
    if not isinstance(password, str):
        raise errors.Invalid("The user's password is missing.")
    # Who does not exist is asked for like anybody else, by a name that nobody can have: the
    # time that it takes and how often one may try shall tell nothing either.
    name = _user_name(user) or f"\0{user.get('id', '')}"
    identity = credentials.by_password(name, password, origin)
    if identity is None:
        raise Unauthorized
    person = existing(get_user_model().objects.filter(username=name))
    return tokens.issue(person.pk, _project(scope), ["password"])


def _by_token(given: Fields, scope: object, origin: Origin) -> tuple[str, Valid] | None:
    text = given.get("id")
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
    given: Fields, scope: object, origin: Origin
) -> tuple[str, Valid] | None:
    secret = given.get("secret")
    if not isinstance(secret, str):
        raise errors.Invalid("The application credential's secret is missing.")
    if scope is not None:
        raise Unauthorized(
            "An application credential has its project; leave the scope out."
        )
    credential_id = _credential_id(given)
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


def _credential_id(given: Fields) -> str:
    if "id" in given:
        return _text(given, "id")
    user = _user_name(_object(given, "user"))
    found = ApplicationCredential.objects.filter(
        user__username=user or "", name=_text(given, "name")
    )
    return found.values_list("pk", flat=True).first() or ""


def _user_name(user: Fields) -> str:
    """The name of the user who is meant; empty when there can be none."""
    if "id" in user:
        users = get_user_model().objects.filter(pk=user_key(_text(user, "id")))
        return users.values_list("username", flat=True).first() or ""
    name = _text(user, "name")
    return name if _is_ours(user.get("domain")) else ""


def _project(scope: object) -> str | None:
    """The id of the project that a token is wanted for; None: no project.

    Raises Unauthorized for a scope that nobody can have here.
    """
    if (
        scope is None
        or scope == "unscoped"
        or (isinstance(scope, dict) and "unscoped" in scope)
    ):
        return None
    if not isinstance(scope, dict) or set(scope) != {"project"}:
        raise Unauthorized("Tokens are for a project, or for none.")
    project = _object(scope, "project")
    if "id" in project:
        return _text(project, "id")
    name = _text(project, "name")
    row = Project.objects.filter(name=name).first()
    if row is None or not _is_ours(project.get("domain")):
        raise Unauthorized(
            "The user has no role in this project, or there is no such project."
        )
    return row.pk


def _is_ours(domain: object) -> bool:
    """Without a domain the only one is meant."""
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
        raise errors.Invalid(f"'{name[:64]}' must be given, and be an object.")
    return value


def _text(document: Fields, name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or "\0" in value:
        raise errors.Invalid(f"'{name}' must be a string.")
    return value
