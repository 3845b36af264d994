"""Metadata definitions by the clients, unchanged: ``openstack``, glanceclient, openstacksdk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import glanceclient
import pytest
from glanceclient import exc
from keystoneauth1.http_basic import HTTPBasicAuth
from keystoneauth1.session import Session
from openstack import exceptions

from tests.servers import Service
from tests.wire import test_openstack_client, test_openstacksdk
from tests.wire.clients import Clients

IMAGE = "OS::Glance::Image"

# About what openstacksdk does inside.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


@pytest.fixture
def name() -> str:
    return f"OS::Test::{uuid4().hex}"


# The openstack command


def test_the_openstack_command_manages_definitions(
    clients: Clients, any_catalogue: Service, name: str
) -> None:
    openstack = test_openstack_client.client(clients, any_catalogue, any_catalogue.auth)

    def metadef(*words: str) -> Any:
        return openstack("image", "metadef", *words, "-f", "json")

    def do(*words: str) -> None:
        openstack("image", "metadef", *words)

    metadef("namespace", "create", name, "--display-name", "Lab", "--public")
    do("namespace", "set", name, "--public", "--tag", "fast", "--tag", "slow")
    do("namespace", "unset", name, "--tag", "slow")
    shown = metadef("namespace", "show", name)
    assert (shown["visibility"], shown["tags"]) == ("public", [{"name": "fast"}])

    schema = ["--title", "Bus", "--type", "string", "--schema", '{"enum": ["a"]}']
    metadef("property", "create", name, "--name", "bus", *schema)
    do("property", "set", name, "bus", "--title", "Other", "--schema", '{"enum": []}')
    assert metadef("property", "show", name, "bus")["title"] == "Other"
    assert [it["name"] for it in metadef("property", "list", name)] == ["bus"]

    metadef("object", "create", "--namespace", name, "Disk")
    do("object", "update", name, "Disk", "--name", "Drive")
    assert [it["name"] for it in metadef("object", "list", name)] == ["Drive"]

    association = ("resource", "type", "association")
    metadef(*association, "create", name, IMAGE)
    assert [it["Name"] for it in metadef(*association, "list", name)] == [IMAGE]
    found = metadef("namespace", "list", "--resource-types", IMAGE)
    assert name in [it["namespace"] for it in found]
    assert IMAGE in [it["Name"] for it in metadef("resource", "type", "list")]

    do(*association, "delete", name, IMAGE)
    do("property", "delete", name, "bus")
    do("object", "delete", name, "Drive")
    do("namespace", "delete", name)
    with pytest.raises(AssertionError, match="not found"):
        metadef("namespace", "show", name)


def test_the_openstack_command_finds_the_definitions_of_the_service(
    clients: Clients, any_catalogue: Service
) -> None:
    openstack = test_openstack_client.client(clients, any_catalogue, any_catalogue.auth)

    namespace = ("image", "metadef", "namespace")
    found = openstack(*namespace, "list", "--resource-types", IMAGE, "-f", "json")

    assert "OS::Compute::LibvirtImage" in [it["namespace"] for it in found]


# python-glanceclient


@pytest.fixture
def glance(any_catalogue: Service) -> Any:
    user, password = any_catalogue.auth
    auth = HTTPBasicAuth(username=user, password=password)
    return glanceclient.Client(
        "2", session=Session(auth=auth), endpoint_override=any_catalogue.url
    )


def test_glanceclient_manages_definitions(glance: Any, name: str) -> None:
    glance.metadefs_namespace.create(namespace=name, visibility="public")
    glance.metadefs_resource_type.associate(name, name=IMAGE, prefix="hw_")
    bus = {"title": "Bus", "type": "string", "enum": ["a", "b"]}
    glance.metadefs_property.create(name, name="bus", **bus)
    glance.metadefs_object.create(
        name, name="Disk", required=["bus"], properties={"bus": bus}
    )
    list(glance.metadefs_tag.create_multiple(name, tags=["fast", "slow"]))
    glance.metadefs_tag.create(name, "new")

    # The client sends the whole namespace back.
    changed = glance.metadefs_namespace.update(name, description="All of it.")
    assert (changed.description, changed.visibility) == ("All of it.", "public")
    glance.metadefs_property.update(name, "bus", title="Other")
    glance.metadefs_object.update(name, "Disk", name="Drive")
    glance.metadefs_tag.update(name, "new", name="old")

    shown = glance.metadefs_namespace.get(name, resource_type=IMAGE)
    assert shown.properties["hw_bus"]["title"] == "Other"
    assert shown.objects[0]["required"] == ["hw_bus"]
    assert {it["name"] for it in shown.tags} == {"fast", "slow", "old"}
    assert [it.name for it in glance.metadefs_object.list(name)] == ["Drive"]
    assert [it.name for it in glance.metadefs_property.list(name)] == ["bus"]
    assert {it.name for it in glance.metadefs_tag.list(name)} == {"fast", "slow", "old"}
    assert [it.name for it in glance.metadefs_resource_type.get(name)] == [IMAGE]

    glance.metadefs_resource_type.deassociate(name, IMAGE)
    glance.metadefs_object.delete_all(name)
    glance.metadefs_property.delete_all(name)
    glance.metadefs_tag.delete_all(name)
    glance.metadefs_namespace.delete(name)
    with pytest.raises(exc.HTTPNotFound):
        glance.metadefs_namespace.get(name)


def test_glanceclient_follows_the_pages(glance: Any) -> None:
    found = glance.metadefs_namespace.list(
        filters={"resource_types": [IMAGE]},
        page_size=2,
        sort_key="namespace",
        sort_dir="asc",
    )

    names = [it.namespace for it in found]
    assert len(names) > 4
    assert names == sorted(set(names))


# openstacksdk


@pytest.fixture
def sdk(any_catalogue: Service) -> Iterator[Any]:
    with test_openstacksdk.signed_in(any_catalogue, any_catalogue.auth) as images:
        yield images


def test_openstacksdk_manages_definitions(sdk: Any, name: str) -> None:
    sdk.create_metadef_namespace(namespace=name, visibility="public")
    sdk.update_metadef_namespace(name, display_name="Lab", visibility="public")
    sdk.create_metadef_resource_type_association(name, name=IMAGE, prefix="hw_")
    sdk.create_metadef_property(name, name="bus", title="Bus", type="string")
    sdk.create_metadef_object(name, name="Disk", description="A disk.")

    assert sdk.get_metadef_namespace(name).display_name == "Lab"
    assert sdk.get_metadef_property("bus", name).title == "Bus"
    assert [it.name for it in sdk.metadef_properties(name)] == ["bus"]
    assert [it.name for it in sdk.metadef_objects(name)] == ["Disk"]
    associations = sdk.metadef_resource_type_associations(name)
    assert [it.prefix for it in associations] == ["hw_"]
    assert IMAGE in [it.name for it in sdk.metadef_resource_types()]
    assert name in [it.namespace for it in sdk.metadef_namespaces(limit=3)]
    assert json.loads(json.dumps(sdk.get_metadef_namespace_schema().properties))

    sdk.delete_all_metadef_properties(name)
    sdk.delete_all_metadef_objects(name)
    sdk.delete_metadef_namespace(name, ignore_missing=False)
    with pytest.raises(exceptions.NotFoundException):
        sdk.get_metadef_namespace(name)
