"""`python -m api`: the web process, as the line `web` of the Procfile says."""

from functools import partial

from api.app_state import AppState
from api.server import serve
from service.broker.celery_config import PAYMENTS
from service.broker.consumers import queues_read
from service.broker.publisher import Publisher, Waker
from service.metrics import serving
from service.settings import load
from service.settings_errors import SettingsError
from worker.app import app


def main() -> None:
    """Serve until told to stop."""
    settings, waker = load(), Waker(Publisher(app))
    try:
        app_state = AppState(settings, waker, partial(queues_read, app, wanted=[PAYMENTS]))
    except SettingsError as error:
        raise SystemExit(str(error)) from None  # whoever starts it needs the line, not the frames
    serving.serve(settings)
    serve(settings, app_state)


if __name__ == "__main__":
    main()
