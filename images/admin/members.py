"""The view that changes the members of an image; forms on the image's page send a POST to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from imagecatalog.identity.pickers import ProjectField
from images.access import Caller
from images.admin.actions import get_caller, require
from images.admin.changelist import project_names
from images.admin.shortcuts import (
    context,
    get_image_or_404,
    redirect_to_image,
    try_verb,
)
from images.attributes import MAX_LENGTH
from images.lifecycle import sharing
from images.models import Image, MemberStatus


class MemberForm(forms.Form):
    """The form with the project with which an image is to be shared."""

    project = ProjectField(
        label=gettext_lazy("Share with project"), max_length=MAX_LENGTH
    )


def _set(status: str, image_id: str, project: str, actor: Caller) -> None:
    sharing.set_status(image_id, project, status, actor)


# Name in the URL -> (permission, verb, message)
CHANGES: Mapping[str, tuple[str, Callable[[str, str, Caller], Any], Any]] = {
    "add": (
        "images.add_member",
        sharing.add,
        gettext_lazy("Shared with project %(project)s."),
    ),
    "remove": (
        "images.delete_member",
        sharing.remove,
        gettext_lazy("No longer shared with project %(project)s."),
    ),
    **{
        status: (
            "images.change_member",
            partial(_set, status),
            gettext_lazy("The membership of project %(project)s was changed."),
        )
        for status in MemberStatus.values
    },
}


@require_POST
def change(request: HttpRequest, image_id: str, what: str) -> HttpResponse:
    """Share an image with a project, stop sharing it, or set the status of the membership. POST only.

    ``what`` is ``add``, ``remove`` or the new status. The form field ``project`` has the project's
    id; to add a project, also its name. For an unknown project the response is a page with the form.
    """
    if what not in CHANGES:
        raise Http404(_("There is no such change."))
    permission, verb, message = CHANGES[what]
    require(request, permission)
    image = get_image_or_404(image_id)
    project = request.POST.get("project", "").strip()
    if what == "add":
        form = MemberForm(request.POST)
        if not form.is_valid():
            return _ask(request, image, form)
        project = form.cleaned_data["project"]
    refused = try_verb(partial(verb, image.pk, project, get_caller(request)))
    name = project_names({project}).get(project, project)
    done = message % {"project": name}
    return redirect_to_image(request, image, refused, done, "sharing")


def _ask(request: HttpRequest, image: Image, form: MemberForm) -> HttpResponse:
    """Return the page that asks the user to correct or confirm the unknown project in ``form``."""
    values = {"title": _("Share image"), "image": image, "form": form}
    return TemplateResponse(
        request, "admin/images/image/share.html", context(request, **values)
    )
