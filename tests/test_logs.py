"""The log: one line for one record, which names the request, and one record for one failure."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client

from images import errors, lifecycle, listing, logs
from images.access import Caller
from images.logs import Context, JsonFormatter, TextFormatter
from images.stores.circuit_breaker import CircuitBreaker
from images.stores.local import LocalStore
from images.transfers import object_removal

LINE = re.compile(
    r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?P<level>[A-Z]+) (?P<logger>[\w.]+) "
    r"request=(?P<request_id>\S+) user=(?P<user>\S+) project=(?P<project>\S+) "
    r"interface=(?P<interface>\S+) (?P<message>.*)"
)
ALICE = Context("req-1", "alice", "lab", "v2")


class Log:
    """What would be on standard error."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self._out = io.StringIO()
        self.handler = logging.StreamHandler(self._out)
        self.handler.setFormatter(formatter)

    @property
    def lines(self) -> list[str]:
        return self._out.getvalue().splitlines()

    def of(self, logger: str) -> list[dict[str, str]]:
        """The records of a logger, as the text format has them."""
        found = [match for line in self.lines if (match := LINE.fullmatch(line))]
        assert len(found) == len(self.lines), self.lines
        return [match.groupdict() for match in found if match["logger"] == logger]


@pytest.fixture(autouse=True)
def no_context() -> Iterator[None]:
    logs.bind(Context())
    yield
    logs.bind(Context())


@pytest.fixture
def log() -> Iterator[Log]:
    log, root = Log(TextFormatter()), logging.getLogger()
    level = root.level
    root.addHandler(log.handler)
    root.setLevel(logging.INFO)
    yield log
    root.setLevel(level)
    root.removeHandler(log.handler)


def record(message: str, *args: object, error: BaseException | None = None) -> Any:
    exc_info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("images.x", logging.INFO, "", 1, message, args, exc_info)
    made.created = 1795904431.123999
    return made


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


# The formats


def test_a_line_has_the_time_in_utc_the_level_the_logger_and_the_request() -> None:
    logs.bind(ALICE)

    assert TextFormatter().format(record("uploaded %d bytes", 7)) == (
        "2026-11-28T22:20:31.123Z INFO images.x request=req-1 user=alice project=lab "
        "interface=v2 uploaded 7 bytes"
    )


def test_what_is_unknown_is_a_hyphen() -> None:
    line = TextFormatter().format(record("started"))

    assert "request=- user=- project=- interface=- started" in line


def test_json_has_one_field_for_each() -> None:
    logs.bind(ALICE._replace(project=""))

    assert json.loads(JsonFormatter().format(record("uploaded %d bytes", 7))) == {
        "timestamp": "2026-11-28T22:20:31.123Z",
        "level": "INFO",
        "logger": "images.x",
        "message": "uploaded 7 bytes",
        "request_id": "req-1",
        "user": "alice",
        "project": None,
        "interface": "v2",
    }


@pytest.mark.parametrize(
    "text", ["a\nb", "a\r\nb", "a\x0bb", "a\x1b[2Kb", "a\x85b", "a\u2028b", "a\u202eb"]
)
@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_no_text_makes_a_second_line_or_controls_a_terminal(
    formatter: logging.Formatter, text: str
) -> None:
    logs.bind(Context(user=text, project=text))

    made = formatter.format(record("%s", text, error=raised(ValueError(text))))

    first = made.splitlines()[0]
    if isinstance(formatter, JsonFormatter):
        assert made.isascii() is False or "\x1b" not in made
        assert "\n" not in made
        assert json.loads(made)["message"] == text
    else:
        assert first.isprintable()
        assert all(line.startswith("  ") for line in made.split("\n")[1:])


@pytest.mark.parametrize(
    ("user", "shown"),
    [
        ("a b", '"a b"'),
        ("x project=admin", '"x project=admin"'),
        ('"', r'"\""'),
        ("-", '"-"'),
        ("Zoë", "Zoë"),
    ],
)
def test_a_user_cannot_imitate_another_field(user: str, shown: str) -> None:
    logs.bind(Context(user=user))

    assert f" user={shown} project=- " in TextFormatter().format(record("x"))


