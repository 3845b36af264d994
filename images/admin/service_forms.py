"""The base class of model forms that save their objects themselves, and a form field for JSON."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.db.models import Model

from images import errors


class IndentedEncoder(json.JSONEncoder):
    """A JSON encoder that indents, so that people can read and edit the text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"indent": 2})


class JsonField(forms.JSONField):
    """A form field for JSON text in ``rows`` lines of ``cols`` characters; empty for no value."""

    def __init__(self, *, rows: int = 3, cols: int = 80, **options: Any) -> None:
        attributes = {"rows": rows, "cols": cols, "spellcheck": "false"}
        widget = forms.Textarea(attrs=attributes)
        super().__init__(encoder=IndentedEncoder, widget=widget, **options)

    def prepare_value(self, value: Any) -> Any:
        """Return the text of a value (called by Django)."""
        return "" if value is None else super().prepare_value(value)


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A model form whose validation also saves the object, with the same functions as the API.

    Each field also sends the value that the page showed first. So only fields that the user has
    changed are saved, even if another request has changed the object in the meantime.
    """

    saved: Model

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for field in self.fields.values():
            field.show_hidden_initial = not self.is_new

    def full_clean(self) -> None:
        """Validate the values; if they are valid, create or change the object as ``self.saved``.

        Some values are checked only as the object is saved; a refusal becomes an error of the form.
        """
        super().full_clean()
        if not self.is_bound or self.errors:
            return
        try:
            self.saved = self.save_values()
        except errors.ImageError as error:
            self.add_error(None, str(error))

    def save_values(self) -> Model:
        """Create or change the object, and return it; subclasses define how.

        Raises ImageError if a value is refused.
        """
        raise NotImplementedError

    @property
    def is_new(self) -> bool:
        """Whether the form creates an object; otherwise it changes one."""
        return bool(self.instance._state.adding)

    @property
    def given(self) -> dict[str, Any]:
        """The values to save: all values of a new object, else those that the user has changed."""
        names = self.fields if self.is_new else self.changed_data
        return {name: self.cleaned_data[name] for name in names}
