"""Who looks at the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

LIST = "/admin/images/image/"


@pytest.fixture
def signed_in(db: None) -> Callable[..., Client]:
    """``signed_in("viewer")``: a browser of a member of this group; without: a superuser's."""

    def sign_in(role: str = "", **options: Any) -> Client:
        user = User.objects.create_user(
            role or "root", is_staff=True, is_superuser=not role
        )
        if role:
            user.groups.add(Group.objects.get(name=role))
        client = Client(**options)
        client.force_login(user, "imagecatalog.identity.backends.Passwords")
        return client

    return sign_in


@pytest.fixture
def root(signed_in: Callable[..., Client]) -> Client:
    return signed_in()
