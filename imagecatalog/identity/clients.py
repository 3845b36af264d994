"""Pages with what a user's clients need: the texts of `clouds_yaml`, made to be copied."""

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
from images.http import public_url

ABOUT = {
    "embedded": gettext_lazy(
        "In place of PASSWORD put the user's password: it is not known here."
    ),
    "keystone": gettext_lazy(
        "Users, projects and passwords are Keystone's: put in what they are there. "
        "In place of PASSWORD put the password: it is not known here."
    ),
    "none": gettext_lazy("Nobody has to sign in."),
}
NO_PROJECT = gettext_lazy(
    "This user has no role in any project, and so can do nothing."
)
USES = {
    "clouds.yaml": gettext_lazy(
        "for ~/.config/openstack/clouds.yaml; then: openstack --os-cloud imagecatalog …"
    ),
    "openrc": gettext_lazy("for a shell: . openrc"),
    "Terraform": gettext_lazy("for the provider openstack"),
    "curl": gettext_lazy("lists the images"),
}


def texts(login: Login) -> list[dict[str, Any]]:
    """Title, text and use of each."""
    return [
        {"title": title, "text": text, "use": USES[title]}
        for title, text in client_config.texts(login).items()
    ]


def context(request: HttpRequest, person: Any) -> dict[str, Any]:
    """For the page of a user, in the project that the query names, else in its first one."""
    mode, name = settings.IMAGECATALOG_AUTH, person.get_username()
    own = mode == "embedded"
    assignments = person.assignments.select_related("project")
    projects = {it.project.name: it.project_id for it in assignments}
    named = [it for it in projects if it == request.GET.get("project")]
    project = next(iter(named or projects), None if own else name)
    about, shown = ABOUT[mode], []
    if project is None:
        about = NO_PROJECT
    else:
        shown = texts(Login(public_url.base(request), name, project))
    add = ""
    if own and shown and request.user.has_perm("identity.add_applicationcredential"):
        chosen = urlencode({"user": person.pk, "project": projects[project]})
        add = f"{reverse('admin:identity_applicationcredential_add')}?{chosen}"
    return {
        "title": _("Client configuration of %(user)s") % {"user": name},
        "person": person,
        "about": about,
        "add_credential": add,
        "projects": list(projects) if own else [],
        "chosen": project,
        "texts": shown,
    }
