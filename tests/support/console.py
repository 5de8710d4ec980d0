"""Somebody at the console, as a browser without a script is: cookies, forms, redirects."""

import html
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.waiting import patience_s
from tests.support.web import NO_TLS, Web, a_key

SAME_SITE = {"sec-fetch-site": "same-origin"}


class Visitor(httpx.Client):
    """A browser at the console; paths are below /console."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(
            base_url=f"{url}/console",
            headers=SAME_SITE,
            timeout=patience_s(),
            trust_env=False,
            verify=NO_TLS,
            **options,
        )

    def sign_in(self, key: str, name: str = "Ann Example") -> httpx.Response:
        """Send the form of the first page."""
        return self.post("/login", data={"key": key, "name": name})

    def form(self, path: str) -> dict[str, str]:
        """The hidden fields of the form on a page."""
        shown = self.get(path)
        assert shown.status_code == 200, shown.text
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', shown.text)
        return {name: html.unescape(value) for name, value in found}

    def act(self, path: str, why: str = "as agreed", **fields: str) -> httpx.Response:
        """Open the page of an action, fill its form in, and send it."""
        return self.post(path, data={**self.form(path), "why": why, **fields})


@contextmanager
def visitor(door: Web, producer: str | None = None, **options: Any) -> Iterator[Visitor]:
    """Somebody who has signed in with a key of their own, which may do what `options` say."""
    options.setdefault("scopes", ["operator"])
    name = producer or f"p-{uuid.uuid4().hex[:8]}"
    with Visitor(door.url) as made:
        answer = made.sign_in(a_key(door.engine, name, **options))
        assert answer.status_code == 303, answer.text
        yield made
