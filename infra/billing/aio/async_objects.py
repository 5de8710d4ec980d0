"""Parts of lists as the async client answers with them."""

from collections.abc import AsyncIterator
from typing import TypeVar

from infra.billing.objects import ListingFields, PageFields

T = TypeVar("T")


class AsyncPage(PageFields[T]):
    """A part of a list: a `Page` whose iterator is for `async for`."""

    __slots__ = ()

    async def auto_paging_iter(self) -> AsyncIterator[T]:
        """Everything from this page on to the end of the list; the next page is asked for when it
        is needed. A page that was copied has only what is on it."""
        page: AsyncPage[T] | None = self
        while page is not None:
            for one in page.data:
                yield one
            after = page.following()
            page = None if after is None else await after


class AsyncListing(ListingFields[T]):
    """A part of a list that is counted: a `Listing` whose iterator is for `async for`."""

    __slots__ = ()

    async def auto_paging_iter(self) -> AsyncIterator[T]:
        """Everything from here on to the end of the list, as `AsyncPage.auto_paging_iter`."""
        listing: AsyncListing[T] | None = self
        while listing is not None:
            for one in listing.list:
                yield one
            after = listing.following()
            listing = None if after is None else await after
