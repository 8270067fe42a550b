"""The whole service against a stand-in Immich."""
