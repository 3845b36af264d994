"""The forms with which operators and users create application credentials."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from imagecatalog.identity import application_credentials, pickers
from imagecatalog.identity.models import ApplicationCredential, Project
from images import access, errors


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]
    """The form with which operators create an application credential.

    The validation of the form generates the secret, ``plain_secret``.
    """

    actions = forms.MultipleChoiceField(
        label=gettext_lazy("Actions"),
        choices=[(name, name) for name in sorted(access.RULES)],
        required=False,
        help_text=gettext_lazy("Leave empty to allow everything the role allows."),
    )
    user = pickers.user_field(label=gettext_lazy("User"))
    project = pickers.project_field(label=gettext_lazy("Project"))
    expires_at = forms.DateTimeField(
        label=gettext_lazy("Expires at"),
        required=False,
        help_text=gettext_lazy("Such as 2030-12-31 12:00. Empty: never."),
    )
    plain_secret = ""
    owner: Any = None  # the user, where the form does not ask for one

    class Meta:
        model = ApplicationCredential
        fields: tuple[str, ...] = (
            "user",
            "project",
            "name",
            "description",
            "role",
            "actions",
            "expires_at",
        )

    def clean(self) -> dict[str, Any]:
        """Create the credential and its secret in memory, and return the values of the form.

        Raises ValidationError if no such credential can be created.
        """
        values = super().clean() or {}
        if self.errors:
            return values
        try:
            self.instance, self.plain_secret = application_credentials.draft(
                values.get("user", self.owner),
                values["project"].pk,
                values["name"],
                role=values["role"],
                description=values.get("description", ""),
                expires_at=values["expires_at"],
                actions=values.get("actions") or None,
            )
        except errors.ImageError as error:
            raise forms.ValidationError(str(error)) from None
        return {**values, "actions": self.instance.actions}


class OwnCredentialForm(CredentialForm):
    """The form with which users create application credentials for themselves."""

    # None removes a field.
    actions = None  # type: ignore[assignment]
    user = None  # type: ignore[assignment]
    # The user has few projects: a list to choose from shows all.
    project = forms.ModelChoiceField(  # type: ignore[assignment]
        Project.objects.none(), label=gettext_lazy("Project")
    )

    class Meta(CredentialForm.Meta):
        fields = ("name", "project", "role", "expires_at")

    def __init__(self, owner: Any, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.owner = owner
        projects = Project.objects.filter(assignments__user=owner).order_by("name")
        self.fields["project"].queryset = projects  # type: ignore[attr-defined]
