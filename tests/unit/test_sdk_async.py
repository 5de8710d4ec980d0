"""The async client has the verbs of `infra.billing`, and no rules of its own."""

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, get_args, get_origin

import pytest

from infra import billing
from infra.billing.aio import AsyncListing, AsyncPage, Billing
from infra.billing.aio.nouns import Noun
from infra.billing.calls.described import description_of
from tests.support.every import every

CLIENT = Billing(url="http://127.0.0.1:1", api_key="bk_1")
# What asks nobody, so that there is nothing to await, or what configures the other client.
NO_TWIN = {"minor", "configure", "webhook", "errors"}


def _verbs(of: object) -> dict[str, Callable[..., Any]]:
    """Those that were made of a description, by name."""
    found = {name: getattr(of, name) for name in dir(of) if not name.startswith("_")}
    return {name: one for name, one in found.items() if hasattr(one, "__wrapped__")}


NOUNS = sorted(
    name
    for name in billing.__all__
    if name not in NO_TWIN and inspect.ismodule(getattr(billing, name))
)


def test_both_have_the_same_nouns() -> None:
    assert sorted(name for name, one in vars(CLIENT).items() if isinstance(one, Noun)) == NOUNS


def test_what_is_offered_and_has_no_twin_is_known() -> None:
    offered = {
        name
        for name in billing.__all__
        if not inspect.isclass(getattr(billing, name)) and not name.startswith("_")
    }
    assert offered - {*NOUNS, "search"} == NO_TWIN


@every("noun", NOUNS)
def test_both_have_the_same_verbs(noun: str) -> None:
    module = getattr(billing, noun)
    verbs = _verbs(module)
    assert {*verbs} == {*_verbs(getattr(CLIENT, noun))}
    functions = {
        name
        for name, one in vars(module).items()
        if inspect.isfunction(one) and one.__module__ == module.__name__ and name[0] != "_"
    }
    assert functions == {*verbs}, "a verb that was made of no description"


@every("noun", [*NOUNS, None], ids=str)
def test_a_verb_has_the_same_arguments_answer_and_words_in_both(noun: str | None) -> None:
    of, twin = (
        (billing, CLIENT) if noun is None else (getattr(billing, noun), getattr(CLIENT, noun))
    )
    for name in ["search"] if noun is None else _verbs(of):
        verb, awaited = getattr(of, name), getattr(twin, name)
        signature, other = inspect.signature(verb), inspect.signature(awaited)
        assert [*other.parameters.values()] == [*signature.parameters.values()], name
        assert _awaited(signature.return_annotation) == other.return_annotation, name
        assert inspect.getdoc(awaited) == inspect.getdoc(verb), name
        assert description_of(awaited) is description_of(verb), name
        assert inspect.iscoroutinefunction(awaited) is (
            get_origin(other.return_annotation) is not AsyncIterator
        )


def _awaited(answer: Any) -> Any:
    """What the async client answers with where the other answers with this."""
    twins = {billing.Page: AsyncPage, billing.Listing: AsyncListing, Iterator: AsyncIterator}
    twin = twins.get(get_origin(answer))  # type: ignore[arg-type]
    return answer if twin is None else twin[get_args(answer)[0]]  # type: ignore[index]


def test_without_aiohttp_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "infra.billing.aio.async_http", raising=False)
    monkeypatch.delitem(sys.modules, "infra.billing.aio.async_wire", raising=False)
    with pytest.raises(billing.NotConfigured, match=r"pip install 'billing-worker\[aio\]'"):
        asyncio.run(Billing(url="http://127.0.0.1:1", api_key="bk_1").charge.get("ch_1"))


def test_it_is_configured_as_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BILLING_URL", raising=False)
    with pytest.raises(billing.NotConfigured):
        Billing()
    with pytest.raises(billing.InvalidRequest, match="producer"):
        Billing(url="redis://127.0.0.1", producer="a b")
    assert "bk_telltale" not in repr(Billing(url="http://u.example", api_key="bk_telltale"))
