"""The second way through a file: its requests are accepted, as at every other door."""

from collections.abc import Callable

from payments.errors import Refused
from payments.transaction import Database
from worker import intake
from worker.importing.checks import in_batches
from worker.importing.refused import RefusedLines
from worker.importing.source import Refusal, Source
from worker.importing.tally import Tally

# Of one transaction: as many as a worker puts into one of its own.
BATCH = 64


def send(
    source: Source,
    refused: RefusedLines,
    tally: Tally,
    *,
    database: Database,
    processor: str,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Accept every line that is valid; write down the others, and those that are refused now.

    Each batch is a transaction of its own, and counted in `tally` once it is committed: whatever
    breaks this off, to start it again repeats what was sent, and goes on.
    """
    for some in in_batches(source.read(), BATCH):
        asked = [one.request for one in some if one.request is not None]
        with database.transaction() as transaction:
            answers = iter(intake.accept(transaction, asked, processor) if asked else ())
        for one in some:
            answer = next(answers) if one.request is not None else None
            if isinstance(answer, Refused):
                refusal = Refusal(str(answer), answer.param)
            elif one.refusal is not None:
                refusal = one.refusal
            else:
                assert answer is not None, "a line without a refusal has a request"
                tally.accept(answer.row, fresh=answer.fresh)
                continue
            refused.add(one, refusal)
            tally.refuse(one.line.number, refusal)
        advance(len(some))
