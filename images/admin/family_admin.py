"""The admin pages of families: the list, and a family with its versions, values and history."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from imagecatalog.identity.pickers import PROJECTS, Picker, ProjectField
from images import activity, attributes, families
from images.access import Caller
from images.admin import event_texts, family_actions, family_publication, formatting
from images.admin.actions import get_caller, may
from images.admin.changelist import shown_project
from images.admin.service_admin import ServiceAdmin
from images.admin.service_forms import JsonField, ServiceForm
from images.families import listing, values
from images.models import Family, FamilyEvent, FamilyVersion, Image, RetentionPolicy

VALUES = (
    "name",
    "title",
    "description",
    "homepage",
    "scope",
    "image_name",
    "naming",
    "name_separator",
    "hide_old",
    "visibility",
    "verified_only",
    "publish",
    "retention",
    "template",
)
EVENTS = 50
SAME_NAME = 5  # other images of the same name that are listed
TEMPLATE = "admin/images/family/page.html"
KEEP = ("", _("stays as it is"))
CHANGE_POLICY = "images.change_retentionpolicy"  # permission


def _policies() -> list[tuple[str, Any]]:
    """Return the retention policies from which the user can choose, as (value, label)."""
    names = RetentionPolicy.objects.order_by("name").values_list("name", flat=True)
    return [("", _("none of its own")), *((name, name) for name in names)]


class FamilyForm(ServiceForm):
    """The form that creates or changes a family."""

    caller: Caller

    # A blank at the end counts.
    name_separator = forms.CharField(
        label=_("Separator"),
        required=False,
        strip=False,
        max_length=values.MAX_SEPARATOR,
    )
    visibility = forms.ChoiceField(
        label=_("When promoted, visibility"),
        required=False,
        choices=[KEEP, *((it, it) for it in attributes.VISIBILITIES)],
    )
    retention = forms.ChoiceField(
        label=_("Retention policy"),
        required=False,
        choices=_policies,
        help_text=_("Only this policy looks at the images of the family."),
    )
    template = JsonField(
        label=_("Template"),
        required=False,
        help_text=_(
            "JSON with properties, tags, min_disk, min_ram, template_wins and scs: what an "
            "image gets when it joins."
        ),
        rows=6,
    )

    class Meta:
        model = Family
        fields = (*values.FIXED, *VALUES)
        field_classes: ClassVar = {"owner": ProjectField}
        widgets = {
            "owner": Picker(PROJECTS),
            "title": forms.TextInput(attrs={"size": 40}),
            "homepage": forms.TextInput(attrs={"size": 60}),
            "description": forms.Textarea(attrs={"rows": 3, "cols": 80}),
        }
        help_texts = {
            "name": _("Lower-case letters, digits and . _ -, such as debian-13."),
            "owner": _("Name or id of the project."),
            "architecture": _("Such as x86_64 or aarch64; it cannot change."),
            "image_name": _("By default the name of the family."),
            "verified_only": _(
                "Only images are promoted whose data had a stated digest."
            ),
            "publish": _(
                "Its images are files below /pub/, if the service publishes at all."
            ),
        }

    def save_values(self) -> Family:
        """Create or change the family, and return it. Raises ImageError for a refused value."""
        document = self.given
        for name in {"visibility", "retention", "template"} & document.keys():
            document[name] = document[name] or None  # null restores the default
        if self.is_new:
            return families.create(self.caller, document)
        return families.update(self.caller, str(self.instance.pk), document).family


class FamilyList(ChangeList):
    """The list of families in the admin."""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: Any = None
    ) -> QuerySet[Family]:
        """Return the families, each with current version and number of versions.

        They come without their descriptions and templates, which can be long.
        """
        rows: QuerySet[Family] = super().get_queryset(request, exclude_parameters)
        rows = rows.select_related("current").defer(*listing.LONG)
        return rows.annotate(number=Count("versions"))


class FamilyAdmin(ServiceAdmin):
    """The admin pages of families."""

    form = FamilyForm
    list_display = (
        "name",
        "owner_shown",
        "scope",
        "architecture",
        "current_shown",
        "versions_shown",
        "changed",
    )
    list_filter = ("scope", "architecture")
    search_fields = ("name", "title")
    ordering = ("name", "pk")
    sortable_by = ("name",)
    change_form_template = TEMPLATE

    def get_queryset(self, request: HttpRequest) -> QuerySet[Family]:
        """Return the families, each with its project's name."""
        rows: QuerySet[Family] = super().get_queryset(request)
        return rows.annotate(shown_owner=shown_project("owner"))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return FamilyList, the class of the list of families."""
        return FamilyList

    @admin.display(description=_("project"))
    def owner_shown(self, family: Any) -> str:
        """Return the name of the owner's project; its id if the name is unknown."""
        return str(family.shown_owner)

    @admin.display(description=_("current version"))
    def current_shown(self, family: Family) -> str:
        """Return the label of the current version; a dash if there is none."""
        return family.current.label if family.current else "–"

    @admin.display(description=_("versions"))
    def versions_shown(self, family: Any) -> int:
        """Return the number of versions of the family."""
        return int(family.number)

    @admin.display(description=_("changed"))
    def changed(self, family: Family) -> str:
        """Return how long ago the family was changed, as HTML."""
        return formatting.ago(family.updated_at)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the names of the fields that cannot be changed: none for a new family."""
        return ("owner_shown", "architecture") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the names of the fields in their order."""
        name, *others = VALUES
        if not may(request, CHANGE_POLICY):
            others.remove("retention")
        return (name, "owner_shown" if obj else "owner", "architecture", *others)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the class of the form, with the policy only for users who can change policies."""
        form = super().get_form(request, obj, change, **kwargs)
        if not may(request, CHANGE_POLICY):
            form.base_fields.pop("retention")
        return form

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs of all pages about families."""
        view = self.admin_site.admin_view(family_actions.run)
        deletion = self.admin_site.admin_view(_to_deletion)
        return [
            path(
                "<uuid:family_id>/<slug:verb>/version/<str:label>/",
                view,
                name="images_family_version_action",
            ),
            path("<uuid:family_id>/delete/", deletion, name="images_family_delete"),
            path("<uuid:family_id>/do/<slug:verb>/", view, name="images_family_action"),
            *super().get_urls(),
        ]

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **options: Any
    ) -> HttpResponse:
        """Show the form, and for an existing family its versions, history and namesakes.

        Namesakes are other images with the name of the family's current version.
        """
        family = context.get("original")
        if family is not None:
            context |= _page(request, family)
        return super().render_change_form(request, context, *args, **options)


