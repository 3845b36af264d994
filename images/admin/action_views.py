"""Pages that run an action on one image or on many: confirm with a reason, run, report."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from images.admin import formatting
from images.admin.actions import ACTIONS, Action, Report, get_caller, require, run
from images.admin.changelist import COUNTED, prefetch
from images.admin.shortcuts import ReasonForm, context, find
from images.models import Image

SHOWN = 20  # images of a selection that are named
CONFIRM = "admin/images/image/confirm.html"
REPORT = "admin/images/image/report.html"


def permitted(request: HttpRequest, verb: str) -> Action:
    """The move of this name. Raises Http404, and PermissionDenied for who may not."""
    if verb not in ACTIONS:
        raise Http404(_("There is no such move."))
    move = ACTIONS[verb]
    require(request, move.permission)
    return move


def move_one(request: HttpRequest, image_id: str, verb: str) -> HttpResponse:
    """The page that asks, and the POST that does it."""
    move, image = permitted(request, verb), find(image_id)
    form = ReasonForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _ask(request, move, [image], [image.pk], form)
    report = run(move, [image.pk], get_caller(request), form.cleaned_data["reason"])
    _tell(request, move, report)
    return redirect("admin:images_image_change", image.pk)


def move_many(
    request: HttpRequest, images: QuerySet[Image], move: Action
) -> HttpResponse:
    """The action of the list: first the page that asks, then a report for each image.

    ``confirmed`` is the number that was confirmed: of "all that match" there may be more by
    now, and nobody has agreed to those.
    """
    permitted(request, move.verb)
    ids = list(
        images.order_by("created_at", "pk").values_list("pk", flat=True)[:COUNTED]
    )
    if images.order_by()[COUNTED : COUNTED + 1].exists():
        messages.error(request, _TOO_MANY % {"most": f"{COUNTED:,}"})
        return redirect(request.get_full_path())
    asked = "confirmed" in request.POST
    form = ReasonForm(request.POST if asked else None)
    grown = asked and str(len(ids)) != request.POST["confirmed"]
    if not asked or grown or not form.is_valid():
        shown = list(Image.objects.filter(pk__in=ids[:SHOWN]).order_by("created_at"))
        return _ask(request, move, shown, ids, form, grown=grown)
    report = run(move, ids, get_caller(request), form.cleaned_data["reason"])
    return _report(request, move, report)


_TOO_MANY = gettext_lazy(
    "Nothing was done: more than %(most)s images are selected. Narrow the list by filters "
    "and go on in parts."
)


def _ask(
    request: HttpRequest,
    move: Action,
    images: list[Image],
    ids: list[str],
    form: ReasonForm,
    *,
    grown: bool = False,
) -> HttpResponse:
    """``images`` are those that are named, ``ids`` all that are meant."""
    prefetch(images)
    count = len(ids)
    size = Image.objects.filter(pk__in=ids).aggregate(size=Sum("size"))["size"]
    name = images[0].name or images[0].pk if count == 1 and images else ""
    title = (
        _("%(label)s: %(name)s") % {"label": move.label, "name": name}
        if count == 1
        else _("%(label)s: %(count)s images") % {"label": move.label, "count": count}
    )
    return TemplateResponse(
        request,
        CONFIRM,
        context(
            request,
            title=title,
            move=move,
            images=images,
            count=count,
            unnamed=count - len(images),
            form=form,
            grown=grown,
            many="action" in request.POST,
            checkbox=ACTION_CHECKBOX_NAME,
            selected=request.POST.getlist(ACTION_CHECKBOX_NAME),
            across=request.POST.get("select_across", "0"),
            size=formatting.size(size) if size else "",
        ),
    )


def _tell(request: HttpRequest, move: Action, report: Report) -> None:
    if report.done:
        messages.success(request, _("The image was %(done)s.") % {"done": move.done})
    for sentence in report.refused.values():
        messages.error(request, sentence)


def _report(request: HttpRequest, move: Action, report: Report) -> HttpResponse:
    ids = [*report.refused, *report.done[:SHOWN]]
    images = Image.objects.filter(pk__in=ids).in_bulk()
    refused = [
        _row(image_id, images.get(image_id)) | {"why": why}
        for image_id, why in report.refused.items()
    ]
    counts = {"done": len(report.done), "refused": len(refused)}
    return TemplateResponse(
        request,
        REPORT,
        context(
            request,
            title=_("%(label)s: %(done)s done, %(refused)s refused")
            % {"label": move.label, **counts},
            move=move,
            refused=refused,
            done=[_row(image_id, images[image_id]) for image_id in report.done[:SHOWN]],
            more_done=len(report.done) - SHOWN,
            back=request.get_full_path(),
            summary=_summary(report),
        ),
    )


def _row(image_id: str, image: Image | None) -> dict[str, Any]:
    badge = formatting.badge(image.status) if image else ""
    return {"id": image_id, "image": image, "badge": badge}


def _summary(report: Report) -> str:
    done = ngettext("%d done", "%d done", len(report.done)) % len(report.done)
    refused = ngettext("%d refused", "%d refused", len(report.refused))
    return f"{done}, {refused % len(report.refused)}"