def test_half_a_character_is_logged_as_json() -> None:
    made = JsonFormatter().format(record("a\ud800"))

    assert json.loads(made)["message"] == "a\\ud800"


@pytest.mark.parametrize(
    "error",
    [errors.StoreError("The store failed."), OperationalError("connection refused")],
)
def test_a_known_failure_is_its_reason_without_a_traceback(error: Exception) -> None:
    made = TextFormatter().format(record("upload failed", error=raised(error)))

    assert made.endswith(f"upload failed: {error}")


def test_a_known_failure_names_its_cause_once() -> None:
    cause = PermissionError(13, "Permission denied", "/srv/images")
    known = raised(errors.StoreError("The store failed."), cause)
    same = raised(OperationalError("refused"), ValueError("refused"))

    assert logs.reason(known) == (
        "The store failed. (PermissionError: [Errno 13] Permission denied: '/srv/images')"
    )
    assert logs.reason(same) == "refused"


@pytest.mark.sqlite
@pytest.mark.django_db
def test_a_wrong_statement_keeps_its_traceback() -> None:
    with pytest.raises(OperationalError) as caught, connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")

    text = TextFormatter().format(record("failed", error=caught.value))

    assert "Traceback" in text


def test_an_unknown_failure_keeps_its_traceback() -> None:
    error = raised(ZeroDivisionError("by zero"))

    text = TextFormatter().format(record("failed", error=error)).split("\n")
    document = json.loads(JsonFormatter().format(record("failed", error=error)))

    assert text[1] == "  Traceback (most recent call last):"
    assert text[-1] == "  ZeroDivisionError: by zero"
    assert document["exc_info"].endswith("ZeroDivisionError: by zero")


# Requests


@pytest.mark.django_db
def test_a_failure_is_one_record_with_the_request_and_its_caller(
    client_of: Any, member: Caller, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "page", lambda *args: 1 / 0)
    client = client_of(member)
    client.raise_request_exception = False

    client.get("/v2/images", headers={"X-OpenStack-Request-ID": "req-findme"})

    line = log.lines[0]
    assert "ERROR django.request request=req-findme user=alice" in line
    assert "interface=v2 Internal Server Error: /v2/images" in line
    assert log.lines[1] == "  Traceback (most recent call last):"
    assert "ERROR" not in "".join(log.lines[1:])


