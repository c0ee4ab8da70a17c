"""Why no connection to Postgres came about, in words, and never in those of the URL, which the driver may quote."""

import ssl

import asyncpg

_OF_TLS = ("root certificate", "`sslmode`", "`sslnegotiation`", "TLS")
"""How the driver's words about TLS settings begin, or what they hold: they quote no login."""


def unreachable(error: BaseException) -> str:
    """Return the reason for what the driver raised on connecting: one line."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not to be trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {_said(error)}"
        case asyncpg.ClientConfigurationError() if any(words in _said(error) for words in _OF_TLS):
            return _said(error)
        case asyncpg.ConnectionDoesNotExistError():
            return "it closed the connection that was being opened: it may refuse the certificate of sslcert"
        case ValueError():
            return "its URL makes no sense"
        case FileNotFoundError() | IsADirectoryError() | NotADirectoryError() | PermissionError():
            return f"a file that its URL names (sslrootcert, sslcert, sslkey, a socket) cannot be read: {_said(error)}"
        case _:
            return _said(error)


def _said(error: BaseException) -> str:
    first = str(error.args[0]) if isinstance(error, asyncpg.ClientConfigurationError) else str(error)
    return " ".join(first.split()) or type(error).__name__
