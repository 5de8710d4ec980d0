"""Files of requests: what is read of them, what is refused and why, and what is written down."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cli.importing.line_checks import check
from cli.importing.lines import LINE_BYTES_MAX, FileRefused
from cli.importing.refused import RefusedLines
from cli.importing.source import Checked, Source
from cli.importing.tally import PRICES_MAX, Sold, Tally
from cli.input_values import reader
from infra.billing.contract.requests.charge_request import ChargeRequest
from infra.billing.contract.requests.refund_request import RefundRequest
from tests.support.every import every

HEADER = "amount,currency,idempotency_key,customer_id,metadata.cart\n"
BOTH_WAYS = "amount,currency,price_id,quantity\n"
# Ids and fingerprints of a charge and a refund of a file, as they were before there were prices.
CHARGED = ("ch_tejsq5ac52lcizrywxoxakax5l3a5zck", "mcbg4qzetweiadmz7gn2rh7a3t5blj7g")
REFUNDED = ("re_mrv5who5vswcx7lacwnwb5ws4cz6w643", "vfpqsnntvlkqvxjjcoxtsmvozxurhf53")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def a_file(folder: Path, text: str | bytes, name: str = "charges.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def lines_of(path: Path, kind: Any = "charge") -> list[Checked]:
    with Source(path, kind, producer="shop") as source:
        return list(source.read())


def _is_sound(line: Checked) -> bool:
    return line.request is not None and line.request.against is None


def checked(path: Path, kind: Any = "charge", **options: Any) -> tuple[Tally, str]:
    """The tally, and the text of the file of refused lines."""
    with (
        Source(path, kind, producer="shop") as source,
        RefusedLines(source, path.with_name("refused" + path.suffix)) as refused,
    ):
        tally = check(source, refused, **options)
        kept = refused.keep()
    return tally, kept.read_bytes().decode(errors="surrogateescape") if kept else ""


def reasons(path: Path, kind: Any = "charge") -> list[tuple[int, str]]:
    return [(number, refusal.because) for number, refusal in checked(path, kind)[0].shown]


# --- CSV ---


def test_columns_are_the_fields_of_a_charge(folder: Path) -> None:
    (one, other) = lines_of(a_file(folder, HEADER + "1999,usd,k1,cus_1,7\n5,JPY,,,\n"))
    assert one.request is not None
    assert one.request.sent() == {
        "amount": 1999,
        "currency": "USD",
        "idempotency_key": "k1",
        "producer": "shop",
        "customer_id": "cus_1",
        "metadata": {"cart": "7"},
    }
    assert other.request is not None
    assert other.request.idempotency_key == other.key == "import:charges.csv:3"
    assert other.request.metadata == {}


@every(
    "text",
    [
        "\ufeffamount,currency\n5,USD\n",
        "amount,currency\r\n5,USD\r\n",
        "amount,currency\n5,USD",
        '"amount","currency"\n"5","USD"\n',
        " amount , currency\n5,USD\n",
        "amount,currency\n\n5,USD\n\n,\n",
        "amount,currency,description\n5,USD,\n",
    ],
)
def test_files_as_spreadsheets_write_them_are_read(folder: Path, text: str) -> None:
    (line,) = lines_of(a_file(folder, text))
    assert line.request is not None
    assert (line.request.amount, line.request.producer) == (5, "shop")


def test_line_breaks_in_quotes_are_part_of_a_cell_and_lines_are_counted_as_in_an_editor(
    folder: Path,
) -> None:
    text = 'amount,currency,reference\n5,USD,"a, ""b"""\n5,USD,"a\nb"\n5,USD,c\n'
    one, two, three = lines_of(a_file(folder, text))
    assert getattr(one.request, "reference", None) == 'a, "b"'
    assert two.refusal is not None
    assert "control characters" in two.refusal.because
    assert [one.line.number, two.line.number, three.line.number] == [2, 3, 5]


