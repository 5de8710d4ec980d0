"""Pages of the service's lists, each of which knows how to get the next."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from infra.billing import arguments, client
from infra.billing.errors import Unavailable
from infra.billing.objects import Listing, Page

T = TypeVar("T")


def query(*, page_size: object = None, **given: object) -> dict[str, Any]:
    """The query of a counted list, in the names of the service: what is given."""
    return arguments.given(**given, pageSize=page_size)


def page(
    path: tuple[str, ...],
    query: Mapping[str, Any],
    item: Callable[[Mapping[str, Any]], T],
    *,
    cursor: str = "cursor",
) -> Page[T]:
    """The page that `query` asks for; `cursor` names the parameter that asks for the next."""
    told = client.transport().ask("GET", *path, query=query)
    fields = {**told, "data": [item(one) for one in entries(told)]}
    return Page(fields, lambda at: page(path, {**query, cursor: at}, item, cursor=cursor))


def listing(
    path: tuple[str, ...], query: Mapping[str, Any], item: Callable[[Mapping[str, Any]], T]
) -> Listing[T]:
    """The part of a counted list that `query` asks for."""
    told = client.transport().ask("GET", *path, query=query)
    fields = {"next_cursor": None, **told, "list": [item(one) for one in entries(told, "list")]}
    # A cursor says where it is, so the number of a page has nothing to say beside it.
    rest = {name: value for name, value in query.items() if name != "page"}
    return Listing(fields, lambda at: listing(path, {**rest, "cursor": at}, item))


def entries(told: Mapping[str, Any], name: str = "data") -> list[Mapping[str, Any]]:
    """What is on a page. Raises Unavailable if the answer is none."""
    data = told.get(name)
    if not isinstance(data, list):
        raise Unavailable("the service answered with something else; is the url right?")
    return data
