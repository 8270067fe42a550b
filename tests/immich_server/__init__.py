"""A stand-in Immich (2.5.6, 2.7.5 or 3.1.0) for tests and for trying the sidecar without Immich.

It answers as the recordings of real servers do (`tests/immich/test_conformance.py` holds it to them): logging in, API
keys and permissions, uploading with deduplication, assets and what a change of them does to XMP sidecars, download,
thumbnails and their readiness, native edits, stacks, tags, key-value metadata, search, albums and whom they are shared
with, partners, people and faces, external libraries, the trash, workflows with their webhooks, socket.io, error bodies,
the 5 seconds after which an idle connection is closed. `python -m tests.immich_server --port 2283` runs it.

`given.py` has what tests put into it, `faults.py` what can go wrong on purpose, `snapshot.py` its state as plain data.

What it does not imitate:

* signing up, OAuth beyond refusing passwords, the elevated session that sees locked assets, shared links;
  administrator routes but for notifications (system configuration, queues, jobs, users);
* recognising anything in pictures: faces and people are put there, smart search looks for words of names,
  descriptions and tags; duplicates, memories, maps, time buckets, OCR, download archives, the sync stream;
* workflows beyond the webhook: filters and other actions are kept and not acted upon; the first generation of them
  in Immich 2 does nothing;
* reading metadata beyond what Pillow gives and the few fields of XMP and IPTC that `xmp.py` names: no MakerNotes,
  no place names, no time zone from GPS, no faces in XMP, no content identifier that joins live photos by itself; of
  RAW files only what Pillow can read of them as TIFF;
* what a picture needs to be shown is judged by its head: a file that is damaged further in has a thumbhash
  and no thumbnail; videos have a grey one and no size; edits of a RAW file are made from its embedded picture;
  faces are not moved by edits;
* scans of external libraries (`add_external(scan=True)` is what one would find), files that go offline by
  themselves;
* the race between parallel `POST /stacks` with one primary, unless `race_stacks` turns it on;
* speed, storage templates, the trash's time limit, e-mail.
"""

from .crowd import Crowd
from .records import Album, Asset, Key, Stack, User, Workflow
from .server import ImmichServer, Seen
from .snapshot import Difference, Snapshot, differences
from .upload import Upload
from .workflows import Delivery

__all__ = [
    "Album",
    "Asset",
    "Crowd",
    "Delivery",
    "Difference",
    "ImmichServer",
    "Key",
    "Seen",
    "Snapshot",
    "Stack",
    "Upload",
    "User",
    "Workflow",
    "differences",
]