@every(
    "row, because",
    [
        ("19.99,USD", "for USD 19.99 send amount=1999"),
        ("1999.00,USD", "send amount=1999 if you mean USD 19.99, or amount=199900 if you mean"),
        ("0,USD", "at least 1"),
        ("ten,USD", "whole number of minor units"),
        ("1e3,USD", "whole number of minor units"),
        ("٥,USD", "whole number of minor units"),
        ("9" * 5000 + ",USD", "at most 999999999999999"),
        ("5,XXX", "ISO 4217"),
        (",USD", "amount is required"),
        ("5", "has 1 cells, and the header has 2"),
        ("5,USD,", "has 3 cells, and the header has 2"),
        ('5,"USD', "a quote is opened and not closed"),
        ('5,"USD"x', "not CSV"),
        ("5,US\rD", "a carriage return stands alone"),
        ("5,U\x00D", "three-letter"),
    ],
)
def test_a_wrong_row_is_told_with_its_reason_and_the_next_one_is_read(
    folder: Path, row: str, because: str
) -> None:
    path = a_file(folder, f"amount,currency\n{row}\n")
    ((number, said),) = reasons(path)
    assert number == 2
    assert because in said
    if "opened" not in because:
        path = a_file(folder, f"amount,currency\n{row}\n5,USD\n")
        assert [_is_sound(line) for line in lines_of(path)] == [False, True]


def test_what_is_not_utf_8_is_told_and_written_as_it_was(folder: Path) -> None:
    path = a_file(
        folder, "amount,currency,description\n5,USD,caf\xe9\n5,USD,café\n".encode("latin-1")
    )
    tally, written = checked(path)
    assert {refusal.because for _, refusal in tally.shown} == {"not UTF-8; save the file as UTF-8"}
    assert written.encode(errors="surrogateescape").count("café".encode("latin-1")) == 2


@every(
    "text, because",
    [
        ("", "the file is empty"),
        ("\n", "the first line is empty"),
        ("amount,currency,price\n", "the column 'price' is not known; columns may be"),
        ("Amount,currency\n", "did you mean 'amount'?"),
        ("amount;currency\n", "separated by commas"),
        ("amount,currency,amount\n", "the column 'amount' is there twice"),
        ("amount,currency,\n", "the column number 3 is not known"),
        ("amount\n", "there is no column 'currency'"),
        ("currency\n", "there is no column 'amount'"),
        ("price_id\n", "there is no column 'quantity'"),
        ("quantity,reference\n", "there is no column 'price_id'"),
        ("price_id\n", "must be amount and currency, or price_id and quantity"),
        ("price_id,amount\n", "there is no column 'currency' or 'quantity'"),
        ("metadata.x\n", "must be amount and currency, or price_id and quantity"),
        ("price_id,quantity,restock\n", "the column 'restock' is not known"),
        ("Quantity,price_id\n", "did you mean 'quantity'?"),
        ("amount,currency,metadata\n", "metadata.NAME"),
        ("amount,currency,4000 0000 0000 0002,jane@example.com\n", "is not known"),
        (b"PK\x03\x04\x14\x00", "the first line is no header"),
        ("amount,currency\n5,USD\n".encode("utf-16"), "not UTF-8"),
        (b"\x00" * 100, "the first line is no header"),
        ('"amount,currency\n5,USD\n', "a quote is opened and not closed"),
    ],
)
def test_a_file_that_can_not_be_told_apart_is_refused_as_a_whole(
    folder: Path, text: str | bytes, because: str
) -> None:
    with pytest.raises(FileRefused) as refused:
        lines_of(a_file(folder, text))
    assert because in str(refused.value)
    assert "jane" not in str(refused.value)


def test_refunds_without_their_charges_are_refused_as_a_whole(folder: Path) -> None:
    for header in ("amount\n", "restock,restock_quantity\n", "metadata.x\n"):
        with pytest.raises(FileRefused, match=r"^there is no column 'charge_id'$"):
            lines_of(a_file(folder, header), "refund")


