"""The namespaces that come with the service, with definitions of common image properties."""

from __future__ import annotations

from pathlib import Path

from django.db import transaction

from images.metadefs import files
from images.models import ShippedNamespace

FOLDER = Path(__file__).with_name("definitions")


@transaction.atomic
def load() -> None:
    """Load the namespaces that were never loaded before.

    A namespace that exists stays as it is, and one that was removed does not come back.
    """
    loaded = set(ShippedNamespace.objects.values_list("namespace", flat=True))
    for path in files.find(FOLDER):
        tree = files.read(path)
        name = tree.fields["namespace"]
        if name not in loaded:
            files.load(tree)
            ShippedNamespace.objects.create(namespace=name)
