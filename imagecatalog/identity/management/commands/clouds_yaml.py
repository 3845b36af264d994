from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from imagecatalog.identity import client_config
from imagecatalog.identity.client_config import Login
from imagecatalog.identity.management import arguments


class Command(BaseCommand):
    help = (
        "Print what a user's clients need: clouds.yaml, an openrc for the shell, the "
        "provider block of Terraform, and a line for curl. With --credential a new "
        "application credential is made and put in; else the password is left to be "
        "filled in. Nothing else but that credential is changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--credential", metavar="NAME", help="make an application credential"
        )
        arguments.add_credential_options(parser)
        parser.add_argument(
            "--url",
            default=settings.IMAGECATALOG_PUBLIC_URL or "http://127.0.0.1:9292",
            help="where clients reach the service (default: %(default)s)",
        )
        parser.add_argument(
            "--only", choices=["clouds.yaml", "openrc", "Terraform", "curl"]
        )

    def handle(self, *args: Any, **options: Any) -> None:
        made = client_config.texts(self._login(options))
        if options["only"]:
            self.stdout.write(made.get(options["only"], ""))
            return
        for title, text in made.items():
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
            f"--url is {url!r}; it must be like http://127.0.0.1:9292 or "
            "https://images.example.org."
        )
    return url.rstrip("/").removesuffix("/v2")


def _refuse_unused(options: dict[str, Any]) -> None:
    for name in ("role", "action", "expires"):
        if options[name]:
            raise CommandError(
                f"--{name} is of an application credential. Name one to be made, with "
                "--credential NAME."
            )