def test_a_line_without_end_is_cut_and_the_next_one_is_read(folder: Path) -> None:
    long = "x" * (3 * LINE_BYTES_MAX)
    for name, text, rest in (
        ("a.csv", f"amount,currency\n5,{long}\n", "5,USD\n"),
        ("a.jsonl", f'{{"amount": 5, "currency": "{long}"}}\n', '{"amount":5,"currency":"USD"}\n'),
    ):
        one, other = lines_of(a_file(folder, text + rest, name))
        assert one.refusal is not None
        assert len(one.line.source[0]) <= LINE_BYTES_MAX + 10
        assert other.request is not None


# --- By price ---


def test_a_charge_may_name_a_price_and_a_quantity(folder: Path) -> None:
    (line,) = lines_of(a_file(folder, "price_id,quantity,reference\ntea,007,R1\n"))
    assert line.request is not None
    assert line.request.asked() == {
        "price_id": "tea",
        "quantity": 7,
        "reference": "R1",
        "metadata": {},
    }


def test_a_file_may_have_both_ways_and_each_row_goes_one(folder: Path) -> None:
    other_way = "unless you send price_id and quantity in place of amount and currency"
    rows = "5,USD,,\n,,tea,3\n5,USD,tea,3\n5,,,\n,,tea,\n,,,3\n5,USD,,3\n"
    tally, _ = checked(a_file(folder, BOTH_WAYS + rows))
    assert tally.valid == 2
    assert [(number, refusal.param, refusal.because) for number, refusal in tally.shown] == [
        (
            4,
            "currency",
            "currency is what the price says; send price_id and quantity, or amount and currency",
        ),
        (5, "currency", f"currency is required, {other_way}"),
        (6, "quantity", "quantity is required with price_id: how many units of it"),
        (7, "quantity", "quantity counts the units of a price; send price_id, too"),
        (8, "quantity", "quantity counts the units of a price; send price_id, too"),
    ]


@every(
    "quantity, because",
    [
        ("two", "quantity must be an integer"),
        ("2.0", "quantity must be an integer"),
        ("1e3", "quantity must be an integer"),
        ("٥", "quantity must be an integer"),
        (" 5", "quantity must be an integer"),
        ("0", "must be 1 or more"),
        ("-1", "must be 1 or more"),
        ("9" * 5000, "must be at most 999999999999999"),
    ],
)
def test_a_quantity_is_a_whole_number(folder: Path, quantity: str, because: str) -> None:
    ((_, said),) = reasons(a_file(folder, f"price_id,quantity\ntea,{quantity}\n"))
    assert because in said
    ((_, of_json),) = reasons(
        a_file(folder, f'{{"price_id":"tea","quantity":"{quantity}"}}', "c.jsonl")
    )
    assert of_json == "quantity must be an integer"


def test_charges_by_price_are_read_from_json_lines_likewise(folder: Path) -> None:
    text = (
        '{"price_id":"tea","quantity":3}\n{"price_id":"tea","quantity":3.0}\n'
        '{"price_id":"tea","quantity":true}\n{"price_id":"tea","quantity":3,"amount":5}\n'
        '{"amount":5,"currency":"USD","price_id":null,"quantity":null}'
    )
    one, two, three, four, five = lines_of(a_file(folder, text, "c.jsonl"))
    assert one.request is not None
    assert one.request.asked() == {"price_id": "tea", "quantity": 3, "metadata": {}}
    assert [line.refusal and line.refusal.param for line in (two, three, four)] == [
        "quantity",
        "quantity",
        "amount",
    ]
    assert five.request is not None


def test_what_is_by_price_is_counted_per_price(folder: Path) -> None:
    rows = "5,USD,,\n,,tea,3\n,,price_x,1\n,,tea,4\n,,tea,0\n6,USD,,\n"
    tally, _ = checked(a_file(folder, BOTH_WAYS + rows))
    assert tally.sums == {"USD": {"valid": 11}}
    assert tally.sold == {
        "tea": {"valid": Sold(charges=2, quantity=7)},
        "price_x": {"valid": Sold(charges=1, quantity=1)},
    }


def test_of_too_many_prices_the_rest_are_counted_together(folder: Path) -> None:
    rows = "".join(f"price-{n},2\n" for n in range(PRICES_MAX + 3)) + "price-0,2\n"
    tally, _ = checked(a_file(folder, "price_id,quantity\n" + rows))
    assert len(tally.sold) == PRICES_MAX + 1
    assert tally.sold["price-0"] == {"valid": Sold(charges=2, quantity=4)}
    assert tally.sold[None] == {"valid": Sold(charges=3, quantity=6)}


