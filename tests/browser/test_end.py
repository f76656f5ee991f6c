"""Ctrl-C, also in the middle of the story, ends everything."""

from __future__ import annotations

from pathlib import Path

from provisioning.management.supervisor import port_free
from tests.browser.demo import Demo, left_over

CHILDREN = 4
"""Sandbox, web server, queue worker and ticker; some have workers of their own."""


def test_ctrl_c_in_the_middle_leaves_no_process_behind(tmp_path: Path) -> None:
    """Web server, workers, ticker and sandbox end with the terminal; their ports are free again."""
    demo = Demo(tmp_path)
    try:
        demo.until("1. a paid order becomes a server")
        processes = demo.processes()
    finally:
        demo.end()
    assert len(processes) > CHILDREN
    assert left_over(processes) == set()
    assert all(port_free(port) for port in demo.ports.values())
