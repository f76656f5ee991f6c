"""The entry point of every command, before any command runs."""

import sys

import pytest
from django.core import management

import manage


def test_ctrl_c_while_loading_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback: whoever presses it knows what happened."""

    def interrupted(argv: list[str]) -> None:
        assert argv is sys.argv
        raise KeyboardInterrupt

    monkeypatch.setattr(management, "execute_from_command_line", interrupted)
    with pytest.raises(SystemExit) as ending:
        manage.main()
    assert ending.value.code == 130
    assert capsys.readouterr().err == "\nInterrupted.\n"
