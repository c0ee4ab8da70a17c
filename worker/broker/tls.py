"""TLS to RabbitMQ: a certificate of the right name and of a known authority, or no connection."""

import ssl

from yarl import URL

from worker.domain.errors import LinkLostError

_OPTIONS = ("cafile", "certfile", "keyfile")
_NO_VERIFY = "no_verify_ssl"
_TELLING = (ssl.SSLError, ConnectionResetError, EOFError)
_UNREADABLE = "cannot be read, or holds no certificate of that kind"


def tls_context(address: URL) -> ssl.SSLContext | None:
    """Return what secures a connection to the address; None where it is not amqps://.

    The files that the URL's query names are read each time, so that a certificate may be renewed while the worker runs:
    cafile (instead of the system's authorities), certfile and keyfile (where the broker asks for a certificate).
    Raises LinkLostError.
    """
    ca, certificate, key = (address.query.get(name) for name in _OPTIONS)
    if address.scheme != "amqps":
        if ca or certificate or key:
            raise LinkLostError(f"TLS: {', '.join(_OPTIONS)} are for amqps://, and the URL says {address.scheme}://")
        return None
    if address.query.get(_NO_VERIFY, "0") != "0":
        raise LinkLostError(f"TLS: {_NO_VERIFY} would let anyone pass for RabbitMQ. Name its authority with cafile")
    if key and not certificate:
        raise LinkLostError("TLS: keyfile is of no use without certfile")
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise LinkLostError(f"TLS: cafile {ca}: {_why(error)}") from error
    if certificate:
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except (OSError, ValueError) as error:
            files = f"certfile {certificate}" + (f" with keyfile {key}" if key else "")
            raise LinkLostError(f"TLS: {files}: {_why(error)}") from error
    return context


def handshake_error(error: BaseException) -> str | None:
    """Return what of TLS has led to the error, in words; None where nothing has. To be asked of amqps:// alone."""
    seen: list[BaseException] = []
    while not isinstance(error, _TELLING):
        seen.append(error)
        before = error.__cause__ or error.__context__
        if before is None or before in seen:
            return None
        error = before
    match error:
        case ssl.SSLCertVerificationError():
            return f"TLS: RabbitMQ's certificate is not to be trusted: {error.verify_message.rstrip('.')}"
        case ssl.SSLError():
            said = _why(error)
            if "alert" in said and ("certificate" in said or "unknown ca" in said):
                return f"TLS: RabbitMQ refuses this client's certificate: {said}"
            return f"TLS: {said}"
        case _:
            # Its reason may be overtaken by the end of the connection.
            return "TLS: RabbitMQ ended the connection at once, as it does where it refuses this client's certificate"


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or _UNREADABLE).replace("_", " ").lower()
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)


def _no_password() -> str:
    """Keep the library from asking for it on the terminal."""
    raise ValueError("the key is encrypted: only one without a passphrase can be used")
