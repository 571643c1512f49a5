"""Whether the tracking server answers at all, before the client is loaded that tries for longer."""

import ssl
import urllib.request
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from pipeline.runtime.errors import TrackingError


def require_answer(uri: str, seconds: float) -> None:
    """Return once an HTTP server answers, whatever it says; a sqlite file needs no answer.

    Raises TrackingError if it fails or keeps silent for so many seconds. The error shows no URI.
    """
    parts = urlsplit(uri)
    if parts.scheme == "sqlite":
        return
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/health"
    try:
        urllib.request.urlopen(address, timeout=seconds).close()
    except HTTPError as error:
        if error.code < 500:  # it lives, and may want a password that the client has
            return
        kind = f"HTTP {error.code}"
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, ssl.SSLError):  # the client has its own settings for certificates
            return
        kind = type(reason).__name__
    else:
        return
    rule, fix = f"the tracking server fails: {kind}", "start the server, or correct the URI"
    raise TrackingError("E_TRACKING", "track.uri", rule, fix)
