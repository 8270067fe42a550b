"""Where a sign-in leads: paths of ours, carried through forms and other pages."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

#: Longest path that is carried.
LONGEST = 2000


def encoded_path(path: str) -> str:
    """A path as it can stand in a form or an address; empty where there is none."""
    return urlsafe_b64encode(path.encode("utf-8", "replace")).decode() if 0 < len(path) <= LONGEST else ""


def next_path(encoded: str, base: str) -> str:
    """Where a sign-in leads: the page that was asked for, or the inbox where that is no path of ours."""
    try:
        path = urlsafe_b64decode(encoded.encode()).decode()
    except ValueError:
        path = ""
    ours = path.startswith(f"{base}/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if ours else f"{base}/"
