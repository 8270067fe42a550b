"""From an analysis to suggestions, and from suggestions to a recipe."""
