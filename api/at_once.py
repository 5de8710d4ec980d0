"""Charges of callers who were here a moment ago, taken in one round trip to the database."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from api.database import Database
from api.taking import Call, Taken, read
from infra.billing.contract.requests.charge import ChargeRequest
from models.rows import ApiKeyRow
from payments.access.scopes import Access
from payments.errors import Refused
from payments.lifecycle.accepting import at_once
from payments.lifecycle.accepting.asked import Accepted, new_charge
from payments.processors.registry import Processors

# Beyond as many keys, each with its row, all are forgotten and looked up anew.
KNOWN_MAX = 1_000


class AtOnce:
    """Writes what it can, and leaves the rest for a transaction: what is refused for whatever
    reason, what repeats another, and who is not known."""

    def __init__(self, database: Database, processors: Processors) -> None:
        self._database = database
        self._processors = processors
        # As they were when they were read last; the statement finds out whether they still are so.
        self._keys: dict[str, ApiKeyRow] = {}

    def learn(self, rows: Mapping[str, ApiKeyRow]) -> None:
        """Remember these keys, with what was just read of them."""
        if len(self._keys) + len(rows) > KNOWN_MAX:
            self._keys.clear()
        self._keys |= rows

    async def take(self, calls: Sequence[Call]) -> dict[int, Taken]:
        """What was taken, by its place. Raises DatabaseUnavailable, Held."""
        offers: dict[str, tuple[int, Access, Mapping[str, Any]]] = {}
        references = set()
        for at, call in enumerate(calls):
            access, row = self._offer(call) or (None, {})
            reference = row.get("reference") and (row["producer"], row["reference"])
            if access is None or row["id"] in offers or reference in references:
                continue
            offers[row["id"]] = at, access, row
            if reference:
                references.add(reference)
        if not offers:
            return {}
        rows = [row for _, _, row in offers.values()]
        written = await self._database.at_once(partial(at_once.insert, rows=rows)) or {}
        return {
            offers[id_][0]: Taken(offers[id_][1], Accepted(row, fresh=True))
            for id_, row in written.items()
        }

    def _offer(self, call: Call) -> tuple[Access, dict[str, Any]] | None:
        """Who asks, and the row of the charge; None when nothing can be said without a look into
        the database."""
        key = self._keys.get(call.shown.id)
        if key is None or call.why is not None:
            return None
        access, request = read("charge", call, key)
        if access is None or not isinstance(request, ChargeRequest):
            return None
        new = new_charge(
            request, self._processors, request_id=call.request_id, traceparent=call.traceparent
        )
        try:
            row = at_once.columns(new, key, self._processors.limits)
        except Refused:
            return None
        return None if row is None else (access, row)
