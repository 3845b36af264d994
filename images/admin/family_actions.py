"""The pages that run an action on a family: what it would change, the reason, and the action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images import errors, families
from images.access import Caller
from images.admin.actions import get_caller, may, require
from images.admin.formatting import title
from images.admin.shortcuts import ReasonForm, context
from images.families import ImageChange, Outcome
from images.models import Family, Image

SHOWN = 50  # images whose changes are listed
CONFIRM = "admin/images/family/confirm.html"
PROMOTE = "images.promote_family"  # permission

# A function that runs an action, with the caller, the family's id, and the values of the form; among
# these, "version" is the label of the version, which is empty for an action on the whole family.
Operation = Callable[[Caller, str, Mapping[str, Any]], Outcome]


class FamilyReasonForm(ReasonForm):
    """The form for the reason of an action on a family."""

    recorded = gettext_lazy("Recorded in the histories of the family and its images.")


class RollbackForm(FamilyReasonForm):
    """The form of a rollback of a family; ``withdraw`` also withdraws the current version."""

    withdraw = forms.BooleanField(
        label=gettext_lazy("Withdraw"),
        required=False,
        help_text=gettext_lazy(
            "Withdraw the version that is current now: no rollback chooses it again."
        ),
    )


class AddForm(FamilyReasonForm):
    """The form that adds an image to a family."""

    image = forms.CharField(label=gettext_lazy("Image"), max_length=36)
    label = forms.CharField(
        label=gettext_lazy("Version"),
        max_length=64,
        required=False,
        help_text=gettext_lazy("By default the build date, such as 20260131."),
    )
    promote = forms.BooleanField(label=gettext_lazy("Promote"), required=False)
    field_order = ("image", "label", "promote", "reason")


@dataclass(frozen=True)
class FamilyAction:
    """An action that staff users can run on a family or one of its versions."""

    label: Any  # translated when it is shown
    run: Operation
    permission: str
    done: Any
    form: type[FamilyReasonForm] = FamilyReasonForm
    dangerous: bool = False


def _add(caller: Caller, ref: str, given: Mapping[str, Any]) -> Outcome:
    return families.add(
        caller,
        ref,
        given["image"].strip(),
        given["reason"],
        label=given["label"] or None,
        promote=given.get("promote", False),
    )


def _promote(caller: Caller, ref: str, given: Mapping[str, Any]) -> Outcome:
    return families.promote(caller, ref, given["version"], given["reason"])


def _rollback(caller: Caller, ref: str, given: Mapping[str, Any]) -> Outcome:
    withdraw = given.get("withdraw", False)
    return families.rollback(caller, ref, given["reason"], withdraw=withdraw)


def _withdraw(caller: Caller, ref: str, given: Mapping[str, Any]) -> Outcome:
    return families.change(
        caller, ref, given["version"], given["reason"], withdrawn=True
    )


def _readmit(caller: Caller, ref: str, given: Mapping[str, Any]) -> Outcome:
    return families.change(
        caller, ref, given["version"], given["reason"], withdrawn=False
    )


def _remove(caller: Caller, ref: str, given: Mapping[str, Any]) -> Outcome:
    return families.remove(caller, ref, given["version"], given["reason"])


def _delete(caller: Caller, ref: str, given: Mapping[str, Any]) -> Outcome:
    return families.delete(caller, ref, given["reason"])


ACTIONS: Mapping[str, FamilyAction] = {
    "add": FamilyAction(
        gettext_lazy("Add an image"),
        _add,
        "images.change_family",
        gettext_lazy("The image was added."),
        AddForm,
    ),
    "promote": FamilyAction(
        gettext_lazy("Promote"),
        _promote,
        PROMOTE,
        gettext_lazy("The version was promoted."),
    ),
    "rollback": FamilyAction(
        gettext_lazy("Roll back"),
        _rollback,
        PROMOTE,
        gettext_lazy("The family was rolled back."),
        RollbackForm,
    ),
    "withdraw": FamilyAction(
        gettext_lazy("Withdraw"),
        _withdraw,
        "images.change_family",
        gettext_lazy("The version was withdrawn."),
    ),
    "readmit": FamilyAction(
        gettext_lazy("Readmit"),
        _readmit,
        "images.change_family",
        gettext_lazy("The version can be promoted again."),
    ),
    "remove": FamilyAction(
        gettext_lazy("Remove from family"),
        _remove,
        "images.change_family",
        gettext_lazy("The image was removed from the family."),
        dangerous=True,
    ),
    "delete": FamilyAction(
        gettext_lazy("Delete family"),
        _delete,
        "images.delete_family",
        gettext_lazy("The family was deleted. Its images stay."),
        dangerous=True,
    ),
}


def run(
    request: HttpRequest, family_id: UUID, verb: str, label: str = ""
) -> HttpResponse:
    """Show what an action on a family, or on its version ``label``, would change; a POST runs it."""
    if verb not in ACTIONS:
        raise Http404(_("There is no such action."))
    action = ACTIONS[verb]
    require(request, action.permission)
    family = Family.objects.filter(pk=family_id).first()
    if family is None:
        raise Http404(_("There is no family with this id."))
    form = action.form(request.POST or None)
    if not may(request, PROMOTE):
        form.fields.pop("promote", None)
    if request.POST.get("promote"):
        require(request, PROMOTE)
    if request.method == "POST" and form.is_valid():
        try:
            given = {"version": label, **form.cleaned_data}
            action.run(get_caller(request), str(family.pk), given)
        except errors.ImageError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, action.done)
            return _after(family, verb)
    return _confirm(request, action, family, label, form)


def _after(family: Family, verb: str) -> HttpResponse:
    if verb == "delete":
        return redirect("admin:images_family_changelist")
    return redirect("admin:images_family_change", family.pk)


def _confirm(
    request: HttpRequest,
    action: FamilyAction,
    family: Family,
    label: str,
    form: FamilyReasonForm,
) -> HttpResponse:
    refusal, outcome = "", Outcome(family, None, [])
    if action.form is not AddForm:  # its image is not known yet
        try:
            outcome = _preview(action, get_caller(request), family, label)
        except errors.ImageError as error:
            refusal = str(error)
    changes = outcome.images
    names = {"label": action.label, "family": family.name, "version": label}
    return TemplateResponse(
        request,
        CONFIRM,
        context(
            request,
            opts=Family._meta,
            title=_("%(label)s: %(family)s %(version)s") % names,
            action=action,
            family=family,
            current=family.current,
            next_current=outcome.family.current,
            refusal=refusal,
            changes=_rows(changes[:SHOWN]),
            unlisted=len(changes) - SHOWN,
            form=form,
        ),
    )


def _preview(
    action: FamilyAction, caller: Caller, family: Family, label: str
) -> Outcome:
    with families.dry_run():
        return action.run(caller, str(family.pk), {"version": label, "reason": ""})


def _rows(changes: list[ImageChange]) -> list[dict[str, Any]]:
    images = Image.objects.in_bulk([change.image for change in changes])
    return [
        {
            "id": change.image,
            "title": title(images[change.image]),
            "version": images[change.image].properties.get("image_version", ""),
            "changes": [
                {"name": name, "before": before, "after": after}
                for name, (before, after) in change.changes.items()
            ],
        }
        for change in changes
        if change.image in images
    ]
