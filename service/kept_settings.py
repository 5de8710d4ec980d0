"""The settings about stored data: which keys encrypt it, and how long it is kept."""

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from payments.access.encryption_keys import KEY

if TYPE_CHECKING:
    from payments.keeping.retention import Keep

# The message if a process needs a key and there is none.
NO_KEY = (
    "BILLING_ENCRYPTION_KEYS must be set: secrets of webhooks are encrypted in the database."
    " `billing keys encryption` makes a key; keep it where your passwords are, not in the database"
)


def keys_of(value: SecretStr) -> tuple[str, ...]:
    """The keys that the setting lists, separated by commas."""
    return tuple(part for one in value.get_secret_value().split(",") if (part := one.strip()))


def _keys(value: SecretStr) -> SecretStr:
    if not all(map(KEY.fullmatch, keys_of(value))):
        raise ValueError
    return value


EncryptionKeys = Annotated[SecretStr, AfterValidator(_keys)]
DAYS = "a whole number of days from 0 to 36500; 0 keeps them for ever"


class KeptSettings(BaseSettings):
    """A part of `service.settings.Settings`, which says how it is read."""

    # The keys that encrypt secrets of webhooks in the database: the first encrypts, all decrypt.
    # Unset, one in the data folder if the database is the embedded one; with another, processes
    # refuse to start.
    encryption_keys: EncryptionKeys = Field(
        default=SecretStr(""),
        description="keys that `billing keys encryption` makes (bek_…), separated by commas",
    )
    # How long events and their deliveries are kept, once nothing about them is pending. A quarter:
    # a bank may contest a charge for about as long, and no receiver is down for longer. What is
    # older can't be replayed, and has left the feed.
    keep_events_days: int = Field(default=90, ge=0, le=36_500, description=DAYS)
    # How long each post of a webhook is kept, with the receiver's answer. A month, as Stripe shows
    # them: these are the most rows, and only of interest while a failure is investigated. Whether
    # and when an event was delivered stays with the event.
    keep_delivery_attempts_days: int = Field(default=30, ge=0, le=36_500, description=DAYS)
    # How long refused requests are kept. As long as events, since each has one.
    keep_rejected_requests_days: int = Field(default=90, ge=0, le=36_500, description=DAYS)
    # How long messages in quarantine are kept after they were released or dismissed. Others stay.
    keep_quarantined_messages_days: int = Field(default=30, ge=0, le=36_500, description=DAYS)
    # How long the keys of new endpoints, rotations, pings and replays are remembered: until then a
    # repeat gets the same answer, and later it is done again. No caller repeats for a month. Keys
    # of charges and refunds are remembered for ever.
    keep_requests_made_days: int = Field(default=30, ge=0, le=36_500, description=DAYS)

    @property
    def keep(self) -> "Keep":
        """For how many days each is kept."""
        from payments.keeping.retention import Keep  # imports the tables

        return Keep(**{name: getattr(self, f"keep_{name}_days") for name in Keep.__slots__})
