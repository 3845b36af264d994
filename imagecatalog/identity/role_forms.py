"""The form of a role in a project, on the admin pages of users and projects."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from imagecatalog.identity import pickers
from imagecatalog.identity.models import RoleAssignment


class NameText(forms.Widget):
    """A widget that shows a name as text, where it cannot be changed."""

    def render(
        self, name: str, value: Any, attrs: Any = None, renderer: Any = None
    ) -> SafeString:
        """Return the name, escaped for HTML."""
        return format_html("{}", value)


class RoleFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The set of forms for the role assignments of one user, or in one project."""

    def add_fields(self, form: Any, index: int | None) -> None:
        """Add the fields of a form; label the box that deletes a role for screen readers."""
        super().add_fields(form, index)
        if box := form.fields.get("DELETE"):
            box.widget.attrs["aria-label"] = _("Delete role")


class RoleForm(forms.ModelForm):  # type: ignore[type-arg]
    """The form of a role assignment; for an existing assignment only the role can be changed."""

    user = pickers.user_field(label=_("User"))
    project = pickers.project_field(label=_("Project"))

    class Meta:
        model = RoleAssignment
        fields = ("user", "project", "role")
        widgets: ClassVar = {"role": forms.Select({"aria-label": _("Role")})}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk is None:
            return
        for name in ("user", "project"):
            self.initial[name] = getattr(self.instance, name)
            self.fields[name].disabled = True
            self.fields[name].widget = NameText()
