"""Parts of lists, as the async client returns them."""

from collections.abc import AsyncIterator
from typing import TypeVar

from infra.billing.objects import ListingFields, PageFields

T = TypeVar("T")


class AsyncPage(PageFields[T]):
    """A part of a list: a `Page` whose iterator is for `async for`."""

    __slots__ = ()

    async def auto_paging_iter(self) -> AsyncIterator[T]:
        """Everything from this page to the end of the list; the next page is requested when needed.
        A copied page has only its own rows."""
        page: AsyncPage[T] | None = self
        while page is not None:
            for one in page.data:
                yield one
            after = page.following()
            page = None if after is None else await after


class AsyncListing(ListingFields[T]):
    """A part of a list with a count: a `Listing` whose iterator is for `async for`."""

    __slots__ = ()

    async def auto_paging_iter(self) -> AsyncIterator[T]:
        """Everything from here to the end of the list, like `AsyncPage.auto_paging_iter`."""
        listing: AsyncListing[T] | None = self
        while listing is not None:
            for one in listing.list:
                yield one
            after = listing.following()
            listing = None if after is None else await after