def test_a_card_number_in_place_of_a_price_is_refused_and_not_told(folder: Path) -> None:
    path = a_file(folder, "price_id,quantity\n4242424242424242,2\n")
    ((number, said),) = reasons(path)
    assert number == 2
    assert "price_id must hold no card data" in said
    assert "4242" not in said


# --- JSON lines ---


def test_a_line_is_an_object_with_the_fields_of_a_charge(folder: Path) -> None:
    text = (
        '\ufeff{"amount":5,"currency":"USD","metadata":{"cart":"7"}}\r\n\n  \n'
        '{"amount":6,"currency":"USD","customer_id":null}'
    )
    one, other = lines_of(a_file(folder, text, "c.jsonl"))
    assert one.request is not None
    assert one.request.metadata == {"cart": "7"}
    assert other.request is not None
    assert other.request.idempotency_key == "import:c.jsonl:4"


@every(
    "text, because",
    [
        ('{"amount":19.99,"currency":"USD"}', "for USD 19.99 send amount=1999"),
        ('{"currency":"USD","amount":5.0}', "not the decimal 5.0; send amount=5 if you mean"),
        ('{"amount":NaN,"currency":"USD"}', "NaN is not JSON"),
        ('{"amount":-Infinity,"currency":"USD"}', "-Infinity is not JSON"),
        ('{"amount":1e999999999999999999999999,"currency":"USD"}', "a number that is out of range"),
        ('{"amount":' + "9" * 9000 + ',"currency":"USD"}', "at most 999999999999999"),
        ('{"amount":true,"currency":"USD"}', "whole number"),
        ('{"amount":"5","currency":"USD"}', "whole number"),
        ('{"amount":5,"amount":6,"currency":"USD"}', "a name is given twice"),
        ('{"amount":5,"currency":"USD","metadata":{"a":"1","a":"2"}}', "twice"),
        ('{"amount":5,"currency":"USD","metadata":{"a":1}}', "object of text values"),
        ('{"amount":5,"currency":"USD","price":1}', "'price' is not a field"),
        ('{"amount":5,"currency":"USD","customer_id":"\\ud800"}', "customer_id"),
        ('{"amount":5,"currency":"USD","idempotency_key":7}', "idempotency_key must be text"),
        ('{"amount":5', "not JSON"),
        ("[5]", "must be an object"),
        ("null", "must be an object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' + "[" * 400 + "]" * 400 + "}", "nested too deeply"),
        ("amount,currency", "not JSON"),
        ("\x00", "not JSON"),
    ],
)
def test_a_wrong_object_is_told_with_its_reason_and_the_next_one_is_read(
    folder: Path, text: str, because: str
) -> None:
    path = a_file(folder, f'{text}\n{{"amount":5,"currency":"USD"}}\n', "c.jsonl")
    ((number, said),) = reasons(path)
    assert (number, checked(path)[0].valid) == (1, 1)
    assert because in said


# --- Keys ---


def test_a_key_with_two_requests_is_told_and_one_with_the_same_is_a_repeat(folder: Path) -> None:
    path = a_file(folder, HEADER + "5,USD,k,,\n5,usd,k,,\n6,USD,k,,\n")
    tally, _ = checked(path)
    assert (tally.valid, tally.refused) == (2, 1)
    assert tally.shown[0][0] == 4
    assert "stands in line 2, with another request" in tally.shown[0][1].because


def test_lines_that_have_moved_refuse_the_file_for_their_numbers_are_their_keys(
    folder: Path,
) -> None:
    before = {
        one.request.id: one.request.fingerprint
        for one in lines_of(a_file(folder, "amount,currency\n1,USD\n2,USD\n3,USD\n"))
        if one.request
    }

    def known(ids: Any) -> dict[str, str]:
        return {id_: before[id_] for id_ in ids if id_ in before}

    same = a_file(folder, "amount,currency\n1,USD\n2,USD\n3,USD\n4,USD\n")
    assert checked(same, known=known)[0].refused == 0
    for moved in ("9,USD\n1,USD\n2,USD\n3,USD\n", "2,USD\n3,USD\n", "1,USD\n2,USD\n4,USD\n"):
        with pytest.raises(FileRefused, match="is not what it was"):
            checked(a_file(folder, f"amount,currency\n{moved}"), known=known)


