"""Parts of lists, as the SDK answers with them: each knows how to get the next."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from infra.billing.contract.objects import Resource

T = TypeVar("T")


class Page(Resource, Generic[T]):
    """A part of a list. `next_cursor` asks for the next part; None at the end."""

    __slots__ = ("_following",)
    _shown = ("has_more", "next_cursor")
    _following: Callable[[str], "Page[T]"] | None

    data: list[T]
    has_more: bool
    next_cursor: str | None

    def __init__(
        self, fields: Mapping[str, Any], following: Callable[[str], "Page[T]"] | None = None
    ) -> None:
        super().__init__(fields)
        object.__setattr__(self, "_following", following)

    def auto_paging_iter(self) -> Iterator[T]:
        """Everything from this page on to the end of the list; the next page is asked for when it
        is needed. A page that was copied has only what is on it."""
        page: Page[T] = self
        while True:
            yield from page.data
            cursor = page.next_cursor
            if page._following is None or not page.has_more or cursor is None:
                return
            page = page._following(cursor)


class Listing(Resource, Generic[T]):
    """A part of a list that is counted. `count` says how many match in all; `next_cursor` asks for
    the next part; None at the end."""

    __slots__ = ("_following",)
    _shown = ("count", "next_cursor")
    _following: Callable[[str], "Listing[T]"] | None

    count: int
    list: Sequence[T]
    next_cursor: str | None

    def __init__(
        self, fields: Mapping[str, Any], following: Callable[[str], "Listing[T]"] | None = None
    ) -> None:
        super().__init__(fields)
        object.__setattr__(self, "_following", following)

    def auto_paging_iter(self) -> Iterator[T]:
        """Everything from here on to the end of the list, as `Page.auto_paging_iter`."""
        listing: Listing[T] = self
        while True:
            yield from listing.list
            if listing._following is None or listing.next_cursor is None:
                return
            listing = listing._following(listing.next_cursor)
