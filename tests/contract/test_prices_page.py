"""The numbers of docs/reference/prices.md are what the rules compute, and its limits the code's."""

import json
import re
from types import SimpleNamespace
from typing import Any

from api.documents.files import CHECKOUT
from infra.billing.contract.limits import (
    LIMIT_MAX,
    LOOKUP_KEY_MAX,
    METADATA_KEY_MAX,
    METADATA_KEYS_MAX,
    METADATA_VALUE_MAX,
    QUANTITY_MAX,
)
from infra.billing.contract.requests.price_parts import TIERS_MAX
from infra.billing.contract.requests.price_request import PriceRequest
from payments.catalog.changes import LOCKED
from payments.catalog.listing import PAGE_SIZE
from payments.catalog.prices import columns
from payments.catalog.quotes import lines, model_of, total
from payments.parsing import parse
from tests.support.every import every

PAGE = (CHECKOUT / "docs/reference/prices.md").read_text()
_EXAMPLE = re.compile(
    r"^<!-- price: (?P<name>[^\n]+) -->\n```json\n(?P<price>(?:(?!```)[^\n]*\n)+)```\n\n"
    r"\| quantity \| amount \| because \|\n\|[-|]+\n(?P<rows>(?:\|[^\n]*\n)+)",
    re.MULTILINE,
)
METADATA = (
    f"{METADATA_KEYS_MAX} names of {METADATA_KEY_MAX} characters, values of {METADATA_VALUE_MAX}"
)
EXAMPLES = {one["name"]: one for one in _EXAMPLE.finditer(PAGE)}
ROWS = [
    (name, *(cell.strip() for cell in row[1:-1].split("|")))
    for name, one in EXAMPLES.items()
    for row in one["rows"].splitlines()
]


def price_of(name: str) -> dict[str, Any]:
    asked = {"product_id": "prod_" + "a" * 32, "idempotency_key": "k"}
    request = parse(PriceRequest, {**asked, **json.loads(EXAMPLES[name]["price"])})
    return columns(request, livemode=False)


def test_every_example_is_found() -> None:
    assert len(EXAMPLES) == PAGE.count("<!-- price: ") == 7
    assert len(ROWS) >= 20


@every("name, quantity, amount, because", ROWS)
def test_an_example_is_what_the_rules_compute(
    name: str, quantity: str, amount: str, because: str
) -> None:
    price = price_of(name)
    made = lines(model_of(SimpleNamespace(**price)), int(quantity), price["currency"])  # type: ignore[arg-type]
    assert total(made) == int(amount)
    assert "; ".join(line.reason for line in made) == because


@every(
    "limit",
    [
        f"{QUANTITY_MAX:,}",
        f"| tiers of a price | {TIERS_MAX} |",
        f"{LOOKUP_KEY_MAX} characters, without `/`",
        f"`pageSize` ({PAGE_SIZE}; at most {LIMIT_MAX})",
        METADATA,
    ],
)
def test_a_limit_is_the_one_of_the_code(limit: str) -> None:
    assert limit in PAGE


def test_what_never_changes_is_named() -> None:
    (sentence,) = re.findall(r"What a price costs \((.*?)\) never changes", PAGE)
    assert set(re.findall(r"`(\w+)`", sentence)) == LOCKED
