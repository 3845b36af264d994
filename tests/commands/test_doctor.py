"""The doctor finds what is wrong with an installation, and says what to do."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from images import db
from images.backups import places
from images.backups.backup import TIME
from images.management import probes
from images.management.commands import doctor
from images.management.doctor import database, storage
from images.models import ImageLocation, WorkerPause, WorkerReport
from images.operations import health
from images.stores import unfinished
from tests import certificates, servers
from tests.web import Quiet, serving, serving_folder

pytestmark = pytest.mark.django_db

Examine = Callable[[], dict[str, list[dict[str, str]]]]


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str]) -> Examine:
    """``examine()["store"]``: the results of a check, all of which are printed as JSON."""

    def examine() -> dict[str, list[dict[str, str]]]:
        with suppress(CommandError):
            call_command("doctor", "--json")
        found: dict[str, list[dict[str, str]]] = {}
        for line in capsys.readouterr().out.splitlines():
            result = json.loads(line)
            found.setdefault(result["check"], []).append(result)
        return found

    return examine


@pytest.fixture
def healthy(settings: Any, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation with everything."""
    data_dir.chmod(0o750)
    folder = data_dir / "backups"
    places.of(str(folder)).create(lambda draft, previous: None)
    settings.IMAGECATALOG_BACKUP_DIR = str(folder)
    WorkerReport.objects.create(pk=1, reported_at=timezone.now())
    # Its own connection does not see the transaction of the test.
    monkeypatch.setattr(health, "problem", lambda: None)


def one(results: list[dict[str, str]]) -> tuple[str, str]:
    """Status and text, with the advice, of the only result that is not ok."""
    (found,) = [it for it in results if it["status"] != "ok"]
    return found["status"], f"{found['text']} {found['advice']}"


def test_nothing_fails_in_a_healthy_installation(
    healthy: None, examine: Examine
) -> None:
    found = examine()

    wrong = [
        it for results in found.values() for it in results if it["status"] == "fail"
    ]
    assert wrong == []
    assert set(found) >= {
        "release",
        "settings",
        "permissions",
        "disk",
        "proxies",
        "backup",
        "database",
        "migrations",
        "writing",
        "store",
        "worker",
        "verification",
    }


def test_damaged_copies_and_a_schedule_that_is_not_kept_are_told(
    healthy: None, examine: Examine, make_image: Any
) -> None:
    make_image("active").locations.update(
        damage="wrong-digest: md5", verified_at="2020-01-01T00:00:00Z"
    )

    found = examine()

    assert "1 copy" in one(found["damage"])[1]
    assert one(found["verification"])[0] == "warn"


