"""Removes card data from unreadable messages before they are kept.

Such a message is kept for a person to look at, and may contain anything, in any form. So it is read
in the ways a person could read it (as text, with the escapes of JSON and of URLs undone, decoded
from base64 and hex), and in each reading card numbers, tracks and verification codes are replaced
by asterisks in place (PCI DSS 3.3.1, 3.5.1). What can't be read like this, or still holds card data
afterwards, is not kept.
"""

import base64
import hashlib
import json
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from infra.billing.contract.card_data import card_numbers, holds_card_data, readable

NOT_KEPT: Final = "(not kept: it may hold card data)"
RAW_MAX = 1 << 20  # A megabyte is enough to diagnose a broken message.
# How much is searched: a bit more, for card numbers that are cut at the end.
READ_MAX = RAW_MAX + (1 << 10)

# Levels of encoding: an item of Redis in hex, with a body in base64, with one more inside.
_DEPTH_MAX = 3
# How gzip, zlib, bzip2, xz and zstd begin. Compressed data can't be searched: a few bytes may
# unpack to gigabytes.
_PACKED = (b"\x1f\x8b", b"x\x01", b"x^", b"x\x9c", b"x\xda", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")
_PACKED_MIN = 48  # bytes; anything shorter may be a random id that begins like this
# Bytes that no text has, in any encoding that reads NUL and ASCII as themselves.
_CONTROLS = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]")
# Base64 of either alphabet, broken into lines, or with the escaped slashes of PHP's JSON; or hex.
_ENCODED = re.compile(r"(?:[A-Za-z0-9+/_-]|\\/|\\n|\\r|[\r\n]){16,}={0,2}")
_LINES = re.compile(r"\\n|\\r|[\r\n=]")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
# After a card number: its expiry, and perhaps its code.
_BEHIND = re.compile(r"(?:[^0-9A-Za-z]{1,3}[0-9]{2,4}){1,3}(?![0-9])")
# Tracks (ISO/IEC 7813) to their end, or to their maximum length; without spaces.
_TRACKS = re.compile(r"[Bb][0-9]{12,19}\^[^?\"\\\x00-\x1f]{0,60}|(?<![0-9])[0-9]{12,}[=D][0-9]{7,}")
# Verification codes and PINs, after the names that forms and processors' APIs give them.
_CODES = re.compile(
    r"(?:cvc|cvv|cvn|(?<![a-z])(?:csc|cav2?|pin)(?![a-z])|(?:card|security)[ _-]?code"
    r"|verification[ _-]?(?:code|value)|pin[ _-]?block)[a-z0-9 _-]{0,10}[^a-z0-9]{1,8}"
    r"([0-9]{3,12}|[0-9a-f]{16})(?![a-z0-9])",
    re.IGNORECASE,
)
_STANDARD = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class Masked:
    """A message as it may be kept."""

    raw: bytes
    headers: dict[str, Any] | None
    is_changed: bool
    # The hash of the whole message if it is kept unchanged, else of what is kept: the hash of the
    # original would give away the masked digits within a second of guessing.
    sha256: str


def without_card_data(raw: bytes, headers: Mapping[str, Any] | None) -> Masked:
    """The first RAW_MAX bytes of a message, and its headers, with card data masked."""
    kept = masked(raw[:READ_MAX])[:RAW_MAX]
    masked_headers = masked_object(headers) if headers else None
    is_changed = kept != raw[:RAW_MAX] or masked_headers != (dict(headers) if headers else None)
    return Masked(kept, masked_headers, is_changed, hashlib.sha256(kept).hexdigest())


def masked(raw: bytes) -> bytes:
    """The message with card data masked; unchanged if there is none."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        if _CONTROLS.search(raw):
            return NOT_KEPT.encode()
    return _masked_bytes(raw, _DEPTH_MAX)


def masked_text(text: str) -> str:
    """The text with card data masked; unchanged if there is none."""
    return _masked_text(text, _DEPTH_MAX)


def masked_object(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with card data masked in names, in values and across them."""
    text = json.dumps(fields, ensure_ascii=False)
    without = masked_text(text)
    if without == text:
        return dict(fields)
    try:
        kept = json.loads(without)
    except ValueError:  # a number without quotes was masked
        return {"…": NOT_KEPT}
    return kept if isinstance(kept, dict) else {"…": NOT_KEPT}


def _masked_bytes(raw: bytes, depth: int) -> bytes:
    if raw.startswith(_PACKED) and len(raw) >= _PACKED_MIN:
        return NOT_KEPT.encode()
    text = raw.decode("utf-8", "surrogateescape")
    without = _masked_text(text, depth)
    return raw if without == text else without.encode("utf-8", "surrogateescape")


