"""Messages in quarantine keep no card data, however it is written or packed."""

import base64
import bz2
import gzip
import hashlib
import json
import lzma
import pickle
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infra.billing.contract.card_data import holds_card_data
from payments.intake import masking
from payments.intake.masking import NOT_KEPT, RAW_MAX, masked, masked_object, without_card_data
from payments.intake.quarantine import GIVEN_UP, KeptRequest, as_kept, request_in
from tests.support.every import every

PAN = "4242424242424242"
TRACK = f"%B{PAN}^DOE/JANE^28121010000123?"
ITEM = {"card": "4242 4242 4242 4242", "cvc": "123", "amount": 1999}
BODY = json.dumps([[], ITEM, {}])

# As it came, and as it is kept.
TEXTS = {
    "in groups, with its code": (
        '{"card":"4242 4242 4242 4242","cvc":"123"',
        '{"card":"**** **** **** ****","cvc":"***"',
    ),
    "a number": ('{"card": 4242424242424242}', '{"card": ****************}'),
    "with expiry and code behind it": (f"x{PAN} 12/28 123 x", f"x{'*' * 16} **/** *** x"),
    "a form": (f"card={PAN}&cvv2=1234&x=1", f"card={'*' * 16}&cvv2=****&x=1"),
    "a form, escaped": (
        "card=4242%204242%204242%204242&x=%20",
        "card=****%20****%20****%20****&x=%20",
    ),
    "JSON, escaped": (
        r'["\u0034242\u00a04242 4242\n4242", "\u00e9"]',
        r'["****\u00a0**** ****\n****", "\u00e9"]',
    ),
    "XML": (
        "<cvc>123</cvc><securityCode>0123</securityCode>",
        "<cvc>***</cvc><securityCode>****</securityCode>",
    ),
    "digits of another script": ("４２４２ 4242-٤٢٤٢ 4242", "**** ****-**** ****"),
    "what can't be seen": (
        "4242\u200b\u200b\u200b\u200b424242424242",
        "****\u200b\u200b\u200b\u200b************",
    ),
    "a track": (f"'{TRACK}' x", "'%*****************^***/****^**************?' x"),
    "a track, spaced": ("4242 4242 4242 4242=2812 101", "**** **** **** ****=**** ***"),
    "a list": ("[4242, 4242, 4242, 4242]", "[****, ****, ****, ****]"),
}
NOTHING = [
    '{"amount": 1999, "card": "42 42 42 42"}',
    '{"id": "2024-11-29", "key": "order-1001", "at": 1764412345678901}',
    '{"pin_code_id": "x", "spinning": 1234, "cvc_check": "pass", "pinned": 12345}',
    json.dumps({"id": "550e8400-e29b-41d4-a716-446655440000", "traceparent": f"00-{'a7' * 16}-01"}),
    "DE89 3704 0044 0532 0130 00",
    "",
]


@pytest.mark.parametrize(("came", "kept"), TEXTS.values(), ids=TEXTS)
def test_card_data_becomes_asterisks_where_it_stands(came: str, kept: str) -> None:
    assert masked(came.encode()).decode() == kept


@pytest.mark.parametrize("text", NOTHING)
def test_what_is_none_stays_byte_for_byte(text: str) -> None:
    assert masked(text.encode()) == text.encode()
    assert not without_card_data(text.encode(), {"x": text, "n": float("nan")}).is_changed


def test_a_body_in_base64_is_looked_into_and_stays_base64() -> None:
    letter = {"body": base64.b64encode(BODY.encode()).decode(), "headers": {"id": "x"}}
    kept = json.loads(masked(json.dumps(letter).encode()))
    body = BODY.replace("4242", "****").replace("123", "***")
    assert base64.b64decode(kept["body"]).decode() == body
    assert kept["headers"] == {"id": "x"}


@pytest.mark.parametrize(
    "written",
    [
        lambda code: code.replace("+", "-").replace("/", "_").rstrip("="),
        lambda code: code.replace("/", "\\/"),
        lambda code: "\\n".join(code[at : at + 76] for at in range(0, len(code), 76)),
        lambda code: "\r\n".join(code[at : at + 76] for at in range(0, len(code), 76)),
    ],
    ids=["of URLs", "of PHP", "in lines, as JSON", "in lines"],
)
def test_base64_of_any_client_is_looked_into(written) -> None:
    body = json.dumps([{"name": "öäü>>>???" * 9, "card": PAN}], ensure_ascii=False)
    kept = masked(
        b'{"body": "' + written(base64.b64encode(body.encode()).decode()).encode() + b'"}'
    )
    assert base64.b64decode(json.loads(kept)["body"]).decode() == body.replace(PAN, "*" * 16)


