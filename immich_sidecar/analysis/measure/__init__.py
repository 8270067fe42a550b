"""Measurements: pure functions from pixels to numbers, one file per quantity."""
