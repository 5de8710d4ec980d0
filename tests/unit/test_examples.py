"""How the examples of a page are found and run, before a page is believed because of them."""

from pathlib import Path

import pytest

from tests.support.every import every
from tests.support.examples import Example, examples, run

PAGE = """\
```sh
exit 1  # outside
```
<!-- run: tour -->
Some words.

```sh
export GREETING=hello
name="you
and me"
```
```json
{"not": "run", …}
```
```python
import os
print(os.environ["GREETING"], end="!")
```
```sh
echo "$name" | tail -1
```
<!-- end -->
<!-- run: other -->
```text
nothing to run
```
<!-- end -->
"""


def told(page: str, folder: Path) -> list[str]:
    found = examples(page, "tour")
    return [one.text for one in run(found, scratch=folder, folder=folder, environ={})]


def test_they_run_in_order_in_one_shell(tmp_path: Path) -> None:
    assert told(PAGE, tmp_path) == ["", "hello!", "and me\n"]


def test_what_the_reader_has_set_before_is_set(tmp_path: Path) -> None:
    step = Example("python", "import os; print(os.environ['A'], os.environ['B'])", "line 1")
    (one,) = run([step], scratch=tmp_path, folder=tmp_path, environ={"A": "1"}, first="export B=2")
    assert one.text == "1 2\n"


@pytest.mark.parametrize(
    ("good", "bad", "place"),
    [
        ("end=\"!\")", "end=\"!\"); 1 / 0", "line 15 ended with 1:\nhello!Traceback"),
        ('echo "$name"', 'echo "$nobody"', "line 19 ended with 1"),
        ('echo "$name"', "false", "line 19 ended with 1"),
        ("export GREETING=hello", "false", "line 7 ended with 1"),
    ],
)  # fmt: skip
def test_one_that_fails_is_named_and_ends_the_tour(
    good: str, bad: str, place: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError) as failed:
        told(PAGE.replace(good, bad), tmp_path)
    assert place in str(failed.value)


@every(
    "page, says",
    [
        ("", "has 0 parts"),
        (PAGE.replace("run: tour", "run: detour"), "has 0 parts"),
        (PAGE.replace("<!-- end -->", ""), "has 0 parts"),
        (PAGE + PAGE, "has 2 parts"),
        (PAGE.replace("run: tour", "run: t").replace("run: other", "run: tour"), "nothing to run"),
        (PAGE.replace("```json", "```"), "line 12: a block must be one of sh, python, json, text"),
        (PAGE.replace("```json", "```ruby"), "line 12: a block must be one of"),
    ],
)
def test_a_page_that_proves_nothing_is_refused(page: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        examples(page, "tour")
