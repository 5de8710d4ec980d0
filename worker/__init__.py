"""How messages run: the Celery app, its consumer, transports, guard, watchdog and beat."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`celery -A worker …` looks for `worker.celery`; nothing else pays for importing the app."""
    if name == "celery":
        from worker.app import app

        return app
    raise AttributeError(f"module 'worker' has no attribute {name!r}")
