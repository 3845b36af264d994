"""Data that migrations change."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.db import connection

pytestmark = pytest.mark.django_db


def test_existing_permissions_are_renamed_and_renamed_back() -> None:
    migration = import_module("images.migrations.0011_permission_names")
    named = Permission.objects.filter(content_type__app_label="images")
    new = dict(named.values_list("codename", "name"))
    assert new["fail_image"] == "Can cancel transfer of image"
    assert new["scrub_image"] == "Can delete image permanently"

    editor = SimpleNamespace(connection=connection)
    migration.rename_back(apps, editor)
    old = dict(named.values_list("codename", "name"))
    migration.rename(apps, editor)

    assert old["scrub_image"] == "Can delete image for good"
    changed = {codename for codename in new if old[codename] != new[codename]}
    assert changed == {"fail_image", "scrub_image"}
    assert dict(named.values_list("codename", "name")) == new
