"""Secrets that a receiver repeats in its answer: a receiver may show the headers that it got.

Many do when they fail (a framework's debug page), and the values of an endpoint's own headers are
credentials. So they are removed from an answer before it is kept.
"""

import html
import json
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import unquote

from infra.billing.contract.endpoint_checks import MASKED

# Each word of a value that is at least this long is hidden by itself, too: `Bearer`, and then the
# token. A shorter word is no useful secret, and would match everywhere.
WORD_CHARS_MIN = 6


def spellings(values: Iterable[str]) -> Collection[str]:
    """The forms in which these may appear in an answer, the longest first."""
    words = {
        word for value in values for word in (value, *value.split()) if len(word) >= WORD_CHARS_MIN
    }
    spelt = {written for word in words for written in _as_written(word)}
    return sorted(spelt, key=lambda one: (-len(one), one))


def of_credentials(credentials: str | None) -> Iterable[str]:
    """The secret parts of a URL's `user:password`, percent-encoded and decoded."""
    _, _, password = (credentials or "").partition(":")
    return {password, unquote(password)}


def without(said: str, hidden: Collection[str]) -> str:
    """The text without these spellings, and without the beginning of one at its end, where it was
    cut."""
    for one in hidden:
        said = said.replace(one, MASKED)
    cut_at = min((_cut_at(said, one) for one in hidden), default=len(said))
    return said if cut_at == len(said) else said[:cut_at] + MASKED


def headers_without(headers: Mapping[str, str], hidden: Collection[str]) -> dict[str, str]:
    """The same for the headers of an answer."""
    return {name: without(value, hidden) for name, value in headers.items()}


def _cut_at(said: str, one: str) -> int:
    """Where the beginning of this one starts at the end of the text."""
    at = said.find(one[:WORD_CHARS_MIN], max(0, len(said) - len(one)))
    while at >= 0 and not one.startswith(said[at:]):
        at = said.find(one[:WORD_CHARS_MIN], at + 1)
    return len(said) if at < 0 else at


def _as_written(word: str) -> Iterable[str]:
    in_json = json.dumps(word)[1:-1]
    yield from (word, in_json, in_json.replace("/", "\\/"))
    yield from (html.escape(word), html.escape(word, quote=False), html.escape(in_json))
