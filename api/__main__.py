"""`python -m api`: the web process, as the line `web` of the Procfile says."""

from functools import partial

from api.app_state import AppState
from api.server import serve
from service.broker.celery_config import PAYMENTS
from service.broker.consumers import queues_read
from service.broker.publisher import Publisher, Waker
from service.settings import load
from worker.app import app


def main() -> None:
    """Serve until told to stop."""
    settings, waker = load(), Waker(Publisher(app))
    serve(settings, AppState(settings, waker, partial(queues_read, app, wanted=[PAYMENTS])))


if __name__ == "__main__":
    main()
