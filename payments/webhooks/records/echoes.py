"""What an answer says of what was sent: a receiver may show the headers that it was sent.

Many do when they fail (a framework's page for developers), and the values of an endpoint's own
headers are credentials. So they are taken out of an answer before it is kept.
"""

import html
import json
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import unquote

from infra.billing.contract.endpoints import MASKED

# Of a value, each word as long as this is hidden by itself, too: `Bearer`, and then the token. What
# is shorter opens no door, and would be found everywhere.
WORD_CHARS_MIN = 6


def spellings(values: Iterable[str]) -> Collection[str]:
    """How these may stand in an answer, the longest first."""
    words = {
        word for value in values for word in (value, *value.split()) if len(word) >= WORD_CHARS_MIN
    }
    spelt = {written for word in words for written in _as_written(word)}
    return sorted(spelt, key=lambda one: (-len(one), one))


def of_credentials(credentials: str | None) -> Iterable[str]:
    """What of a URL's `user:password` is a secret, as it stands there and as it is."""
    _, _, password = (credentials or "").partition(":")
    return {password, unquote(password)}


def without(said: str, hidden: Collection[str]) -> str:
    """The text without these spellings, nor the beginning of one at its end, where it was cut."""
    for one in hidden:
        said = said.replace(one, MASKED)
    cut_at = min((_cut_at(said, one) for one in hidden), default=len(said))
    return said if cut_at == len(said) else said[:cut_at] + MASKED


def headers_without(headers: Mapping[str, str], hidden: Collection[str]) -> dict[str, str]:
    """Likewise the headers of an answer."""
    return {name: without(value, hidden) for name, value in headers.items()}


def _cut_at(said: str, one: str) -> int:
    """Where at the end of the text a beginning of this one stands."""
    at = said.find(one[:WORD_CHARS_MIN], max(0, len(said) - len(one)))
    while at >= 0 and not one.startswith(said[at:]):
        at = said.find(one[:WORD_CHARS_MIN], at + 1)
    return len(said) if at < 0 else at


def _as_written(word: str) -> Iterable[str]:
    in_json = json.dumps(word)[1:-1]
    yield from (word, in_json, in_json.replace("/", "\\/"))
    yield from (html.escape(word), html.escape(word, quote=False), html.escape(in_json))
