"""A process that asks for the same thing many times, over the queue or by calling the rules.

`python -m tests.support.asker queue|direct TIMES GUN FIELDS`: waits until the file GUN is there,
and then asks with all its threads at once. Prints one line per answer.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.billing.contract.requests.charge_request import ChargeRequest
from payments.lifecycle.blocking import BlockingExecutor
from payments.parsing import parse
from payments.payment_errors import Refused
from service.execution.executors import make_executor
from service.settings import load
from service.wiring import services
from tests.support.producer import Producer


def ask_over_the_queue(fields: dict[str, object]) -> str:
    with Producer(load().broker_url) as producer:
        producer.send("billing.charge.create", **fields)
    return "sent"


def ask_directly(executor: BlockingExecutor, fields: dict[str, object]) -> str:
    try:
        row = executor.create(parse(ChargeRequest, fields))
    except Refused as refused:
        return refused.code
    return str(row.id)


def main(how: str, times: int, gun: Path, fields: dict[str, object]) -> None:
    executor = make_executor(services(load(), lambda _: None))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not gun.exists():
        time.sleep(0.001)
    with ThreadPoolExecutor(times) as threads:
        ask = ask_over_the_queue if how == "queue" else lambda f: ask_directly(executor, f)
        for answer in threads.map(ask, [fields] * times):
            sys.stdout.write(f"answer {answer}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4]))
