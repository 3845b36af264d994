"""Heat's resource OS::Glance::WebImage: an image that a stack brings in from a URL."""

from __future__ import annotations

import glanceclient
from heat.common import config, context
from heat.engine import rsrc_defn, stack, template
from heat.engine.resources.openstack.glance.image import GlanceWebImage
from signing_in import WEB, done, endpoint, session, wait

NAME = "heat-web-image"
TEMPLATE = {"heat_template_version": "2018-08-31", "resources": {}}
PROPERTIES = {
    "name": NAME,
    "disk_format": "qcow2",
    "container_format": "bare",
    "location": WEB,
    "extra_properties": {"os_distro": "debian"},
    "tags": ["lab"],
}

config.cfg.CONF([], project="heat", default_config_files=[])
client = glanceclient.Client("2", session=session(), endpoint_override=endpoint())
# The engine makes the client from a trust, for which it needs its database.
GlanceWebImage.client = lambda self, version=None: client
owner = stack.Stack(context.RequestContext(), NAME, template.Template(TEMPLATE))
definition = rsrc_defn.ResourceDefinition("image", "OS::Glance::WebImage", PROPERTIES)
web = GlanceWebImage("image", definition, owner)
active = web.handle_create()
image = web.resource_id
wait(lambda: web.check_create_complete(active))
shown = client.images.get(image)
assert (shown.status, shown.os_distro, shown.tags) == ("active", "debian", ["lab"])
done("create from a URL")

changes = {"tags": ["a"], "extra_properties": {"os_version": "12"}}
web.handle_update(None, {}, dict(changes))
shown = client.images.get(image)
assert (shown.tags, shown.os_version) == (["a"], "12"), shown
assert "os_distro" not in shown, shown
done("update tags and properties")

web.handle_update({}, {}, {"active": False})
assert client.images.get(image).status == "deactivated"
web.check_update_complete(True)
assert client.images.get(image).status == "active"
done("deactivate and reactivate")

client.images.delete(image)
