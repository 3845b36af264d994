"""The user that the first start of the service creates."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction

from imagecatalog.identity import roles
from imagecatalog.identity.models import Project, Role
from imagecatalog.identity.origin import Origin

FIRST_START = Origin(source="first start")


def ensure() -> str | None:
    """Create the user ``admin`` if there are no users; return its password if it was generated.

    The password is IMAGECATALOG_ADMIN_PASSWORD if that is set.
    """
    users = get_user_model().objects
    with transaction.atomic():
        if users.exists():
            return None
        configured = settings.IMAGECATALOG_ADMIN_PASSWORD
        password = configured or secrets.token_urlsafe(12)
        user = users.create_superuser("admin", password=password)
        project, _ = Project.objects.get_or_create(name="admin")
        roles.give(user, project, Role.ADMIN, FIRST_START)
    return None if configured else password
