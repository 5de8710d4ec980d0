"""One request, as an endpoint sees it."""

from dataclasses import dataclass, field
from typing import Any

from local.stripe_door.shapes import Object, new_id
from local.stripe_door.store import Store


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked of one endpoint; `store` is where it is carried out."""

    store: Store
    params: dict[str, Any] = field(default_factory=dict)
    # The id in the path, if there is one.
    target: str = ""
    # Where the door is found, for links in answers.
    url: str = ""
    id: str = field(default_factory=lambda: new_id("request"))
    key: str | None = None

    @property
    def now(self) -> float:
        return self.store.now

    def param(self, name: str, default: Any = None) -> Any:
        """A parameter; a text that is empty is none."""
        value = self.params.get(name)
        return default if value in (None, "") else value

    def metadata(self, before: Object | None = None) -> Object:
        """Metadata as this request leaves it: an empty value takes a name away."""
        asked = self.params.get("metadata")
        if asked == {}:
            return {}
        merged = {**(before or {}), **(asked or {})}
        return {name: value for name, value in merged.items() if value != ""}
