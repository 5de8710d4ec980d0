"""`billing queues mend`: RabbitMQ queues that a producer declared differently."""

import typer

from cli import output


def register(root: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="The broker's queues.")
    group.command("mend")(mend)
    root.add_typer(group, name="queues")


def mend(as_json: output.Json = False) -> None:
    """Recreate RabbitMQ queues that a producer declared differently, with all their messages.

    No worker can start while there is one. Stop producers first; it may be run again.
    """
    from celery import Celery

    from service.broker.celery_config import configuration
    from service.broker.consumers import reason
    from service.settings import load
    from worker.transport import foreign_queues, redis_transport

    redis_transport.register()
    app = Celery("billing", set_as_current=False)
    app.conf.update(configuration(load(database_url="postgresql://unused/unused")))
    if app.connection_for_write().transport.driver_type != "amqp":
        raise output.Failed("only RabbitMQ's queues can be of another kind; this is Redis")
    try:
        foreign_queues.mend(app, move=True)
    except Exception as error:  # a broken connection may raise any error
        why = f"not mended; nothing is lost, run it again: {reason(error)}"
        raise output.Failed(why) from error
    if as_json:
        output.print_json({"queues": foreign_queues.names()})
    else:
        output.console().print(f"as they should be: {', '.join(foreign_queues.names())}")
