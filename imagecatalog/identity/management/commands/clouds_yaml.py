"""The command that prints client configurations."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from imagecatalog.identity import client_config
from imagecatalog.identity.client_config import Login
from imagecatalog.identity.management import arguments
from images.console import CatalogueCommand


class Command(CatalogueCommand):
    help = (
        "Print the configuration of a user's clients: clouds.yaml, an openrc for the shell, "
        "the provider block of Terraform, and a curl command. With --credential the command "
        "creates an application credential and uses it in the texts; without it the texts "
        "have a placeholder for the password. The command changes nothing else."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--credential", metavar="NAME", help="create an application credential"
        )
        arguments.add_credential_options(parser)
        parser.add_argument(
            "--url",
            default=settings.IMAGECATALOG_PUBLIC_URL or "http://127.0.0.1:9292",
            help="URL of the service for clients (default: %(default)s)",
        )
        parser.add_argument(
            "--only",
            choices=["clouds.yaml", "openrc", "Terraform", "curl"],
            help="print only this text",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        texts = client_config.texts(self._login(options))
        if options["only"]:
            self.stdout.write(texts.get(options["only"], ""))
            return
        for title, text in texts.items():
            self.stdout.write(f"# {title}\n{text}\n\n")

    def _login(self, options: dict[str, Any]) -> Login:
        url, name = _base(options["url"]), options["user"]
        if not options["credential"]:
            _refuse_unused(options)
        if options["credential"]:
            row, secret = arguments.make_credential(options["credential"], options)
            return Login(url, name, row.project.name, (row.pk, secret))
        if settings.IMAGECATALOG_AUTH != "embedded":
            return Login(url, name, options["project"] or name)
        project = arguments.project(arguments.user(name), options["project"])
        return Login(url, name, project.name)


def _base(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise CommandError(
            f"{url!r} is not a URL of the service. Use for example http://127.0.0.1:9292 or "
            "https://images.example.org."
        )
    return url.rstrip("/").removesuffix("/v2")


def _refuse_unused(options: dict[str, Any]) -> None:
    for name in ("role", "action", "expires"):
        if options[name]:
            raise CommandError(
                f"--{name} works only for a new application credential. Add "
                "--credential NAME."
            )
