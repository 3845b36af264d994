"""A namespace of metadata definitions with something of everything."""

from __future__ import annotations

PATH = "/v2/metadefs/namespaces"
SIZE = {"title": "Size", "type": "integer", "minimum": 1, "maximum": 8}
TREE = {
    "namespace": "OS::Test::Machine",
    "display_name": "Machine",
    "description": "What the machine is like.",
    "visibility": "public",
    "resource_type_associations": [
        {"name": "OS::Glance::Image", "prefix": "hw_"},
        {"name": "OS::Cinder::Volume", "properties_target": "image"},
    ],
    "properties": {"size": SIZE},
    "objects": [
        {
            "name": "Disk",
            "description": "A disk.",
            "required": ["bus"],
            "properties": {"bus": {"title": "Bus", "type": "string"}},
        }
    ],
    "tags": [{"name": "fast"}, {"name": "slow"}],
}
