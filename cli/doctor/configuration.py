"""The settings: whether they can be read, and what they point to."""

from collections.abc import Iterable, Iterator

from cli.doctor.findings import Finding, fail, ok
from service import settings as settings_module
from service.settings import Settings
from service.settings_errors import NothingRuns, SettingsError

# Stands in for the URL that is not asked about, so that each is found, or not, on its own.
_UNUSED = {"database_url": "postgresql://unused/unused", "broker_url": "redis://unused"}


class Found:
    """The settings as far as they are there: `database_url` and `broker_url` may be None."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.database_url: str | None = None
        self.broker_url: str | None = None
        self.troubles: list[str] = []
        self.idle: list[NothingRuns] = []
        # The database's last: with it come the private networks that `billing up` allows.
        for name, other in (("broker_url", "database_url"), ("database_url", "broker_url")):
            try:
                self.settings = settings_module.load(**{other: _UNUSED[other]})
                setattr(self, name, getattr(self.settings, name))
            except NothingRuns as error:
                self.idle.append(error)
            except SettingsError as error:
                self.troubles += str(error).splitlines()

    def look(self) -> Iterable[Finding]:
        """What is wrong with the settings, or what they say."""
        for trouble in dict.fromkeys(self.troubles):
            yield fail("settings", trouble, "set it where the processes get their environment")
        if self.idle:
            variables = " and ".join(sorted(error.missing for error in self.idle))
            yield fail(
                "settings",
                f"nothing is running in {self.idle[0].folder}",
                f"start it with `billing up`, or set {variables}",
            )
        if self.troubles or self.idle:
            return
        assert self.settings is not None, "without trouble there are settings"
        yield ok("settings", "; ".join(self._told(self.settings)))

    def _told(self, settings: Settings) -> Iterator[str]:
        others = [name for name in settings.processors if name != settings.processor]
        beside = f", besides it {', '.join(others)}" if others else ""
        yield f"processor {settings.processor}{beside}"
        if settings.processor_routes:
            yield f"but {', '.join(map(str, settings.processor_routes))}"
        if networks := settings.webhook_allow_private:
            yield f"webhooks may go to {', '.join(map(str, networks))} besides public addresses"
        else:
            yield "webhooks go to public addresses only"
