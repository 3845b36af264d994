"""The admin pages of projects: the list with their usage, and a project with limits and roles."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from imagecatalog.identity import pickers
from imagecatalog.identity.admin import RolesAdmin
from imagecatalog.identity.models import Project
from images.admin import formatting, project_usage
from images.admin.actions import may
from images.admin.project_forms import LABELS, LimitsForm, ProjectForm
from images.models import Image
from images.operations import overview
from images.transfers import limits

NAMED: Final = 10  # images on the page that confirms a deletion
SET_LIMITS: Final = "images.change_quotalimit"  # permission


class ProjectList(ChangeList):
    """The list of projects in the admin. A page needs as many queries for many projects as for few."""

    def get_results(self, request: HttpRequest) -> None:
        """Load the projects of the current page, with the number and the bytes of their images."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        ids = [project.pk for project in self.result_list]
        totals, allowed = project_usage.totals(ids), project_usage.size_limits(ids)
        for project in self.result_list:
            project.images, project.bytes = totals[project.pk]
            project.limit = allowed.get(project.pk)

    @property
    def others(self) -> list[dict[str, Any]]:
        """The largest projects, by their images, that are managed elsewhere, as in Keystone."""
        rows = overview.statistics().get("projects", [])
        ids = [row["project"] for row in rows if row["project"]]
        known = set(Project.objects.filter(pk__in=ids).values_list("pk", flat=True))
        return [
            {
                "id": row["project"],
                "size": formatting.size(row["used"]),
                "url": project_usage.url_of(row["project"], is_known=False),
            }
            for row in rows
            if row["project"] and row["project"] not in known
        ]


class ProjectAdmin(RolesAdmin):
    """The admin pages of projects."""

    list_display = ("name", "images_shown", "usage_shown", "users_shown", "id")
    ordering = ("name",)
    sortable_by = ("name",)
    search_fields = ("name", "id")
    readonly_fields = ("id",)
    list_per_page = 50
    list_max_show_all = 0
    actions = None  # the page that confirms a deletion names the images of one project
    change_list_template = "admin/images/project/list.html"
    change_form_template = "admin/images/project/page.html"
    delete_confirmation_template = "admin/images/project/delete.html"

    def get_urls(self) -> list[Any]:
        """Return the URLs of the pages of projects, and of the names that forms suggest."""
        suggest = self.admin_site.admin_view(pickers.suggest_projects)
        usage = self.admin_site.admin_view(project_usage.show)
        return [
            path("suggest/", suggest, name="identity_project_suggest"),
            path("usage/", usage, name="identity_project_usage"),
            *super().get_urls(),
        ]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user can view images, and so the projects that own them."""
        return may(request, "images.view_image") or super().has_view_permission(
            request, obj
        )

    # The list

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the projects, each with its number of users."""
        return super().get_queryset(request).annotate(users=Count("assignments"))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return ProjectList, the class of the list of projects."""
        return ProjectList

    @admin.display(description=_("images"))
    def images_shown(self, project: Any) -> str:
        """Return the number of a project's images, as a link to them."""
        url = project_usage.images_url(project.pk)
        return format_html('<a href="{}">{}</a>', url, f"{project.images:,}")

    @admin.display(description=_("data"))
    def usage_shown(self, project: Any) -> SafeString | str:
        """Return the bytes of a project's images, with a bar if there is a limit."""
        return project_usage.bar(project.bytes, project.limit)

    @admin.display(description=_("users"))
    def users_shown(self, project: Any) -> int:
        """Return the number of users with a role in a project."""
        return int(project.users)

    # A project

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the class of the form, with limits only for users who can change them."""
        form = LimitsForm if self._sets_limits(request) else ProjectForm
        options = kwargs | {"form": form, "fields": ("name",)}
        return super().get_form(request, obj, change, **options)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields of the form in groups."""
        names = ("name", "id") if obj else ("name",)
        groups: list[Any] = [(None, {"fields": names})]
        if self._sets_limits(request) and self._may_edit(request, obj):
            groups.append((_("Limits"), {"fields": tuple(LABELS)}))
        return groups

    def _may_edit(self, request: HttpRequest, obj: Any) -> bool:
        if obj is None:
            return bool(self.has_add_permission(request))
        return bool(self.has_change_permission(request, obj))

    def _sets_limits(self, request: HttpRequest) -> bool:
        return not settings.IMAGECATALOG_UNIFIED_LIMITS and may(request, SET_LIMITS)

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        """Save the project, and the limits that the user has changed."""
        super().save_model(request, obj, form, change)
        if form.changed_limits:
            limits.set_own(obj.pk, form.changed_limits)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **options: Any
    ) -> HttpResponse:
        """Show the form, and for a project that exists its usage and its largest images."""
        project = context.get("original")
        if project is not None:
            context |= project_usage.page_context(project.pk)
        return super().render_change_form(request, context, *args, **options)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Show the page that confirms the deletion of a project, with the images that it owns."""
        owned = Image.objects.existing().filter(owner=object_id)
        more = {
            "owned": [
                {"id": image.pk, "title": formatting.title(image)}
                for image in owned.order_by("name", "pk")[:NAMED]
            ],
            "owned_count": owned.count(),
            "images_url": project_usage.images_url(object_id),
        }
        return super().delete_view(request, object_id, more | (extra_context or {}))
