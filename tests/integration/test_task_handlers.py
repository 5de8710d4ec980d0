"""The handlers of tasks: what they do when a processor or a row can't be had."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import pytest
from celery.exceptions import Reject
from sqlalchemy import Engine, text

from payments.intake.quarantine import GIVEN_UP, OF_A_BUG, KeptRequest, as_kept
from service.settings import Settings
from service.wiring import REAL, processors
from tasks.task_arguments import Wishes
from tests.support.counter import Counter, counter
from tests.support.every import every
from tests.support.factories import Till, a_refund
from tests.support.handlers import task_handlers
from tests.support.paper import Paper
from tests.support.second import PLUGINS, open_books
from worker import task_handlers as worker_handlers
from worker.sweeps import sweeping
from worker.task_handlers import GivenUp

MakeSettings = Callable[..., Settings]


@pytest.fixture
def till(engine: Engine) -> Iterator[Counter]:
    with counter(engine) as till:
        yield till


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_handlers, "REQUEUE_PAUSE_S", 0.0)


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that brings a second processor is installed."""
    monkeypatch.syspath_prepend(str(PLUGINS))


@contextmanager
def held(engine: Engine, table: str, id_: str) -> Iterator[None]:
    """Somebody in psql, who locked a row and went to lunch."""
    with engine.connect() as connection, connection.begin():
        connection.execute(text(f"SELECT 1 FROM {table} WHERE id = :id FOR UPDATE"), {"id": id_})
        yield


# --- processors -------------------------------------------------------------------------------


@pytest.mark.usefixtures("plugins")
def test_processors_are_made_by_their_names(make_settings: MakeSettings) -> None:
    named = processors(make_settings(processors="second,sandbox"))
    assert [(name, one.name) for name, one in named.items()] == [
        ("second", "second"),
        ("sandbox", "sandbox"),
    ]
    assert named.default == "second"
    settings = make_settings(processors="second,sandbox", processor="sandbox")
    assert processors(settings).default == "sandbox"


def test_a_processor_under_another_name_is_refused(make_settings: MakeSettings) -> None:
    with pytest.raises(ValueError, match="the processor 'sandbox' calls itself 'liar'"):
        processors(make_settings(), {"sandbox": lambda _: Paper("liar")})


@pytest.mark.usefixtures("plugins")
def test_events_are_pulled_from_all_and_one_that_is_away_holds_up_no_other(
    make_settings: MakeSettings, redis_url: str, till: Counter
) -> None:
    class Away(Paper):
        def pull_events(self, limit: int) -> list[tuple[Mapping[str, str], bytes]]:
            raise ConnectionError("the processor is away")

    open_books(till.engine)
    settings = make_settings(processors="second,sandbox", broker_url=redis_url)
    with task_handlers(
        settings, replace(REAL, processors={"sandbox": lambda _: Away("sandbox")})
    ) as handlers:
        fields = {"amount": 5, "currency": "USD", "payment_method_id": "pm_sandbox_late_success"}
        row = handlers.create("charge", fields, task_id="order-1")
        assert (row.processor, row.phase) == ("second", "awaiting_customer")
        till.query("UPDATE second.sandbox_requests SET turns_at = now()")
        with pytest.raises(ConnectionError):  # for the log: beat tries again in a second
            handlers.sweep("processor")
        (settled,) = till.query("SELECT state FROM charges WHERE id = :id", id=row.id)
        assert settled["state"] == "succeeded"


# --- sweeps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [0, 1, 2, 3, 4])
def test_a_step_of_the_sweep_that_fails_holds_up_no_other(
    make_settings: MakeSettings, redis_url: str, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    taken: list[str] = []

    def step(name: str) -> Callable[..., int]:
        def take(*_: object, **__: object) -> int:
            taken.append(name)
            if len(taken) == failing + 1:
                raise RuntimeError(name)
            return 1

        return take

    for name in ("expire_leases", "wake_due"):
        monkeypatch.setattr(sweeping.sweeps, name, step(name))
    monkeypatch.setattr(sweeping.cancels, "cancel_expired", step("cancel_expired"))
    with task_handlers(make_settings(broker_url=redis_url)) as handlers:
        with pytest.raises(RuntimeError):  # for the log: beat tries again in a second
            handlers.sweep("payments")
        assert taken == ["expire_leases", "wake_due"] * 2 + ["cancel_expired"]
        assert handlers.sweep("payments") == 5


# --- rows that somebody holds -----------------------------------------------------------------


def test_what_somebody_holds_is_given_back_and_goes_on_when_it_is_free(
    make_settings: MakeSettings, redis_url: str, till: Counter
) -> None:
    """Neither a failure in Flower nor an error in the log: the message comes again."""
    paid = till.charge()
    with task_handlers(make_settings(broker_url=redis_url)) as handlers:
        fields = {"charge_id": paid["id"]}
        waiting = a_refund(paid["id"], amount=1, producer="default")
        Till(till.engine).accept(waiting)
        with held(till.engine, "charges", paid["id"]):
            with pytest.raises(Reject) as new:
                handlers.create("refund", fields, task_id="return-1")
            with pytest.raises(Reject) as known:
                handlers.submit("refund", waiting.id)
        assert new.value.requeue
        assert known.value.requeue
        assert handlers.create("refund", fields, task_id="return-1").state == "succeeded"


def test_what_the_broker_gave_up_is_held_until_it_is_kept(
    till: Counter, make_settings: MakeSettings, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given back once more, RabbitMQ may drop it."""
    fields = {"amount": 500, "currency": "USD", "idempotency_key": "k"}
    failures = iter([ValueError, KeyError])
    with task_handlers(make_settings(broker_url=redis_url)) as handlers:
        keeps = handlers.quarantine

        def fails_twice(*given: object, **more: object) -> str:
            if failure := next(failures, None):
                raise failure
            return keeps(*given, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(handlers, "quarantine", fails_twice)
        with pytest.raises(GivenUp):
            handlers.create("charge", fields, task_id="t-1", wishes=Wishes(given_up=True))
        (kept,) = till.query("SELECT reason FROM quarantined_messages")
        assert kept["reason"] == GIVEN_UP
        # Where the process stops first, the broker has it still.
        monkeypatch.setattr(handlers, "quarantine", lambda *_, **__: 1 / 0)
        handlers.services.stopping.set()
        with pytest.raises(Reject):
            handlers.create("charge", fields, task_id="t-2", wishes=Wishes(given_up=True))


@every(
    "changes, is_whole",
    [
        ({"metadata": {"pickup_pin": "4711", "verification_code": "123456"}}, True),
        ({"description": "Gift card code: 12345678"}, True),
        ({"description": "4242 4242 4242 4242"}, False),
        ({"metadata": {"cvc": "123"}}, False),
    ],
)
def test_a_request_that_the_doors_take_is_kept_whole(
    changes: dict[str, object], is_whole: bool
) -> None:
    kwargs = {"amount": 500, "currency": "USD", **changes}
    raw = KeptRequest("billing.charge.create", "t-1", kwargs).written()
    kept = as_kept(raw, None, reason=f"{OF_A_BUG}ValueError")
    assert (kept.raw == raw, kept.is_changed) == (is_whole, not is_whole)
    # What is no request of ours is masked by whatever looks like a code.
    assert as_kept(raw, None, reason="not JSON").is_changed
