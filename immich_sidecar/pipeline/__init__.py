"""What happens to a photo, in which order, how often, and where."""
