"""All that people read in the admin can be translated: no text goes around gettext.

The checks are tried on made-up texts first, so that they are known to be able to fail.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.utils.functional import Promise

from images.admin.image_admin import ImageAdmin
from images.admin.polled_list import PolledAdmin

ROOT = Path(__file__).resolve().parents[2]
GETTEXT = {"_", "gettext", "gettext_lazy", "ngettext"}
# Lines for machines, and names that are data.
NOT_FOR_READING = {"snippets.py", "roles.py", "exports.py"}
# Names of algorithms, files and folders, which are the same in every language.
NAMES = {"CSV", "JSON", "SHA-256", "SHA-512", "SHA256SUMS", "current/"}


# Python


def literals(node: ast.AST) -> Iterator[str]:
    """The strings of a module that are no docstrings and not given to gettext."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in GETTEXT:
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from literals(child)


def untranslated(source: str) -> list[str]:
    """Return the literals that look like text for people: several words, or one with a capital."""
    words = re.compile(r"[a-z]{2}[,:;]? [a-z%]|^[A-Z][a-z]+ ?$")
    found = literals(ast.parse(source))
    return [it for it in found if words.search(it) and not it.lstrip().startswith("<")]


@pytest.mark.parametrize(
    "source",
    [
        "label = 'Name'",
        "help = 'said to nobody'",
        "title = f'Credential {name}'",
        "raise Http404('It is not there.')",
    ],
)
def test_the_checker_sees_a_text_that_goes_around(source: str) -> None:
    assert untranslated(source)


@pytest.mark.parametrize(
    "source",
    ["label = _('Name')", "'''A docstring.'''", "x = 'os_type'", "h = '<a b c>{}</a>'"],
)
def test_the_checker_lets_others_pass(source: str) -> None:
    assert untranslated(source) == []


MODULES = [
    *(it for it in (ROOT / "images/admin").glob("*.py")),
    *(
        ROOT / "imagecatalog" / it
        for it in (
            "site.py",
            "admin.py",
            "identity/admin.py",
            "identity/pickers.py",
            "identity/role_forms.py",
            "identity/user_forms.py",
        )
    ),
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_of_a_module_goes_around(path: Path) -> None:
    if path.name in NOT_FOR_READING:
        return
    assert untranslated(path.read_text()) == []


# Templates


class Texts(HTMLParser):
    """A parser that collects the literal texts of a template."""

    attributes = ("title", "aria-label", "placeholder", "alt", "value", "label")

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[str] = []
        for rule in (
            r"{% comment %}.*?{% endcomment %}",
            r"{% block (bodyclass|coltype) %}.*?{% endblock %}",
            r"{% blocktranslate.*?{% endblocktranslate %}",
            r"{#.*?#}|{%.*?%}|{{.*?}}",
        ):
            source = re.sub(rule, "", source, flags=re.DOTALL)
        self.feed(source)

    def handle_data(self, data: str) -> None:
        self._note(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in self.attributes or name.startswith("data-text"):
                self._note(value or "")

    def _note(self, text: str) -> None:
        if re.search("[A-Za-z]", text):
            self.found.append(text.strip())


@pytest.mark.parametrize(
    "source",
    [
        "<p>Hello</p>",
        '<a title="Hello">{{ x }}</a>',
        "{% if x %}and{% endif %}",
        '<p data-text-left="left">',
    ],
)
def test_the_checker_sees_a_text_of_a_template(source: str) -> None:
    assert Texts(source).found


def test_the_checker_lets_others_of_a_template_pass() -> None:
    source = (
        "{# note #}{% translate 'Hello' %}: {% blocktranslate %}Hello {{ x }}"
        '{% endblocktranslate %} <p class="quiet" title="{{ it }}">&rsaquo; {{ it }}</p>'
    )
    assert Texts(source).found == []


TEMPLATES = [
    path
    for folder in ("templates", "imagecatalog/identity/templates")
    for path in sorted((ROOT / folder).rglob("*.html"))
]


@pytest.mark.parametrize(
    "path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_text_of_a_template_goes_around(path: Path) -> None:
    assert set(Texts(path.read_text()).found) - NAMES == set()


# Models


def texts_of(model: Any) -> Iterator[Any]:
    options = model._meta
    yield from (options.app_config.verbose_name, options.verbose_name)
    yield options.verbose_name_plural
    if isinstance(admin.site._registry.get(model), (ImageAdmin, PolledAdmin)):
        return  # its forms and columns have words of their own
    for field in options.fields:
        if not field.auto_created:
            yield from (field.verbose_name, field.help_text)


def ours() -> list[Any]:
    from imagecatalog.identity.models import RoleAssignment

    shown = [*admin.site._registry, RoleAssignment]
    return [it for it in shown if it.__module__.startswith(("images", "imagecatalog"))]


@pytest.mark.parametrize("model", ours())
def test_no_word_of_a_model_goes_around(model: Any) -> None:
    assert [it for it in texts_of(model) if it and not isinstance(it, Promise)] == []


@pytest.mark.parametrize("model", ours())
def test_no_choice_goes_around(model: Any) -> None:
    labels = [
        label for field in model._meta.fields for _value, label in field.choices or ()
    ]
    assert [it for it in labels if not isinstance(it, Promise)] == []
