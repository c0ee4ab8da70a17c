"""How the search for servers ends when it does not end well."""


class Unavailable(Exception):
    """Servers cannot be had in this way; the text is one line that says why and what to do."""
