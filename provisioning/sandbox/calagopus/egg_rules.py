"""What an egg demands of its variables' values, in the panel's words (contract section 5.2)."""

import re
from collections.abc import Callable, Mapping

from provisioning.sandbox.calagopus.errors import bad
from provisioning.sandbox.calagopus.rows import EggVariable

NUMERIC = {"integer", "numeric"}
Check = Callable[[str, str, bool], str]


def _size(value: str, numeric: bool) -> float:
    return float(value) if numeric else len(value)


def _unit(numeric: bool) -> str:
    return "" if numeric else " characters"


def _between(value: str, argument: str, numeric: bool) -> str:
    low, _, high = argument.partition(",")
    fits = float(low) <= _size(value, numeric) <= float(high)
    return "" if fits else f"must be between {low} and {high}{_unit(numeric)}"


def _min(value: str, argument: str, numeric: bool) -> str:
    fits = _size(value, numeric) >= float(argument)
    return "" if fits else f"must be greater than or equal to {argument}{_unit(numeric)}"


def _max(value: str, argument: str, numeric: bool) -> str:
    fits = _size(value, numeric) <= float(argument)
    return "" if fits else f"must be less than or equal to {argument}{_unit(numeric)}"


def _integer(value: str, _: str, __: bool) -> str:
    return "" if re.fullmatch(r"[+-]?\d+", value) else "must be a valid integer"


def _numeric(value: str, _: str, __: bool) -> str:
    return "" if re.fullmatch(r"[+-]?\d+(\.\d+)?", value) else "must be a valid number"


def _boolean(value: str, _: str, __: bool) -> str:
    return "" if value in ("0", "1", "true", "false") else "must be a valid boolean"


def _in(value: str, argument: str, _: bool) -> str:
    choices = argument.split(",")
    return "" if value in choices else f"must be one of: {', '.join(choices)}"


def _regex(value: str, argument: str, _: bool) -> str:
    body, __, flags = argument[1:].rpartition(argument[:1])
    found = re.search(body, value, re.IGNORECASE if "i" in flags else 0)
    return "" if found else "format is invalid"


CHECKS: dict[str, Check] = {
    "integer": _integer,
    "numeric": _numeric,
    "boolean": _boolean,
    "between": _between,
    "min": _min,
    "max": _max,
    "in": _in,
    "regex": _regex,
}


def problem(variable: EggVariable, value: str) -> str:
    """The first rule that a value breaks, in words; a blank value only breaks ``required``."""
    names = {each.partition(":")[0] for each in variable.rules}
    if not value:
        return "is required and cannot be empty" if "required" in names else ""
    for each in variable.rules:
        name, _, argument = each.partition(":")
        found = CHECKS[name](value, argument, bool(names & NUMERIC)) if name in CHECKS else ""
        if found:
            return found
    return ""


def check_variables(variables: list[EggVariable], values: Mapping[str, str]) -> None:
    """The full set, given values and defaults, against the egg's rules. Raises PanelError 400, one text."""
    for variable in variables:
        value = values.get(variable.uuid, variable.default_value or "")
        found = problem(variable, value)
        if found:
            raise bad(f"{variable.env_variable}: {found}")


def chosen(variables: list[EggVariable], given: list[dict[str, str]]) -> dict[str, str]:
    """Values by the variables' uuids; unknown names are dropped, of two the last one counts."""
    by_name = {variable.env_variable: variable.uuid for variable in variables}
    return {by_name[v["env_variable"]]: v["value"] for v in given if v["env_variable"] in by_name}
