"""The processors of an installation, by the names that rows carry."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.billing.contract.requests.charge_request import ChargeRequest
from payments.approval_policy import NOTHING, Approvals
from payments.processors.port import Authorizes, DeclaresLimits, Processor
from payments.processors.processor_limits import ANYTHING, MoneyLimits
from payments.processors.routing import Route, choose


class Processors(Mapping[str, Processor]):
    """Processors by name. `routes` and `default` name those that get new charges; the others
    continue with existing ones: a row is sent to, looked up at and refunded by the processor that
    it names."""

    def __init__(
        self,
        *processors: Processor,
        default: str | None = None,
        routes: Sequence[Route] = (),
        approvals: Approvals = NOTHING,
    ) -> None:
        """`default` is the first one unless given; it gets the new charges that match no route.
        `approvals`: what a second person must approve before a processor is called.

        Raises ValueError if two have the same name, or the default or a route names none of them.
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
        # The limits of each of them, by name.
        self.limits: Mapping[str, MoneyLimits] = {
            one.name: one.limits if isinstance(one, DeclaresLimits) else ANYTHING
            for one in processors
        }
        # The names of those that can authorize without capturing.
        self.authorizing = frozenset(one.name for one in processors if isinstance(one, Authorizes))
        # The fields of a request that come from its processor, by name.
        self.places: Mapping[str, Mapping[str, Any]] = {
            one.name: {
                "processor": one.name,
                "livemode": one.livemode,
                "authorizes": one.name in self.authorizing,
            }
            for one in processors
        }

    def of_charge(self, request: ChargeRequest, currency: str | None) -> str:
        """The name of the processor for a new charge in this currency."""
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
