"""What the SDK and the service say of endpoints, replays and lists; and all of their bounds."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import infra.billing
import models
import payments
from api.routes.filters import moment
from infra.billing import queries
from payments.catalog import listing
from payments.errors import InvalidRequest
from payments.sentences import MOMENT
from payments.webhooks import endpoints, replays, target
from tests.support.refusals import Said, sdk_says

# Names that mean something else on either side, and why.
OTHERS = {
    "BATCH_MAX": "of create_many, of no table",
    "NAME_MAX": "of an argument's name",
    "PAGE_MAX": "compared with that of the catalogue below",
    "CONNECTIONS_MAX": "of the SDK's own pool",
}


def _said(run: Callable[[], object]) -> Said:
    try:
        run()
    except InvalidRequest as refused:
        return refused.param, refused.code, str(refused)
    return None


LONG = "https://example.com/" + "x" * 2048
ENDPOINTS: list[tuple[str, Any, Callable[[Any], object]]] = [
    *(("url", value, target._parsed) for value in (5, "", LONG, "https://a b", "https://a\x00")),
    *(
        ("description", value, endpoints._description)
        for value in (5, "d" * 500, "d" * 501, "a\x00b", "card 4242 4242 4242 4242", "")
    ),
    *(("state", value, endpoints._switch) for value in ("on", 5, "enabled")),
    *(("event_types", value, endpoints._event_types) for value in ("charge.succeeded", 5)),
    *(("max_in_flight", value, endpoints._in_flight) for value in (0, 101, 1.5, True, 100)),
]
REPLAYS: list[tuple[str, Any, Callable[[Any], object]]] = [
    *(("event_ids", value, replays._ids) for value in ("evt_1", 5, [], [5], ["e"] * 1001)),
    *(("since", value, lambda one: moment("since", one)) for value in (5, [1])),
]


@pytest.mark.parametrize(("name", "value", "rule"), ENDPOINTS)
def test_both_say_the_same_of_an_endpoint(name, value, rule):
    assert sdk_says(queries.endpoint_fields, {name: value}) == _said(lambda: rule(value))


@pytest.mark.parametrize(("name", "value", "rule"), REPLAYS)
def test_both_say_the_same_of_a_replay(name, value, rule):
    given = dict.fromkeys(("event_ids", "since", "until", "only", "after"))
    assert sdk_says(queries.replay_fields, {**given, name: value}) == _said(lambda: rule(value))


def test_both_have_the_same_words_and_bounds_for_lists():
    assert queries.MOMENT == MOMENT
    assert queries.PAGE_MAX == listing.PAGE_MAX
    assert queries.LIMIT_MAX == listing.PAGE_SIZE_MAX == endpoints.PAGE_MAX
    assert queries.ENDPOINT_DESCRIPTION_MAX == endpoints.DESCRIPTION_LENGTH_MAX
    assert queries.URL_MAX == target.URL_LENGTH_MAX
    assert queries.IN_FLIGHT_MAX == endpoints.IN_FLIGHT_MAX


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for one in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if ".migrations" not in one.name:
            yield importlib.import_module(one.name)


def _bounds(*packages: ModuleType) -> dict[str, set[Any]]:
    """What is called …_MAX, …_MIN or …_MAX_S, by its name."""
    found: dict[str, set[Any]] = {}
    for package in packages:
        for module in _modules(package):
            for name, value in vars(module).items():
                if name.isupper() and ("_MAX" in name or "_MIN" in name) and name[0] != "_":
                    found.setdefault(name, set()).add(repr(value))
    return found


def test_a_bound_that_both_name_is_the_same_bound():
    ours, theirs = _bounds(infra.billing), _bounds(models, payments)
    shared = ours.keys() & theirs.keys() - OTHERS.keys()
    assert {"AMOUNT_MAX", "TEXT_MAX", "LONG_TEXT_MAX", "METADATA_KEYS_MAX", "IDS_MAX"} <= shared
    for name in shared:
        assert ours[name] == theirs[name], name
