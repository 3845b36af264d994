"""The admin page "Client configuration" of a user, with texts to copy.

The command `clouds_yaml` prints the same texts.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from imagecatalog.identity import client_config
from imagecatalog.identity.client_config import Login
from imagecatalog.identity.models import ApplicationCredential
from images.http import public_url

ABOUT = {
    "embedded": gettext_lazy(
        "Replace PASSWORD with the user's password, which the catalogue cannot show."
    ),
    "keystone": gettext_lazy(
        "Keystone manages users, projects and passwords. Use the names from Keystone, "
        "and replace PASSWORD with the password."
    ),
    "none": gettext_lazy("No sign-in is required."),
}
NO_PROJECT = gettext_lazy(
    "This user has no role in any project, so API requests will be refused."
)
USES = {
    "clouds.yaml": gettext_lazy(
        "Save as ~/.config/openstack/clouds.yaml, then run openstack --os-cloud imagecatalog …"
    ),
    "openrc": gettext_lazy("Load into a shell with . openrc"),
    "Terraform": gettext_lazy("The configuration of the provider openstack."),
    "curl": gettext_lazy("Lists the images."),
}


def texts(login: Login) -> list[dict[str, Any]]:
    """Return the client configurations for a sign-in, each with title, text and intended use."""
    return [
        {"title": title, "text": text, "use": USES[title]}
        for title, text in client_config.texts(login).items()
    ]


def secret_context(
    request: HttpRequest, credential: ApplicationCredential, secret: str
) -> dict[str, Any]:
    """Return the template context of the page that shows the secret of a new credential.

    The page also shows client configurations with the secret.
    """
    user, project = credential.user.get_username(), credential.project.name
    login = Login(public_url.base(request), user, project, (credential.pk, secret))
    key = {"title": _("Key"), "text": f"{credential.pk}.{secret}"}
    return {
        "title": _("Application credential %(name)s") % {"name": credential.name},
        "opts": ApplicationCredential._meta,
        "texts": [key, *texts(login)],
    }


def context(request: HttpRequest, account: Any) -> dict[str, Any]:
    """Return the template context of the page "Client configuration" of the user ``account``.

    The page is for the project in the query parameter ``project``, else for the user's first
    project.
    """
    mode, name = settings.IMAGECATALOG_AUTH, account.get_username()
    embedded = mode == "embedded"
    assignments = account.assignments.select_related("project")
    projects = {row.project.name: row.project_id for row in assignments}
    requested = request.GET.get("project")
    project = requested if requested in projects else next(iter(projects), None)
    if project is None and not embedded:
        project = name
    about, shown = ABOUT[mode], []
    if project is None:
        about = NO_PROJECT
    else:
        shown = texts(Login(public_url.base(request), name, project))
    add = ""
    if embedded and project is not None:
        add = _add_url(request, account, project, projects[project])
    return {
        "title": _("Client configuration of %(user)s") % {"user": name},
        "account": account,
        "about": about,
        "add_credential": add,
        "projects": list(projects) if embedded else [],
        "chosen": project,
        "texts": shown,
    }


def _add_url(request: HttpRequest, account: Any, project: str, project_id: str) -> str:
    """Return the URL of the page on which a credential for the user ``account`` can be created.

    Empty if the signed-in user is not ``account`` and has no permission to create credentials.
    """
    if account == request.user:
        query = urlencode({"project": project_id})
        return f"{reverse('admin:auth_user_credentials')}?{query}"
    if not request.user.has_perm("identity.add_applicationcredential"):
        return ""
    query = urlencode({"user": account.get_username(), "project": project})
    return f"{reverse('admin:identity_applicationcredential_add')}?{query}"
