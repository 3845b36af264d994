"""The forms of users and groups in the admin. The field ``access`` is a user's admin access."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group, Permission
from django.db.models import Q
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


class PermissionsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """A form field with a check box for each permission for pages of the admin."""

    def __init__(self, **options: Any) -> None:
        rows = Permission.objects.filter(content_type__app_label__in=APPS)
        order = ("content_type__app_label", "content_type__model", "pk")
        super().__init__(
            rows.order_by(*order),
            required=False,
            widget=forms.CheckboxSelectMultiple({"class": "permissions"}),
            **options,
        )

    def label_from_instance(self, obj: Any) -> str:
        """Return the label of a permission, such as "Can deactivate image"."""
        return str(obj.name)


def _with_others(chosen: Any, held: Any) -> Any:
    """Return the permissions ``chosen`` in a form, and those in ``held`` that it does not show.

    ``held`` are the permissions that the user or group has now.
    """
    others = held.exclude(content_type__app_label__in=APPS)
    return Permission.objects.filter(Q(pk__in=chosen) | Q(pk__in=others))


def _explain(fields: dict[str, forms.Field]) -> None:
    """Replace labels and help texts of Django's user fields that would be wrong in this service."""
    if active := fields.get("is_active"):
        active.label = _("Enabled")
        active.help_text = _(
            "Disabled users cannot sign in; their tokens and credentials are refused."
        )
    if groups := fields.get("groups"):
        groups.help_text = ""


class UserForm(UserChangeForm):  # type: ignore[type-arg]
    """The form of an existing user."""

    access = _access_field()
    user_permissions = PermissionsField(label=_("Single permissions"))

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

    def clean_user_permissions(self) -> Any:
        """Return the permissions to save: those chosen, and the user's permissions of other apps.

        The form has no check boxes for permissions of other apps, so the user keeps them.
        """
        chosen = self.cleaned_data["user_permissions"]
        return _with_others(chosen, self.instance.user_permissions)


class GroupForm(forms.ModelForm):  # type: ignore[type-arg]
    """The form of a group."""

    permissions = PermissionsField(label=_("Permissions"))

    class Meta:
        model = Group
        fields = ("name", "permissions")

    def clean_permissions(self) -> Any:
        """Return the permissions to save: those chosen, and the group's permissions of other apps.

        The form has no check boxes for permissions of other apps, so the group keeps them.
        """
        chosen = self.cleaned_data["permissions"]
        if self.instance.pk is None:
            return chosen
        return _with_others(chosen, self.instance.permissions)


class NewUserForm(AdminUserCreationForm):  # type: ignore[type-arg]
    """The form of a new user."""

    access = _access_field()
