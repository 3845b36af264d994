"""Texts to copy: command lines and configurations that download an image or upload its data."""

from __future__ import annotations

from imagecatalog.identity.client_config import signed_in_curl
from images.models import READABLE_STATUSES, Image

USER = "USER"  # a placeholder for the name of the user


def for_image(image: Image, base_url: str) -> list[dict[str, str]]:
    """Return the title and text of each snippet that downloads the image or uploads its data.

    ``base_url`` is the URL of the service, without a trailing slash. The list is empty for an
    image that can neither be downloaded nor uploaded.
    """
    if image.status in READABLE_STATUSES:
        return _download(image, base_url)
    return _upload(image, base_url) if image.status == "queued" else []


def _file(image: Image) -> str:
    kind = image.disk_format or "img"
    return f"{image.pk}.{kind}"


def _download(image: Image, base_url: str) -> list[dict[str, str]]:
    curl = f"{signed_in_curl(USER)} -o {_file(image)} \\\n    {base_url}/v2/images/{image.pk}/file"
    terraform = (
        'resource "openstack_compute_instance_v2" "server" {\n'
        f'  name        = "server"\n  image_id    = "{image.pk}"\n'
        '  flavor_name = "m1.small"\n}'
    )
    return [
        {
            "title": "openstack",
            "text": f"openstack image save --file {_file(image)} {image.pk}",
        },
        {"title": "curl", "text": curl},
        {"title": "Terraform", "text": terraform},
    ]


def _upload(image: Image, base_url: str) -> list[dict[str, str]]:
    curl = (
        f"{signed_in_curl(USER)} -T FILE -H 'Content-Type: application/octet-stream' \\\n"
        f"    {base_url}/v2/images/{image.pk}/file"
    )
    return [{"title": "curl", "text": curl}]
