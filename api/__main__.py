"""`python -m api`: the web process, as the line `web` of the Procfile says."""

from functools import partial

from api.app_state import AppState
from api.http_server import serve
from service.broker.celery_config import PAYMENTS
from service.broker.consumers import queues_read
from service.broker.publisher import Publisher, Waker
from service.metrics import serving
from service.settings import load
from service.settings_errors import SettingsError
from worker.app import app


def main() -> None:
    """Serve until stopped."""
    settings, waker = load(), Waker(Publisher(app))
    try:
        app_state = AppState(settings, waker, partial(queues_read, app, wanted=[PAYMENTS]))
    except SettingsError as error:
        raise SystemExit(str(error)) from None  # the user needs the message, not a traceback
    serving.serve(settings)
    serve(settings, app_state)


if __name__ == "__main__":
    main()
