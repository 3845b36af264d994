"""The user of the first start."""

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
    """Make the user ``admin`` unless there is any user; its password if it was generated."""
    users = get_user_model().objects
    with transaction.atomic():
        if users.exists():
            return None
        given = settings.IMAGECATALOG_ADMIN_PASSWORD
        password = given or secrets.token_urlsafe(12)
        user = users.create_superuser("admin", password=password)
        project, _ = Project.objects.get_or_create(name="admin")
        roles.give(user, project, Role.ADMIN, FIRST_START)
    return None if given else password
