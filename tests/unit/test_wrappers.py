"""What kombu wraps is read as the text that it wrote before it wrapped."""

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from kombu.utils.json import dumps

from tests.support.every import every
from worker.wrappers import unwrapped

ID = UUID("7d8f0d2e-4a0b-4f5e-9a53-0b4f6f6c1a11")
EAST = timezone(timedelta(hours=2))


@every(
    "value, text",
    [
        (ID, str(ID)),
        (Decimal("19.99"), "19.99"),
        (Decimal("1E+3"), "1E+3"),
        (datetime(2026, 11, 26, 12, tzinfo=UTC), "2026-11-26T12:00:00Z"),
        (datetime(2026, 11, 26, 12, 0, 0, 5, tzinfo=EAST), "2026-11-26T12:00:00.000005+02:00"),
        (datetime(2026, 11, 26, 12), "2026-11-26T12:00:00"),  # noqa: DTZ001  # as it may be sent
        (date(2026, 11, 26), "2026-11-26"),
        (time(12, 30), "12:30:00"),
    ],
)
def test_what_kombu_wraps_is_its_text(value: object, text: str) -> None:
    sent = json.loads(dumps({"a": value, "b": {"c": [value]}}))
    assert "__type__" in json.dumps(sent)
    assert unwrapped(sent) == {"a": text, "b": {"c": [text]}}


@every(
    "value",
    [
        {"__type__": "uuid", "__value__": {"hex": "x"}},
        {"__type__": "uuid", "__value__": {"hex": 5}},
        {"__type__": "uuid", "__value__": {"int": 5}},
        {"__type__": "uuid", "__value__": str(ID)},
        {"__type__": "decimal", "__value__": "x"},
        {"__type__": "decimal", "__value__": "01"},
        {"__type__": "decimal", "__value__": 5},
        {"__type__": "datetime", "__value__": "yesterday"},
        {"__type__": "datetime", "__value__": None},
        {"__type__": "date", "__value__": "2026-W01"},
        {"__type__": "bytes", "__value__": "eA=="},
        {"__type__": ["uuid"], "__value__": {}},
        {"__type__": "uuid"},
        {"__type__": "uuid", "__value__": {"hex": ID.hex}, "more": 1},
        5,
        None,
        "text",
    ],
)
def test_what_is_no_such_wrapper_stays_as_it_is(value: Any) -> None:
    assert unwrapped(value) == value