def test_a_key_of_its_own_that_was_used_before_refuses_its_line_only(folder: Path) -> None:
    path = a_file(folder, HEADER + "5,USD,k1,,\n6,USD,k2,,\n")
    first, _ = lines_of(path)
    assert first.request is not None
    tally, _ = checked(path, known=lambda _: {first.request.id: "other"})
    assert (tally.valid, tally.refused) == (1, 1)


def test_a_name_that_can_be_no_key_is_refused_unless_lines_have_keys(folder: Path) -> None:
    for name in ("x" * 230 + ".csv", "a\nb.csv"):
        with pytest.raises(FileRefused, match="printable"):
            lines_of(a_file(folder, "amount,currency\n5,USD\n", name))
        assert lines_of(a_file(folder, HEADER + "5,USD,k,,\n", name))[0].request


def test_the_key_and_the_fingerprint_of_a_row_are_what_they_were_before_there_were_prices(
    folder: Path,
) -> None:
    texts = ("amount,currency\n1999,USD\n", BOTH_WAYS + "1999,USD,,\n")
    for text in texts:
        (line,) = lines_of(a_file(folder, text))
        assert line.request is not None
        assert (line.request.id, line.request.fingerprint) == CHARGED
    texts = (
        "charge_id,amount\nch_1,5\n",
        "charge_id,amount,restock\nch_1,5,false\n",
    )
    for text in texts:
        (line,) = lines_of(a_file(folder, text, "refunds.csv"), "refund")
        assert line.request is not None
        assert (line.request.id, line.request.fingerprint) == REFUNDED


@every(
    "kind, header, was, now",
    [
        ("charge", "price_id,quantity", "tea,3", "tea,4"),
        ("charge", "price_id,quantity", "tea,3", "coffee,3"),
        ("charge", BOTH_WAYS.strip(), "5,USD,,", ",,tea,3"),
        (
            "refund",
            "charge_id,restock,restock_quantity",
            "ch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,,",
            "ch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,true,",
        ),
        (
            "refund",
            "charge_id,restock,restock_quantity",
            "ch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,true,",
            "ch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,true,1",
        ),
    ],
)
def test_a_row_that_asks_for_other_goods_under_its_old_number_refuses_the_file(
    folder: Path, kind: str, header: str, was: str, now: str
) -> None:
    (before,) = lines_of(a_file(folder, f"{header}\n{was}\n"), kind)
    assert before.request is not None
    known = {before.request.id: before.request.fingerprint}
    assert checked(folder / "charges.csv", kind, known=lambda _: known)[0].valid == 1
    with pytest.raises(FileRefused, match="is not what it was"):
        checked(a_file(folder, f"{header}\n{now}\n"), kind, known=lambda _: known)


def test_a_key_with_two_quantities_is_told(folder: Path) -> None:
    text = "price_id,quantity,idempotency_key\ntea,3,k\ntea,3,k\ntea,4,k\n"
    tally, _ = checked(a_file(folder, text))
    assert (tally.valid, tally.refused) == (2, 1)
    assert "stands in line 2, with another request" in tally.shown[0][1].because


# --- Refused lines ---


def test_refused_rows_can_be_mended_and_imported_again_under_their_keys(folder: Path) -> None:
    path = a_file(folder, "amount,currency,reference\n19.99,USD,R1\n5,USD,R2\n7,EUR\n")
    _, written = checked(path)
    rows = list(csv.reader(io.StringIO(written)))
    assert rows[0] == [
        "refused.line", "refused.because", "idempotency_key", "amount", "currency", "reference"
    ]  # fmt: skip
    assert rows[1][:1] + rows[1][2:] == ["2", "import:charges.csv:2", "19.99", "USD", "R1"]
    assert rows[2][:1] + rows[2][2:] == ["4", "import:charges.csv:4", "7", "EUR"]
    mended = a_file(folder, written.replace("19.99,USD", "1999,USD").replace("7,EUR", "7,EUR,R3"))
    requests = [line.request for line in lines_of(mended)]
    assert [r and r.idempotency_key for r in requests] == [rows[1][2], rows[2][2]]


