"""Settings whose value is in a file: BILLING_DATABASE_URL_FILE names the file with the value.

Containers get secrets as files, so that they are not in the environment, which `docker inspect`,
crash reports and child processes show.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from service.settings_errors import SettingsError

SUFFIX = "_FILE"
# No setting is longer; a log or a disk that is named by mistake is refused at once.
BYTES_MAX = 65_536


class ValueFiles(PydanticBaseSettingsSource):
    """A source of values for pydantic: after arguments, before the environment."""

    def __init__(
        self, settings_cls: type[BaseSettings], environ: Mapping[str, str], *, prefix: str
    ) -> None:
        super().__init__(settings_cls)
        self._prefix = prefix
        # By the name in capitals, as pydantic finds settings. An empty one counts as unset.
        self._given = {name.upper(): value for name, value in environ.items() if value}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value in the file of a field, None if no file is named. Raises SettingsError."""
        variable = f"{self._prefix}{field_name}".upper()
        named = self._given.get(variable + SUFFIX)
        if named is None:
            return None, field_name, False
        if variable in self._given:
            raise SettingsError(
                f"{variable} and {variable}{SUFFIX} are both set: leave one of them out"
            )
        return _read(Path(named), variable + SUFFIX), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Every value from a file, except those that an argument overrides."""
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            if name not in self.current_state:
                value, _, _ = self.get_field_value(field, name)
                if value is not None:
                    found[name] = value
        return found


def _read(path: Path, variable: str) -> str:
    """The contents of the file, without the final newline that editors add. Raises SettingsError,
    which does not quote the path: it may be the secret itself, by mistake."""
    expected = f"{variable} must be the absolute path of a file that holds the value"
    if not path.is_absolute():
        raise SettingsError(expected)
    try:
        with path.open("rb") as file:
            text = file.read(BYTES_MAX + 1).decode()
    except OSError as error:
        raise SettingsError(f"{expected}; it can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{expected}; it holds no text") from None
    if len(text) > BYTES_MAX:
        raise SettingsError(f"{expected}; it holds more than {BYTES_MAX} bytes")
    if not (value := text.rstrip("\r\n")):
        raise SettingsError(f"{expected}; it is empty")
    return value
