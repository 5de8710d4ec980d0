"""What the SDK and the service say of endpoints, replays and lists; and where bounds stand."""

import ast
import re
from collections.abc import Callable
from typing import Any

from api.routes.filters import moment
from infra.billing import queries
from payments.errors import InvalidRequest
from payments.webhooks import endpoints, target
from tests.support.every import every
from tests.support.programs import ROOT
from tests.support.refusals import Said, sdk_says


def _said(run: Callable[[], object]) -> Said:
    try:
        run()
    except InvalidRequest as refused:
        return refused.param, refused.code, str(refused)
    return None


ENDPOINTS: list[tuple[str, Any, Callable[[Any], object]]] = [
    *(("url", value, target._parsed) for value in (5, "https://a b")),
    *(("description", value, endpoints._description) for value in (5, "d" * 500, "d" * 501)),
    *(("state", value, endpoints._switch) for value in ("on", 5, "enabled")),
    *(("event_types", value, endpoints._event_types) for value in ("charge.succeeded", 5)),
    *(("max_in_flight", value, endpoints._in_flight) for value in (0, 100)),
]
REPLAYS: list[tuple[str, Any, Callable[[Any], object]]] = [
    *(("since", value, lambda one: moment("since", one)) for value in (5, [1])),
]


@every("name, value, rule", ENDPOINTS)
def test_both_say_the_same_of_an_endpoint(name, value, rule):
    assert sdk_says(queries.endpoint_fields, {name: value}) == _said(lambda: rule(value))


@every("name, value, rule", REPLAYS)
def test_both_say_the_same_of_a_replay(name, value, rule):
    given = dict.fromkeys(("event_ids", "since", "until", "only", "after"))
    assert sdk_says(queries.replay_fields, {**given, name: value}) == _said(lambda: rule(value))


# Names that mean something else on either side, and why.
OTHERS = {
    "BATCH_MAX": "of create_many, of no table",
    "NAME_MAX": "of an argument's name",
    "CONNECTIONS_MAX": "of the SDK's own pool",
}


def _bounds(*folders: str) -> set[str]:
    """What is assigned under a name with …_MAX or …_MIN in it, anywhere below these folders."""
    found = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    found.add(node.id)
    return {name for name in found if re.fullmatch(r"[A-Z_]+_(MAX|MIN)(_S|_BYTES)?", name)}


def test_no_bound_is_written_on_both_sides():
    contract = _bounds("infra/billing/contract")
    sdk, service = _bounds("infra/billing") - contract, _bounds("models", "payments")
    assert {"AMOUNT_MAX", "TEXT_MAX", "METADATA_KEYS_MAX", "EVENT_IDS_MAX"} <= contract
    assert sdk & service <= {*OTHERS}
    assert contract & service == set()
