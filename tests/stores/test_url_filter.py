"""The URL filter: what the operator's inner network keeps to itself stays there."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from images.errors import Invalid
from images.stores import url_filter
from images.stores.url_filter import check


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Name -> addresses, instead of the machine's resolver; addresses still mean themselves."""
    table: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        if host not in table:
            return real(host, port, flags=socket.AI_NUMERICHOST, **options)
        return [e for ip in table[host] for e in real(ip, port, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return table


def test_a_public_address_may_be_fetched() -> None:
    checked = check("http://1.1.1.1/images/a.qcow2?x=1&y=%20#part")

    assert checked.addresses == ("1.1.1.1",)
    assert checked.target == "/images/a.qcow2?x=1&y=%20"
    assert checked.url == "http://1.1.1.1/images/a.qcow2?x=1&y=%20"


def test_case_trailing_dot_and_foreign_letters_are_normalised(
    names: dict[str, list[str]],
) -> None:
    names["xn--bcher-kva.example"] = ["1.1.1.1", "2606:4700::1111"]

    checked = check("HTTPS://BÜCHER.example.")

    assert (checked.host, checked.port) == ("xn--bcher-kva.example", 443)
    assert checked.addresses == ("1.1.1.1", "2606:4700::1111")
    assert checked.url == "https://xn--bcher-kva.example/"


def test_foreign_letters_of_the_path_are_quoted_once() -> None:
    assert check("http://1.1.1.1/ä%20b?q=ü").target == "/%C3%A4%20b?q=%C3%BC"


def test_the_port_is_named_where_it_is_not_the_schemes_own() -> None:
    assert check("http://1.1.1.1:443/").netloc == "1.1.1.1:443"
    assert check("https://[2606:4700::1111]:443/").netloc == "[2606:4700::1111]"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host/path",
        "//1.1.1.1/x",
        "file:///etc/passwd",
        "ftp://1.1.1.1/x",
        "gopher://1.1.1.1/x",
        "http://",
        "http:///x",
        "http://user@1.1.1.1/",
        "http://user:pass@1.1.1.1/",
        "http://@1.1.1.1/",
        "http://1.1.1.1:port/",
        "http://1.1.1.1:99999/",
        "http://1.1.1.1\\@127.0.0.1/",
        "http:\\\\127.0.0.1/",
        "http://1.1.1.1/a b",
        "http://1.1.1.1/a\r\nHost: x",
        "http://1.1.1.1/\t",
        " http://1.1.1.1/",
        "http://1.1.1.1/\x00",
        "http://exa\u200bmple.com/",
        "http://127.0.0.%31/",
        "http://exam%70le.com/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://[v1.x]/",
        "http://[1.1.1.1]/",
        "http://good.example[::1]/",
        "http://[::1]good.example/",
        "http://a..b/",
        "http://-a.example/",
        "http://" + "a" * 64 + ".example/",
        "http://exa$mple.com/",
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        check(url)

    assert str(caught.value) == url_filter.SYNTAX


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "127.0.0.01",
        "1.1.1.1.1",
        "256.1.1.1",
        "0",
        "0x",
        "example.0x7f",
        "127。1",
        "①②⑦.1",
    ],
)
def test_other_spellings_of_addresses_are_refused(host: str) -> None:
    with pytest.raises(Invalid):
        check(f"http://{host}/")


INNER = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::7f00:1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", INNER)
def test_inner_addresses_are_refused_in_every_form(
    names: dict[str, list[str]], address: str
) -> None:
    names["evil.example"] = [address]
    names["mixed.example"] = ["1.1.1.1", address]
    literal = f"[{address}]" if ":" in address else address

    for host in (literal, "evil.example", "mixed.example"):
        with pytest.raises(Invalid) as caught:
            check(f"http://{host}/")
        assert str(caught.value) == url_filter.REFUSED


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101"]
)
def test_outer_addresses_are_allowed(names: dict[str, list[str]], address: str) -> None:
    names["good.example"] = [address]

    assert len(check("http://good.example/").addresses) == 1


def test_a_mapped_address_is_pinned_as_what_it_means(
    names: dict[str, list[str]],
) -> None:
    names["good.example"] = ["::ffff:1.1.1.1"]

    assert check("http://good.example/").addresses == ("1.1.1.1",)


def test_unknown_names_and_closed_ports_are_refused_in_the_same_words(
    names: dict[str, list[str]],
) -> None:
    for url in ("http://no.such.name.invalid/", "http://1.1.1.1:22/"):
        with pytest.raises(Invalid) as caught:
            check(url)
        assert str(caught.value) == url_filter.REFUSED


@pytest.mark.parametrize(
    "allowed",
    ["inner.example", "INNER.example", "10.0.0.5", "10.0.0.0/8", "10.9.9.9/8"],
)
def test_the_operator_can_allow_a_name_an_address_or_a_network(
    names: dict[str, list[str]], settings: Any, allowed: str
) -> None:
    names["inner.example"] = ["10.0.0.5"]
    settings.IMAGECATALOG_URL_ALLOWED_HOSTS = (allowed,)

    assert check("http://inner.example/").addresses == ("10.0.0.5",)


def test_an_allowed_network_does_not_cover_the_other_addresses_of_a_name(
    names: dict[str, list[str]], settings: Any
) -> None:
    names["inner.example"] = ["10.0.0.5", "127.0.0.1"]
    settings.IMAGECATALOG_URL_ALLOWED_HOSTS = ("10.0.0.0/8",)

    with pytest.raises(Invalid):
        check("http://inner.example/")


def test_an_allowed_name_does_not_cover_names_below_it(
    names: dict[str, list[str]], settings: Any
) -> None:
    names["a.inner.example"] = ["10.0.0.5"]
    settings.IMAGECATALOG_URL_ALLOWED_HOSTS = ("inner.example",)

    with pytest.raises(Invalid):
        check("http://a.inner.example/")


def test_the_operator_decides_which_ports_are_open(settings: Any) -> None:
    settings.IMAGECATALOG_URL_ALLOWED_PORTS = (8080,)

    assert check("http://1.1.1.1:8080/").port == 8080
    with pytest.raises(Invalid):
        check("http://1.1.1.1/")
