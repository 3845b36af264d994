"""The command that runs the whole service.

It prepares the database, and starts gunicorn with the web processes and a background worker.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection, connections

from imagecatalog.identity import first_user
from images import data_folder, errors, process_metrics, stores
from images.console import CatalogueCommand, file_mode, positive_integer
from images.management import (
    handover,
    listeners,
    migration_lock,
    probes,
    schema,
    service_manager,
    tls,
)
from images.management.handover import Handover
from images.management.listeners import Address, Sockets
from images.management.supervisor import PREPARE, Supervisor, block_signals
from images.metadefs import shipped
from images.operations import unconfigured_stores

log = logging.getLogger(__name__)

DEFAULT_ADDRESS = "127.0.0.1:9292"


class Command(CatalogueCommand):
    help = "Serve the catalogue: prepare the database, start the web server and a background worker."

    def add_arguments(self, parser: ArgumentParser) -> None:
        _add_address_options(parser)
        parser.add_argument(
            "--workers", type=positive_integer, help="number of web processes"
        )
        parser.add_argument(
            "--threads",
            type=positive_integer,
            help="number of requests that each web process handles at once (default: 64); "
            "three quarters of them can send or receive data, for one client and one project "
            "half of these",
        )
        parser.add_argument(
            "--allow-missing-stores",
            action="store_true",
            help="serve although images need stores that are not configured",
        )
        parser.add_argument(
            "--allow-newer-database",
            action="store_true",
            help="serve although a newer release has migrated the database",
        )
        parser.add_argument(
            "--no-migrate",
            action="store_true",
            help="leave the tables to the command migrate, and refuse to serve if they lack "
            "a migration",
        )
        parser.add_argument(
            PREPARE,
            action="store_true",
            help="check the options and prepare the database, then end without serving",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sys.exit(self.serve(options))
        except KeyboardInterrupt:
            sys.exit(130)

    def serve(self, options: dict[str, Any]) -> int:
        """Run the service until it is stopped; return the exit code.

        With --prepare-only, prepare the database and return 0.
        """
        former = handover.take()
        if former is None:
            self.check(tags=["interpreter"], include_deployment_checks=True)
            tls.check(options["certfile"], options["keyfile"])
        if options["prepare_only"]:
            _addresses(options)
            self.show_password(_prepare(options))
            return 0
        with contextlib.ExitStack() as stack:
            sockets = _listen(options, stack, former)
            if former is None:
                service_manager.report_start("Prepares the database.")
                password = _prepare(options)
                service_manager.report_start("Starts the web processes.")
                scheme = "https" if options["certfile"] else "http"
                self.greet([it.url(scheme) for it in sockets.api], password)
                self.stdout.flush()
            signals = block_signals()
            expiry = tls.expiry(options["certfile"])
            service = probes.Service(certificate_expiry=expiry)
            if sockets.management:
                stack.enter_context(process_metrics.folder(keep=former is not None))
                process_metrics.start()
                probes.start(sockets.management.socket, service)
            supervisor = Supervisor(sockets, _web_options(options), service, signals)
            return supervisor.run(former or Handover())

    def greet(self, urls: list[str], password: str | None) -> None:
        """Print the URLs of the service, the password of the first user, and an example request.

        The URL of the admin and of the example is IMAGECATALOG_PUBLIC_URL, if that is set.
        ``password`` is None if no user was created.
        """
        public = settings.IMAGECATALOG_PUBLIC_URL
        on_network = (it for it in urls if not it.startswith(listeners.UNIX))
        url = public or next(on_network, None)
        admin = f"; the browser admin is at {url}/admin/" if url else ""
        if public:
            admin = f"\nIts public URL is {public}{admin}"
        self.stdout.write(f"\nThe image catalogue API is at {', '.join(urls)}{admin}")
        self.show_password(password)
        if url is None:
            path = shlex.quote(urls[0].removeprefix(listeners.UNIX))
            self.stdout.write(
                f"Try it:\n\n  curl --unix-socket {path} http://localhost/versions\n"
            )
            return
        if settings.IMAGECATALOG_AUTH == "none":
            self.stdout.write(
                f"The API needs no sign-in. Try it:\n\n  curl {url}/v2/images\n"
            )
            return
        if settings.IMAGECATALOG_AUTH == "keystone":
            self.stdout.write(
                f"The API accepts tokens of {settings.IMAGECATALOG_KEYSTONE_URL}. Try it:\n\n"
                f"  OS_IMAGE_ENDPOINT_OVERRIDE={url} openstack image list\n"
            )
            return
        shown = shlex.quote(password) if password else "PASSWORD"
        self.stdout.write(
            "Try it:\n\n"
            f"  OS_AUTH_TYPE=http_basic OS_USERNAME=admin OS_PASSWORD={shown} \\\n"
            f"    OS_ENDPOINT={url}/v2 openstack image list\n"
            f"  curl -u admin:{shown} {url}/v2/images\n"
        )

    def show_password(self, password: str | None) -> None:
        """Print the password of the first user; print nothing if ``password`` is None."""
        if password:
            self.stdout.write(
                f"First user: admin, password: {password}  (not shown again)"
            )


# Preparation


def _prepare(options: dict[str, Any]) -> str | None:
    """Prepare the data folder and the database; return the password of the first user.

    Returns None if no user is created, or if IMAGECATALOG_ADMIN_PASSWORD sets the password.
    Raises CommandError if the catalogue cannot be served.
    """
    if options["no_migrate"]:
        schema.refuse_older()
    is_new = schema.is_new()
    if is_new:
        _refuse_unexpected_catalogue()
    data_folder.prepare()
    if is_new:
        log.warning("a new catalogue is made in %s", data_folder.database_name())
    password = None
    _refuse_newer(options)
    if not (schema.is_current() and first_user.exists() and not shipped.missing()):
        with migration_lock.held():
            _refuse_newer(options)  # while this one has waited, it may have migrated
            if not options["no_migrate"]:
                schema.upgrade()
            password = first_user.ensure()
            shipped.load()
    if not options["allow_missing_stores"]:
        _refuse_missing_stores()
    _close_database()
    return password


def _refuse_newer(options: dict[str, Any]) -> None:
    if not options["allow_newer_database"]:
        schema.refuse_newer()


def _add_address_options(parser: ArgumentParser) -> None:
    """Add the options for the addresses of the service, and for TLS, to the parser."""
    parser.add_argument(
        "--bind",
        action="append",
        metavar="HOST:PORT",
        help="address to listen on, can be repeated: HOST:PORT, :PORT for all networks, "
        "unix:PATH, or fd://NUMBER for a socket that the parent process has opened "
        f"(default: the sockets that systemd passes, else {DEFAULT_ADDRESS})",
    )
    parser.add_argument(
        "--socket-mode",
        type=file_mode,
        default=0o660,
        metavar="MODE",
        help="mode of the files of Unix sockets (default: 660, the service's user and group)",
    )
    parser.add_argument(
        "--certfile",
        metavar="PATH",
        help="file with a certificate and its chain: serve HTTPS instead of HTTP",
    )
    parser.add_argument(
        "--keyfile",
        metavar="PATH",
        help="file with the key of the certificate (default: the file of the certificate)",
    )
    parser.add_argument(
        "--management",
        default=settings.IMAGECATALOG_MANAGEMENT_BIND,
        metavar="HOST:PORT",
        help="address for probes and metrics, which need no sign-in: /livez, /readyz, "
        "/status and /metrics (default: IMAGECATALOG_MANAGEMENT_BIND, else none)",
    )


def _addresses(options: dict[str, Any]) -> tuple[list[Address], list[Address]]:
    """Return the addresses of the options --bind and --management, for the API and the probes.

    Raises CommandError for an invalid address. With IMAGECATALOG_AUTH=none, it also refuses a
    host that other machines can reach, unless IMAGECATALOG_AUTH_NONE_REMOTE allows this.
    """
    named = [options["management"]] if options["management"] else []
    api = [listeners.parse("--bind", text) for text in options["bind"] or ()]
    for address in api:
        if address.host:
            _refuse_unprotected(address.host, listeners.is_loopback(address.host))
    return api, [listeners.parse("--management", text) for text in named]


def _listen(
    options: dict[str, Any], stack: contextlib.ExitStack, former: Handover | None
) -> Sockets:
    """Open and return the sockets on which the service listens; ``stack`` closes them later.

    Call this before the other steps of the start, so that nothing has changed if it fails.
    After a reload ``former`` has sockets that are open already; otherwise it is None. Raises
    CommandError if a socket cannot be opened.
    """
    mode, kept = options["socket_mode"], former.sockets if former else {}
    addresses, of_management = _addresses(options)
    api, management = listeners.of_systemd()
    if not addresses and not api:
        addresses = [listeners.parse("--bind", DEFAULT_ADDRESS)]
    for listener in listeners.listen("--bind", addresses, mode, kept):
        stack.callback(listener.close)
        api.append(listener)
    for listener in api:
        _refuse_unprotected(listener.name, listener.is_local)
    if not management:
        management += listeners.listen("--management", of_management, mode, kept)
    for listener in management:
        stack.callback(listener.close)
    return Sockets(api, *management)


def _refuse_unprotected(name: str, is_local: bool) -> None:
    if settings.IMAGECATALOG_AUTH != "none" or settings.IMAGECATALOG_AUTH_NONE_REMOTE:
        return
    if not is_local:
        raise CommandError(
            f"With IMAGECATALOG_AUTH=none every client that can reach {name} would have every "
            "permission. Bind to 127.0.0.1, or set IMAGECATALOG_AUTH_NONE_REMOTE=on to allow "
            "this."
        )


def _refuse_missing_stores() -> None:
    if needed := unconfigured_stores.images_by_store():
        raise CommandError(
            f"Images need stores that are not configured: {unconfigured_stores.summary(needed)}. "
            "Add them to IMAGECATALOG_STORES, or serve without their data: "
            "--allow-missing-stores."
        )


def _refuse_unexpected_catalogue() -> None:
    """Raise CommandError if a new catalogue was probably not intended.

    This is so if IMAGECATALOG_NEW_CATALOGUE is ``off``, or if it is ``auto`` and a local store
    has data: the folder of the old catalogue is then probably not mounted.
    """
    if settings.IMAGECATALOG_NEW_CATALOGUE == "off":
        raise _no_catalogue()
    if settings.IMAGECATALOG_NEW_CATALOGUE == "auto":
        for store in stores.configured():
            if store.type == "file" and _has_data(store):
                raise _no_catalogue(f", but the store {store.id!r} has data")


def _no_catalogue(found: str = "") -> CommandError:
    return CommandError(
        f"There is no catalogue in {data_folder.database_name()}{found}. Mount its disk, or "
        "correct IMAGECATALOG_DATA_DIR and DATABASE_URL. IMAGECATALOG_NEW_CATALOGUE=on makes "
        "a new catalogue."
    )


def _has_data(store: stores.Store) -> bool:
    with contextlib.suppress(errors.StoreError):  # the system checks have warned of it
        return next(store.keys(), None) is not None
    return False


def _close_database() -> None:
    connections.close_all()
    if hasattr(connection, "close_pool"):
        connection.close_pool()


def _web_options(options: dict[str, Any]) -> list[str]:
    """Return the options of the command line that are passed on to gunicorn."""
    names = "workers", "threads", "certfile", "keyfile"
    given = ((name, options[name]) for name in names)
    return [f"--{name}={value}" for name, value in given if value]