def test_refused_objects_can_be_mended_and_imported_again_under_their_keys(folder: Path) -> None:
    text = (
        '{"amount":19.99,"currency":"USD"}\n'
        '{"amount":5.10,"currency":"USD","idempotency_key":"k"}\n{"am'
    )
    path = a_file(folder, text, "c.jsonl")
    _, written = checked(path)
    one, two, three = map(json.loads, written.splitlines())
    assert (one["refused.line"], one["idempotency_key"], one["amount"]) == (
        1,
        "import:c.jsonl:1",
        19.99,
    )
    assert '"amount": 5.10' in written
    assert two["idempotency_key"] == "k"
    assert three["refused.text"] == '{"am'
    mended = a_file(folder, written.replace("19.99", "1999").replace("5.10", "510"), "d.jsonl")
    first, second, third = lines_of(mended)
    assert first.request is not None
    assert first.request.idempotency_key == "import:c.jsonl:1"
    assert second.request is not None
    assert third.refusal is not None
    assert "mend what stands in refused.text" in third.refusal.because


def test_an_import_without_refusals_leaves_no_file_and_nothing_else(folder: Path) -> None:
    checked(a_file(folder, "amount,currency\n5,USD\n"))
    assert [path.name for path in folder.iterdir()] == ["charges.csv"]


def test_the_refused_lines_are_not_written_over_the_file(folder: Path) -> None:
    path = a_file(folder, "amount,currency\n5,USD\n")
    with Source(path, "charge", producer="x") as source, pytest.raises(FileRefused):
        RefusedLines(source, path)


def test_refunds_are_read_likewise(folder: Path) -> None:
    ids = (
        "ch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,,0\nch_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb,5,\nre_1,5,\n"
    )
    text = "charge_id,amount,expected_refunded_amount\n" + ids
    path = a_file(folder, text)
    one, two, three = lines_of(path, "refund")
    assert one.request is not None
    assert (one.request.amount, getattr(one.request, "expected_refunded_amount", None)) == (None, 0)
    assert two.request is not None
    assert three.request is not None
    assert three.request.against is not None
    assert three.request.against.param == "charge_id"


def test_refunds_may_bring_goods_back(folder: Path) -> None:
    text = (
        "charge_id,amount,restock,restock_quantity\n"
        "ch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,,true,\nch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,500,true,02\nch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,,false,\nch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,5,,\n"
    )
    asked = [
        line.request and line.request.asked() for line in lines_of(a_file(folder, text), "refund")
    ]
    same = {
        "charge_id": "ch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "if_pending": "wait",
        "metadata": {},
    }
    assert asked == [
        {**same, "restock": True},
        {**same, "amount": 500, "restock": True, "restock_quantity": 2},
        same,
        {**same, "amount": 5},
    ]


@every(
    "cells, param, because",
    [
        ("yes,", "restock", "restock must be true or false"),
        ("1,", "restock", "restock must be true or false"),
        ("TRUE,", "restock", "not the text 'TRUE'; send restock=true"),
        ("False,", "restock", "not the text 'False'; send restock=false"),
        (" true,", "restock", "restock must be true or false"),
        (",1", "restock_quantity", "send restock=true, too"),
        ("false,1", "restock_quantity", "send restock=true, too"),
        ("true,1.5", "restock_quantity", "restock_quantity must be an integer"),
        ("true,one", "restock_quantity", "restock_quantity must be an integer"),
        ("true,0", "restock_quantity", "must be 1 or more"),
    ],
)
def test_a_refund_that_brings_back_nobody_knows_what_is_told(
    folder: Path, cells: str, param: str, because: str
) -> None:
    path = a_file(
        folder, f"charge_id,restock,restock_quantity\nch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,{cells}\n"
    )
    ((_, refusal),) = checked(path, "refund")[0].shown
    assert refusal.param == param
    assert because in refusal.because


