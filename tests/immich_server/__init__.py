"""A stand-in Immich 3.1.0 for tests and for trying the sidecar without Immich.

It answers as the recordings of a real 3.1.0 do (`tests/immich/test_conformance.py` holds it to them): API keys
and permissions, uploading with deduplication, assets, download, thumbnails and their readiness, stacks,
key-value metadata, search, albums, trash, error bodies, the 5 seconds after which an idle connection is closed.
`python -m tests.immich_server --port 2283` runs it.

What it does not imitate:

* logging in, OAuth, cookies, sessions beyond a token that a test put there; the elevated session that sees
  locked assets; administrator routes (system configuration, queues, jobs, users, notifications);
* tags (always an empty list; a search by tag finds nothing), people and faces, memories, maps, time buckets,
  duplicates, smart search, native edits (`is_edited` can be set, but nothing is rendered), shared links,
  partners, shared albums, libraries (assets of one can be put there), download archives;
* socket.io, workflows, webhooks, plugins, the sync stream;
* other versions than 3.1.0 (bodies of errors, visibility and dates are those of 3.1.0);
* reading metadata beyond what Pillow gives: no XMP, no keywords, no MakerNotes, no place names, no time zone
  from GPS; of RAW files only what Pillow can read of them as TIFF. XMP sidecars are accepted and dropped;
* what a picture needs to be shown is judged by its head: a file that is damaged further in has a thumbhash
  and no thumbnail; videos have a grey one and no size;
* the race between parallel `POST /stacks` with one primary (order it with `answer_next(..., 500, ...)`), and
  the race between a first extraction and a change made before it;
* speed, storage templates, the trash's time limit.
"""

from .records import Album, Asset, Key, Stack, User
from .server import ImmichServer, Seen
from .upload import Upload

__all__ = ["Album", "Asset", "ImmichServer", "Key", "Seen", "Stack", "Upload", "User"]
