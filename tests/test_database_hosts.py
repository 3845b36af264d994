"""A database on one of several hosts, of which one does not answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, connection, connections

from imagecatalog.postgresql import hosts

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


@pytest.fixture
def silent_port() -> Iterator[str]:
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


def connected(host: str, port: str) -> Any:
    """A new connection to one of these hosts, which is not of the pool."""
    wrapper = connections.create_connection(DEFAULT_DB_ALIAS)
    options = wrapper.settings_dict["OPTIONS"]
    own = {name: value for name, value in options.items() if name != "pool"}
    changed = {"HOST": host, "PORT": port, "OPTIONS": own}
    wrapper.settings_dict = wrapper.settings_dict | changed
    wrapper.ensure_connection()
    return wrapper


def test_the_host_that_answered_last_is_asked_first(silent_port: str) -> None:
    works = connection.settings_dict["HOST"]
    both = f"127.0.0.1,{works}", f"{silent_port},"
    connected(*both).close()
    began = time.monotonic()

    again = connected(*both)

    seconds = time.monotonic() - began
    assert again.connection.info.host == works
    again.close()
    assert seconds < 1


def test_a_connection_to_the_only_host_is_asked_for_as_it_is() -> None:
    only = {"host": "one", "port": "5432", "dbname": "catalogue"}

    assert hosts.last_one_first(only) == only


def test_all_hosts_stay_in_the_list_with_their_ports(silent_port: str) -> None:
    works = connection.settings_dict["HOST"]
    connected(f"{works},127.0.0.1", f",{silent_port}").close()

    found = hosts.last_one_first({"host": f"one,{works},two", "port": "1,,3"})

    assert found == {"host": f"{works},one,two", "port": ",1,3"}
