"""The namespaces that are installed with the service: definitions of common image properties."""

from __future__ import annotations

from pathlib import Path

from django.db import transaction

from images.metadefs import files
from images.metadefs.documents import Tree
from images.models import ShippedNamespace

FOLDER = Path(__file__).with_name("definitions")


def missing() -> list[Tree]:
    """Return the namespaces installed with the service that were never loaded into the database."""
    loaded = set(ShippedNamespace.objects.values_list("namespace", flat=True))
    trees = map(files.read, files.find(FOLDER))
    return [tree for tree in trees if tree.fields["namespace"] not in loaded]


@transaction.atomic
def load() -> None:
    """Load the namespaces that are installed with the service, unless they were loaded before.

    A namespace that exists is not changed, and a namespace that an operator has deleted is not
    restored.
    """
    for tree in missing():
        files.load(tree)
        ShippedNamespace.objects.create(namespace=tree.fields["namespace"])