def _to_deletion(request: HttpRequest, family_id: Any) -> HttpResponse:
    return redirect("admin:images_family_action", family_id, "delete")


def _page(request: HttpRequest, family: Family) -> dict[str, Any]:
    after = request.GET.get("versions_after")
    known = after and family.versions.filter(label=after).exists()
    page, marker = listing.versions(
        get_caller(request), family, marker=after if known else None
    )
    return {
        "versions": [_version(family, version) for version in page],
        "older_versions": marker or "",
        "are_newest": not known,
        "can_promote": may(request, "images.promote_family"),
        "can_change": may(request, "images.change_family"),
        "can_delete": may(request, "images.delete_family"),
        "events": _events(family),
        "namesakes": _namesakes(family),
        "publication": family_publication.shown(request, family),
    }


def _version(family: Family, version: FamilyVersion) -> dict[str, Any]:
    state = version.state(family.current_id)
    return {
        "label": version.label,
        "state": state,
        "state_label": _STATES[state],
        "image": version.image,
        "title": formatting.title(version.image),
        "badge": formatting.badge(version.image.status),
        "size": formatting.size(version.image.size),
        "built": version.build_date,
        "promoted": formatting.ago(version.promoted_at),
        "note": version.note,
        "promotable": state in ("candidate", "old"),
    }


_STATES = {
    "current": _("current"),
    "old": _("old"),
    "candidate": _("candidate"),
    "withdrawn": _("withdrawn"),
}


def _events(family: Family) -> list[dict[str, Any]]:
    newest = FamilyEvent.objects.filter(family=family.pk).order_by("-pk")[:EVENTS]
    return [
        {
            "event": event,
            "label": event_texts.label(activity.FAMILY, event.verb),
            "ago": formatting.ago(event.at),
            "changes": event.detail,
        }
        for event in newest
    ]


def _namesakes(family: Family) -> list[Image]:
    """Return a few images outside the family that have the name of its current version.

    Only images that users of the family's project find by this name count: those of the project,
    and public images. Hidden images do not count.
    """
    images = Image.objects.existing().filter(
        Q(owner=family.owner) | Q(visibility="public"),
        os_hidden=False,
        name=family.name_of_current,
    )
    return list(images.exclude(pk__in=family.versions.values("image"))[:SAME_NAME])
