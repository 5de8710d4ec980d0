"""Parts of lists, as the SDK answers with them: each knows how to get the next."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from infra.billing.contract.objects import Resource

T = TypeVar("T")


class Part(Resource):
    """A part of a list. `_following`, given the cursor of the next part, gets it."""

    __slots__ = ("_following",)
    _following: Callable[[str], Any] | None

    def __init__(
        self, fields: Mapping[str, Any], following: Callable[[str], Any] | None = None
    ) -> None:
        super().__init__(fields)
        object.__setattr__(self, "_following", following)

    def following(self) -> Any:
        """What gets the next part makes of its cursor; None behind the last, and of a copy, which
        has only what is on it."""
        cursor = self.get("next_cursor")
        if self._following is None or cursor is None or not self.get("has_more", True):
            return None
        return self._following(cursor)


class PageFields(Part, Generic[T]):
    """`next_cursor` asks for the next part; None at the end."""

    __slots__ = ()
    _shown = ("has_more", "next_cursor")

    data: list[T]
    has_more: bool
    next_cursor: str | None


class ListingFields(Part, Generic[T]):
    """`count` says how many match in all; `next_cursor` asks for the next part; None at the end."""

    __slots__ = ()
    _shown = ("count", "next_cursor")

    count: int
    list: Sequence[T]
    next_cursor: str | None


class Page(PageFields[T]):
    """A part of a list."""

    __slots__ = ()

    def auto_paging_iter(self) -> Iterator[T]:
        """Everything from this page on to the end of the list; the next page is asked for when it
        is needed. A page that was copied has only what is on it."""
        page: Page[T] | None = self
        while page is not None:
            yield from page.data
            page = page.following()


class Listing(ListingFields[T]):
    """A part of a list that is counted."""

    __slots__ = ()

    def auto_paging_iter(self) -> Iterator[T]:
        """Everything from here on to the end of the list, as `Page.auto_paging_iter`."""
        listing: Listing[T] | None = self
        while listing is not None:
            yield from listing.list
            listing = listing.following()
