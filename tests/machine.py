"""A machine in namespaces of its own: the files of this one, copied on write, and systemd.

Its network is a loopback interface, so the default addresses are free. The service is installed
in /opt, from the packages that the tests use.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests import servers

SYSTEMD = Path("/lib/systemd/systemd")
DEPLOY = servers.ROOT / "deploy" / "systemd"

SPACES = ("--mount", "--pid", "--cgroup", "--uts", "--ipc", "--net")

# What a machine needs of the kernel, tried in the folder $1.
TRIAL = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir changes work root
mount -t overlay -o lowerdir=/,upperdir=changes,workdir=work overlay root
mount -t proc proc root/proc
mount -t sysfs -o ro sysfs root/sys
mount -t cgroup2 cgroup2 root/sys/fs/cgroup
"""

# The root of the machine is an overlay in $1; $2 is Python's prefix, $3 its packages, $4 our code.
# The machine cannot change the kernel: its settings are read-only, and modules cannot be loaded.
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir changes work root
mount -t overlay -o lowerdir=/,upperdir=changes,workdir=work overlay root
cd root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in run tmp dev; do mount -t tmpfs tmpfs $folder; done
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for device in null zero full random urandom tty; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
ln -s /proc/self/fd dev/fd
rm -rf etc/systemd/system etc/fstab var/lib/imagecatalog
mkdir -p etc/systemd/system opt/imagecatalog/bin opt/python opt/packages opt/code
mount --bind "$2" opt/python
mount --bind "$3" opt/packages
mount --bind "$4" opt/code
cat >opt/imagecatalog/bin/imagecatalog <<'SCRIPT'
#!/bin/sh
export LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/packages:/opt/code
exec /opt/python/bin/python3 -m imagecatalog "$@"
SCRIPT
chmod +x opt/imagecatalog/bin/imagecatalog
ip link set lo up
mkdir host
pivot_root . host
umount -l host
exec env -i container=other PATH="$PATH" setpriv --bounding-set=-sys_module,-sys_rawio,-sys_time \
    /lib/systemd/systemd --unit=basic.target
"""


@dataclass(frozen=True)
class Machine:
    """A running machine."""

    init: int  # the process id of its systemd

    def run(
        self, *command: str | Path, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root in the machine until it ends."""
        enter = ["nsenter", "--target", str(self.init), "--all"]
        return subprocess.run(
            [*enter, *map(str, command)],
            env={"PATH": os.environ["PATH"]},
            input=stdin,
            capture_output=True,
            text=True,
        )

    def output(self, *command: str | Path, stdin: str = "") -> str:
        """Run a command that must succeed; return what it printed."""
        done = self.run(*command, stdin=stdin)
        log = "" if done.returncode == 0 else self.log()
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{log}"
        return done.stdout

    def log(self) -> str:
        """The end of the journal."""
        return self.run("journalctl", "--no-pager", "--lines=40").stdout


@contextlib.contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Start a machine and wait until its systemd runs; ``folder`` is for its files."""
    tools = ("unshare", "nsenter", "pivot_root", "ip", "curl")
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing or not SYSTEMD.exists() or os.geteuid() != 0:
        names = ", ".join(missing) or "systemd"
        raise servers.Missing(f"{names} is not installed, or this user is not root")
    root = folder / "machine"
    root.mkdir()
    trial = ["unshare", *SPACES, "--fork", "sh", "-c", TRIAL, "trial", root]
    tried = subprocess.run(trial, capture_output=True, text=True)
    if tried.returncode:
        raise servers.Missing(f"machines are not allowed here: {tried.stderr.strip()}")
    with _cgroup() as cgroup:
        enter = f'echo $$ >"{cgroup}/cgroup.procs" && exec unshare "$@"'
        boot = ["--fork", "--kill-child", "sh", "-c", BOOT, "boot", root]
        boot += [sys.base_prefix, sysconfig.get_path("purelib"), servers.ROOT]
        log = folder / "machine.log"
        command = ["/bin/sh", "-c", enter, "enter", *SPACES, *boot]
        with servers.running(command, os.environ, log, signal.SIGKILL) as process:
            started = Machine(_init(process, log))
            servers.wait_until(
                lambda: (
                    started.run("systemctl", "is-system-running").stdout.strip()
                    in ("running", "degraded")
                ),
                "systemd",
                30,
                process,
                log,
            )
            yield started


def _init(process: subprocess.Popen[bytes], log: Path) -> int:
    children = psutil.Process(process.pid).children
    servers.wait_until(
        lambda: any(child.name() == "systemd" for child in children()),
        "systemd",
        30,
        process,
        log,
    )
    return children()[0].pid


@contextlib.contextmanager
def _cgroup() -> Iterator[Path]:
    """Make a cgroup, the root of the machine's tree, and remove it when its processes have ended."""
    with open("/proc/self/mounts") as mounts:
        trees = [Path(line.split()[1]) for line in mounts if " cgroup2 " in line]
    try:
        folder = trees[0] / f"imagecatalog-tests-{os.getpid()}"
        folder.mkdir()
    except (IndexError, OSError) as error:
        raise servers.Missing(f"no cgroup can be made here: {error}") from error
    try:
        yield folder
    finally:
        servers.wait_until(
            lambda: "populated 0" in (folder / "cgroup.events").read_text(),
            "the end of the machine",
        )
        for below in sorted(folder.rglob("*/"), reverse=True):
            below.rmdir()
        folder.rmdir()
