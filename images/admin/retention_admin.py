"""The admin pages of retention policies: the list, and a policy with its preview and its runs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from images.access import Caller
from images.admin import formatting, retention_views
from images.admin.actions import may
from images.admin.service_admin import ServiceAdmin
from images.admin.service_forms import JsonField, ServiceForm
from images.models import RetentionPolicy, RetentionRun
from images.retention import listing, policies

LISTED_RUNS = 20


class RetentionPolicyForm(ServiceForm):
    """The form that creates or changes a retention policy."""

    caller: Caller

    scope = JsonField(
        label=_("Scope"),
        help_text=_(
            'JSON: {"families": [names or ids]}, {"projects": [names or ids]} or '
            '{"everything": true}.'
        ),
    )
    select = JsonField(
        label=_("Selection"),
        help_text=_(
            "JSON with tags, name (a pattern), disk_format, visibility and properties."
        ),
        required=False,
    )
    keep = JsonField(
        label=_("Keep"),
        help_text=_(
            'JSON with rules, of which one is enough: {"last": 3, "newer_than": "90d", "labels": '
            '["*-lts"], "tags": ["keep"], "until_property": "provided_until"}.'
        ),
        rows=6,
    )
    actions = JsonField(
        label=_("Actions"),
        help_text=_(
            'JSON: [{"hide": "0d"}, {"deactivate": "30d"}, {"delete": "90d"}].'
        ),
        rows=5,
        required=False,
    )

    class Meta:
        model = RetentionPolicy
        fields = (
            "name",
            "scope",
            "select",
            "group_by",
            "keep",
            "shared",
            "actions",
            "schedule",
            "enabled",
            "max_per_run",
            "max_share",
        )
        help_texts = {
            "name": _("Lower-case letters, digits and . _ -; it cannot change."),
            "group_by": _("Of images outside of families: name, none or property:KEY."),
            "schedule": _(
                "Five fields as in a crontab, in UTC, such as 30 3 * * *. Empty: by hand."
            ),
            "enabled": _("Whether the schedule starts runs."),
            "max_share": _("A run that would act on a larger share does nothing."),
        }

    def save_values(self) -> RetentionPolicy:
        """Create or change the policy, and return it. Raises ImageError for a refused value."""
        document = self.given
        for name in {"select", "actions", "schedule"} & document.keys():
            document[name] = document[name] or None  # null restores the default
        if self.is_new:
            return policies.create(self.caller, document)
        return policies.update(self.caller, self.instance.name, document)


class RetentionPolicyAdmin(ServiceAdmin):
    """The admin pages of retention policies."""

    form = RetentionPolicyForm
    list_display = ("name", "schedule_shown", "enabled", "next_run", "changed")
    search_fields = ("name",)
    ordering = ("name",)
    sortable_by = ("name",)
    change_form_template = "admin/images/retention/page.html"

    @admin.display(description=_("schedule"))
    def schedule_shown(self, policy: RetentionPolicy) -> str:
        """Return the schedule of the policy; a dash if there is none."""
        return policy.schedule or "–"

    @admin.display(description=_("next run"))
    def next_run(self, policy: RetentionPolicy) -> Any:
        """Return the time until the next run, as HTML."""
        return formatting.ago(policy.next_run_at)

    @admin.display(description=_("changed"))
    def changed(self, policy: RetentionPolicy) -> Any:
        """Return how long ago the policy was changed, as HTML."""
        return formatting.ago(policy.updated_at)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the names of read-only fields: the name, if the policy exists."""
        return ("name",) if obj else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the names of the fields in their order."""
        return RetentionPolicyForm.Meta.fields

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs of all pages about policies and their runs."""
        view = self.admin_site.admin_view
        return [
            path(
                "<int:policy_id>/preview/",
                view(retention_views.preview_page),
                name="images_retention_preview",
            ),
            path(
                "<int:policy_id>/delete/",
                view(retention_views.delete),
                name="images_retention_delete",
            ),
            path(
                "runs/<int:run_id>/",
                view(retention_views.run_page),
                name="images_retention_run",
            ),
            *super().get_urls(),
        ]

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **options: Any
    ) -> HttpResponse:
        """Show the form, and for a policy that exists its last runs."""
        policy = context.get("original")
        if policy is not None:
            runs, _ = listing.runs(policy, limit=LISTED_RUNS)
            context["runs"] = [_run(run) for run in runs]
            context["can_delete"] = may(request, "images.delete_retentionpolicy")
        return super().render_change_form(request, context, *args, **options)


def _run(run: RetentionRun) -> dict[str, Any]:
    return {
        "run": run,
        "started": formatting.ago(run.started_at),
        "status": listing.status(run),
        "number": listing.number_of_acts(run),
    }
