"""Which headers of an answer are kept, and what of them."""

import pytest

from payments.webhooks.records.kept_headers import HIDDEN, KEPT_MAX, VALUE_MAX, in_head, kept
from tests.support.every import every


@every(
    "name",
    [
        b"Set-Cookie", b"authorization", b"X-Api-Key", b"x-auth-token", b"WWW-Authenticate",
        b"X-CSRF", b"x-session", b"Webhook-Signature", b"x-amz-security-token",
    ],
)  # fmt: skip
def test_what_may_open_a_door_is_hidden(name: bytes) -> None:
    assert kept([(name, b"s3cr3t"), (name, b"another")]) == {name.decode().lower(): HIDDEN}


@every(
    "name, value, told",
    [
        (b"Content-Type", b"text/plain", "text/plain"),
        (b"retry-after", b"7", "7"),
        (b"location", b"https://me:pw@id.example/login?ticket=1#x", "https://id.example/login"),
        (b"link", b"</a?t=1>; rel=next", "</a>; rel=next"),
        (b"x-from", b"see https://me:pw@shop.example/?a=1", "see https://shop.example/?a=1"),
        (b"x", "für\x00 mich".encode(), "für mich"),
        (b"x", b"\xff", "\ufffd"),
        (b"x", b"y" * 5_000, "y" * VALUE_MAX),
    ],
)
def test_the_rest_is_told_within_bounds(name: bytes, value: bytes, told: str) -> None:
    assert kept([(name, value)]) == {name.decode().lower(): told}


def test_one_name_is_one_header_however_often_it_comes() -> None:
    assert kept([(b"Via", b"a"), (b"via", b"b")]) == {"via": "a, b"}
    assert len(kept([(b"via", b"a" * 200)] * 1_000)["via"]) == VALUE_MAX


def test_a_thousand_headers_are_not_kept() -> None:
    many = [(b"x-%d" % n, b"y") for n in range(1_000)]
    assert list(kept(many)) == [f"x-{n}" for n in range(KEPT_MAX)]


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_head_that_no_parser_takes_has_headers_all_the_same(end: bytes) -> None:
    head = end.join([b"HTTP/1.1 200 OK", b"nonsense", b"A: 1", b"b:2 : 3", b"", b""])
    assert in_head(head) == [(b"A", b"1"), (b"b", b"2 : 3")]
