"""What to do to a photo: pure data and pure functions, without pixels."""