def test_json_says_true_without_quotes(folder: Path) -> None:
    one = '{"charge_id":"ch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","restock":'
    text = one + "true}\n" + one + '"true"}\n'
    one, other = lines_of(a_file(folder, text, "r.jsonl"), "refund")
    assert one.request is not None
    assert one.request.asked()["restock"] is True
    assert other.refusal is not None
    assert other.refusal.because == (
        "restock must be true or false, not the text 'true'; send restock=true"
    )


@pytest.mark.parametrize("model", [ChargeRequest, RefundRequest])
def test_cells_are_read_as_what_their_fields_hold(model: Any) -> None:
    read = {name: reader(field.annotation)("7") for name, field in model.model_fields.items()}
    numbers = {"amount", "expected_amount", "quantity", "expires_in_s"} | {
        "expected_refunded_amount", "restock_quantity",
    }  # fmt: skip
    assert {name for name, value in read.items() if value == 7} == numbers & read.keys()
    truths = {name for name, field in model.model_fields.items() if field.annotation is bool}
    assert all(reader(model.model_fields[name].annotation)("true") is True for name in truths)
    assert read["idempotency_key"] == "7"


# --- Whatever the bytes ---

csv_bytes = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b'"',
                b",",
                b"\n",
                b"\r\n",
                b"\r",
                b"5",
                b"USD",
                b"tea",
                b"true",
                b"\xff",
                b"\x00",
                b" ",
            ]
        ),
        st.binary(max_size=8),
    ),
    max_size=40,
).map(b"".join)
json_bytes = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "amount",
                        "currency",
                        "price_id",
                        "quantity",
                        "metadata",
                        "refused.line",
                        "idempotency_key",
                    ]
                )
                | st.text(max_size=3),
                inner,
                max_size=4,
            )
        ),
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    header=st.sampled_from(
        [
            b"",
            b"amount,currency\n",
            HEADER.encode(),
            BOTH_WAYS.encode(),
            b"charge_id,restock,restock_quantity\n",
        ]
    ),
    rows=csv_bytes,
    kind=st.sampled_from(["charge", "refund"]),
)
@example(header=b"amount,currency\n", rows=b'5,"a\n5,USD\n', kind="charge")
def test_whatever_a_csv_holds_is_told_and_what_is_written_down_can_be_read(
    folder: Path, header: bytes, rows: bytes, kind: str
) -> None:
    path = a_file(folder, header + rows)
    try:
        tally, written = checked(path, kind)
    except FileRefused:
        return
    assert tally.lines == tally.valid + tally.refused
    if written:
        again = a_file(folder, written.encode(errors="surrogateescape"), "again.csv")
        assert checked(again, kind)[0].refused == tally.refused


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lines=st.lists(json_bytes, max_size=4))
def test_whatever_json_lines_hold_is_told_and_what_is_written_down_can_be_read(
    folder: Path, lines: list[bytes]
) -> None:
    tally, written = checked(a_file(folder, b"\n".join(lines), "a.jsonl"))
    assert tally.lines == tally.valid + tally.refused
    for line in written.split("\n")[:-1]:
        assert "refused.because" in json.loads(line)
    again, _ = checked(a_file(folder, written, "again.jsonl"))
    assert again.refused == tally.refused


def test_null_is_the_same_as_absent(folder: Path) -> None:
    text = (
        '{"charge_id": "ch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "amount": null, "restock": null,'
        ' "restock_quantity": null, "if_pending": null, "metadata": null, "producer": null,'
        ' "idempotency_key": null}\n'
        '{"charge_id": "ch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}\n'
    )
    nulls, nothing = lines_of(a_file(folder, text, "c.jsonl"), "refund")
    assert nulls.request.asked() == nothing.request.asked() == {
        "charge_id": "ch_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "if_pending": "wait", "metadata": {},
    }  # fmt: skip
    assert nulls.request.producer == "shop"
    assert nulls.request.idempotency_key == "import:c.jsonl:1"
