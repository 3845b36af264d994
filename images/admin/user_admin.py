"""The admin pages of users: the list, and a user with admin access, project roles and sign-ins."""

from __future__ import annotations

from typing import Any, Final

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from imagecatalog.identity import (
    admin_access,
    clients,
    own_credentials,
    pickers,
    sign_in_log,
    users,
)
from imagecatalog.identity.admin import RolesAdmin
from imagecatalog.identity.models import SignInEvent
from imagecatalog.identity.origin import origin_of
from imagecatalog.identity.user_forms import GroupForm, NewUserForm, UserForm
from images import units
from images.admin import formatting, sign_in_log_admin

EVENTS: Final = 10  # on a user's page
SEE_LOG: Final = "identity.view_signinevent"  # permission
FLAGS: Final = ("is_staff", "is_superuser", "groups", "user_permissions")


class AccessFilter(SimpleListFilter):
    """The filter of users by what they can do in the admin."""

    title = _("admin access")
    parameter_name = "access"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choices "none", each group, and "superuser", as (value, label)."""
        groups = Group.objects.order_by("name").values_list("pk", "name")
        return [
            (admin_access.NONE, _("none")),
            *((str(pk), name) for pk, name in groups),
            (admin_access.SUPERUSER, _("superuser")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the users with the chosen access."""
        value = self.value()
        if value == admin_access.NONE:
            return queryset.filter(is_staff=False)
        if value == admin_access.SUPERUSER:
            return queryset.filter(is_staff=True, is_superuser=True)
        group = units.parse_digits(value or "", 9)
        if group is not None:
            return queryset.filter(is_staff=True, groups=group)
        return queryset


