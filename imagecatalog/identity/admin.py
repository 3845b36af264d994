"""Users, projects, roles, credentials and the record of signing in, in the browser admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin, TabularInline
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext, gettext_lazy

from imagecatalog.identity import application_credentials, clients, roles
from imagecatalog.identity.client_config import Login
from imagecatalog.identity.models import (
    ApplicationCredential,
    Project,
    RoleAssignment,
    SignInEvent,
)
from imagecatalog.identity.origin import origin_of
from images import access, errors
from images.http import public_url


class Roles(TabularInline):
    model = RoleAssignment
    extra = 0
    autocomplete_fields = ("user", "project")


class WithRoles(ModelAdmin):
    """Their changes are on record, as those by commands are."""

    inlines = (Roles,)

    def save_formset(
        self, request: HttpRequest, form: Any, formset: Any, change: bool
    ) -> None:
        super().save_formset(request, form, formset, change)
        for row in (*formset.new_objects, *(it[0] for it in formset.changed_objects)):
            roles.given(row, origin_of(request))
        for row in formset.deleted_objects:
            roles.taken(row, origin_of(request))


class Users(WithRoles, UserAdmin):
    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.clients)
        return [
            path("<id>/clients/", view, name="auth_user_clients"),
            *super().get_urls(),
        ]

    def clients(self, request: HttpRequest, id: str) -> HttpResponse:
        """What a user's clients need: for the user, and for whoever may see users."""
        may_see_users = self.has_view_permission(request)
        if id != str(request.user.pk) and not may_see_users:
            raise PermissionDenied
        person = self.get_object(request, id)
        if person is None:
            raise Http404(gettext("There is no user with this id."))
        context = self.admin_site.each_context(request) | {
            "opts": self.opts,
            "may_see_users": may_see_users,
            **clients.context(request, person),
        }
        return TemplateResponse(request, "admin/identity/clients.html", context)


@admin.register(Project)
class Projects(WithRoles):
    list_display = ("name", "id")
    ordering = ("name",)
    search_fields = ("name", "id")
    readonly_fields = ("id",)


class CredentialForm(forms.ModelForm):
    """What is told of a new credential; its secret is made here."""

    actions = forms.MultipleChoiceField(
        label=gettext_lazy("Actions"),
        choices=[(name, name) for name in sorted(access.RULES)],
        required=False,
        help_text=gettext_lazy(
            "The only ones that it may use; none chosen: all that the role allows."
        ),
    )
    told = ""

    class Meta:
        model = ApplicationCredential
        fields = (
            "user",
            "project",
            "name",
            "description",
            "role",
            "actions",
            "expires_at",
        )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        try:
            self.instance, self.told = application_credentials.draft(
                given["user"],
                given["project"].pk,
                given["name"],
                role=given["role"],
                description=given["description"],
                expires_at=given["expires_at"],
                actions=given["actions"] or None,
            )
        except errors.ImageError as error:
            raise forms.ValidationError(str(error)) from None
        return {**given, "actions": self.instance.actions}


@admin.register(ApplicationCredential)
class ApplicationCredentials(ModelAdmin):
    form = CredentialForm
    list_display = ("name", "user", "project", "role", "expires_at", "last_used_at")
    list_filter = ("role",)
    list_select_related = ("user", "project")
    search_fields = ("name", "id", "user__username")
    autocomplete_fields = ("user", "project")

    def changelist_view(
        self, request: HttpRequest, extra_context: Any = None
    ) -> HttpResponse:
        if useless := application_credentials.USELESS.get(settings.IMAGECATALOG_AUTH):
            self.message_user(request, useless, messages.WARNING)
        return super().changelist_view(request, extra_context)

    def has_add_permission(self, request: HttpRequest) -> bool:
        useless = settings.IMAGECATALOG_AUTH in application_credentials.USELESS
        return not useless and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # it is ended, and another one is made

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = ("id", "created_at", "last_used_at") if obj else ()
        return (*CredentialForm.Meta.fields, *shown)

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        application_credentials.store(obj, origin_of(request))
        obj.told = form.told

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """What its clients need, with the secret in it: the one time that it is shown."""
        user, project = obj.user.get_username(), obj.project.name
        credential = (obj.pk, obj.told)
        login = Login(public_url.base(request), user, project, credential)
        key = {"title": gettext("Key"), "text": f"{obj.pk}.{obj.told}"}
        context = self.admin_site.each_context(request) | {
            "title": gettext("Application credential %(name)s") % {"name": obj.name},
            "opts": self.opts,
            "texts": [key, *clients.texts(login)],
        }
        return TemplateResponse(request, "admin/identity/credential.html", context)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        application_credentials.delete(obj, origin_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset.select_related("user"):
            application_credentials.delete(row, origin_of(request))


@admin.register(SignInEvent)
class SignInEvents(ModelAdmin):
    list_display = ("at", "verb", "user", "source", "request_id")
    list_filter = ("verb",)
    search_fields = ("user", "source")
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


admin.site.unregister(get_user_model())
admin.site.register(get_user_model(), Users)
