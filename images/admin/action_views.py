"""The view that runs an action on one image: confirmation page, action, message."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from images.admin import bulk_consequences, consequences, formatting, list_state
from images.admin.actions import (
    ACTIONS,
    UNDO,
    Action,
    conditions,
    get_caller,
    may,
    not_possible,
    require,
)
from images.admin.changelist import prefetch
from images.admin.shortcuts import (
    ReasonForm,
    context,
    get_image_or_404,
    redirect_to_image,
    try_verb,
)
from images.lifecycle.family_members import current_in
from images.models import Image


def permitted(request: HttpRequest, verb: str) -> Action:
    """Return the action named ``verb``, such as ``delete``, if the user can run it.

    Raises Http404 if there is no such action, PermissionDenied if the user lacks the permission
    for it.
    """
    if verb not in ACTIONS:
        raise Http404(_("There is no such action."))
    action = ACTIONS[verb]
    require(request, action.permission)
    return action


def run_on_one(request: HttpRequest, image_id: str, verb: str) -> HttpResponse:
    """Show the confirmation page of an action on one image; a POST runs the action.

    ``verb`` is the name of the action, such as ``delete``.
    """
    action, image = permitted(request, verb), get_image_or_404(image_id)
    form = ReasonForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _confirm(request, action, image, form)
    actor, reason = get_caller(request), form.cleaned_data["reason"]
    refused = try_verb(lambda: action.run(image.pk, actor, reason))
    changed = get_image_or_404(image_id)
    if refused:
        done = ""
    elif changed.status == image.status:  # another user or window was faster
        done = consequences.nothing_changed(changed)
    else:
        done = _with_undo(request, action, changed)
    return redirect_to_image(request, changed, refused, done)


def _confirm(
    request: HttpRequest, action: Action, image: Image, form: ReasonForm
) -> HttpResponse:
    """Return the confirmation page of an action on an image, which asks for a reason in ``form``."""
    prefetch([image])
    family = current_in(image) if action.verb == "deactivate" else None
    possible = (condition for condition, _reason in conditions(action))
    this = Image.objects.filter(*possible, pk=image.pk)
    deleted = bulk_consequences.deleted_size(action, this)
    return TemplateResponse(
        request,
        "admin/images/image/confirm.html",
        context(
            request,
            title=_("%(label)s: %(name)s")
            % {"label": action.label, "name": formatting.title(image)},
            action=action,
            family=family,
            consequence=consequences.before(action, image),
            image=image,
            form=form,
            deleted_size=formatting.amount(deleted) if deleted else "",
        ),
    )


def _with_undo(request: HttpRequest, action: Action, image: Image) -> SafeString:
    """Return the sentence on what an action has done, with a link to its undo if there is one."""
    done = consequences.after(action, image)
    undo = ACTIONS.get(UNDO.get(action.verb, ""))
    if undo is None or not_possible(undo, image) or not may(request, undo.permission):
        return format_html("{}", done)
    url = list_state.image_url(request, image.pk, "move", undo.verb)
    return format_html('{} <a href="{}">{}</a>', done, url, undo.label)