def test_an_item_in_hex_with_a_body_in_base64_is_looked_into() -> None:
    item = b'{"body": "' + base64.b64encode(BODY.encode()) + b'", '
    inner = base64.b64decode(bytes.fromhex(masked(item.hex().encode()).decode())[10:-3])
    assert b"4242" not in inner
    assert b'"amount": 1999' in inner


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le", "latin-1"])
def test_a_text_of_another_encoding_is_looked_into(encoding: str) -> None:
    text = f'{{"name": "é", "card": "{PAN}", "cvc": "123"}}'
    kept = masked(text.encode(encoding)).decode(encoding)
    assert kept == text.replace(PAN, "*" * 16).replace("123", "***")


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(BODY.encode()),
        zlib.compress(BODY.encode()),
        bz2.compress(BODY.encode()),
        lzma.compress(BODY.encode()),
        pickle.dumps([[], {"card": int(PAN)}, {}]),
    ],
    ids=["gzip", "zlib", "bzip2", "xz", "pickle"],
)
def test_what_can_not_be_read_is_not_kept(packed: bytes) -> None:
    assert masked(packed) == NOT_KEPT.encode()


def test_nor_is_it_in_base64() -> None:
    kept = masked(b'{"body": "' + base64.b64encode(gzip.compress(BODY.encode())) + b'"}')
    assert base64.b64decode(json.loads(kept)["body"]) == NOT_KEPT.encode()


def test_a_card_number_that_is_cut_at_the_end_of_what_is_kept_is_masked() -> None:
    without = without_card_data(b"x" * (RAW_MAX - 15) + PAN.encode() + b"y" * 100, None)
    assert (len(without.raw), without.raw[-16:]) == (RAW_MAX, b"x" + b"*" * 15)


def test_the_hash_of_a_masked_message_helps_nobody_to_guess_it() -> None:
    came = f'{{"card": "{PAN}"'.encode()
    without = without_card_data(came, None)
    assert without.is_changed
    assert without.sha256 == hashlib.sha256(without.raw).hexdigest()
    harmless = b"y" * 5
    assert without_card_data(harmless, None).sha256 == hashlib.sha256(harmless).hexdigest()


def test_headers_keep_none_in_names_values_or_across_them() -> None:
    headers = {
        "id": PAN,
        PAN: "x",
        "argsrepr": f"({PAN!r}, )",
        "in": {"cvc": "123", "list": ["4242"] * 4},
    }
    assert masked_object(headers) == {
        "id": "*" * 16,
        "*" * 16: "x",
        "argsrepr": f"('{'*' * 16}', )",
        "in": {"cvc": "***", "list": ["****"] * 4},
    }
    assert masked_object({"card": int(PAN)}) == {"…": NOT_KEPT}
    assert masked_object({"id": "x", "retries": 0}) == {"id": "x", "retries": 0}


PIECES = st.sampled_from(
    [
        *(PAN, "4242", "123", "=28121010", "\\u0034", "%34", "cvc"),
        *(" ", "-", '"', "\\", "é", "٤", "\u200b", ":", "^", "B", "\xff", "\0"),
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
@example(f"cvc 4242 {PAN}")
def test_whatever_is_kept_holds_none_and_is_kept_again_as_it_is(text: str) -> None:
    kept = masked(text.encode())
    assert not holds_card_data(kept.decode())
    assert masked(kept) == kept


@given(st.binary(max_size=200) | st.binary(max_size=80).map(base64.b64encode))
def test_any_bytes_can_be_looked_through(raw: bytes) -> None:
    assert masked(masking.masked(raw)) == masked(raw)


@every("task", ["charge.create", "charge.capture", "charge.cancel", "refund.create"])
def test_every_request_is_kept_so_that_it_can_be_tried_again(task: str) -> None:
    asked = KeptRequest(f"billing.{task}", "t-1", {"charge_id": "ch_1", "amount": 5})
    kept = as_kept(asked.written(), None, reason=GIVEN_UP)
    assert request_in(kept.raw, kept.headers, reason=GIVEN_UP) == asked
