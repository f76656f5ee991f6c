"""The list of mutants fits the code, and a stale entry is refused."""

from pathlib import Path

import pytest

from tools import mutants


@pytest.mark.parametrize("mutant", mutants.load(), ids=lambda mutant: mutant.name)
def test_every_entry_fits_the_code(mutant: mutants.Mutant) -> None:
    for name, old, new in mutant.edits:
        assert (mutants.ROOT / name).read_text().count(old) == 1
        assert old != new
    for name in mutant.tests:
        assert (mutants.ROOT / name.partition("::")[0]).exists()


def test_edit_is_made_in_the_copy(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    mutants.apply(mutants.Mutant("m", "", (), (("a.py", "x = 1", "x = 2"),)), tmp_path)
    assert (tmp_path / "a.py").read_text() == "x = 2\n"


@pytest.mark.parametrize("text", ["y = 1\n", "x = 1\nx = 1\n"])
def test_stale_entry_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.py").write_text(text)
    with pytest.raises(SystemExit, match=r"Mend tests/mutants\.toml"):
        mutants.apply(mutants.Mutant("m", "", (), (("a.py", "x = 1", "x = 2"),)), tmp_path)
