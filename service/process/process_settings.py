"""The settings of a process that runs alone, as in a container."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError
    return path


class ProcessSettings(BaseSettings):
    """A part of `service.settings.Settings`, which says how it is read."""

    # The folder in which a process leaves its sign of life, for `billing healthcheck`. Unset, none
    # is left: where a supervisor sees processes end, the watchdogs' exit codes say more. The image
    # sets it; one folder for each container, as a sign has the name of its role.
    run_dir: Annotated[Path, AfterValidator(_absolute)] | None = Field(
        default=None, description="the absolute path of a folder that may be created and written to"
    )
