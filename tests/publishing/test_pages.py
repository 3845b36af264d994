"""The pages of what is published: for people, and listings for programs that copy folders."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from images.publishing import pages
from images.publishing.pages import Entry
from images.publishing.snapshot import PublishedFamily
from images.publishing.usage import Guide, Site, guides
from tests import published_family
from tests.published_family import CURRENT, OLD

SITE = Site("https://images.example.org/pub", is_signed=True)
NEW = replace(CURRENT, properties={"hw_disk_bus": "scsi", "build_host": "builder-7"})
FAMILY = replace(published_family.FAMILY, versions=(NEW, OLD))
HOSTILE = '<script>alert(1)</script>"\u202e\x07'


class Links(HTMLParser):
    """The tags of a page, and where its links lead."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        if tag == "a":
            self.hrefs.append(dict(attrs)["href"] or "")

    def entries(self) -> list[str]:
        """As rclone reads a listing: relative links to names in the folder itself."""
        return sorted(
            it for it in self.hrefs if re.fullmatch(r"[^/:#?.][^/:#?]*/?", it)
        )


def all_pages(family: PublishedFamily = FAMILY) -> dict[str, bytes]:
    entries = [Entry("v1/"), Entry("index.json", 812, FAMILY.updated_at)]
    return {
        "top": pages.top_page(SITE, [pages.card(family)], entries),
        "families": pages.families_page(SITE, [pages.card(family)]),
        "family": pages.family_page(SITE, family),
        "version": pages.version_page(SITE, family, OLD, entries),
        "current": pages.version_page(SITE, family, NEW, entries, folder="current"),
        "folder": pages.folder_page(SITE, "streams/", entries),
    }


def texts(found: list[Guide], name: str) -> str:
    return "\n".join(
        block.text for guide in found if guide.name == name for block in guide.blocks
    )


def guide(name: str, site: Site = SITE, **changes: Any) -> str:
    """The commands of one program, for a family with some other values."""
    family = replace(FAMILY, **changes)
    assert family.current
    return texts(guides(site, family, family.current), name)


def test_the_page_of_a_family_has_one_link_for_each_folder_in_it() -> None:
    links = Links(pages.family_page(SITE, FAMILY))

    assert links.entries() == ["20260131/", "20260228/", "current/"]


def test_the_list_of_families_has_one_link_for_each_family() -> None:
    other = replace(FAMILY, name="rocky-10")
    page = pages.families_page(SITE, [pages.card(other), pages.card(FAMILY)])

    assert Links(page).entries() == ["debian-13/", "rocky-10/"]


@pytest.mark.parametrize("name", ["version", "current", "folder"])
def test_another_folder_has_one_link_for_each_entry(name: str) -> None:
    assert Links(all_pages()[name]).entries() == ["index.json", "v1/"]


def test_the_top_folder_has_the_style_sheet_for_mirrors_only() -> None:
    entries = pages.top_entries([Entry("index.json", 812)])
    page = pages.top_page(SITE, [], entries)

    assert Links(page).entries() == ["images/", "index.json", "style.css"]
    assert (
        "style.css" not in page.decode().partition("<footer>")[0].partition("<main")[2]
    )


def test_a_family_without_a_title_has_its_name_once_above_its_text() -> None:
    name = b"<span>debian-13</span>"

    assert name in pages.family_page(SITE, FAMILY)
    assert name not in pages.family_page(SITE, replace(FAMILY, title=""))


def test_without_a_description_the_current_version_takes_the_whole_width() -> None:
    wide = b'class="hero whole"'

    assert wide not in pages.family_page(SITE, FAMILY)
    assert wide in pages.family_page(SITE, replace(FAMILY, description=""))


def test_the_fingerprint_of_the_key_is_beside_the_key() -> None:
    key = "0123456789ABCDEF0123456789ABCDEF01234567"

    page = pages.family_page(replace(SITE, key=key), FAMILY).decode()

    assert f"<code>{key}</code>" in page
    assert "Fingerprint" not in pages.family_page(SITE, FAMILY).decode()


def test_only_the_homepage_is_a_link_to_a_host() -> None:
    links = {name: Links(page).hrefs for name, page in all_pages().items()}

    hosts = {href for found in links.values() for href in found if ":" in href}
    assert hosts == {"https://www.debian.org/"}
    assert not any(href.startswith("/") for found in links.values() for href in found)


