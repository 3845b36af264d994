"""Debian's OpenLDAP server on loopback, with users and groups."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from tests import certificates, servers
from tests.servers import Missing

SUFFIX = "dc=example,dc=org"
BIND_DN, BIND_PASSWORD = f"cn=catalogue,{SUFFIX}", "the password of the catalogue"
PASSWORD = "a password of the directory"
USERS = {
    "dora": ["ops"],
    "emil": ["admins"],
    "admin": ["ops"],
    "fred": [],
    "gina": ["ops"],
}
CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
moduleload /usr/lib/ldap/back_mdb.so
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
security simple_bind=128
disallow bind_anon
database mdb
suffix "{suffix}"
rootdn "{bind_dn}"
rootpw "{bind_password}"
directory {folder}
"""


@dataclass(frozen=True)
class Directory:
    """The URLs of a running LDAP server, and the file with its certificate authority."""

    plain: str  # the URL at which clients must ask for TLS
    tls: str
    ca_file: Path


def _entries() -> Iterator[str]:
    yield f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example"
    for unit in ("people", "groups"):
        yield f"dn: ou={unit},{SUFFIX}\nobjectClass: organizationalUnit"
    for name in USERS:
        yield (
            f"dn: {person(name)}\nobjectClass: inetOrgPerson\ncn: {name}\nsn: {name}"
            f"\nuserPassword: {PASSWORD}"
        )
    for group in ("ops", "admins"):
        members = [person(name) for name, groups in USERS.items() if group in groups]
        listed = "\n".join(f"member: {member}" for member in members)
        yield f"dn: {group_of(group)}\nobjectClass: groupOfNames\n{listed}"


def person(name: str) -> str:
    """Return the DN of a user's entry."""
    return f"uid={name},ou=people,{SUFFIX}"


def group_of(name: str) -> str:
    """Return the DN of a group's entry."""
    return f"cn={name},ou=groups,{SUFFIX}"


@contextmanager
def serving(folder: Path) -> Iterator[Directory]:
    """Run an LDAP server whose data is in ``folder``. Raises Missing if slapd is not installed."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    slapd, slapadd = (shutil.which(name, path=path) for name in ("slapd", "slapadd"))
    if not (slapd and slapadd):
        raise Missing("slapd is not installed")
    files = certificates.make(folder, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    data, config = folder / "directory", folder / "slapd.conf"
    data.mkdir()
    config.write_text(
        CONFIG.format(
            certificate=files.certificate,
            key=files.key,
            suffix=SUFFIX,
            bind_dn=BIND_DN,
            bind_password=BIND_PASSWORD,
            folder=data,
        )
    )
    ldif = "\n\n".join(_entries())
    subprocess.run([slapadd, "-f", config], input=ldif, text=True, check=True)
    plain, tls = (f"{it}://127.0.0.1:{servers.free_port()}" for it in ("ldap", "ldaps"))
    log = folder / "slapd.log"
    command: list[str | Path] = [slapd, "-d", "0", "-f", config, "-h", f"{plain} {tls}"]
    with servers.running(command, os.environ, log) as process:
        directory = Directory(plain, tls, files.certificate)
        servers.wait_until(lambda: _listens(plain), "slapd", process=process, log=log)
        yield directory


def _listens(url: str) -> bool:
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port)).close()
    except OSError:
        return False
    return True
