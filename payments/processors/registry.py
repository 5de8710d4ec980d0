"""The processors of an installation, by the names that rows carry."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.billing.contract.requests.charge import ChargeRequest
from payments.approval_policy import NOTHING, Approvals
from payments.processors.limits import ANYTHING, MoneyLimits
from payments.processors.port import Authorizes, DeclaresLimits, Processor
from payments.processors.routing import Route, choose


class Processors(Mapping[str, Processor]):
    """Processors by name. `routes` and `default` name those that take new charges; the others go on
    with what is theirs: a row is sent to, looked up at and refunded by the one that it names."""

    def __init__(
        self,
        *processors: Processor,
        default: str | None = None,
        routes: Sequence[Route] = (),
        approvals: Approvals = NOTHING,
    ) -> None:
        """`default` is the first one unless said otherwise; it takes the new charges that no route
        fits. `approvals`: what a second person must approve before one of them is asked.

        Raises ValueError when two have one name, or none has the default's or a route's.
        """
        self._by_name = {one.name: one for one in processors}
        if len(self._by_name) != len(processors):
            raise ValueError("two processors have the same name")
        self.default = default or next(iter(self._by_name), "")
        self.routes = tuple(routes)
        self.approvals = approvals
        for name in (self.default, *(route.processor for route in self.routes)):
            if name not in self._by_name:
                raise ValueError(f"no processor is named {name!r}")
        # What each of them takes, by name.
        self.limits: Mapping[str, MoneyLimits] = {
            one.name: one.limits if isinstance(one, DeclaresLimits) else ANYTHING
            for one in processors
        }
        # The names of those that can set money aside.
        self.authorizing = frozenset(one.name for one in processors if isinstance(one, Authorizes))
        # What a request has of the one that is to get it, by name.
        self.places: Mapping[str, Mapping[str, Any]] = {
            one.name: {
                "processor": one.name,
                "livemode": one.livemode,
                "authorizes": one.name in self.authorizing,
            }
            for one in processors
        }

    def of_charge(self, request: ChargeRequest, currency: str | None) -> str:
        """The name of the one that takes a new charge in this currency."""
        if not self.routes:
            return self.default
        return choose(
            self.routes,
            self.default,
            currency=currency,
            producer=request.producer,
            method=request.payment_method_id,
        )

    def __getitem__(self, name: str) -> Processor:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)
