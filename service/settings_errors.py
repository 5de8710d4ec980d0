"""Errors in the settings, for people who start a process or a command."""

from pathlib import Path


class SettingsError(Exception):
    """A setting is wrong or missing; the text names each variable and what it expects, no value."""


class NothingRuns(SettingsError):
    """A URL is unset, and no `billing up` runs in the data folder. `missing` is its variable."""

    def __init__(self, folder: Path, missing: str) -> None:
        super().__init__(
            f"nothing is running in {folder}: start it with `billing up`, or set {missing}"
        )
        self.folder = folder
        self.missing = missing
