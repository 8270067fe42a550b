"""Pages, the JSON API and the socket."""
