"""How the page says that a plain Celery application asks: what it says is run, with RabbitMQ whose
queue no worker has declared yet."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import ROOT
from tests.support.waiting import patience_s

PAGE = ROOT / "docs/how-to/charge-from-your-service.md"
_BLOCK = re.compile(r"```python\n(?P<code>.*?)```", re.DOTALL)
_BROKER = re.compile(r"Celery\(broker=.*?\)\s+#")


@pytest.mark.rabbitmq
def test_where_the_queue_is_not_there_yet_it_is_an_error_and_not_a_loss(
    rabbitmq_url: str, tmp_path: Path
) -> None:
    blocks = (one["code"] for one in _BLOCK.finditer(PAGE.read_text()))
    (code,) = (one for one in blocks if "send_task(" in one and "Celery(" in one)
    code, replaced = _BROKER.subn(f"Celery(broker={rabbitmq_url!r})  #", code)
    assert replaced == 1
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=patience_s(),
        check=False,
    )
    assert done.returncode != 0
    assert "NO_ROUTE" in done.stderr
