"""The file of refused lines: what was refused and why, to be mended and imported again."""

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from cli.importing.lines import FileRefused
from cli.importing.source import Checked, Refusal, Source


class RefusedLines:
    """Kept beside its place until `keep`: an import that refuses nothing leaves no file, and one
    that breaks off leaves an earlier file alone."""

    def __init__(self, source: Source, path: Path | None) -> None:
        self.path = path or source.path.with_name(f"{source.path.stem}.refused{source.path.suffix}")
        if self.path.resolve() == source.path.resolve():
            raise FileRefused("the refused lines would be written over the file itself")
        self.count = 0
        self._source = source
        self._draft: Path | None = None
        self._out: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._out is not None:
            self._out.close()
        if self._draft is not None:
            self._draft.unlink(missing_ok=True)

    def add(self, refused: Checked, refusal: Refusal) -> None:
        """Write a line down."""
        out = self._opened()
        if not self.count:
            self._source.reader.write_header(out)
        self.count += 1
        self._source.reader.write(out, refused.line, because=refusal.because, key=refused.key)

    def begin_again(self) -> None:
        """Forget what was written down, and make sure that what comes can be."""
        out = self._opened()
        self.count = 0
        out.seek(0)
        out.truncate()

    def keep(self) -> Path | None:
        """Put the file in its place; None when there is nothing to tell."""
        if self._out is None or self._draft is None or not self.count:
            return None
        self._out.flush()
        self._draft.replace(self.path)
        return self.path

    def _opened(self) -> TextIO:
        if self._out is not None:
            return self._out
        try:
            # Private, as it contains what customers were charged for.
            descriptor, draft = tempfile.mkstemp(prefix=".refused-", dir=self.path.parent)
        except OSError as error:
            raise FileRefused(
                f"{self.path} can't be written ({error.strerror}); name another place for refused"
                " lines with --refused"
            ) from None
        self._draft = Path(draft)
        # What was not UTF-8 is written as it was read.
        self._out = os.fdopen(
            descriptor, "w", encoding="utf-8", errors="surrogateescape", newline=""
        )
        return self._out
