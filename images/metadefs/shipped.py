"""The namespaces that are installed with the service: definitions of common image properties."""

from __future__ import annotations

from pathlib import Path

from django.db import transaction

from images.metadefs import files
from images.models import ShippedNamespace

FOLDER = Path(__file__).with_name("definitions")


@transaction.atomic
def load() -> None:
    """Load the namespaces that are installed with the service, unless they were loaded before.

    A namespace that exists is not changed, and one that an operator has deleted is not
    restored.
    """
    loaded = set(ShippedNamespace.objects.values_list("namespace", flat=True))
    for path in files.find(FOLDER):
        tree = files.read(path)
        name = tree.fields["namespace"]
        if name not in loaded:
            files.load(tree)
            ShippedNamespace.objects.create(namespace=name)
