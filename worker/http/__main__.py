"""`python -m worker.http`: the web process, as the line `web` of the Procfile says."""

from functools import partial

from worker.app import app
from worker.celery_config import PAYMENTS
from worker.consumers import queues_read
from worker.http.building import Building
from worker.http.server import serve
from worker.publisher import Publisher, Waker
from worker.settings import load


def main() -> None:
    """Serve until told to stop."""
    settings, waker = load(), Waker(Publisher(app))
    serve(settings, Building(settings, waker, partial(queues_read, app, wanted=[PAYMENTS])))


if __name__ == "__main__":
    main()
