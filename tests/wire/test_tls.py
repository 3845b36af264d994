"""TLS by the service itself, without a proxy."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from cryptography import x509
from django.core.management.base import CommandError
from prometheus_client.parser import text_string_to_metric_families

from images.management import tls
from tests import certificates, samples, servers
from tests.certificates import Files
from tests.servers import Service
from tests.wire.api import Api
from tests.wire.bare_gunicorn import TINY_SERVICE, gunicorn

LOOPBACK = x509.IPAddress(ip_address("127.0.0.1"))
DATA = os.urandom((5 << 20) + 7)
in_one_process = pytest.mark.xdist_group("tls")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return certificates.make(tmp_path, LOOPBACK)


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Service, Files]]:
    folder = tmp_path_factory.mktemp("tls")
    files = certificates.make(folder, LOOPBACK)
    options = ["--certfile", files.certificate, "--keyfile", files.key]
    start = servers.catalogue(folder, workers=1, options=options, scheme="https")
    with start as service:
        yield service, files


@pytest.fixture
def api(served: tuple[Service, Files]) -> Iterator[Api]:
    service, files = served
    with Api(service) as session:
        session.verify = str(files.certificate)
        yield session


@pytest.mark.slow
@in_one_process
def test_images_go_in_and_out(api: Api) -> None:
    blocks = [DATA[:1000], DATA[1000:]]
    for sent in (DATA, iter(blocks)):
        image_id = api.new()

        assert api.upload(image_id, sent).status_code == 204
        assert api.data(image_id) == DATA


@pytest.mark.slow
@in_one_process
def test_links_are_https(served: tuple[Service, Files]) -> None:
    service, files = served
    assert f"The image catalogue API is at {service.url};" in service.log.read_text()

    found = requests.get(f"{service.url}/versions", verify=str(files.certificate))

    assert found.json()["versions"][0]["links"][0]["href"].startswith(service.url)


@pytest.mark.slow
@in_one_process
def test_a_client_without_tls_harms_nobody(
    api: Api, served: tuple[Service, Files]
) -> None:
    address = urlsplit(served[0].url)
    received = b""
    with socket.create_connection((address.hostname, address.port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert api.get("images").status_code == 200
        with suppress(ConnectionResetError):
            received = plain.recv(1000)

    assert b"HTTP" not in received
    assert "Traceback" not in served[0].log_tail()


def test_a_client_that_does_not_read_its_download_is_ended(
    files: Files, tmp_path: Path
) -> None:
    config = tmp_path / "config.py"
    config.write_text(
        "from imagecatalog.web import connection\n"
        "connection.SILENCE = 1\n"
        "from imagecatalog.server import *\n"
    )
    options = ["--certfile", files.certificate, "--keyfile", files.key]
    context = ssl.create_default_context(cafile=files.certificate)
    start = gunicorn(
        tmp_path, *options, config=config, DJANGO_SETTINGS_MODULE=TINY_SERVICE
    )
    with start as server:
        (worker,) = psutil.Process(server.process.pid).children()
        with (
            server.connect() as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as client,
        ):
            client.sendall(b"GET /data?mib=64 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"

            servers.wait_until(lambda: not connections(worker), "the end")
    assert "Traceback" not in server.log.read_text()


def connections(process: psutil.Process) -> list[object]:
    """The connections to clients."""
    return [it for it in process.net_connections("tcp4") if it.raddr]


@pytest.mark.slow
def test_a_new_worker_has_the_certificate_of_the_one_that_it_replaces(
    files: Files, tmp_path: Path
) -> None:
    options = ["--certfile", files.certificate, "--keyfile", files.key]
    start = servers.catalogue(tmp_path, workers=1, options=options, scheme="https")
    with start as service, Api(service) as api:
        api.verify = str(tmp_path / "trusted.pem")
        files.certificate.rename(api.verify)
        gunicorn = servers.gunicorn_of(service)
        (worker,) = gunicorn.children()
        worker.kill()
        servers.wait_until(
            lambda: gunicorn.children() not in ([], [worker]), "another worker"
        )

        assert api.get("images").status_code == 200


@pytest.mark.slow
def test_a_reload_reads_a_new_certificate(files: Files, tmp_path: Path) -> None:
    management = f"127.0.0.1:{servers.free_port()}"
    options = ["--certfile", files.certificate, "--keyfile", files.key]
    options += ["--management", management]
    start = servers.catalogue(tmp_path, workers=1, options=options, scheme="https")
    with start as service, Api(service) as api:
        new = certificates.make(tmp_path, LOOPBACK, "new-", days=30)
        assert shown_days(management) == 1
        api.verify = str(new.certificate)
        with pytest.raises(requests.exceptions.SSLError):
            api.get("images")
        new.key.replace(files.key)
        files.certificate.write_text(new.certificate.read_text())
        servers.reload(service)

        # The old process may still take a connection.
        servers.wait_until(lambda: is_trusted(api), "the new certificate")
        assert shown_days(management) == 30


def shown_days(management: str) -> int:
    """Return how many days the metrics say the certificate is still valid, rounded."""
    text = requests.get(f"http://{management}/metrics", timeout=60).text
    found = samples.values(text_string_to_metric_families(text))
    expiry = found["certificate_expiry_timestamp_seconds",]
    return round((expiry - time.time()) / 86400)


def is_trusted(api: Api) -> bool:
    try:
        return api.get("images").ok
    except requests.exceptions.SSLError:
        return False


def test_a_chain_expires_with_its_first_certificate_to_expire(
    files: Files, tmp_path: Path
) -> None:
    longer = certificates.make(tmp_path, LOOPBACK, "longer-", days=30)
    chain = tmp_path / "chain.pem"
    chain.write_text(
        longer.certificate.read_text()
        + longer.key.read_text()
        + files.certificate.read_text()
    )

    assert tls.expiry(str(chain)) == tls.expiry(str(files.certificate))
    longest = tls.expiry(str(longer.certificate))
    assert longest == pytest.approx(time.time() + 30 * 86400, abs=60)


def test_no_expiry_is_known_without_a_certificate(tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("no certificate")

    assert [tls.expiry(it) for it in (None, str(text), "/nowhere")] == [None] * 3


# Files that cannot be used


def test_a_certificate_and_its_key_can_be_in_one_file(files: Files) -> None:
    files.certificate.write_text(files.certificate.read_text() + files.key.read_text())

    tls.check(str(files.certificate), None)


def test_the_key_of_another_certificate_is_refused(
    files: Files, tmp_path: Path
) -> None:
    other = certificates.make(tmp_path, LOOPBACK, "other-")

    with pytest.raises(CommandError, match=f"not that of the key in {other.key}"):
        tls.check(str(files.certificate), str(other.key))


def test_an_encrypted_key_is_refused_without_a_question(
    files: Files, tmp_path: Path
) -> None:
    encrypted = tmp_path / "encrypted.pem"
    encrypt = [
        "openssl",
        "pkey",
        "-in",
        files.key,
        "-aes128",
        "-passout",
        "pass:secret",
    ]
    subprocess.run([*encrypt, "-out", encrypted], check=True)

    with pytest.raises(CommandError, match="encrypted. Remove its passphrase"):
        tls.check(str(files.certificate), str(encrypted))


def test_files_without_certificate_or_key_are_refused(
    files: Files, tmp_path: Path
) -> None:
    text = tmp_path / "text.pem"
    text.write_text("no certificate")

    for certificate, key in ((text, files.key), (files.certificate, text)):
        with pytest.raises(CommandError, match="in the format PEM"):
            tls.check(str(certificate), str(key))
    with pytest.raises(CommandError, match="no key"):
        tls.check(str(files.certificate), None)


def test_a_file_that_cannot_be_read_is_named(files: Files) -> None:
    with pytest.raises(CommandError, match=r"/nowhere of --keyfile .*: No such file"):
        tls.check(str(files.certificate), "/nowhere")
    with pytest.raises(CommandError, match="add --certfile PATH"):
        tls.check(None, str(files.key))
