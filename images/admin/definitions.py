"""The properties from metadata definitions that the page of an image suggests."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple

from django.db.models import Prefetch
from django.http import QueryDict
from django.utils.translation import gettext as _

from images import access
from images.metadefs.namespaces import CONTENT
from images.models import Image, MetadefAssociation, MetadefNamespace

IMAGE = "OS::Glance::Image"
FIELD = "described:"  # the beginning of the names of the form's fields
MAX_OFFERS = 500  # properties on a page
WHOLE = re.compile("-?[0-9]+")
INPUTS = {"integer": ("number", "1"), "number": ("number", "any")}


class Offer(NamedTuple):
    """A property that the page of an image suggests: its name, and the schema of its definition."""

    name: str
    schema: Mapping[str, Any]

    @property
    def field(self) -> str:
        """The name of the property's field in the HTML form."""
        return FIELD + self.name

    @property
    def choices(self) -> list[str]:
        """The values from which the user can choose; empty if any value is allowed."""
        if self.schema["type"] == "boolean":
            return ["true", "false"]
        return [str(value) for value in self.schema.get("enum", [])]

    @property
    def input_type(self) -> str:
        """The ``type`` of the HTML input element: ``number`` or ``text``."""
        return INPUTS.get(self.schema["type"], ("text", ""))[0]

    @property
    def step(self) -> str:
        """The ``step`` of the HTML input element for a number; empty for other types."""
        return INPUTS.get(self.schema["type"], ("text", ""))[1]

    @property
    def range(self) -> str:
        """The range of a number as text, such as "at least 1"; empty if it is not limited."""
        low, high = self.schema.get("minimum"), self.schema.get("maximum")
        if low is not None and high is not None:
            return _("from %(low)s to %(high)s") % {"low": low, "high": high}
        if low is not None:
            return _("at least %(low)s") % {"low": low}
        return _("at most %(high)s") % {"high": high} if high is not None else ""

    def complaint(self, value: str) -> str:
        """Return a sentence on what is wrong with a value; empty if the definition allows it."""
        error = ""
        if self.choices and value not in self.choices:
            error = _("choose one of %(choices)s") % {
                "choices": ", ".join(self.choices)
            }
        elif self.input_type == "number" and not self._is_in_range(value):
            error = _("enter a number %(range)s") % {"range": self.range}
        return f"{self.name}: {error.strip()}." if error else ""

    def _is_in_range(self, value: str) -> bool:
        try:
            number = float(value)
        except ValueError:
            return False
        whole = self.schema["type"] != "integer" or WHOLE.fullmatch(value)
        low = self.schema.get("minimum", -math.inf)
        high = self.schema.get("maximum", math.inf)
        return bool(whole) and math.isfinite(number) and low <= number <= high


class Group(NamedTuple):
    """A namespace of metadata definitions, and the properties (``offers``) that it suggests."""

    title: str
    description: str
    offers: list[Offer]


def groups(image: Image) -> list[Group]:
    """Return the suggested properties for an image, grouped by namespace.

    They come from namespaces that the image's owner can see and that are associated with
    images.
    """
    # A property target means properties of another resource, such as a volume's image.
    associations = MetadefAssociation.objects.filter(
        resource_type__name=IMAGE, properties_target=""
    )
    namespaces = (
        MetadefNamespace.objects.filter(access.namespaces_of(image.owner))
        .filter(pk__in=associations.values("namespace"))
        .prefetch_related(Prefetch("associations", associations), *CONTENT[1:3])
        .order_by("display_name", "namespace")
    )
    found, left = [], MAX_OFFERS
    for namespace in namespaces:
        offers = list(_offers(namespace))[:left]
        left -= len(offers)
        title = namespace.display_name or namespace.namespace
        if offers:
            found.append(Group(title, namespace.description, offers))
    return found


def _offers(namespace: MetadefNamespace) -> Iterator[Offer]:
    prefix = namespace.associations.all()[0].prefix
    for row in namespace.properties.all():
        yield Offer(prefix + row.name, row.schema)
    for group in namespace.metadef_objects.all():
        for name, schema in group.properties.items():
            yield Offer(prefix + name, schema)


def without(found: list[Group], names: Container[str]) -> list[Group]:
    """Return the groups without the properties that have these names, and without empty groups."""
    left = [
        group._replace(offers=[it for it in group.offers if it.name not in names])
        for group in found
    ]
    return [group for group in left if group.offers]


def entered(post: QueryDict) -> dict[str, str]:
    """Return the suggested properties to which the user has given a value in the form: name -> value."""
    return {
        key.removeprefix(FIELD): str(post[key])
        for key in post
        if key.startswith(FIELD) and post[key]
    }


def complaints(image: Image, values: Mapping[str, str]) -> list[str]:
    """Return a sentence for each entered value that the definition of its property does not allow.

    ``values`` are the values that the user has entered: name of the property -> value.
    """
    if not values:
        return []
    offers = {it.name: it for group in groups(image) for it in group.offers}
    sentences = [
        offers[name].complaint(value)
        for name, value in values.items()
        if name in offers
    ]
    return [sentence for sentence in sentences if sentence]