@pytest.mark.parametrize("name", all_pages())
def test_a_page_obeys_the_content_security_policy(name: str) -> None:
    links = Links(all_pages()[name])

    assert not links.tags.keys() & {"script", "style", "form", "iframe", "img"}
    assert "style" not in links.attributes
    assert not any(it.startswith("on") for it in links.attributes)


@pytest.mark.parametrize("name", all_pages())
def test_texts_of_users_are_only_text(name: str) -> None:
    family = replace(
        FAMILY, title=HOSTILE, description=HOSTILE, image_name=HOSTILE, homepage=""
    )

    page = all_pages(family)[name].decode()

    assert "<script" not in page
    assert "\u202e" not in page
    assert "\x07" not in page


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https:alert(1)", "http://[", "ftp://host/", ""]
)
def test_only_a_web_page_is_linked_as_homepage(url: str) -> None:
    page = pages.family_page(SITE, replace(FAMILY, homepage=url)).decode()

    assert "Homepage" not in page
    assert "alert(1)" not in page


def test_a_family_without_a_current_version_lists_the_others() -> None:
    page = pages.family_page(SITE, replace(FAMILY, versions=(OLD,)))

    assert Links(page).entries() == ["20260131/"]
    assert b"no current version" in page
    assert b"sha256sum" not in page


def test_the_name_of_an_image_is_one_word_in_the_shell() -> None:
    name = "it's $(reboot); `x`"

    words = shlex.split(guide("openstack", image_name=name).replace("\\\n", ""))

    assert words.count(name) == 2  # boot by name, and create


def test_the_name_of_an_image_is_a_literal_in_terraform() -> None:
    text = guide("terraform", image_name='${file("/etc/passwd")}\n')

    literal = re.search(r"name +?= (\".*\")", text)
    assert literal
    assert json.loads(literal[1]) == '$${file("/etc/passwd")}\\n'


def test_a_copy_in_another_cloud_gets_the_properties_of_the_machine() -> None:
    text = guide("openstack")

    assert "--property hw_disk_bus=scsi" in text
    assert "build_host" not in text


@pytest.mark.parametrize(
    ("url", "combined", "is_shown"),
    [
        ("https://host/pub", "d" * 64, True),
        ("http://host/pub", "d" * 64, False),  # they refuse URLs without TLS
        ("https://host/pub", "", False),  # no index has the image for them
    ],
)
def test_incus_is_named_only_if_it_can_use_the_image(
    url: str, combined: str, is_shown: bool
) -> None:
    version = replace(NEW, combined_sha256=combined)

    text = guide("incus", Site(url), versions=(version,))

    assert bool(text) == is_shown


def test_a_machine_that_cannot_boot_securely_is_started_without() -> None:
    version = replace(NEW, properties={"os_secure_boot": "disabled"})

    assert "secureboot" not in guide("incus")
    assert "-c security.secureboot=false" in guide("incus", versions=(version,))


def test_signatures_are_verified_only_if_there_is_a_key() -> None:
    assert "gpgv" in guide("download")
    assert "gpgv" not in guide("download", Site(SITE.url))
    assert "--no-check-signature" in guide("virt-builder", Site(SITE.url))


def test_commands_sign_in_where_that_is_needed() -> None:
    site = Site("https://host/pub", needs_sign_in=True)

    assert "curl -u USER -fLO https://host/pub/images/" in guide("download", site)
    assert "https://USER:PASSWORD@host/pub " in guide("incus", site)
    assert "image_source_username" in guide("terraform", site)


def test_an_unknown_operating_system_is_detected() -> None:
    template = {"osinfo_id": "x; reboot"}

    assert "--osinfo detect=on,require=off" in guide("libvirt", template=template)


def test_an_installer_boots_as_a_cdrom() -> None:
    version = replace(NEW, disk_format="iso", extension="iso")

    assert "--cdrom debian-13-20260228.iso" in guide("libvirt", versions=(version,))
    assert guide("virt-builder", versions=(version,)) == ""


def test_an_archive_is_imported_as_one_and_not_booted() -> None:
    version = replace(NEW, disk_format="vmdk", extension="ova")

    assert "--container-format ova" in guide("openstack", versions=(version,))
    assert guide("libvirt", versions=(version,)) == ""
