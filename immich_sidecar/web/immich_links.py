"""Addresses of pages in Immich, for links that a browser opens there."""

import json
from urllib.parse import quote


def photo_in_immich(immich_link: str, asset_id: str) -> str:
    """Address of a photo in Immich."""
    return f"{immich_link}/photos/{quote(asset_id, safe='')}"


def tag_in_immich(immich_link: str, tag: str) -> str:
    """Address of a tag's page in Immich, such as `Sidecar/Review`."""
    return f"{immich_link}/tags?path={quote(tag, safe='')}"


def search_in_immich(immich_link: str, file_name: str) -> str:
    """Address of a search in Immich for a file name."""
    return f"{immich_link}/search?query={quote(json.dumps({'originalFileName': file_name}), safe='')}"
