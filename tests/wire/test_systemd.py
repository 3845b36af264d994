"""systemd runs the units, with all that they restrict, on a machine in its own namespaces."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest

from tests import servers
from tests.machine import Machine, machine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("systemd"),
]
API = "http://127.0.0.1:9292"
SERVICE = "imagecatalog.service"
BACKUP, VERIFY = "imagecatalog-backup.service", "imagecatalog-verify.service"
RESTRICTED = {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0000000000000000"}
WAIT_UNTIL_READY = ["curl", "--fail", "--silent", "--retry", "30"]
WAIT_UNTIL_READY += [
    "--retry-delay",
    "1",
    "--retry-all-errors",
    "http://127.0.0.1:9293/readyz",
]
SERVING = "active", "Serves requests."
Curl = Callable[..., str]


def documented_installation() -> str:
    """The commands of docs/install.md, without those for packages, which the machine has."""
    page = (servers.ROOT / "docs" / "install.md").read_text()
    section = page.partition("\n## As a systemd service\n")[2]
    block = section.partition("```console\n")[2].partition("```")[0]
    commands = re.findall("^# (.*)$", block, re.MULTILINE)
    return "\n".join(commands[2:])


@pytest.fixture(scope="module")
def computer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with the service installed as the documentation says."""
    try:
        with machine(tmp_path_factory.mktemp("systemd")) as computer:
            install = f"cd /opt/code\n{documented_installation()}"
            computer.output("sh", "-ec", install)
            yield computer
    except servers.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def curl(computer: Machine) -> Curl:
    """Sends a request as the first user, whose password is in the journal."""
    shown = "^First user: admin, password: ([^ ]+)"
    (password,) = re.findall(shown, log(computer), re.MULTILINE)
    program = ["curl", "--fail", "--silent", "--show-error", "-u", f"admin:{password}"]

    def curl(path: str, *options: str, body: str = "") -> str:
        return computer.output(*program, *options, f"{API}{path}", stdin=body)

    return curl


def show(computer: Machine, unit: str, name: str) -> str:
    return computer.output("systemctl", "show", "--value", f"-p{name}", unit).strip()


def state(computer: Machine) -> tuple[str, ...]:
    """The state of the service, and its status text."""
    return tuple(
        show(computer, SERVICE, name) for name in ("ActiveState", "StatusText")
    )


def log(computer: Machine, unit: str = SERVICE) -> str:
    return computer.output("journalctl", f"--unit={unit}", "--output=cat")


def wait_until_it_serves(computer: Machine) -> None:
    computer.output(*WAIT_UNTIL_READY)  # the worker may be one of before a restart
    servers.wait_until(lambda: state(computer) == SERVING, "the service")


def test_systemd_finds_nothing_to_object_to_in_the_units(computer: Machine) -> None:
    verify = "systemd-analyze verify imagecatalog*"
    done = computer.run("sh", "-c", f"cd /etc/systemd/system && {verify}")

    assert (done.returncode, done.stderr) == (0, "")


def test_all_processes_of_the_service_are_restricted(computer: Machine) -> None:
    wait_until_it_serves(computer)
    group = show(computer, SERVICE, "ControlGroup")
    processes = computer.output("cat", f"/sys/fs/cgroup{group}/cgroup.procs").split()
    user = computer.output("id", "-u", "imagecatalog").strip()

    assert len(processes) >= 4  # serve, gunicorn, a web process, the worker
    for process in processes:
        status = dict(
            line.split(":\t", 1)
            for line in computer.output("cat", f"/proc/{process}/status").splitlines()
        )
        assert {name: status[name] for name in RESTRICTED} == RESTRICTED
        assert set(status["Uid"].split()) == {user}


def test_the_service_stores_an_image_and_verifies_it(
    computer: Machine, curl: Curl
) -> None:
    image = {"name": "one", "disk_format": "raw", "container_format": "bare"}
    created = json.loads(curl("/v2/images", "--data", "@-", body=json.dumps(image)))
    data = ["--upload-file", "-", "--header", "Content-Type: application/octet-stream"]
    curl(f"/v2/images/{created['id']}/file", *data, body="bytes of an image")
    computer.output("systemctl", "start", VERIFY)

    assert curl(f"/v2/images/{created['id']}/file") == "bytes of an image"
    assert show(computer, VERIFY, "Result") == "success"
    assert "1 good, 0 damaged" in log(computer, VERIFY)


def test_the_operators_command_works_on_the_catalogue_of_the_service(
    computer: Machine,
) -> None:
    status = json.loads(computer.output("imagecatalog", "image_status", "--json"))
    wrong = computer.run("imagecatalog", "image_status", "not-an-id")

    assert "images" in status
    assert wrong.returncode == 1


def test_the_timer_of_backups_waits_for_the_night(computer: Machine) -> None:
    assert show(computer, "imagecatalog-backup.timer", "ActiveState") == "active"


def test_the_backup_is_made_and_verified(computer: Machine) -> None:
    computer.output("systemctl", "start", BACKUP)

    assert show(computer, BACKUP, "Result") == "success"
    made = computer.output("ls", "/var/lib/imagecatalog-backups").split()
    assert len(made) == 1
    assert f"{made[0]}: nothing is wrong." in log(computer, BACKUP)


def test_a_reload_keeps_the_process(computer: Machine) -> None:
    wait_until_it_serves(computer)
    before = show(computer, SERVICE, "MainPID")
    computer.output("systemctl", "reload", SERVICE)

    for line in ("Reloaded imagecatalog", "reloaded: the former web processes finish"):
        servers.wait_until(lambda line=line: line in log(computer), line)
    assert state(computer) == SERVING
    assert show(computer, SERVICE, "MainPID") == before


@pytest.mark.long
def test_a_service_whose_worker_is_stopped_is_restarted(computer: Machine) -> None:
    folder = f"/run/systemd/system/{SERVICE}.d"
    computer.output("mkdir", folder)
    settings = f"{folder}/watchdog.conf"
    computer.output("tee", settings, stdin="[Service]\nWatchdogSec=5\n")
    computer.output("systemctl", "daemon-reload")
    computer.output("systemctl", "restart", SERVICE)
    assert state(computer) == SERVING  # a start ends when it serves
    assert show(computer, SERVICE, "NRestarts") == "0"

    computer.output("pkill", "-STOP", "-f", "imagecatalog image_worker")

    servers.wait_until(
        lambda: show(computer, SERVICE, "NRestarts") == "1", "a restart", 120
    )
    wait_until_it_serves(computer)
    assert "Watchdog timeout" in log(computer)


def test_clients_wait_during_a_restart(computer: Machine) -> None:
    wait_until_it_serves(computer)
    before = log(computer)
    computer.output("systemctl", "restart", "--no-block", SERVICE)
    for _ in range(20):
        computer.output("curl", "--fail", "--silent", f"{API}/versions")
    wait_until_it_serves(computer)
    since = log(computer).removeprefix(before)

    assert "Failed with result" not in since
    assert since.count("Started imagecatalog.service") == 1
