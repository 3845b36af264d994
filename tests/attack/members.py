"""The clients of the attacked service: members, each of a project of its own, with a static key.

As a program (``python -m tests.attack.members NAME …``) it writes them into the database
with the project's settings; that process is the only part of the attacks that knows the models.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence

from tests.servers import ROOT


def key(name: str) -> str:
    """The key of a member."""
    return f"key-of-{name}"


def settings(names: Sequence[str]) -> dict[str, str]:
    """The settings of a service that knows these members."""
    pairs = ",".join(f"{name}:{key(name)}" for name in names)
    return {"IMAGECATALOG_STATIC_KEYS": pairs}


def create(env: Mapping[str, str], names: Sequence[str]) -> None:
    """Write the members into the database that ``env`` names."""
    subprocess.run(
        [sys.executable, "-m", "tests.attack.members", *names],
        env={**env, "DJANGO_SETTINGS_MODULE": "imagecatalog.settings"},
        cwd=ROOT,
        check=True,
        timeout=120,
    )


def main(names: Sequence[str]) -> None:
    """Insert users, projects and roles. None of the users has a password."""
    import django

    django.setup()
    from django.contrib.auth import get_user_model

    from imagecatalog.identity.models import Project, Role, RoleAssignment

    user_model = get_user_model()
    users = user_model.objects.bulk_create(
        user_model(username=name, password="!") for name in names
    )
    projects = Project.objects.bulk_create(Project(name=name) for name in names)
    RoleAssignment.objects.bulk_create(
        RoleAssignment(user=user, project=project, role=Role.MEMBER)
        for user, project in zip(users, projects, strict=True)
    )


if __name__ == "__main__":
    main(sys.argv[1:])
