from infra.billing.aio import *  # noqa: F403  # what it offers is what it offers there
from infra.billing.aio import __all__ as __all__
