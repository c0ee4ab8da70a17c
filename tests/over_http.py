"""What a worker of this machine answers over HTTP."""

from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

ANSWER_TIMEOUT_S = 60.0
_DIRECTLY = build_opener(ProxyHandler({}))


def get(port: int, path: str) -> tuple[int, str]:
    """Return status and text; 0 and what happened where there is no answer."""
    try:
        with _DIRECTLY.open(f"http://127.0.0.1:{port}{path}", timeout=ANSWER_TIMEOUT_S) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except URLError as error:
        return 0, str(error)