def _masked_text(text: str, depth: int) -> str:
    if depth > 0:
        text = _ENCODED.sub(partial(_masked_code, depth=depth), text)
    readings = [read for signs, read in _READINGS if not signs or any(s in text for s in signs)]
    without, before = text, None
    # What stands beside a masked number may look like a code now.
    while without != before:
        before = without
        for read in readings:
            without = _masked_in(read(without))
    if without != text and any(holds_card_data(read(without).plain) for read in readings):
        return NOT_KEPT
    return without


def _masked_code(found: re.Match[str], depth: int) -> str:
    """Base64 or hex with card data masked inside, encoded as before."""
    code = _LINES.sub("", found[0].replace("\\/", "/"))
    if _HEX.fullmatch(code):
        raw = bytes.fromhex(code)
        if (without := _masked_bytes(raw, depth - 1)) != raw:
            return without.hex()
    code = code.translate(_STANDARD)
    whole = code if len(code) % 4 != 1 else code[:-1]  # cut off at a whole number of bytes
    raw = base64.b64decode(whole + "=" * (-len(whole) % 4))
    without = _masked_bytes(raw, depth - 1)
    return found[0] if without == raw else base64.b64encode(without).decode()


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text after decoding, and for each character its place in the original."""

    text: str
    plain: str
    begins: Sequence[int]
    ends: Sequence[int]


_Way: TypeAlias = Callable[[str], _Reading]


def _read(text: str, *, pattern: re.Pattern[str], meaning: Callable[[str], str]) -> _Reading:
    """A text in which matches of the pattern are replaced by what they mean."""
    if not pattern.search(text):
        return _Reading(text, text, range(len(text)), range(1, len(text) + 1))
    plain: list[str] = []
    begins, ends, at = array("l"), array("l"), 0
    for sign in pattern.finditer(text):
        meant = meaning(sign[0])
        plain += text[at : sign.start()], meant
        begins.extend(range(at, sign.start()))
        ends.extend(range(at + 1, sign.start() + 1))
        begins.extend([sign.start()] * len(meant))
        ends.extend([sign.end()] * len(meant))
        at = sign.end()
    begins.extend(range(at, len(text)))
    ends.extend(range(at + 1, len(text) + 1))
    return _Reading(text, "".join([*plain, text[at:]]), begins, ends)


def _meaning_in_json(sign: str) -> str:
    if len(sign) == len("\\u0034"):
        return readable(json.loads(f'"{sign}"'))
    return (" " if sign[1] in "bfnrt" else sign[1]) if sign[0] == "\\" else readable(sign)


def _meaning_in_url(sign: str) -> str:
    return chr(int(sign[1:], 16)) if sign[0] == "%" and len(sign) == 3 else readable(sign)


# Surrogates stand for bytes that are not UTF-8: they mean only themselves.
_FOREIGN = r"[^\x00-\x7f\ud800-\udfff]"


def _way(signs: str, pattern: str, meaning: Callable[[str], str]) -> tuple[str, _Way]:
    """A way to read a text, with the characters of which it must contain one to read
    differently."""
    return signs, partial(_read, pattern=re.compile(pattern + _FOREIGN), meaning=meaning)


_READINGS = (
    _way("", "", readable),
    _way("\\", r"\\u[0-9a-fA-F]{4}|\\.|", _meaning_in_json),
    _way("%", "%[0-9a-fA-F]{2}|", _meaning_in_url),
    # Digits of UTF-16, and in consecutive texts.
    _way("\0\"'", "[\0\"']|", lambda sign: "" if sign in "\0\"'" else readable(sign)),
)


def _masked_in(reading: _Reading) -> str:
    """The text with an asterisk for each letter and digit of card data."""
    signs = sorted(
        {
            (reading.begins[at], reading.ends[at])
            for place in _places(reading.plain)
            for at in place
            if reading.plain[at].isalnum()
        }
    )
    kept: list[str] = []
    behind = 0
    for begin, end in signs:
        kept += reading.text[behind:begin], "*"
        behind = end
    return "".join([*kept, reading.text[behind:]])


def _places(plain: str) -> Iterator[Sequence[int]]:
    """The places of card data."""
    for begin, end in card_numbers(plain):
        behind = _BEHIND.match(plain, end)
        yield range(begin, behind.end() if behind else end)
    solid = plain.replace(" ", "")
    if tracks := [*_TRACKS.finditer(solid)]:
        places = [at for at, char in enumerate(plain) if char != " "]
        for track in tracks:
            yield places[track.start() : track.end()]
    for code in _CODES.finditer(plain):
        yield range(*code.span(1))
