"""The admin pages of application credentials, and the roles on the pages of users and projects."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin, TabularInline
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from imagecatalog.identity import (
    application_credentials,
    clients,
    roles,
)
from imagecatalog.identity.credential_forms import CredentialForm
from imagecatalog.identity.models import (
    ApplicationCredential,
    RoleAssignment,
)
from imagecatalog.identity.origin import origin_of
from imagecatalog.identity.role_forms import RoleForm, RoleFormSet


class RoleAssignmentInline(TabularInline):  # type: ignore[type-arg]
    """The part of the admin page of a user or project that shows its role assignments."""

    model = RoleAssignment
    form = RoleForm
    formset = RoleFormSet
    verbose_name = _("project role")
    verbose_name_plural = _("Project roles")
    extra = 1

    def get_queryset(self, request: HttpRequest) -> QuerySet[RoleAssignment]:
        """Return the assignments with their users and projects."""
        rows: QuerySet[RoleAssignment] = super().get_queryset(request)
        return rows.select_related("user", "project")


class RolesAdmin(ModelAdmin):  # type: ignore[type-arg]
    """The base class of admin pages on which role assignments can be edited."""

    inlines = (RoleAssignmentInline,)

    def save_formset(
        self, request: HttpRequest, form: Any, formset: Any, change: bool
    ) -> None:
        """Save the edited role assignments, and record the changes in the sign-in log."""
        super().save_formset(request, form, formset, change)
        changed = [row for row, _fields in formset.changed_objects]
        for row in (*formset.new_objects, *changed):
            roles.record_role_given(row, origin_of(request))
        for row in formset.deleted_objects:
            roles.record_role_removed(row, origin_of(request))


@admin.register(ApplicationCredential)
class ApplicationCredentialAdmin(ModelAdmin):  # type: ignore[type-arg]
    """The admin pages of application credentials, which can be created and deleted, but not changed."""

    form = CredentialForm
    list_display = ("name", "user", "project", "role", "expires_at", "last_used_at")
    list_filter = ("role",)
    list_select_related = ("user", "project")
    search_fields = ("name", "id", "user__username")

    def changelist_view(
        self, request: HttpRequest, extra_context: Any = None
    ) -> HttpResponse:
        """Show the list of credentials; warn if IMAGECATALOG_AUTH makes the service ignore them."""
        if reason := application_credentials.why_unused():
            self.message_user(request, reason, messages.WARNING)
        return super().changelist_view(request, extra_context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user can add application credentials.

        False without the permission, and if IMAGECATALOG_AUTH makes the service ignore credentials.
        """
        is_used = not application_credentials.why_unused()
        return is_used and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: a credential cannot be changed, only deleted and replaced by a new one."""
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the names of the form's fields; for a stored credential ``obj`` also its id and dates."""
        shown = ("id", "created_at", "last_used_at") if obj else ()
        return (*CredentialForm.Meta.fields, *shown)

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        """Store the new credential, and record its creation in the sign-in log."""
        application_credentials.store(obj, origin_of(request))
        obj.plain_secret = form.plain_secret

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Return the page with a new credential's secret, which is shown only once.

        The page also has client configurations with the secret.
        """
        context = self.admin_site.each_context(request) | {
            "may_see_credentials": True,
            **clients.secret_context(request, obj, obj.plain_secret),
        }
        return TemplateResponse(request, "admin/identity/credential.html", context)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete a credential, and record the deletion in the sign-in log."""
        application_credentials.delete(obj, origin_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete the selected credentials, and record each deletion in the sign-in log."""
        for row in queryset.select_related("user"):
            application_credentials.delete(row, origin_of(request))
