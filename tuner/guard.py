"""Who may look at a page that a study serves on this machine, where other accounts can reach the port, too."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

READING = ("GET", "HEAD")
REFUSED = "Open the address that the study printed: it holds the token without which nothing is shown.\n"

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Guard:
    """Lets whoever has the token read, and nobody write.

    The token comes in the address once and then in a cookie. A page of another site could have a browser ask, under
    that site's own name (DNS rebinding), so the Host is looked at, too.

    Args:
        application: what is guarded.
        hosts: under which it may be asked for, with the port.
    """

    def __init__(self, application: Application, hosts: Iterable[str]) -> None:
        self.token = secrets.token_urlsafe(32)
        self._application, self._hosts = application, frozenset(hosts)
        self._cookie = f"study-{secrets.token_hex(4)}"  # cookies do not go by port

    def __call__(self, environment: dict[str, Any], start: Any) -> Iterable[bytes]:
        """Answer one request."""
        if environment.get("HTTP_HOST") not in self._hosts:
            return _say(start, "403 Forbidden", REFUSED)
        if environment["REQUEST_METHOD"] not in READING:
            return _say(start, "405 Method Not Allowed", "This page only shows the study.\n")
        (given, *_) = parse_qs(environment.get("QUERY_STRING", "")).get("token", [""])
        if self._is_token(given):
            cookie = f"{self._cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
            return _say(start, "303 See Other", "", ("Location", environment["PATH_INFO"]), ("Set-Cookie", cookie))
        kept = SimpleCookie(environment.get("HTTP_COOKIE", "")).get(self._cookie)
        if kept is None or not self._is_token(kept.value):
            return _say(start, "403 Forbidden", REFUSED)
        return self._application(environment, start)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())


def _say(start: Any, status: str, text: str, *headers: tuple[str, str]) -> list[bytes]:
    body = text.encode()
    start(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *headers])
    return [body]
