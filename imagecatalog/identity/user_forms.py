"""The forms of a user in the admin: what the user can do in the admin is one choice."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.utils.translation import gettext_lazy as _

from imagecatalog.identity import admin_access

APPS = ("images", "identity", "auth")  # whose pages the admin has


def _access_field() -> forms.ChoiceField:
    return forms.ChoiceField(
        label=_("Admin access"),
        choices=admin_access.choices,
        widget=forms.RadioSelect({"class": "radiolist"}),
        initial=admin_access.NONE,
    )


class UserForm(UserChangeForm):  # type: ignore[type-arg]
    """The form of an existing user."""

    access = _access_field()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _explain(self.fields)
        field = self.fields.get("access")
        if field is None:
            return
        field.initial = admin_access.level(self.instance)
        if field.initial == admin_access.CUSTOM:
            kept = (admin_access.CUSTOM, admin_access.describe(self.instance))
            field.choices = [*admin_access.choices(), kept]  # type: ignore[attr-defined]


def _explain(fields: dict[str, forms.Field]) -> None:
    """Say what fields of Django mean here, and offer only permissions that the admin asks for."""
    if active := fields.get("is_active"):
        active.label = _("Enabled")
        active.help_text = _(
            "Disabled users cannot sign in; their tokens and credentials are refused."
        )
    if permissions := fields.get("user_permissions"):
        rows = permissions.queryset  # type: ignore[attr-defined]
        apps = rows.filter(content_type__app_label__in=APPS)
        permissions.queryset = apps  # type: ignore[attr-defined]
    for name in {"groups", "user_permissions"} & fields.keys():
        fields[name].help_text = ""


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]
    """The form of a new user."""

    access = _access_field()