@pytest.mark.django_db
def test_a_store_that_fails_is_one_line_with_the_request_and_the_cause(
    client_of: Any,
    make_image: Any,
    member: Caller,
    log: Log,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = make_image("active")

    def fail(*args: Any) -> Any:
        raise errors.StoreError("The store failed.") from PermissionError("/srv/images")

    monkeypatch.setattr(LocalStore, "open", fail)
    answer = client_of(member).get(
        f"/v2/images/{image.pk}/file", headers={"X-OpenStack-Request-ID": "req-findme"}
    )

    assert answer.status_code == 503
    (line,) = log.lines
    assert "request=req-findme user=alice" in line
    assert image.pk in line
    assert "store local" in line
    assert line.endswith("The store failed. (PermissionError: /srv/images)")


@pytest.mark.django_db
def test_an_unavailable_database_is_one_line(
    client_of: Any, member: Caller, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> Any:
        raise OperationalError("connection refused\n  by the server")

    monkeypatch.setattr(listing, "page", fail)

    assert client_of(member).get("/v2/images").status_code == 503
    (line,) = log.lines
    assert "connection refused by the server" in line


@pytest.mark.django_db
def test_what_a_client_does_wrong_is_no_failure(
    client_of: Any, member: Caller, log: Log
) -> None:
    client = client_of(member)
    for method, path in (("GET", "/v2/nothing"), ("FOO", "/v2/nothing")):
        assert client.generic(method, path).status_code in (404, 501)

    assert log.lines == []


@pytest.mark.django_db
def test_a_request_does_not_inherit_the_caller_of_the_one_before(
    client_of: Any, member: Caller, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    client_of(member).get("/v2/images")

    Client().get("/v2/images", headers={"Authorization": "Basic eDp5"})

    (refused,) = log.of("imagecatalog.identity.sign_in_log")
    assert (refused["user"], refused["project"]) == ("-", "-")
    assert refused["request_id"].startswith("req-")


@pytest.mark.django_db
def test_the_admin_names_its_user(
    log: Log, django_user_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = django_user_model.objects.create_superuser("eve", password="x")
    client = Client()
    client.force_login(user)
    client.raise_request_exception = False
    monkeypatch.setattr("images.admin.dashboard.context", lambda: 1 / 0)

    client.get("/admin/")

    assert "user=eve project=- interface=admin Internal Server Error" in log.lines[0]


# Events


@pytest.mark.django_db(transaction=True)
def test_every_event_is_one_line_after_its_transaction(
    make_image: Any, member: Caller, log: Log
) -> None:
    image = make_image("active")

    lifecycle.deactivate(image.pk, member, "known vulnerability")

    (event,) = log.of("images.events")
    assert event["level"] == "INFO"
    assert (event["user"], event["interface"]) == ("alice", "test")
    assert event["message"] == (
        f"image={image.pk} verb=deactivate from=active to=deactivated "
        'reason="known vulnerability"'
    )


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_logged(
    make_image: Any, member: Caller, log: Log
) -> None:
    image = make_image("active")

    with transaction.atomic():
        lifecycle.deactivate(image.pk, member)
        transaction.set_rollback(True)

    assert log.lines == []


@pytest.mark.django_db(transaction=True)
def test_an_interrupted_upload_is_a_warning_with_the_bytes_that_came(
    make_image: Any, member: Caller, log: Log
) -> None:
    image = make_image()

    def broken() -> Iterator[bytes]:
        yield b"12345"
        raise errors.BodyIncomplete("The connection was closed.")

    with pytest.raises(errors.BodyIncomplete):
        lifecycle.upload(image.pk, broken(), member)

    begun, failed = log.of("images.events")
    assert (begun["level"], failed["level"]) == ("INFO", "WARNING")
    assert "verb=fail from=saving to=queued" in failed["message"]
    assert " received=5 " in failed["message"]
    assert failed["message"].endswith('reason="The connection was closed."')


@pytest.mark.django_db(transaction=True)
def test_a_property_cannot_make_an_event_look_like_a_failure(
    make_image: Any, client_of: Any, member: Caller, log: Log
) -> None:
    image = make_image("active")
    change = [{"op": "add", "path": "/damage", "value": "all\nlost"}]

    client_of(member).patch(
        f"/v2/images/{image.pk}",
        json.dumps(change),
        content_type="application/openstack-images-v2.1-json-patch",
    )

    (event,) = log.of("images.events")
    assert event["level"] == "INFO"
    assert event["message"] == f"image={image.pk} verb=update from=active to=active"


# The background worker


@pytest.mark.django_db
def test_a_store_that_cannot_remove_is_logged_once_until_it_can(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise errors.StoreError("The store does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "delete", fail)
        for key in ("ab/one", "ab/two", "ab/one"):
            object_removal.delete("local", key, CircuitBreaker())
    (line,) = log.lines
    assert "store local" in line
    assert line.endswith("The store does not answer.")

    object_removal.delete("local", "ab/one", CircuitBreaker())
    monkeypatch.setattr(LocalStore, "delete", fail)
    object_removal.delete("local", "ab/one", CircuitBreaker())

    assert len(log.lines) == 2


def test_what_the_operator_allows_names_the_image_once(
    db: None, make_image: Any, member: Caller, log: Log, settings: Any
) -> None:
    settings.IMAGECATALOG_REQUIRE_FORMAT_MATCH = False
    image = make_image(disk_format="qcow2")

    lifecycle.upload(image.pk, [b"x" * 1000], member)

    (line,) = [line for line in log.lines if "The operator allows it" in line]
    assert f"image {image.pk}: Image disk_format qcow2 does not match" in line
