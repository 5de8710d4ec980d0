"""The processors of an installation, by the names that rows carry."""

from collections.abc import Iterator, Mapping

from payments.processors.limits import ANYTHING, MoneyLimits
from payments.processors.port import DeclaresLimits, Processor


class Processors(Mapping[str, Processor]):
    """Processors by name. `default` names the one that takes new charges; the others go on with
    what is theirs: a row is sent to, looked up at and refunded by the processor that it names."""

    def __init__(self, *processors: Processor, default: str | None = None) -> None:
        """`default` is the first one unless said otherwise. Raises ValueError when two have one
        name, or none has the default's."""
        self._by_name = {one.name: one for one in processors}
        if len(self._by_name) != len(processors):
            raise ValueError("two processors have the same name")
        self.default = default or next(iter(self._by_name), "")
        if self.default not in self._by_name:
            raise ValueError(f"no processor is named {self.default!r}")

    @property
    def limits(self) -> Mapping[str, MoneyLimits]:
        """What each of them takes, by name."""
        return {
            name: one.limits if isinstance(one, DeclaresLimits) else ANYTHING
            for name, one in self._by_name.items()
        }

    def __getitem__(self, name: str) -> Processor:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)
