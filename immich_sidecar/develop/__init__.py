"""How pixels are made: an original and a recipe become an image. No database, no network."""
