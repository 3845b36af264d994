from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from imagecatalog import env

NAME = "IMAGECATALOG_TEST"


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize("default", [True, False])
def test_an_empty_variable_means_the_default(
    value: str, default: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, value)

    assert env.flag(NAME, default) is default
    assert env.number(NAME, 7) == 7
    assert env.choice(NAME, "a", ("a", "b")) == "a"


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda: env.flag(NAME, True), "maybe"),
        (lambda: env.number(NAME, 1), "--5"),
        (lambda: env.number(NAME, 1), "1.5"),
        (lambda: env.number(NAME, 1, minimum=1), "0"),
        (lambda: env.choice(NAME, "a", ("a", "b")), "c"),
        (lambda: env.numbers(NAME, (80,)), "80,x"),
        (lambda: env.pairs(NAME), "key-without-user"),
        (lambda: env.size(NAME), "5 parsecs"),
        (lambda: env.base_url(NAME), "images.example.org"),
        (lambda: env.database(NAME, ""), "mysql://a/b"),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    read: Callable[[], Any], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, value)

    with pytest.raises(ImproperlyConfigured, match=NAME):
        read()


def test_a_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret-key"

    secret = env.secret_file(path)

    assert len(secret) > 40
    assert env.secret_file(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("value", "size"), [("", 0), ("70", 70), ("2KB", 2048), ("3 gb", 3 << 30)]
)
def test_a_size_may_have_a_unit(
    value: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, value)

    assert env.size(NAME) == size
