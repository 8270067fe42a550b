"""The models that look at photos, one file each. Heavy libraries are imported when a model is loaded, not before."""
