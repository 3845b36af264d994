"""Signatures by GnuPG, verified by gpgv, and what operators are told when nothing can be signed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from images.publishing import SigningError, gnupg, signing
from images.publishing.signing import Signer
from tests import servers
from tests.published_family import KEY_USER

TEXT = b"12ab  debian-13.qcow2\n- a line with a dash \n"

pytestmark = pytest.mark.usefixtures("publish_key")


@pytest.fixture
def signer(publish_key: Path) -> Iterator[Signer]:
    with signing.opened(publish_key) as signer:
        yield signer


def gpg(home: Path, *arguments: str) -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback"]
    done = subprocess.run([*command, *arguments], capture_output=True, check=True)
    return done.stdout


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """An empty home of GnuPG."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    # Passphrases are protected by work, which takes long on a busy machine.
    (folder / "gpg-agent.conf").write_text("s2k-count 65536\n")
    yield folder
    subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"])


# Signatures


def test_a_new_key_is_private_and_never_replaced(publish_key: Path) -> None:
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (publish_key, *publish_key.iterdir())
    }

    assert modes == {
        "publish-key": 0o700,
        "secret-key.asc": 0o600,
        "public-key.asc": 0o600,
    }
    with pytest.raises(SigningError, match="is not empty, and no key is replaced"):
        signing.create(publish_key, KEY_USER)


def test_gpgv_accepts_what_is_signed_and_nothing_else(
    signer: Signer, tmp_path: Path
) -> None:
    keyring, text, detached, clear = (tmp_path / name for name in "ktdc")
    keyring.write_bytes(signer.keyring)
    text.write_bytes(TEXT)
    detached.write_bytes(signer.detached(TEXT))
    clear.write_bytes(signer.clearsigned(TEXT))

    def verified(*files: Path) -> bool:
        return not subprocess.run(
            ["gpgv", "--keyring", keyring, *files], capture_output=True
        ).returncode

    assert verified(detached, text)
    assert verified(clear)
    text.write_bytes(TEXT.replace(b"12ab", b"12ac"))
    clear.write_bytes(clear.read_bytes().replace(b"12ab", b"12ac"))
    assert not verified(detached, text)
    assert not verified(clear)


def test_the_public_key_can_be_imported(signer: Signer, home: Path) -> None:
    gnupg.run(home, "--import", data=signer.public_key)

    listed = gpg(home, "--with-colons", "--list-keys").decode()

    assert signer.fingerprint in listed
    assert signer.key.user == KEY_USER
    assert gnupg.secret_keys(home) == []


def test_a_home_of_gnupg_can_be_the_folder_of_the_key(home: Path) -> None:
    gpg(home, "--passphrase", "", "--quick-generate-key", KEY_USER, "ed25519", "cert")
    (key,) = gnupg.secret_keys(home)
    gpg(home, "--passphrase", "", "--quick-add-key", key.fingerprint, "ed25519", "sign")

    with signing.opened(home) as signer:
        signature = signer.detached(TEXT)

    assert signature
    assert signer.fingerprint == key.fingerprint


# What goes wrong


def missing(folder: Path, home: Path) -> Path:
    return folder / "missing"


def empty(folder: Path, home: Path) -> Path:
    return folder


def garbage(folder: Path, home: Path) -> Path:
    (folder / "secret.asc").write_text("no key")
    return folder


def public_only(folder: Path, home: Path) -> Path:
    gpg(home, "--passphrase", "", "--quick-generate-key", "A <a@b>", "ed25519", "sign")
    (folder / "public.gpg").write_bytes(gpg(home, "--export"))
    return folder


def two_keys(folder: Path, home: Path) -> Path:
    for user in ("A <a@b>", "B <a@b>"):
        gpg(home, "--passphrase", "", "--quick-generate-key", user, "ed25519", "sign")
    return home


def with_passphrase(folder: Path, home: Path) -> Path:
    phrase = ("--passphrase", "secret")
    gpg(home, *phrase, "--quick-generate-key", "A <a@b>", "ed25519", "sign")
    exported = gpg(home, *phrase, "--armor", "--export-secret-keys")
    (folder / "secret.asc").write_bytes(exported)
    return folder


