"""The forms of a user in the admin: what the user can do in the admin is one choice."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.utils.translation import gettext_lazy as _

from imagecatalog.identity import admin_access


def _access_field() -> forms.ChoiceField:
    return forms.ChoiceField(
        label=_("Admin access"),
        choices=admin_access.choices,
        widget=forms.RadioSelect,
        initial=admin_access.NONE,
    )


class UserForm(UserChangeForm):  # type: ignore[type-arg]
    """The form of an existing user."""

    access = _access_field()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields.get("access")
        if field is None:
            return
        field.initial = admin_access.level(self.instance)
        if field.initial == admin_access.CUSTOM:
            kept = (admin_access.CUSTOM, admin_access.describe(self.instance))
            field.choices = [*admin_access.choices(), kept]  # type: ignore[attr-defined]


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]
    """The form of a new user."""

    access = _access_field()
