"""How a message becomes a running task: redacted, without obeying its headers, its errors
scrubbed."""

from typing import Any

from celery import Task
from celery.exceptions import Ignore, InvalidTaskError, Reject, Retry
from celery.worker.request import Request as CeleryRequest

from infra.billing.contract.card_data import holds_card_data
from payments.payment_errors import BillingError
from service import faults, log
from service.broker import task_redaction
from service.database.retrying import DatabaseUnavailable
from service.running import register
from tasks.task_arguments import Wishes
from worker import signing
from worker.envelope import Call

logger = log.get(__name__)

# RabbitMQ's confirm takes milliseconds; a publisher waits this long for it.
CONFIRM_TIMEOUT_S = 2.0
# The header by which the consumer says that monitors know that a task has begun.
TOLD = "told"


class TaskFailed(Exception):
    """A bug ended the task; the text says which and where, and nothing about the task's content."""


class Request(CeleryRequest):  # type: ignore[misc]  # Celery has no types
    """A message on its way to a thread. Celery obeys every header; here only ids count.

    Otherwise everyone who can write to the broker could silently drop a payment (`expires`), keep
    it in a worker's memory (`eta`), cut it off (`timelimit`), rename it (`shadow`) or make us
    publish tasks of their choice (`callbacks`, `errbacks`, `chain`, `chord` in the body). The task
    gets what they ask for as `wishes`, to be done by our own rules, or refused.
    """

    def __init__(
        self,
        message: Any,
        *,
        headers: dict[str, Any] | None = None,
        body: Any = None,
        decoded: bool = False,
        **rest: Any,
    ) -> None:
        headers = message.headers if headers is None else headers
        payload = body if decoded else message.payload
        try:
            args, kwargs, _ = payload
        except (TypeError, ValueError):
            raise InvalidTaskError("the body is not [args, kwargs, {…}]") from None
        if not isinstance(args, (list, tuple)) or not isinstance(kwargs, dict):
            raise InvalidTaskError("the arguments are not a list and an object")
        task_id, wishes = headers["id"], headers.get("wishes")
        self._is_told = bool(headers.get(TOLD))
        super().__init__(
            message,
            headers={
                "lang": headers.get("lang"),
                "task": headers["task"],
                "id": task_id,
                "root_id": told_id(headers.get("root_id")) or task_id,
                "parent_id": told_id(headers.get("parent_id")),
                "retries": 0,
                signing.PROOF: headers.get(signing.PROOF),
                "wishes": wishes if isinstance(wishes, Wishes) else None,
                "ignore_result": True,
                # Celery copies these into its log lines and events, and falls back to the whole
                # arguments if they are missing (celery/app/trace.py:271, :644).
                "argsrepr": task_redaction.args_text(args),
                "kwargsrepr": task_redaction.kwargs_text(kwargs),
            },
            # Passed on decoded, so that the thread doesn't decode the body again
            # (celery/app/trace.py:716), with what it embeds.
            body=(args, kwargs, {}),
            decoded=True,
            **rest,
        )

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002  # Celery's name for it
        """With the queue, by which monitors such as celery-exporter distinguish tasks; and no event
        twice."""
        if type == "task-started" and self._is_told:
            return
        super().send_event(type, **{"queue": self.delivery_info.get("routing_key"), **fields})

    def info(self, safe: bool = False) -> dict[str, Any]:
        """For `inspect active` and Flower, which ask for the whole arguments."""
        answer: dict[str, Any] = super().info(safe=True)
        return answer


def make_plain(message: Any, call: Call, *, is_told: bool = False) -> None:
    """Replace the contents of a message by what we read from it; `is_told`: monitors already know
    that it is under way."""
    message.headers = {
        "lang": message.headers.get("lang"),
        "task": call.task,
        "id": call.id,
        "root_id": call.root_id,
        "parent_id": call.parent_id,
        signing.PROOF: signing.proof_of(message, task=call.task, task_id=call.id),
        "wishes": call.wishes,
        TOLD: is_told,
    }
    message._decoded_cache = [call.args, call.kwargs, {}]  # noqa: SLF001  # its `payload`


def told_id(value: Any) -> str | None:
    """The id that a message says it belongs to, if it has the form of one: events show it."""
    if not isinstance(value, str) or len(value) > 255 or not value.isprintable():
        return None
    return None if holds_card_data(value) else value


class BillingTask(Task):  # type: ignore[misc]  # Celery has no types
    """The base of all our tasks: `Celery(task_cls=BillingTask)`."""

    abstract = True
    Request = "worker.task_request:Request"
    # Expected: a FAILURE with its message in Flower, one line in the log, no traceback.
    throws = (BillingError, TaskFailed)

    # `self` is positional only: a producer may send a field of that name, too.
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        request = self.request_stack.top
        if request is None:  # called as a function, outside a worker
            return super().__call__(*args, **kwargs)
        register.begin(self.name, request.id)
        try:
            with signing.presented(request.get(signing.PROOF)):
                return self.run(*args, **kwargs)
        except BillingError as error:
            ending: Exception = error
        except (Reject, Ignore, Retry):
            raise
        except DatabaseUnavailable:
            # Nothing is written yet: return it to the queue, for another worker.
            raise Reject("the worker stops while the database is away", requeue=True) from None
        except Exception as error:  # noqa: BLE001  # raised again below, without its values
            fault = faults.describe(error)
            ending = TaskFailed(fault.text)
            logger.error(
                "task failed",
                task=self.name,
                task_id=request.id,
                arguments=request.kwargsrepr,
                error=fault.kind,
                where=fault.where,
                frames=fault.frames,
            )
        finally:
            register.end()
        # Raised out here, so that no other error, whose text and locals may contain anything, is
        # the cause or context of what Celery logs and sends to Flower.
        ending.__cause__ = ending.__context__ = ending.__traceback__ = None
        raise ending

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called before Celery reports a failure (celery/app/trace.py:245). The frames would always
        name the line above, so Flower shows only the message."""
        if isinstance(exc, self.throws):
            einfo.traceback = f"{type(exc).__name__}: {exc}"

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Like Celery's, with redacted representations and a limit on waiting for a confirm."""
        options.setdefault("argsrepr", task_redaction.args_text(args or ()))
        options.setdefault("kwargsrepr", task_redaction.kwargs_text(kwargs or {}))
        options.setdefault("confirm_timeout", CONFIRM_TIMEOUT_S)
        # RabbitMQ also confirms what no queue accepts; only this makes it report that.
        options.setdefault("mandatory", True)
        return super().apply_async(args, kwargs, *rest, **options)