class CatalogueUserAdmin(RolesAdmin, UserAdmin):  # type: ignore[type-arg]
    """The admin pages of users, and the page with a user's client configuration."""

    form = UserForm
    add_form = NewUserForm
    add_form_template = "admin/images/identity_form.html"
    change_form_template = "admin/images/user/page.html"
    list_display = (
        "username",
        "full_name",
        "access_shown",
        "roles_shown",
        "last_sign_in",
        "is_active",
    )
    list_filter = (AccessFilter, "is_active")
    filter_horizontal = ()  # it needs JavaScript; a plain list of groups does not
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 0
    fieldsets = (
        (None, {"fields": ("username", "password_shown", "is_active")}),
        (_("Admin access"), {"fields": ("access",)}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (_("Sign-in"), {"fields": ("last_sign_in", "second_factor_shown", "joined")}),
    )
    add_fieldsets = (
        (
            None,
            {"fields": ("username", "usable_password", "password1", "password2")},
        ),
        (_("Admin access"), {"fields": ("access",)}),
    )
    advanced_fieldsets = (
        (None, {"fields": ("username",)}),
        (_("Groups and single permissions"), {"fields": FLAGS}),
    )
    readonly_fields = (
        "password_shown",
        "last_sign_in",
        "second_factor_shown",
        "joined",
        "access_shown",
    )

    def get_urls(self) -> list[Any]:
        """Return the URLs of the pages of users.

        Besides Django's pages, there are the page with a user's client configuration, the page
        for the signed-in user's own credentials, the names that forms suggest, and the URL that
        ends the locks of a user.
        """
        view = self.admin_site.admin_view(self.clients)
        own = self.admin_site.admin_view(own_credentials.page)
        suggest = self.admin_site.admin_view(pickers.suggest_users)
        unlock = self.admin_site.admin_view(require_POST(self.unlock))
        return [
            path("credentials/", own, name="auth_user_credentials"),
            path("suggest/", suggest, name="auth_user_suggest"),
            path("<id>/clients/", view, name="auth_user_clients"),
            path("<id>/unlock/", unlock, name="auth_user_unlock"),
            *super().get_urls(),
        ]

    # The list

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the users, with their groups, single permissions and roles."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related("second_factor").prefetch_related(
            "groups", "user_permissions", "assignments__project"
        )

    @admin.display(description=_("name"), ordering="last_name")
    def full_name(self, user: Any) -> str:
        """Return the first and the last name of a user, else the e-mail address."""
        return user.get_full_name() or user.email or "–"

    @admin.display(description=_("admin access"))
    def access_shown(self, user: Any) -> str:
        """Return what a user can do in the admin, as text."""
        return admin_access.describe(user)

    @admin.display(description=_("project roles"))
    def roles_shown(self, user: Any) -> str:
        """Return the roles of a user in projects, as text."""
        rows = user.assignments.all()
        return ", ".join(f"{row.role} in {row.project}" for row in rows) or "–"

    @admin.display(description=_("last sign-in"), ordering="last_login")
    def last_sign_in(self, user: Any) -> SafeString | str:
        """Return how long ago a user has signed in to the admin or the API, as HTML."""
        return formatting.ago(user.last_login) if user.last_login else gettext("never")

    # A user

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields of the form in groups.

        With the query parameter ``advanced`` they are Django's flags, groups and permissions.
        Users who cannot change the admin access see it as text.
        """
        if obj is None:
            gives = self._gives_access(request)
            return self.add_fieldsets if gives else self.add_fieldsets[:1]
        if self._is_advanced(request, obj):
            return self.advanced_fieldsets
        if self._gives_access(request, obj):
            return self.fieldsets
        shown = (_("Admin access"), {"fields": ("access_shown",)})
        return (self.fieldsets[0], shown, *self.fieldsets[2:])

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the class of the form, without fields for admin access that are not shown."""
        form = super().get_form(request, obj, change=change, **kwargs)
        shown = flatten_fieldsets(self.get_fieldsets(request, obj))
        for name in {"access", "user_permissions"} - set(shown):
            form.base_fields.pop(name, None)
        return form

    def _gives_access(self, request: HttpRequest, user: Any = None) -> bool:
        """Return whether the signed-in user can change the admin access of ``user``.

        Only superusers can, and not their own access, so that one of them remains.
        """
        return bool(request.user.is_superuser and user != request.user)

    def _is_advanced(self, request: HttpRequest, user: Any) -> bool:
        return "advanced" in request.GET and self._gives_access(request, user)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the names of read-only fields. Users cannot enable or disable themselves."""
        own = ("is_active",) if obj is not None and obj == request.user else ()
        return (*self.readonly_fields, *own)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """Return the inline forms: the roles in projects, but not on the advanced page."""
        return () if obj and self._is_advanced(request, obj) else self.inlines

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the signed-in user can change the user ``obj``: only superusers change superusers."""
        return self._may_touch(request, obj) and super().has_change_permission(
            request, obj
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the signed-in user can delete the user ``obj``. Nobody deletes themselves."""
        is_self = obj is not None and obj == request.user
        return (
            not is_self
            and self._may_touch(request, obj)
            and super().has_delete_permission(request, obj)
        )

    def _may_touch(self, request: HttpRequest, user: Any) -> bool:
        is_superuser = user is not None and user.is_superuser
        return not is_superuser or bool(request.user.is_superuser)

    @admin.display(description=_("password"))
    def password_shown(self, user: Any) -> str:
        """Return whether a user has a password, with a link to the form for a new one."""
        has_password = user.has_usable_password()
        return format_html(
            '{} <a href="{}">{}</a>',
            gettext("Set.") if has_password else gettext("None: signs in elsewhere."),
            reverse("admin:auth_user_password_change", args=[user.pk]),
            gettext("Reset password") if has_password else gettext("Set password"),
        )

    @admin.display(description=_("second factor"))
    def second_factor_shown(self, user: Any) -> str:
        """Return whether a user has a second factor."""
        is_set_up = hasattr(user, "second_factor")
        return gettext("Set up") if is_set_up else gettext("Not set up")

    @admin.display(description=_("created"))
    def joined(self, user: Any) -> SafeString | str:
        """Return how long ago a user was created, as HTML."""
        return formatting.ago(user.date_joined)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **options: Any
    ) -> HttpResponse:
        """Show the form, and for an existing user locks, sign-in events and external accounts."""
        user = context.get("original")
        if user is not None:
            context |= self._page(request, user)
        return super().render_change_form(request, context, *args, **options)

    def _page(self, request: HttpRequest, user: Any) -> dict[str, Any]:
        is_advanced = self._is_advanced(request, user)
        shows_log = not is_advanced and request.user.has_perm(SEE_LOG)
        name = user.get_username()
        newest = SignInEvent.objects.filter(user=name).order_by("-pk")[:EVENTS]
        return {
            "events": sign_in_log_admin.load(newest) if shows_log else [],
            "log_url": sign_in_log_admin.log_url(name) if shows_log else "",
            "locks": _locks(name),
            "issuers": user.external_accounts.values_list("issuer", flat=True),
            "is_advanced": is_advanced,
            "offers_advanced": self._gives_access(request, user),
        }

    # Changes, which the sign-in log records

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        """Save the user, and record its creation, or that it was enabled or disabled."""
        origin = origin_of(request)
        super().save_model(request, obj, form, change)
        if not change:
            sign_in_log.record("user_create", obj.get_username(), origin)
        elif "is_active" in form.changed_data:
            users.record_active(obj, origin)

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        """Save the roles in projects and the admin access."""
        super().save_related(request, form, formsets, change)
        origin = origin_of(request)
        if "access" in form.changed_data:
            admin_access.set_level(form.instance, form.cleaned_data["access"], origin)
        elif set(FLAGS) & set(form.changed_data):
            admin_access.record(form.instance, origin)

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        """Show the form for a new password of a user, or set it; the sign-in log records that."""
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            user = self.get_object(request, id)
            if user is not None:
                name = user.get_username()
                sign_in_log.record("password_reset", name, origin_of(request))
        return response

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete a user, and record the deletion in the sign-in log."""
        users.delete(obj, origin_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete the selected users, and record each deletion in the sign-in log."""
        for row in queryset:
            users.delete(row, origin_of(request))

    # Further pages

    def unlock(self, request: HttpRequest, id: str) -> HttpResponse:
        """End the locks of a user after wrong passwords. POST only."""
        user = self.get_object(request, id)
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        if user is None:
            raise Http404(gettext("There is no user with this id."))
        AccessAttempt.objects.filter(username=user.get_username()).delete()
        sentence = gettext("The user %(user)s can sign in again.")
        messages.success(request, sentence % {"user": user.get_username()})
        return redirect("admin:auth_user_change", user.pk)

    def clients(self, request: HttpRequest, id: str) -> HttpResponse:
        """Show the page with the client configuration of a user.

        Users can see their own page; users with permission to view users can see all of them.
        Raises PermissionDenied for others, Http404 if there is no user with this ``id``.
        """
        may_see_users = self.has_view_permission(request)
        if id != str(request.user.pk) and not may_see_users:
            raise PermissionDenied
        account = self.get_object(request, id)
        if account is None:
            raise Http404(gettext("There is no user with this id."))
        context = self.admin_site.each_context(request) | {
            "opts": self.opts,
            "may_see_users": may_see_users,
            **clients.context(request, account),
        }
        return TemplateResponse(request, "admin/identity/clients.html", context)


class CatalogueGroupAdmin(GroupAdmin):
    """The admin pages of groups, which give users permissions in the admin."""

    form = GroupForm
    change_form_template = "admin/images/identity_form.html"


def _locks(name: str) -> list[dict[str, Any]]:
    """Return the client addresses from which a name is locked now, each with the end of the lock."""
    since = timezone.now() - settings.AXES_COOLOFF_TIME
    rows = AccessAttempt.objects.filter(
        username=name,
        attempt_time__gt=since,
        failures_since_start__gte=settings.AXES_FAILURE_LIMIT,
    )
    return [
        {
            "address": row.ip_address,
            "failures": row.failures_since_start,
            "until": formatting.when(row.attempt_time + settings.AXES_COOLOFF_TIME),
        }
        for row in rows.order_by("pk")
    ]
