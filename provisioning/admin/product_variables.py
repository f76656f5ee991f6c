"""The egg's variables as a table: what each is for, its rule in words, its default, our value (CAL-30)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from provisioning.drivers import rules
from provisioning.drivers.lists import EggVariable
from provisioning.drivers.rule_words import in_words

GONE = "The egg has no such variable: clear it."


@dataclass(frozen=True)
class VariableRow:
    """One line of the table. `blank` says that an empty text is sent instead of the egg's default."""

    number: int
    env: str
    name: str
    description: str
    rule: str
    default: str
    value: str
    blank: bool
    asked: bool
    problem: str = ""
    known: bool = True

    @property
    def may_be_blank(self) -> bool:
        """Whether an empty text would be another value than the default."""
        return bool(self.default) and self.rule.startswith("may be blank")


def variable_rows(
    variables: Iterable[EggVariable],
    values: Mapping[str, str],
    asked: Iterable[str],
    *,
    judged: bool,
    boolean_words: bool = False,
) -> list[VariableRow]:
    """The egg's variables in its own order, and after them those of ours that it does not have.

    Names match without regard to case. Values of ours are always judged; the egg's own only if `judged`.
    """
    ours = {name.casefold(): value for name, value in values.items()}
    chosen = {name.casefold() for name in asked}
    rows: list[VariableRow] = []
    for variable in variables:
        folded = variable.env.casefold()
        mine = ours.pop(folded, None)
        problem = ""
        if judged or mine is not None:
            problem = variable_problem(variable, mine, asked=folded in chosen, boolean_words=boolean_words)
        rows.append(_row(len(rows), variable, mine, folded in chosen, problem))
        chosen.discard(folded)
    gone = {**dict.fromkeys(chosen, ""), **ours}
    return rows + [
        _gone(len(rows) + at, env, gone[env], env in chosen) for at, env in enumerate(sorted(gone))
    ]


def variable_problem(
    variable: EggVariable, value: str | None, *, asked: bool, boolean_words: bool = False
) -> str:
    """What is wrong with our value, or with the default where there is none; a sentence, or empty."""
    text = variable.default if value is None else value
    # What the customer has to choose may be blank here.
    free = asked and not text
    words = "" if free else rules.problem(variable.rules, text, boolean_words=boolean_words)
    return words[:1].upper() + words[1:]


def _row(number: int, variable: EggVariable, mine: str | None, asked: bool, problem: str) -> VariableRow:
    return VariableRow(
        number=number,
        env=variable.env,
        name=variable.name,
        description=variable.description,
        rule=in_words(variable.rules),
        default=variable.default,
        value=mine or "",
        blank=mine == "",
        asked=asked,
        problem=problem,
    )


def _gone(number: int, env: str, value: str, asked: bool) -> VariableRow:
    name = env.upper()
    return VariableRow(number, name, name, "", "", "", value, False, asked, GONE, known=False)
