"""The page on which users of the admin create and delete their own application credentials.

Users of an identity provider or a directory need a credential for the APIs, because the APIs do not
accept their passwords. The page needs no permission, like the same actions in the Identity API.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from imagecatalog.identity import application_credentials, clients
from imagecatalog.identity.credential_forms import OwnCredentialForm
from imagecatalog.identity.origin import origin_of
from images import errors


def page(request: HttpRequest) -> HttpResponse:
    """Show the signed-in user's application credentials, and a form for a new one.

    A POST creates or deletes a credential.
    """
    if "delete" in request.POST:
        return _delete(request)
    form = OwnCredentialForm(
        request.user, request.POST or None, initial=_initial(request)
    )
    if request.method == "POST" and form.is_valid():
        try:
            return _create(request, form)
        except errors.Conflict as error:
            form.add_error("name", str(error))
    rows = request.user.application_credentials.select_related("project")  # type: ignore[union-attr]
    context = admin.site.each_context(request) | {
        "title": _("Your application credentials"),
        "rows": rows,
        "form": form,
        "unused": application_credentials.why_unused(),
        "has_project": form.fields["project"].queryset.exists(),  # type: ignore[attr-defined]
    }
    return TemplateResponse(request, "admin/identity/own_credentials.html", context)


def _initial(request: HttpRequest) -> dict[str, Any]:
    """Return the initial values of the form: a project, and the user's role in that project.

    The project is the one in the query parameter ``project`` or, if the user has no role in it, the
    user's first project. Empty if the user has no role in any project.
    """
    assignments = request.user.assignments.order_by("id")  # type: ignore[union-attr]
    wanted = assignments.filter(project=request.GET.get("project", ""))
    row = wanted.first() or assignments.first()
    return {"project": row.project_id, "role": row.role} if row else {}


def _create(request: HttpRequest, form: OwnCredentialForm) -> HttpResponse:
    """Store the credential that a valid form has prepared; return the page with its secret.

    Raises Conflict if the user has a credential of the same name.
    """
    application_credentials.store(form.instance, origin_of(request))
    secret = clients.secret_context(request, form.instance, form.plain_secret)
    context = admin.site.each_context(request) | secret
    return TemplateResponse(request, "admin/identity/credential.html", context)


def _delete(request: HttpRequest) -> HttpResponse:
    own = request.user.application_credentials  # type: ignore[union-attr]
    row = own.filter(pk=request.POST["delete"]).first()
    if row is None:
        raise Http404(_("You have no such application credential."))
    application_credentials.delete(row, origin_of(request))
    sentence = _("The application credential %(name)s was deleted.")
    messages.success(request, sentence % {"name": row.name})
    return HttpResponseRedirect(request.path)