def test_each_check_has_a_line_and_failures_an_exit_code(
    healthy: None, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("doctor")
    assert "ok   store: 'local': an object was written" in capsys.readouterr().out
    settings.IMAGECATALOG_STORES = "local=ftp://nowhere"

    with pytest.raises(CommandError, match="failed"):
        call_command("doctor")
    assert "fail settings: IMAGECATALOG_STORES" in capsys.readouterr().out


def test_a_probe_leaves_nothing(
    healthy: None, examine: Examine, data_dir: Path
) -> None:
    examine()

    left = [it for it in (data_dir / "images").rglob("*") if it.is_file()]
    assert [it.name for it in left] == [".imagecatalog"]
    assert WorkerReport.objects.count() == 1


def test_a_machine_that_was_taken_out_is_warned_of(
    healthy: None, examine: Examine, data_dir: Path
) -> None:
    (data_dir / "maintenance").touch()

    status, text = one(examine()["maintenance"])

    (data_dir / "maintenance").unlink()
    assert (status, f"{data_dir}/maintenance exists" in text) == ("warn", True)


def test_a_misspelt_variable_is_found(
    healthy: None, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGECATALOG_DATADIR", "/x")

    status, text = one(examine()["settings"])

    assert (status, "IMAGECATALOG_DATA_DIR?" in text) == ("warn", True)


def test_a_store_that_cannot_be_written_fails_with_its_reason(
    healthy: None, examine: Examine, data_dir: Path, settings: Any
) -> None:
    (data_dir / "a-file").touch()
    settings.IMAGECATALOG_STORES = (
        f"local=file://{data_dir}/images,bad=file://{data_dir}/a-file/x"
    )

    found = examine()["store"]

    assert [it["status"] for it in found] == ["ok", "fail"]
    assert "'bad'" in found[1]["text"]
    assert "Not a directory" in found[1]["text"]


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "AWS_ACCESS_KEY_ID"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_wrong_credentials_of_an_object_store_are_told_apart(
    change: dict[str, str],
    advice: str,
    healthy: None,
    examine: Examine,
    s3: servers.S3,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    # A prefix of its own: the clients of stores are kept.
    settings.IMAGECATALOG_STORES = s3.store(prefix=f"doctor-{next(iter(change))}")

    status, text = one(examine()["store"])

    assert (status, advice in text) == ("fail", True)


def test_a_bucket_that_does_not_exist_is_found(
    healthy: None, examine: Examine, s3: servers.S3, settings: Any
) -> None:
    settings.IMAGECATALOG_STORES = s3.store().replace(s3.bucket, "no-such-bucket")

    status, text = one(examine()["store"])

    assert (status, "Create the bucket" in text) == ("fail", True)


def test_an_object_store_that_works_is_ok(
    healthy: None, examine: Examine, s3: servers.S3, settings: Any
) -> None:
    settings.IMAGECATALOG_STORES = s3.store(prefix="doctor")

    assert [it["status"] for it in examine()["store"]] == ["ok"]


def test_stores_that_images_need_are_found(
    healthy: None, examine: Examine, make_image: Any
) -> None:
    image = make_image("active")
    ImageLocation.objects.filter(image=image).update(store="cold")

    status, text = one(examine()["stores"])

    assert (status, "'cold' (1 image)" in text) == ("fail", True)


def test_migrations_that_are_missing_are_found(healthy: None, examine: Examine) -> None:
    ((app, newest),) = MigrationLoader(connection).graph.leaf_nodes("images")
    MigrationRecorder(connection).record_unapplied(app, newest)

    status, text = one(examine()["migrations"])

    assert (status, f"images.{newest}" in text) == ("fail", True)


def test_a_newer_database_is_found(healthy: None, examine: Examine) -> None:
    MigrationRecorder(connection).record_applied("images", "9999_later")

    assert one(examine()["migrations"])[0] == "fail"


def test_a_database_that_does_not_exist_ends_the_examination(
    healthy: None, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "exists", lambda: False)

    found = examine()

    assert "does not exist" in one(found["database"])[1]
    assert "store" not in found


@pytest.mark.parametrize(
    ("age", "status"), [(timedelta(days=1), "ok"), (timedelta(days=3), "fail")]
)
def test_the_age_of_the_newest_backup_counts(
    age: timedelta, status: str, healthy: None, examine: Examine, settings: Any
) -> None:
    (name,) = places.of(settings.IMAGECATALOG_BACKUP_DIR).existing()
    Path(name).rename(Path(name).with_name((timezone.now() - age).strftime(TIME)))

    assert [it["status"] for it in examine()["backup"]] == [status]


def test_a_folder_without_a_backup_fails(
    healthy: None, examine: Examine, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_BACKUP_DIR = str(tmp_path / "none")

    assert one(examine()["backup"])[0] == "fail"


def test_a_worker_that_does_not_report_fails(
    healthy: None, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "problem", lambda: health.NO_WORKER)

    assert one(examine()["worker"])[0] == "fail"


def test_a_pause_is_told(healthy: None, examine: Examine) -> None:
    WorkerPause.objects.create(reason="Restored.")

    (found,) = examine()["worker"]

    assert (found["status"], "worker_resume" in found["advice"]) == ("warn", True)
    assert found["text"].startswith(
        "a background worker has reported, but the workers have been paused since "
    )


def test_files_that_everybody_can_read_are_named(
    healthy: None, examine: Examine, data_dir: Path
) -> None:
    key = data_dir / "secret-key"
    key.touch()
    key.chmod(0o644)

    status, text = one(examine()["permissions"])

    assert (status, f"chmod o-rwx {key}" in text) == ("warn", True)


@pytest.mark.parametrize(("free", "status"), [(50, "ok"), (5, "warn"), (1, "fail")])
def test_a_full_disk_is_found(
    free: int,
    status: str,
    healthy: None,
    examine: Examine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fields = (4096, 4096, 100, free, free, 10, 10, 10, 0, 255)
    monkeypatch.setattr(storage.os, "statvfs", lambda path: os.statvfs_result(fields))

    assert [it["status"] for it in examine()["disk"]] == [status]


def test_a_public_url_that_leads_nowhere_fails(
    healthy: None, examine: Examine, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_TRUSTED_PROXIES = ("127.0.0.1",)
    settings.IMAGECATALOG_PUBLIC_URL = f"http://127.0.0.1:{servers.free_port()}"
    assert "Connection refused" in one(examine()["proxies"])[1]

    with serving_folder(tmp_path) as url:
        settings.IMAGECATALOG_PUBLIC_URL = url
        assert "404" in one(examine()["proxies"])[1]
        (tmp_path / "livez").write_text("another service")
        assert "something else answers" in one(examine()["proxies"])[1]
        (tmp_path / "livez").write_text("OK")
        status, text = one(examine()["proxies"])
        assert (status, "with the secret key of the service" in text) == ("warn", True)


def test_a_proxy_for_other_servers_is_not_used(
    healthy: None,
    examine: Examine,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{servers.free_port()}")
    settings.IMAGECATALOG_TRUSTED_PROXIES = ("127.0.0.1",)
    (tmp_path / "livez").write_text("OK")

    with serving_folder(tmp_path) as url:
        settings.IMAGECATALOG_PUBLIC_URL = url
        assert "secret key of the service" in one(examine()["proxies"])[1]


def test_proxies_that_are_not_named_are_warned_of(
    healthy: None, examine: Examine, settings: Any
) -> None:
    settings.IMAGECATALOG_PUBLIC_URL = f"http://127.0.0.1:{servers.free_port()}"

    first, _ = examine()["proxies"]

    assert first["status"] == "warn"
    assert "IMAGECATALOG_TRUSTED_PROXIES" in first["text"]


def test_without_a_public_url_nothing_is_said_of_proxies(
    healthy: None, examine: Examine
) -> None:
    (found,) = examine()["proxies"]

    assert found["text"].startswith("not examined")


# The running service


def test_a_service_that_runs_lives(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    listener, service = socket.create_server(("127.0.0.1", 0)), probes.Service()
    probes.start(listener, service)  # for as long as this process lives
    port = listener.getsockname()[1]
    settings.IMAGECATALOG_MANAGEMENT_BIND = f"0.0.0.0:{port}"

    call_command("doctor", "--live")
    assert capsys.readouterr().out.startswith("ok   live: the service at 0.0.0.0:")

    service.web_runs = False
    with pytest.raises(CommandError, match="1 check failed"):
        call_command("doctor", "--live")
    assert "fail live: the answer is 503: No web server." in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--live", "--ready"])
def test_a_service_that_does_not_answer_fails(
    option: str, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.IMAGECATALOG_MANAGEMENT_BIND = f"127.0.0.1:{servers.free_port()}"
    with pytest.raises(CommandError, match="1 check failed"):
        call_command("doctor", option)
    assert "Connection refused. Start `serve`, or correct" in capsys.readouterr().out

    settings.IMAGECATALOG_MANAGEMENT_BIND = ""
    with pytest.raises(CommandError, match="1 check failed"):
        call_command("doctor", option)
    assert "IMAGECATALOG_MANAGEMENT_BIND is not set" in capsys.readouterr().out


def test_another_service_is_not_taken_for_ours(
    settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "readyz").write_text("hello")
    with serving_folder(tmp_path) as url:
        settings.IMAGECATALOG_MANAGEMENT_BIND = url.removeprefix("http://")
        with pytest.raises(CommandError, match="1 check failed"):
            call_command("doctor", "--ready")
    assert "fail ready: the answer is 200: hello" in capsys.readouterr().out


# The settings


def test_the_settings_in_effect_are_shown_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2" * 6)
    env = servers._own_environ() | {
        "IMAGECATALOG_DATA_DIR": str(tmp_path),
        "IMAGECATALOG_SECRET_KEY_FILE": str(tmp_path / "key"),
        "IMAGECATALOG_WORKERS": "7",
        "IMAGECATALOG_STATIC_KEYS": "alice:hunter2",
        "DATABASE_URL": "postgresql://user:hunter2@host/name?sslpassword=hunter2&a=1",
    }

    done = servers.manage(env, "doctor", "--show-settings", "--json")
    shown = {it["name"]: it for it in map(json.loads, done.stdout.splitlines())}

    def row(name: str) -> tuple[str, str, str | None]:
        return shown[name]["value"], shown[name]["source"], shown[name]["file"]

    assert done.returncode == 0, done.stderr
    assert "hunter2" not in done.stdout
    key = row("IMAGECATALOG_SECRET_KEY")
    assert key == ("*****", "file", str(tmp_path / "key"))
    assert row("IMAGECATALOG_WORKERS") == ("7", "environment", None)
    assert row("IMAGECATALOG_GRACE_SECONDS") == ("30", "default", None)
    stores = row("IMAGECATALOG_STORES")
    assert stores == (f"local=file://{tmp_path}/images", "default", None)
    url = "postgresql://user:*****@host/name?sslpassword=*****&a=1"
    assert row("DATABASE_URL") == (url, "environment", None)
    lines = servers.manage(env, "doctor", "--show-settings").stdout.splitlines()
    assert f"IMAGECATALOG_SECRET_KEY=*****  (file {tmp_path}/key)" in lines


@pytest.fixture
def private(tmp_path: Path) -> ssl.SSLContext:
    """TLS with a certificate of an authority that nobody knows."""
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificates.make(tmp_path, address))
    return tls


@pytest.fixture
def trusted(
    private: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext:
    """``private``, with its authority's certificate in SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    return private


def test_a_certificate_of_a_private_authority_is_told_with_what_to_do(
    healthy: None, examine: Examine, settings: Any, private: ssl.SSLContext
) -> None:
    settings.IMAGECATALOG_TRUSTED_PROXIES = ("127.0.0.1",)
    with serving(Quiet, private) as settings.IMAGECATALOG_PUBLIC_URL:
        assert "SSL_CERT_FILE" in one(examine()["proxies"])[1]


def test_a_certificate_of_a_private_authority_that_is_named_is_accepted(
    healthy: None, examine: Examine, settings: Any, trusted: ssl.SSLContext
) -> None:
    settings.IMAGECATALOG_TRUSTED_PROXIES = ("127.0.0.1",)
    with serving(Quiet, trusted) as settings.IMAGECATALOG_PUBLIC_URL:
        assert "does not lead to the service: 404" in one(examine()["proxies"])[1]


def test_a_certificate_for_another_host_is_not_blamed_on_its_authority(
    healthy: None, examine: Examine, settings: Any, trusted: ssl.SSLContext
) -> None:
    settings.IMAGECATALOG_TRUSTED_PROXIES = ("127.0.0.1",)
    with serving(Quiet, trusted) as url:
        settings.IMAGECATALOG_PUBLIC_URL = url.replace("127.0.0.1", "localhost")
        text = one(examine()["proxies"])[1]

    assert "Hostname mismatch" in text
    assert "SSL_CERT_FILE" not in text


def test_a_keystone_with_a_certificate_of_a_private_authority_fails(
    healthy: None, examine: Examine, settings: Any, private: ssl.SSLContext
) -> None:
    settings.IMAGECATALOG_AUTH = "keystone"
    with serving(Keystone, private) as url:
        settings.IMAGECATALOG_KEYSTONE_URL = f"{url}/v3"
        assert "REQUESTS_CA_BUNDLE" in one(examine()["keystone"])[1]


def test_a_keystone_that_is_away_fails(
    healthy: None, examine: Examine, settings: Any
) -> None:
    settings.IMAGECATALOG_AUTH = "keystone"
    settings.IMAGECATALOG_KEYSTONE_URL = f"http://127.0.0.1:{servers.free_port()}/v3"

    status, text = one(examine()["keystone"])

    assert (status, "Start Keystone" in text) == ("fail", True)


class Keystone(Quiet):
    """The part of Keystone where the service user signs in."""

    status, roles = 201, ("service",)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        until = (timezone.now() + timedelta(hours=1)).isoformat()
        roles = [{"id": name, "name": name} for name in self.roles]
        token = {"expires_at": until, "issued_at": until, "roles": roles, "user": {}}
        body = json.dumps({"token": token | {"methods": ["password"]}}).encode()
        self.send_response(self.status)
        self.send_header("X-Subject-Token", "a token")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.mark.parametrize(
    ("answer", "expected", "advice"),
    [
        ({}, "ok", ""),
        ({"roles": ("member",)}, "fail", "role add --user glance --project service"),
        ({"status": 401}, "fail", "IMAGECATALOG_KEYSTONE_PASSWORD"),
    ],
)
def test_the_service_user_must_be_able_to_check_tokens(
    answer: dict[str, Any],
    expected: str,
    advice: str,
    healthy: None,
    examine: Examine,
    settings: Any,
) -> None:
    settings.IMAGECATALOG_AUTH = "keystone"
    settings.IMAGECATALOG_KEYSTONE_USERNAME = "glance"
    settings.IMAGECATALOG_KEYSTONE_PASSWORD = "secret"
    with serving(type("Answering", (Keystone,), answer)) as url:
        settings.IMAGECATALOG_KEYSTONE_URL = f"{url}/v3"
        (found,) = examine()["keystone"]

    assert found["status"] == expected
    assert advice in found["advice"]


def test_multipart_uploads_that_dead_processes_have_left_are_counted(
    healthy: None,
    examine: Examine,
    s3: servers.S3,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.IMAGECATALOG_STORES = s3.store(prefix="left-over")
    unfinished._client.cache_clear()  # it may have the credentials of another test
    client = unfinished._client(s3.endpoint, None)
    # The second one is not in the store: its prefix only begins with that of the store.
    keys = ["left-over/ab/x", "left-over-2/ab/x"]
    begun = [client.create_multipart_upload(Bucket=s3.bucket, Key=key) for key in keys]
    try:
        assert [it["status"] for it in examine()["uploads"]] == ["ok"]
        monkeypatch.setattr(storage, "OLD_UPLOAD", timedelta(0))
        status, text = one(examine()["uploads"])
    finally:
        for key, upload in zip(keys, begun, strict=True):
            client.abort_multipart_upload(
                Bucket=s3.bucket, Key=key, UploadId=upload["UploadId"]
            )

    assert (status, "1 multipart upload" in text) == ("warn", True)


@pytest.mark.postgres
def test_another_isolation_of_transactions_fails(
    healthy: None, examine: Examine
) -> None:
    assert "isolation" not in examine()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL default_transaction_isolation = 'serializable'")

    assert one(examine()["isolation"])[0] == "fail"


@pytest.mark.postgres
def test_a_clock_that_is_wrong_is_found(
    healthy: None, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [it["status"] for it in examine()["clock"]] == ["ok"]
    now = timezone.now

    class Wrong:
        @staticmethod
        def now() -> Any:
            return now() - timedelta(seconds=40)

    monkeypatch.setattr(database, "timezone", Wrong)
    assert one(examine()["clock"])[0] == "fail"


MOUNTS = """\
/dev/vda / ext4 rw 0 0
server:/export /srv/with\\040space nfs4 rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/srv/with space/x", "nfs4"), ("/srv/x", "ext4"), ("/srv/with spaces", "ext4")],
)
def test_the_file_system_of_a_path_is_that_of_its_nearest_mount(
    path: str, kind: str
) -> None:
    assert database._file_system_of(Path(path), MOUNTS) == kind


@pytest.mark.sqlite
def test_a_database_on_a_network_file_system_fails(
    healthy: None, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_file_system_of", lambda path, mounts: "nfs4")

    assert "SQLite's locks do not hold" in one(examine()["database"])[1]


def test_a_database_that_fails_is_one_line(
    healthy: None, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> Any:
        raise database.DatabaseError("read-only")
        yield

    monkeypatch.setattr(doctor, "WITH_DATABASE", (refuse,))

    assert "read-only" in one(examine()["database"])[1]
