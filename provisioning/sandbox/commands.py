"""What both control APIs share: JSON in, JSON out, a sentence where the input is wrong."""

import json
from collections.abc import Callable
from typing import Any

from provisioning.sandbox.http import Request, Response, Router

Input = dict[str, Any]


def run_command(router: Router, sandbox: object, request: Request) -> Response:
    """Find the command and run it: 404 for an unknown one or an unknown thing, 422 for wrong input."""
    found = router.find(request.method, request.path)
    if found is None:
        return Response.of_json({"error": "No such command. See docs/sandbox.md."}, status=404)
    command: Callable[[Any, Input, dict[str, str]], object] = found[0].endpoint  # type: ignore[assignment]
    try:
        return Response.of_json(command(sandbox, json.loads(request.body or b"{}"), found[1]))
    except KeyError as error:
        return Response.of_json({"error": f"Nothing here is called {error}."}, status=404)
    except (TypeError, ValueError) as error:
        return Response.of_json({"error": str(error)}, status=422)
