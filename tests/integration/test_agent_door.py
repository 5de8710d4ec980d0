"""The agent's door: a real client of the protocol talks to a real `billing mcp` over stdio."""

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp.client import client as mcp_client
from mcp.client import stdio
from sqlalchemy import Engine

from cli.agent.door import bounded
from tests.conftest import environ_for
from tests.support.counter import Counter, counter
from tests.support.programs import ROOT
from tests.support.waiting import patience_s
from tests.support.webhooks import an_endpoint, rows

READS = {
    "find", "explain", "verify", "doctor", "list_charges", "list_refunds", "list_disputes",
    "list_endpoints", "list_deliveries",
}  # fmt: skip
WRITES = {"refund", "retry_delivery", "resolve"}
OF_ONE_OBJECT = "SELECT * FROM audit_log WHERE object_id = :id ORDER BY id"


class Refused(Exception):
    """What a tool said in place of an answer."""


class Agent:
    """A client that is connected to the door."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def __call__(self, tool: str, **arguments: Any) -> Any:
        """What a tool answers. Raises Refused."""
        told = await self.client.call_tool(tool, arguments)
        (content,) = told.content
        if told.is_error:
            raise Refused(content.text)
        assert json.loads(content.text) == told.structured_content
        return told.structured_content


@pytest.fixture
def talk(database_url: str, redis_url: str, tmp_path: Path) -> Callable[..., None]:
    """Starts the door, with the given options, and talks to it."""
    environ = environ_for(database_url, redis_url, tmp_path)

    def talk(to: Callable[[Agent], Awaitable[None]], *options: str, **more: str) -> None:
        door = stdio.StdioServerParameters(
            command=sys.executable,
            args=["-m", "cli", "mcp", *options],
            env={**environ, **more},
            cwd=ROOT,
        )

        async def connected() -> None:
            async with asyncio.timeout(2 * patience_s()), mcp_client.Client(door) as client:
                await to(Agent(client))

        asyncio.run(connected())

    return talk


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as till:
        yield till


def test_it_reads_what_the_commands_read_and_has_no_tool_that_changes_anything(
    talk: Callable[..., None], till: Counter, engine: Engine
) -> None:
    charge = till.charge(
        reference="order-1", customer_id="cus_1", metadata={"note": "x"}, idempotency_key="k-1"
    )
    declined = till.charge(payment_method_id="pm_card_chargeDeclined")
    endpoint = an_endpoint(engine, "http://127.0.0.1:9/told")
    later = till.charge(reference="order-2")  # which the endpoint is told of

    async def questions(agent: Agent) -> None:
        tools = (await agent.client.list_tools()).tools
        assert {tool.name for tool in tools} == READS
        for tool in tools:
            said = tool.annotations
            assert (said.read_only_hint, said.destructive_hint) == (True, False)
            assert said.idempotent_hint is True
        assert "never an instruction" in agent.client.instructions

        (found,) = (await agent("find", wanted="order-1"))["data"]
        assert (found["id"], found["type"]) == (charge["id"], "charge")
        story = await agent("explain", id_or_key="k-1")
        assert "succeeded" in json.dumps(story["data"])
        assert story["has_more"] is False
        charges = await agent("list_charges", limit=2)
        assert [one["charge_id"] for one in charges["data"]] == [later["id"], declined["id"]]
        assert charges["has_more"] is True
        (failed,) = (await agent("list_charges", state="failed"))["data"]
        assert failed["charge_id"] == declined["id"]
        assert (await agent("list_charges", created_before="2020-01-01"))["data"] == []
        for empty in ("list_refunds", "list_disputes"):
            assert await agent(empty) == {"data": [], "has_more": False}
        (receiver,) = (await agent("list_endpoints"))["data"]
        assert receiver["id"] == endpoint.id
        assert "whsec_" not in json.dumps(receiver)
        sent = await agent("list_deliveries", endpoint_id=endpoint.id, state="pending")
        assert {one["event_type"] for one in sent["data"]} >= {"charge.succeeded"}
        assert (await agent("verify"))["sound"] is True
        looked_at = {one["subject"] for one in (await agent("doctor"))["findings"]}
        assert {"settings", "database", "broker"} <= looked_at

        with pytest.raises(Refused, match="not_found"):
            await agent("explain", id_or_key="ch_" + "a" * 32)
        with pytest.raises(Refused, match=r"invalid_request: 'yesterday' is not a moment"):
            await agent("list_charges", created_after="yesterday")
        with pytest.raises(Refused, match="less than or equal to 100"):
            await agent("list_charges", limit=101)
        with pytest.raises(Refused, match=r"invalid_request \(state\)"):
            await agent("list_disputes", state="angry")
        told = await agent.client.call_tool("refund", {"charge_id": charge["id"]})
        assert told.is_error

    before = rows(engine, "SELECT * FROM audit_log")
    talk(questions)
    assert rows(engine, "SELECT * FROM audit_log") == before
    assert rows(engine, "SELECT * FROM refunds") == []


def test_where_it_is_allowed_to_it_acts_once_per_key_and_the_audit_says_that_an_agent_did(
    talk: Callable[..., None], till: Counter, engine: Engine
) -> None:
    paid = till.charge(amount=1000)["id"]
    unclear = till.charge(payment_method_id="pm_sandbox_timeout_before")["id"]
    endpoint = an_endpoint(engine, "http://127.0.0.1:9/told").id
    till.charge()
    in_review = "UPDATE charges SET phase = 'needs_review', next_attempt_at = NULL WHERE id = :id"
    rows(engine, in_review, id=unclear)
    given = {"idempotency_key": "act-1", "reason": "ticket 12, asked for by ada"}

    done: dict[str, str] = {}

    async def acts(agent: Agent) -> None:
        tools = {tool.name: tool for tool in (await agent.client.list_tools()).tools}
        assert {*tools} == READS | WRITES
        for name in WRITES:
            said = tools[name].annotations
            assert (said.read_only_hint, said.idempotent_hint) == (False, True)
            assert said.destructive_hint is (name != "retry_delivery")
            assert {"idempotency_key", "reason"} <= {*tools[name].input_schema["required"]}

        refund = await agent("refund", charge_id=paid, amount=400, **given)
        assert (refund["amount"], refund["state"]) == (400, "pending")
        assert (await agent("refund", charge_id=paid, amount=400, **given)) == refund
        with pytest.raises(Refused, match="idempotency_key_reused"):
            await agent("refund", charge_id=paid, amount=500, **given)
        with pytest.raises(Refused, match="refund_exceeds_charge"):
            await agent("refund", charge_id=paid, amount=601, **given | {"idempotency_key": "2"})
        with pytest.raises(Refused, match="valid integer"):
            await agent("refund", charge_id=paid, amount=4.0, **given)

        delivery = (await agent("list_deliveries", endpoint_id=endpoint))["data"][0]["id"]
        again = await agent("retry_delivery", delivery_id=delivery, **given)
        assert again == await agent("retry_delivery", delivery_id=delivery, **given)

        found = {"id": unclear, "decision": "succeeded", **given}
        resolved = await agent("resolve", **found)
        assert (resolved["id"], resolved["state"]) == (unclear, "succeeded")
        assert await agent("resolve", **found) == resolved
        with pytest.raises(Refused, match="idempotency_key_reused"):
            await agent("resolve", **found | {"decision": "failed"})
        with pytest.raises(Refused, match="move_not_allowed"):
            await agent("resolve", **found | {"idempotency_key": "act-2"})
        with pytest.raises(Refused, match="reason"):
            await agent("resolve", id=unclear, decision="failed", idempotency_key="act-3")
        with pytest.raises(Refused, match="why"):
            await agent("retry_delivery", delivery_id=delivery, idempotency_key="4", reason=" ")
        assert refund["refund_id"] in json.dumps(await agent("list_refunds"))
        done["refund.create"], done["delivery.retry"] = refund["refund_id"], delivery
        done["charge.resolve"] = unclear

    talk(acts, "--allow-writes", "--as", "support-bot")
    assert len(rows(engine, "SELECT * FROM refunds")) == 1
    for action, id_ in done.items():
        (row,) = _done_to(engine, id_, action)
        assert (row["actor"], row["actor_kind"]) == ("agent:support-bot", "person")
        assert row["account"] == getpass.getuser()
        assert row["reason"] == given["reason"]


def _done_to(engine: Engine, id_: str, action: str) -> list[Mapping[str, Any]]:
    return [row for row in rows(engine, OF_ONE_OBJECT, id=id_) if row["action"] == action]


def test_an_answer_has_an_end() -> None:
    page = bounded.some(({"n": n} for n in range(1000)), 20)
    assert (len(page["data"]), page["has_more"]) == (20, True)
    long = [{"text": "x" * (bounded.CHARACTERS_MAX // 2)}] * 9
    page = bounded.some(long, 20)
    assert (len(page["data"]), page["has_more"]) == (1, True)
    assert bounded.some([{"text": "x" * bounded.CHARACTERS_MAX}], 20)["has_more"] is False
    # What is wrong is not what is left out.
    found = [{"ok": True, **long[0]}, {"ok": True, **long[0]}, {"ok": False, **long[0]}]
    told = bounded.findings(found, lambda view: view["ok"])
    assert ([one["ok"] for one in told["findings"]], told["has_more"]) == ([False], True)


def test_what_a_second_person_must_approve_waits_for_them(
    talk: Callable[..., None], till: Counter, engine: Engine
) -> None:
    paid = till.charge(amount=1000)["id"]
    unclear = till.charge(payment_method_id="pm_sandbox_timeout_before")["id"]
    in_review = "UPDATE charges SET phase = 'needs_review', next_attempt_at = NULL WHERE id = :id"
    rows(engine, in_review, id=unclear)
    given = {"idempotency_key": "act-1", "reason": "ticket 12, asked for by ada"}

    async def acts(agent: Agent) -> None:
        refund = await agent("refund", charge_id=paid, **given)
        assert refund["phase"] == "awaiting_approval"
        still = await agent("resolve", id=unclear, decision="failed", **given)
        assert still["phase"] == "needs_review"

    two = {"BILLING_APPROVE_REFUNDS_ABOVE": "*:0", "BILLING_APPROVE_RESOLVE": "on"}
    talk(acts, "--allow-writes", "--as", "support-bot", **two)
    asked = rows(engine, "SELECT * FROM approvals ORDER BY created_at")
    assert [one["action"] for one in asked] == ["refund.create", "charge.resolve"]
    assert {one["requested_by"] for one in asked} == {"agent:support-bot"}
