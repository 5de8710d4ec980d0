"""Wake-up calls past the broker: to drainers that listen at the database."""

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from payments.transaction import Wakes
from payments.webhooks.draining import listening


def unheard(engine: Engine, wakes: Wakes) -> Wakes:
    """Tell the drainers that listen; returns those whom messages must call. To be called once what
    they are called for is committed. Never raises: a database that is away is asked by nobody."""
    if not wakes.endpoints:
        return wakes
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            endpoints = listening.tell(connection, wakes.endpoints)
    except (DBAPIError, NoConnectionFree):
        return wakes
    return Wakes(endpoints=endpoints, charges=wakes.charges, refunds=wakes.refunds)
