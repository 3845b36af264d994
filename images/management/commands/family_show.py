"""The command that shows a family with its versions."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from images.console import CatalogueCommand
from images.families import listing
from images.management.families import REF_HELP, find


class Command(CatalogueCommand):
    help = (
        "Show the versions of a family, newest first, a line for each: LABEL STATE BUILD-DATE "
        "IMAGE STATUS. The state is current, old (was current), candidate (never current) or "
        "withdrawn (a rollback never chooses it)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ref", metavar="FAMILY", help=REF_HELP)
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        family = find(options["ref"])
        versions = family.versions.select_related("image").newest_first()
        versions = versions.defer(*listing.LONG_OF_IMAGES)
        for version in versions.iterator():
            state = version.state(family.current_id)
            self.write_row(
                f"{version.label} {state} {version.build_date} {version.image_id} "
                f"{version.image.status}",
                family=family.name,
                label=version.label,
                state=state,
                build_date=version.build_date,
                image=version.image_id,
                name=version.image.name,
                status=version.image.status,
                os_hidden=version.image.os_hidden,
                promoted_at=version.promoted_at,
                note=version.note,
            )
        self.write_summary(
            f"Family {family.name} ({family.pk}) of project {family.owner}, for "
            f"{family.architecture}; its current image is called {family.name_of_current}."
        )
