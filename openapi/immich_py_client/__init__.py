"""A client library for accessing Immich, as the sidecar uses it"""

from .client import AuthenticatedClient, Client

__all__ = (
    "AuthenticatedClient",
    "Client",
)
