"""Noticing new photos in folders."""
