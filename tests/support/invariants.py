"""What is true of charges and refunds at any moment, whatever happened to them."""

from collections.abc import Iterable

from tests.support.factories import Till, kind


def check(till: Till, ids: Iterable[str]) -> None:
    """Raise AssertionError unless sums, histories and events of these rows hold together."""
    rows = till.rows(ids)
    _sums(till, [id_ for id_ in rows if id_.startswith("ch_")])
    told: dict[str, list[str]] = {id_: [] for id_ in rows}
    for event in till.query(
        "SELECT object_id, sequence, type FROM events WHERE object_id = ANY(:ids)"
        " ORDER BY object_id, sequence",
        ids=rows,
    ):
        types = told[event["object_id"]]
        types.append(event["type"])
        assert event["sequence"] == len(types), (event["object_id"], "a gap")
    asked = {
        type_
        for endpoint in till.query(
            "SELECT event_types FROM webhook_endpoints WHERE state='enabled'"
        )
        for type_ in endpoint["event_types"]
    }
    for id_, row in rows.items():
        begins = f"{kind(id_).name}.pending" in asked
        _events(id_, told[id_], row["sequence"], row["state"], begins=begins)
    too_many = (
        "SELECT object_id, max(number) n FROM attempts WHERE object_id = ANY(:ids) GROUP BY 1"
    )
    for attempts in till.query(too_many, ids=rows):
        assert attempts["n"] <= rows[attempts["object_id"]]["attempts"], attempts


def _sums(till: Till, charge_ids: list[str]) -> None:
    """What is counted on each charge is what its refunds say, and never more than the charge."""
    wrong = till.query(
        """
        SELECT c.id, c.amount, c.refund_reserved, c.refunded_amount, r.reserved, r.refunded
        FROM charges c CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount) FILTER (WHERE reserved AND state <> 'failed'), 0) reserved,
                   coalesce(sum(amount) FILTER (WHERE state = 'succeeded'), 0) refunded
            FROM refunds WHERE charge_id = c.id
        ) r
        WHERE c.id = ANY(:ids) AND NOT (
            c.refund_reserved = r.reserved AND c.refunded_amount = r.refunded
            AND r.reserved <= c.amount AND (r.refunded = 0 OR c.state = 'succeeded')
        )
        """,
        ids=charge_ids,
    )
    assert wrong == []


def _events(id_: str, types: list[str], sequence: int, state: str, *, begins: bool) -> None:
    """Numbered without a gap; told once that it is pending, if an endpoint asks for that (as it did
    from the beginning), and once how it ended."""
    name = kind(id_).name
    told = [event.removeprefix(f"{name}.") for event in types]
    assert len(told) == sequence, (id_, told)
    assert told[:1] == ["pending"] or not begins, (id_, told)
    assert told.count("pending") == begins, (id_, told)
    ends = [event for event in told if event in ("succeeded", "failed")]
    match state:
        case "pending":
            assert ends == [], (id_, told)
        case "succeeded":
            assert ends == ["succeeded"], (id_, told)
        case "failed":
            # The one exception: a refund that the bank returned after it had succeeded.
            returned = name == "refund" and ends == ["succeeded", "failed"]
            assert ends == ["failed"] or returned, (id_, told)
    assert not ends or told[-1] == ends[-1], (id_, told)
