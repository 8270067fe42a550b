"""What is in a photo: measurements of its pixels, without any model."""
