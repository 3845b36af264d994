from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from imagecatalog import checks, effective_variables, env, masking

ROOT = Path(__file__).resolve().parent.parent
NAME = "IMAGECATALOG_TEST"


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables that a test declares after the test."""
    monkeypatch.setattr(env, "VARIABLES", dict(env.VARIABLES))


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize("default", [True, False])
def test_an_empty_variable_means_the_default(
    value: str, default: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, value)

    assert env.flag(NAME, default, help="") is default
    assert env.number(NAME, 7, help="") == 7
    assert env.choice(NAME, "a", ("a", "b"), help="") == "a"


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda: env.flag(NAME, True, help=""), "maybe"),
        (lambda: env.number(NAME, 1, help=""), "--5"),
        (lambda: env.number(NAME, 1, help=""), "1.5"),
        (lambda: env.number(NAME, 1, minimum=1, help=""), "0"),
        (lambda: env.days(NAME, 1, help=""), "1000000"),
        (lambda: env.days(NAME, 1, help=""), "12h"),
        (lambda: env.days(NAME, 5, minimum=5, help=""), "4d"),
        (lambda: env.seconds(NAME, 1, help=""), "99999999999"),
        (lambda: env.seconds(NAME, 1, help=""), "999999999999w"),
        (lambda: env.seconds(NAME, 1, help=""), "0.5"),
        (lambda: env.seconds(NAME, 1, help=""), "-5"),
        (lambda: env.seconds(NAME, 1, help=""), "5 years"),
        (lambda: env.seconds(NAME, 60, minimum=60, help=""), "59s"),
        (lambda: env.hours(NAME, "0-24", help=""), "22"),
        (lambda: env.hours(NAME, "0-24", help=""), "24-6"),
        (lambda: env.hours(NAME, "0-24", help=""), "5-5"),
        (lambda: env.choice(NAME, "a", ("a", "b"), help=""), "c"),
        (lambda: env.relaxed(NAME, "strict", ("a", "b"), help=""), "a,c"),
        (lambda: env.relaxed(NAME, "strict", ("a", "b"), help=""), "strict,a"),
        (lambda: env.numbers(NAME, (80,), help=""), "80,x"),
        (lambda: env.pairs(NAME, help=""), "key-without-user"),
        (lambda: env.size(NAME, help=""), "5 parsecs"),
        (lambda: env.base_url(NAME, help=""), "images.example.org"),
        (lambda: env.base_url(NAME, help=""), "https://user@images.example.org/v3"),
        (lambda: env.secure_url(NAME, help=""), "http://id.example.org"),
        (lambda: env.secure_url(NAME, help=""), "http://127.0.0.1.example.org"),
        (lambda: env.secure_url(NAME, help=""), "https://id.example.org/?a=b"),
        (lambda: env.networks(NAME, help=""), "10.0.0.1,proxy.example.org"),
        (lambda: env.networks(NAME, help=""), "10.0.0.1/8"),
        (lambda: env.networks(NAME, help=""), "10.0.0.0/8;::1"),
        (lambda: env.origins(NAME, help=""), "*"),
        (lambda: env.origins(NAME, help=""), "dashboard.example.org"),
        (lambda: env.origins(NAME, help=""), "https://dashboard.example.org/panel"),
        (lambda: env.origins(NAME, help=""), "https://a.example,null"),
        (lambda: env.database(NAME, "", help=""), "mysql://a/b"),
        (lambda: env.database(NAME, "", help=""), "postgres://"),
        (lambda: env.database(NAME, "", help=""), "postgresql://user@host"),
        (lambda: env.database(NAME, "", help=""), "postgresql://u:a#b@host/database"),
        (lambda: env.database(NAME, "", help=""), "sqlite:///"),
        (lambda: env.database(NAME, "", help=""), "sqlite:///:memory:"),
        (lambda: env.database(NAME, "", help=""), "sqlite:///relative"),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    read: Callable[[], Any], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, value)

    with pytest.raises(ImproperlyConfigured, match=NAME):
        read()


@pytest.mark.parametrize(
    ("read", "value", "shown"),
    [
        (env.base_url, "https://u:hunter2@h/v3", "https://u:*****@h/v3"),
        (env.base_url, "https://hunter2@h/v3", "https://*****@h/v3"),
        (env.secure_url, "https://u:hunter2@h", "https://u:*****@h"),
        (env.secure_url, "https://h?a=b&token=hunter2", "https://h?a=b&token=*****"),
        (env.ldap_url, "ldaps://cn=u:hunter2@h/dc=a", "ldaps://cn=u:*****@h/dc=a"),
        (env.origins, "https://a.example,https://u:hunter2@h", "https://u:*****@h"),
    ],
)
def test_the_error_about_a_url_shows_it_without_its_secrets(
    read: Callable[..., Any], value: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, value)

    with pytest.raises(ImproperlyConfigured) as raised:
        read(NAME, help="")

    assert repr(shown) in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("value", ["debug", "Debug", "DEBUG"])
def test_a_word_may_be_in_any_case(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, value)

    assert env.choice(NAME, "INFO", ("DEBUG", "INFO"), help="") == "DEBUG"
    assert env.chosen(NAME, ("DEBUG", "INFO"), help="") == ("DEBUG",)
    assert env.relaxed(NAME, "strict", ("DEBUG",), help="") == ("DEBUG",)
    assert env.relaxed(NAME, "debug", ("INFO",), help="") == ()
    assert env.networks(NAME, "debug", help="") == ("debug",)


def test_a_relative_file_of_sqlite_is_refused_with_the_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(NAME, "sqlite:///catalogue")

    with pytest.raises(ImproperlyConfigured, match=f"'sqlite:///{tmp_path}/catalogue'"):
        env.database(NAME, "", help="")


@pytest.mark.parametrize(
    ("value", "absolute"),
    [
        ("images", "{here}/images"),
        ("../images", "{parent}/images"),
        ("~/i", "{home}/i"),
    ],
)
def test_a_relative_folder_is_refused_with_the_absolute_path(
    value: str, absolute: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = {"here": tmp_path, "parent": tmp_path.parent, "home": "/srv/alice"}
    monkeypatch.setenv("HOME", "/srv/alice")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(NAME, value)

    with pytest.raises(ImproperlyConfigured, match=f"'{absolute.format(**home)}'"):
        env.folder(NAME, help="")


@pytest.mark.parametrize("value", ["/srv/images", "s3://bucket/images"])
def test_a_folder_is_absolute_or_where_it_can_be_one_a_url(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, value)

    assert env.folder(NAME, help="", or_url=True) == value
    monkeypatch.delenv(NAME)
    assert env.folder(NAME, help="") == ""


@pytest.mark.parametrize(
    "name",
    ["DATA_DIR", "CACHE_DIR", "BACKUP_DIR", "SIGNATURE_CERTIFICATES", "PUBLISH_KEY"],
)
def test_no_command_works_in_a_relative_folder(name: str, tmp_path: Path) -> None:
    variables = os.environ | {f"IMAGECATALOG_{name}": "relative"}
    code = "import imagecatalog.settings"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=variables | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert f"IMAGECATALOG_{name} is 'relative'" in done.stderr
    assert not (tmp_path / "relative").exists()


@pytest.mark.parametrize(
    ("value", "database"),
    [
        ("sqlite:////srv/catalogue", "/srv/catalogue"),
        ("postgresql:///catalogue", "catalogue"),
        ("postgresql://user@host/catalogue?sslmode=require", "catalogue"),
        ("postgresql://?service=catalogue", ""),
    ],
)
def test_a_database_is_named_by_its_url(
    value: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, value)

    assert env.database(NAME, "", help="")["NAME"] == database


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [
        ("one:5432,two:5433", "one,two", "5432,5433"),
        ("one,two:5433", "one,two", ",5433"),
        ("one,two", "one,two", ","),
        ("[::1]:5432,192.0.2.1", "::1,192.0.2.1", "5432,"),
    ],
)
def test_a_database_can_be_on_one_of_several_hosts(
    hosts: str, host: str, port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = "target_session_attrs=read-write"
    monkeypatch.setenv(NAME, f"postgresql://me:s%40%2Cfe@{hosts}/catalogue?{options}")

    found = env.database(NAME, "", help="")

    assert (found["HOST"], found["PORT"]) == (host, port)
    assert (found["USER"], found["PASSWORD"]) == ("me", "s@,fe")
    assert found["NAME"] == "catalogue"
    assert found["OPTIONS"] == {"target_session_attrs": "read-write"}


@pytest.mark.parametrize("hosts", ["one:x,two", "one:5432,two:99999", "one,[::1"])
def test_a_port_of_a_database_is_a_number(
    hosts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, f"postgresql://me@{hosts}/catalogue")

    with pytest.raises(ImproperlyConfigured, match="not a valid URL"):
        env.database(NAME, "", help="")


@pytest.mark.parametrize(
    ("value", "size"),
    [("", None), ("0", 0), ("70", 70), ("2KB", 2048), ("3 gb", 3 << 30)],
)
def test_a_size_may_have_a_unit(
    value: str, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, value)

    assert env.size(NAME, help="") == size


@pytest.mark.parametrize(
    ("value", "size"), [("", 1 << 40), ("0", 0), ("5 GiB", 5 << 30)]
)
def test_a_size_can_have_a_default(
    value: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, value)

    assert env.size_or(NAME, "1TiB", help="") == size


@pytest.mark.parametrize(
    ("value", "seconds", "days"),
    [
        ("", 7, 7),
        ("0", 0, 0),
        ("90", 90, 90),
        ("2w", 1_209_600, 14),
        ("48 h", 172_800, 2),
    ],
)
def test_a_duration_may_have_a_unit(
    value: str, seconds: int, days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, value)

    assert env.seconds(NAME, 7, help="") == seconds
    assert env.days(NAME, 7, help="") == days


# Values in files


def test_a_variable_can_name_a_file_with_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "size").write_text("2KB\n")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "size"))

    assert env.size(NAME, help="") == 2048


def test_a_file_is_read_once_such_as_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"a value")
    os.close(writing)
    monkeypatch.setenv(f"{NAME}_FILE", f"/dev/fd/{reading}")

    assert env.text(NAME, help="") == "a value"
    env.require("ANOTHER", NAME)
    os.close(reading)


def test_a_value_and_a_file_with_it_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "size").write_text("2KB")
    monkeypatch.setenv(NAME, "1KB")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "size"))

    with pytest.raises(ImproperlyConfigured, match=f"{NAME} and {NAME}_FILE are set"):
        env.size(NAME, help="")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), (b"\xff", "it is not UTF-8")],
)
def test_a_file_that_cannot_be_read_is_named(
    content: bytes | None,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "value"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(f"{NAME}_FILE", str(path))

    with pytest.raises(ImproperlyConfigured) as caught:
        env.text(NAME, help="")
    assert f"{NAME}_FILE: the file {path} cannot be read: {reason}" in str(caught.value)


def test_whitespace_around_the_name_of_a_file_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "password"
    path.write_text("secret")
    monkeypatch.setenv("IMAGECATALOG_ADMIN_PASSWORD_FILE", f" {path} ")
    monkeypatch.setenv("IMAGECATALOG_SECRET_KEY_FILE", " ")

    assert env.files() == {"IMAGECATALOG_ADMIN_PASSWORD_FILE": path}


@pytest.mark.parametrize(("mode", "is_warned_of"), [(0o644, True), (0o640, False)])
def test_a_file_that_every_user_can_read_is_warned_of(
    mode: int, is_warned_of: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "password"
    path.write_text("secret")
    path.chmod(mode)
    monkeypatch.setenv("IMAGECATALOG_ADMIN_PASSWORD_FILE", str(path))

    assert [warning.id for warning in checks.secret_files()] == [
        "imagecatalog.W012"
    ] * is_warned_of


# Names that are none


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("IMAGECATALOG_STORE", ["IMAGECATALOG_STORES"]),
        ("IMAGECATALOGUE_STORES", ["IMAGECATALOG_STORES"]),
        ("IMAGECATALOG_USER_PASWORD", ["IMAGECATALOG_USER_PASSWORD"]),
        ("IMAGECATALOG_SECRETKEY", ["IMAGECATALOG_SECRET_KEY"]),
        ("IMAGECATALOG_PORT", []),
        ("IMAGECATALOG_BROWSER_PATHS", []),  # a setting, but not for operators
    ],
)
def test_a_misspelt_variable_is_warned_of(
    name: str, meant: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "a secret")

    with pytest.raises(SystemCheckError) as caught:
        call_command("check", fail_level="WARNING")

    assert f"{name} is set, but there is no such variable" in str(caught.value)
    assert "a secret" not in str(caught.value)
    for it in meant:
        assert f"Did you mean {it}" in str(caught.value)
    assert ("Did you mean" in str(caught.value)) == bool(meant)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", ()), ("strict", ()), ("b", ("b",)), (" a , b ", ("a", "b"))],
)
def test_checks_are_strict_unless_they_are_named(
    value: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, value)

    assert env.relaxed(NAME, "strict", ("a", "b"), help="") == expected


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IMAGECATALOG_SERVICE_HOST", "10.0.0.1"),
        ("IMAGECATALOG_SERVICE_PORT_HTTP", "9292"),
        ("IMAGECATALOG_PORT", "tcp://10.0.0.1:9292"),
        ("IMAGECATALOG_DB_PORT_5432_TCP_ADDR", "10.0.0.2"),
    ],
)
def test_what_kubernetes_sets_is_not(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    call_command("check", fail_level="WARNING")


def test_every_variable_that_is_read_is_declared() -> None:
    reading = re.compile(
        r"(?:environ(?:\.get)?|env\.\w+)[(\[]\s*\"(IMAGECATALOG_\w+)\""
    )
    paths = [*ROOT.glob("imagecatalog/**/*.py"), *ROOT.glob("images/**/*.py")]
    read = {name for path in paths for name in reading.findall(path.read_text())}

    assert len(read) > 30
    assert read == {name for name in env.known() if name.startswith(env.PREFIX)}


@pytest.mark.parametrize(
    ("read", "default"),
    [
        (lambda: env.text(NAME, help=""), "–"),
        (lambda: env.text(NAME, "a", help=""), "`a`"),
        (lambda: env.text(NAME, "/srv/var", help="", shown="`var`"), "`var`"),
        (lambda: env.flag(NAME, False, help=""), "`off`"),
        (lambda: env.number(NAME, 7, help=""), "`7`"),
        (lambda: env.numbers(NAME, (80, 443), help=""), "`80,443`"),
        (lambda: env.size(NAME, help=""), "–"),
    ],
)
def test_a_reader_declares_the_default(read: Callable[[], Any], default: str) -> None:
    read()

    assert env.VARIABLES[NAME].default == default


def test_no_secret_is_shown() -> None:
    for name in env.known():
        env.declare(name, help="", value="a value")

    masked = {
        it.name for it in effective_variables.listed() if it.value == masking.HIDDEN
    }

    assert masked == {
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "IMAGECATALOG_ADMIN_PASSWORD",
        "IMAGECATALOG_DATABASE_PASSWORD",
        "IMAGECATALOG_KEYSTONE_PASSWORD",
        "IMAGECATALOG_LDAP_BIND_PASSWORD",
        "IMAGECATALOG_OIDC_CLIENT_SECRET",
        "IMAGECATALOG_SECRET_KEY",
        "IMAGECATALOG_SECRET_KEY_FALLBACKS",
        "IMAGECATALOG_STATIC_KEYS",
        "IMAGECATALOG_USER_PASSWORD",
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("postgresql://u:p@ss@h/d", "postgresql://u:*****@h/d"),
        ("postgresql://u@h/d?password=p", "postgresql://u@h/d?password=*****"),
        (
            "postgresql://u@h/d?password=p,w x#y&a=1",
            "postgresql://u@h/d?password=*****&a=1",
        ),
        ("az://c?sas_token=p,w", "az://c?sas_token=*****"),
        ("https://h/d?sig=p", "https://h/d?sig=*****"),
        ("postgresql://u:p,w@h/d", "postgresql://u:*****@h/d"),
        ("postgresql://u:p w@h/d", "postgresql://u:*****@h/d"),
        ("postgresql://u:p\nw@h/d", "postgresql://u:*****@h/d"),
        ("postgresql://u:p@w/x?y#z%20@h/d", "postgresql://u:*****@h/d"),
        ("postgresql://u@server:p@h/d", "postgresql://u@server:*****@h/d"),
        ("postgresql://u@h:5432/d", "postgresql://u@h:5432/d"),
        ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
        ("https://token@h/d", "https://*****@h/d"),
    ],
)
def test_no_secret_in_a_url_is_shown(value: str, shown: str) -> None:
    env.declare(NAME, help="", value=value)

    assert [it.value for it in effective_variables.listed() if it.name == NAME] == [
        shown
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (
            "a=s3://b?x=1, b=s3://c?secret=p,w,c=file:///d",
            "a=s3://b?x=1, b=s3://c?secret=*****,c=file:///d",
        ),
        (
            "a=https://u:p,w@b,c=https://u:p w@d",
            "a=https://u:*****@b,c=https://u:*****@d",
        ),
    ],
)
@pytest.mark.parametrize("name", ["IMAGECATALOG_STORES", "IMAGECATALOG_REMOTES"])
def test_no_secret_in_a_list_of_urls_is_shown(
    name: str, value: str, shown: str
) -> None:
    env.declare(name, help="", value=value)

    assert [it.value for it in effective_variables.listed() if it.name == name] == [
        shown
    ]


def test_origins_are_compared_as_browsers_write_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NAME, "https://A.example:443/, http://b.example:80,http://c:443")

    assert env.origins(NAME, help="") == (
        "https://a.example",
        "http://b.example",
        "http://c:443",
    )


def test_a_credential_of_a_library_can_be_in_a_file_which_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "that of the parent process")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY_FILE", str(tmp_path / "secret"))
    (tmp_path / "secret").write_text("rotated\n")

    env.of_library("AWS_SECRET_ACCESS_KEY", help="")

    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "rotated"
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY_FILE")
    env.of_library("AWS_SECRET_ACCESS_KEY", help="")
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "rotated"
