"""Views that run an action on one or many images: confirmation page, action, report."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from images.admin import bulk_consequences, consequences, formatting
from images.admin.actions import ACTIONS, Action, Report, get_caller, require, run
from images.admin.changelist import COUNTED, prefetch
from images.admin.shortcuts import ReasonForm, context, get_image_or_404
from images.lifecycle.family_members import current_in
from images.models import Image

SHOWN = 20  # images of a selection that are listed
CONFIRM = "admin/images/image/confirm.html"
REPORT = "admin/images/image/report.html"


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
        return _confirm(request, action, [image], [image.pk], form)
    report = run(action, [image.pk], get_caller(request), form.cleaned_data["reason"])
    _add_messages(request, action, report)
    return redirect("admin:images_image_change", image.pk)


def run_on_many(
    request: HttpRequest, images: QuerySet[Image], action: Action
) -> HttpResponse:
    """Show the confirmation page of an action on many images; run the action when confirmed.

    The response to a confirmation is a report of changed and refused images. The form field
    ``confirmed`` is the number of images to which the user has agreed. If the selection has another
    number of images now, the confirmation page is shown again.
    """
    permitted(request, action.verb)
    ids = list(
        images.order_by("created_at", "pk").values_list("pk", flat=True)[:COUNTED]
    )
    if images.order_by()[COUNTED : COUNTED + 1].exists():
        messages.error(request, _TOO_MANY % {"most": f"{COUNTED:,}"})
        return redirect(request.get_full_path())
    confirmed = "confirmed" in request.POST
    form = ReasonForm(request.POST if confirmed else None)
    grown = confirmed and str(len(ids)) != request.POST["confirmed"]
    if not confirmed or grown or not form.is_valid():
        shown = list(Image.objects.filter(pk__in=ids[:SHOWN]).order_by("created_at"))
        return _confirm(request, action, shown, ids, form, grown=grown)
    report = run(action, ids, get_caller(request), form.cleaned_data["reason"])
    return _report(request, action, report)


_TOO_MANY = gettext_lazy(
    "Nothing was changed: more than %(most)s images are selected. Narrow the filters, and "
    "repeat the action for each part."
)


def _confirm(
    request: HttpRequest,
    action: Action,
    images: list[Image],
    ids: list[str],
    form: ReasonForm,
    *,
    grown: bool = False,
) -> HttpResponse:
    """Return the confirmation page of an action on the images with these ``ids``.

    The page lists ``images``, the first of them, and asks for a reason in ``form``. ``grown`` says
    that the number of images has changed since the user confirmed.
    """
    prefetch(images)
    count = len(ids)
    single = images[0] if count == 1 and images else None
    words = {"label": action.label, "count": f"{count:,}"}
    family = None  # whose current image is to be deactivated
    if single:
        title = _("%(label)s: %(name)s") % (words | {"name": formatting.title(single)})
        consequence = consequences.before(action, single)
        if action.verb == "deactivate":
            family = current_in(single)
    else:
        title = _("%(label)s: %(count)s images") % words
        consequence = bulk_consequences.before(action, ids)
    deleted = bulk_consequences.deleted_size(action, ids)
    return TemplateResponse(
        request,
        CONFIRM,
        context(
            request,
            title=title,
            action=action,
            family=family,
            consequence=consequence,
            images=images,
            count=count,
            unlisted=count - len(images),
            form=form,
            grown=grown,
            many="action" in request.POST,
            checkbox=ACTION_CHECKBOX_NAME,
            selected=request.POST.getlist(ACTION_CHECKBOX_NAME),
            across=request.POST.get("select_across", "0"),
            deleted_size=formatting.amount(deleted) if deleted else "",
        ),
    )


def _add_messages(request: HttpRequest, action: Action, report: Report) -> None:
    for image in Image.objects.filter(pk__in=report.done):
        messages.success(request, consequences.after(action, image))
    for sentence in report.refused.values():
        messages.error(request, sentence)


def _report(request: HttpRequest, action: Action, report: Report) -> HttpResponse:
    ids = [*report.refused, *report.done[:SHOWN]]
    images = Image.objects.filter(pk__in=ids).in_bulk()
    refused = [
        _row(image_id, images.get(image_id)) | {"reason": reason}
        for image_id, reason in report.refused.items()
    ]
    counts = {"done": len(report.done), "refused": len(refused)}
    return TemplateResponse(
        request,
        REPORT,
        context(
            request,
            title=_("%(label)s: %(done)s done, %(refused)s refused")
            % {"label": action.label, **counts},
            action=action,
            refused=refused,
            done=[_row(image_id, images[image_id]) for image_id in report.done[:SHOWN]],
            more_done=len(report.done) - SHOWN,
            back=request.get_full_path(),
            summary=_summary(report),
        ),
    )


def _row(image_id: str, image: Image | None) -> dict[str, Any]:
    badge = formatting.badge(image.status) if image else ""
    title = formatting.title(image) if image else image_id
    return {"id": image_id, "title": title, "badge": badge}


def _summary(report: Report) -> str:
    done = ngettext("%d done", "%d done", len(report.done)) % len(report.done)
    refused = ngettext("%d refused", "%d refused", len(report.refused))
    return f"{done}, {refused % len(report.refused)}"
