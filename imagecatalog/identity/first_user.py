"""Creation of the user ``admin`` at the first start of the service."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import transaction

from imagecatalog.identity import roles
from imagecatalog.identity.models import Project, Role
from imagecatalog.identity.origin import Origin
from imagecatalog.identity.users import new_password
from images import data_folder

FIRST_START = Origin(source="first start")


def exists() -> bool:
    """Return whether the database has any user."""
    return get_user_model().objects.exists()


def ensure() -> str | None:
    """Create the user ``admin`` if there are no users; return the password if it was generated.

    Returns None if there are users, or if IMAGECATALOG_ADMIN_PASSWORD sets the password. Raises
    ImproperlyConfigured if this password or the secret key is easy to guess; neither is checked if
    there are users.
    """
    with transaction.atomic():
        if exists():
            return None
        if data_folder.is_weak(str(settings.SECRET_KEY)):
            raise ImproperlyConfigured(data_folder.WEAK_KEY)
        configured = settings.IMAGECATALOG_ADMIN_PASSWORD
        if configured:
            _check(configured)
        password = configured or new_password()
        user = get_user_model().objects.create_superuser("admin", password=password)
        project, _ = Project.objects.get_or_create(name="admin")
        roles.give(user, project, Role.ADMIN, FIRST_START)
    return None if configured else password


def _check(password: str) -> None:
    try:
        validate_password(password, get_user_model()(username="admin"))
    except ValidationError as error:
        raise ImproperlyConfigured(
            f"IMAGECATALOG_ADMIN_PASSWORD: {' '.join(error.messages)} Choose another one, or "
            "leave the variable unset to have one generated."
        ) from None
