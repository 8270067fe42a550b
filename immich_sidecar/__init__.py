"""A darkroom that stands beside Immich: it develops new photos and never touches an original."""

__version__ = "0.1.0"
