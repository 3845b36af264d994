"""Changes of users: passwords, disabling and deletion, recorded in the sign-in log."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from imagecatalog.identity import application_credentials, sign_in_log
from imagecatalog.identity.origin import Origin


def new_password() -> str:
    """Return a random password of 16 characters."""
    return secrets.token_urlsafe(12)


def set_password(user: Any, chosen: str) -> str:
    """Set the password of a user without saving the user; return the password.

    If ``chosen`` is empty, a password is generated. Raises ValidationError if the password is
    too easy to guess.
    """
    password = chosen or new_password()
    validate_password(password, user)
    user.set_password(password)
    return password


def reset_password(user: Any, chosen: str, origin: Origin) -> str:
    """Save a new password of a user, and return it. The user's existing tokens become invalid.

    If ``chosen`` is empty, a password is generated. ``origin`` is recorded in the sign-in log.
    Raises ValidationError if the password is too easy to guess.
    """
    password = set_password(user, chosen)
    with transaction.atomic():
        user.save(update_fields=["password"])
        sign_in_log.record("password_reset", user.get_username(), origin)
    return password


def set_active(user: Any, is_active: bool, origin: Origin) -> bool:
    """Enable or disable a user; return True if that has changed the user, else False.

    A disabled user cannot sign in; the user's tokens and credentials are refused.
    """
    if user.is_active == is_active:
        return False
    user.is_active = is_active
    with transaction.atomic():
        user.save(update_fields=["is_active"])
        record_active(user, origin)
    return True


def record_active(user: Any, origin: Origin) -> None:
    """Record in the sign-in log that a user was enabled, or disabled, whichever the user is now."""
    verb = "user_enable" if user.is_active else "user_disable"
    sign_in_log.record(verb, user.get_username(), origin)


def set_last_sign_in(user_id: int) -> None:
    """Save the present time as the last sign-in of a user, as Django does at sign-ins to the admin.

    Not more often than once a minute: many clients of one user would wait for each other.
    """
    now = timezone.now()
    users = get_user_model().objects.filter(pk=user_id)
    is_old = Q(last_login=None) | Q(last_login__lt=now - timedelta(minutes=1))
    users.filter(is_old).update(last_login=now)


def delete(user: Any, origin: Origin) -> None:
    """Delete a user with all roles, tokens and credentials. Images remain with their projects."""
    with transaction.atomic():
        for credential in user.application_credentials.all():
            application_credentials.delete(credential, origin)
        sign_in_log.record("user_delete", user.get_username(), origin)
        user.delete()