def expired(folder: Path, home: Path) -> Path:
    made = ("--passphrase", "", "--faked-system-time", "20200101T000000")
    gpg(home, *made, "--quick-generate-key", "A <a@b>", "ed25519", "sign", "1d")
    return home


def certifying(folder: Path, home: Path) -> Path:
    gpg(home, "--passphrase", "", "--quick-generate-key", "A <a@b>", "ed25519", "cert")
    return home


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (missing, r"missing cannot be read: No such file.* `publish_key --create`"),
        (empty, r"there is no key in .* `publish_key --create`"),
        (garbage, r"gpg has failed: no valid OpenPGP data found\. Try"),
        (public_only, r"there is no secret key in .* `publish_key --create`"),
        (two_keys, r"has 2 secret keys \(\w{40}, \w{40}\)\. Leave one there"),
        (with_passphrase, r"has a passphrase.*Remove it \(gpg --change-passphrase"),
        (expired, r"the key \w{40} in .* has expired\. Make a key with"),
        (certifying, r"the key \w{40} in .* cannot sign\. Make a key with"),
    ],
)
def test_a_wrong_key_is_refused_with_what_to_do(
    prepare: Callable[[Path, Path], Path], message: str, home: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    wrong = prepare(folder, home)

    with pytest.raises(SigningError, match=message), signing.opened(wrong) as signer:
        signer.detached(TEXT)


@pytest.mark.parametrize("user", ["A", "<a@b>", "A <a@b>\nB <a@b>", "A <a b@c>", "<<"])
def test_a_key_needs_a_name_and_an_address(user: str, tmp_path: Path) -> None:
    with pytest.raises(SigningError, match="Use for example 'Images <images@example"):
        signing.create(tmp_path / "key", user)

    assert not (tmp_path / "key").exists()


@pytest.mark.parametrize("program", ["gpg", "gpg-agent"])
def test_a_missing_program_is_named(
    program: str, publish_key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / {"gpg": "gpg-agent", "gpg-agent": "gpg"}[program]
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with (
        pytest.raises(SigningError, match=rf"{program} is not installed\. Install"),
        signing.opened(publish_key),
    ):
        pass


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("missing", "No temporary folder can be made"),
        ("x" * 90, "agent does not start"),
    ],
)
def test_a_folder_for_temporary_files_that_is_no_use_is_told(
    folder: str,
    message: str,
    publish_key: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / ("x" * 90)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / folder))

    with pytest.raises(SigningError, match=message), signing.opened(publish_key):
        pass

    assert list((tmp_path / ("x" * 90)).iterdir()) == []


def test_a_program_that_hangs_is_ended(
    signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gpg").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "gpg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(gnupg, "TIMEOUT", 0.2)

    with pytest.raises(SigningError, match="gpg has not ended within"):
        signer.detached(TEXT)


# The temporary copy of the key

# Orphans become children of this process, as they become children of process 1 in a container.
SIGN = """
import ctypes, os, sys
from pathlib import Path
from images.publishing import signing
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
with signing.opened(Path(sys.argv[1])) as signer:
    signer.detached(b"text")
    print(signer.home, flush=True)
    sys.stdin.readline()
try:
    print("left:", os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("nothing left")
"""


@pytest.fixture
def signing_process(publish_key: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has signed and waits for a line of input."""
    with subprocess.Popen(
        [sys.executable, "-c", SIGN, publish_key],
        cwd=servers.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def home_of(process: subprocess.Popen[str]) -> Path:
    assert process.stdout is not None
    home = Path(process.stdout.readline().strip())
    assert (home / "private-keys-v1.d").is_dir()
    return home


def test_no_process_is_left_to_process_1(
    signing_process: subprocess.Popen[str],
) -> None:
    home = home_of(signing_process)

    printed, _ = signing_process.communicate("\n", timeout=30)

    assert printed == "nothing left\n"
    assert not home.exists()


def test_a_killed_process_leaves_no_copy_of_the_key(
    signing_process: subprocess.Popen[str],
) -> None:
    home = home_of(signing_process)

    signing_process.kill()

    servers.wait_until(lambda: not home.exists(), "the removal of the copy")
