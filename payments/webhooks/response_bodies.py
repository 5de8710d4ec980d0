"""A receiver's body as text for people: decompressed within limits, or described."""

import zlib

TEXT_BYTES_MAX = 16 * 1024
# zlib's header or gzip's, whichever is there; and deflate without a header, which many servers
# send.
_GZIP_OR_ZLIB, _RAW = 32 + zlib.MAX_WBITS, -zlib.MAX_WBITS


def in_words(body: bytes, *, encoding: str | None) -> str | None:
    """The text of a body with this Content-Encoding; None for an empty one.

    We accept no encoding (RFC 9110, 12.5.3), but some receivers, or proxies before them, encode
    anyway. gzip and deflate are decompressed up to `TEXT_BYTES_MAX`, which defuses compression
    bombs; for anything else the text says its size.
    """
    if not body:
        return None
    coding = (encoding or "").strip().lower()
    if coding in ("", "identity"):
        return readable(body)
    unpacked = _unpacked(body) if coding in ("gzip", "x-gzip", "deflate") else None
    if unpacked is not None:
        return readable(unpacked) or None
    name = coding if coding.isascii() and coding.isalnum() and len(coding) <= 16 else "unknown"
    return f"({len(body)} bytes with the content encoding {name}, not shown)"


def readable(body: bytes) -> str:
    """A receiver's bytes as text that PostgreSQL can store: without NUL."""
    return body.decode("utf-8", "replace").replace("\x00", "")


def _unpacked(body: bytes) -> bytes | None:
    """What can be decompressed of it; None if nothing can."""
    for window in (_GZIP_OR_ZLIB, _RAW):
        packed = zlib.decompressobj(window)
        try:
            unpacked = packed.decompress(body, TEXT_BYTES_MAX)
        except zlib.error:
            continue
        if unpacked or packed.eof:
            return unpacked
    return None
