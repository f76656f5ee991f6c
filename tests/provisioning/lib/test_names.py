"""Names and addresses from strangers."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.lib.names import clean_server_name, fold_email, panel_username, person_name, valid_email

FAMILY = "👨\u200d👩\u200d👧"
FLAG = "🇬🇧"


@pytest.mark.req("CAL-30")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada's server", "Ada's server"),
        ("  many \t\r\n  spaces\u00a0\u3000here ", "many spaces here"),
        ("nul\x00 esc\x1b[31m bell\x07", "nul esc[31m bell"),
        ("zero\u200bwidth\ufeff\u2060\u00ad", "zerowidth"),
        ("right\u202eleft\u2066\u2069\u200f", "rightleft"),
        ("tag\U000e0041s", "tags"),
        ("\u3164\u115f\u2800", ""),
        ("half\ud800", "half"),
        ("\ue000private", "private"),
        ("Müller 日本語 עברית", "Müller 日本語 עברית"),
        ("Cafe\u0301", "Café"),
        (f"{FAMILY} {FLAG} ❤️ 👍🏽 1️⃣", f"{FAMILY} {FLAG} ❤️ 👍🏽 1️⃣"),
        ("a\u200db\u200d", "ab"),
        ("🎮\u200d", "🎮"),
        ("a\ufe0fb", "ab"),
        ("Z" + "\u0335" * 50, "Z" + "\u0335" * 4),
        ("", ""),
        ("\u200b\u202e", ""),
    ],
)
def test_server_names_are_cleaned(text: str, expected: str) -> None:
    assert clean_server_name(text) == expected


@pytest.mark.req("CAL-30")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x" * 60, "x" * 48),
        ("x" * 47 + " y", "x" * 47),
        ("x" * 47 + FLAG, "x" * 47),
        ("x" * 46 + FLAG + FLAG, "x" * 46 + FLAG),
        ("x" * 45 + FAMILY, "x" * 45),
        ("x" * 43 + FAMILY, "x" * 43 + FAMILY),
        ("x" * 47 + "👍🏽", "x" * 47),
        ("x" * 47 + "q\u0323y", "x" * 47),
        ("🎮" * 60, "🎮" * 48),
    ],
)
def test_server_names_are_cut_between_visible_characters(text: str, expected: str) -> None:
    assert clean_server_name(text) == expected


@given(st.text(max_size=120), st.integers(1, 60))
def test_any_name_becomes_one_short_printable_line(text: str, limit: int) -> None:
    name = clean_server_name(text, limit)
    assert len(name) <= limit
    assert name == name.strip()
    assert all(unicodedata.category(sign) not in ("Cc", "Cs", "Zl", "Zp", "Co", "Cn") for sign in name)


@pytest.mark.parametrize(
    ("text", "fallback", "expected"),
    [
        ("Ada", "x", "Ada"),
        ("\x00 \u200b", "Customer", "Customer"),
        ("", "", "-"),
        ("🙂", "x", "🙂"),
        ("n" * 300, "x", "n" * 191),
    ],
)
def test_person_names_are_never_empty(text: str, fallback: str, expected: str) -> None:
    assert person_name(text, fallback) == expected


# The panel's own rule, recorded from Pterodactyl 1.11.7.
PANEL_RULE = re.compile(r"^[a-z0-9]([\w.-]+)[a-z0-9]$", re.ASCII)


@pytest.mark.parametrize(
    ("email", "suffix", "expected"),
    [
        ("ada@example.com", "12", "ada_12"),
        ("Ada.Lovelace+games@example.com", "12", "ada.lovelace.games_12"),
        ("jürgen@example.com", "7", "jurgen_7"),
        ("日本@example.com", "7", "user_7"),
        ("...@example.com", "7", "user_7"),
        ("", "7", "user_7"),
        ("a" * 300 + "@example.com", "7", "a" * 60 + "_7"),
    ],
)
def test_user_names(email: str, suffix: str, expected: str) -> None:
    assert panel_username(email, suffix) == expected


@given(st.text(max_size=80), st.text(min_size=1, max_size=80))
def test_user_names_always_satisfy_the_panel(email: str, suffix: str) -> None:
    name = panel_username(email, suffix)
    assert PANEL_RULE.fullmatch(name)
    assert 3 <= len(name) <= 191
    assert panel_username(email, suffix) == name


def test_suffixes_that_look_alike_stay_apart() -> None:
    names = {
        panel_username("ada@example.com", suffix) for suffix in ("a-b", "ab", "a_b", "AB", "a" * 41, "a" * 42)
    }
    assert len(names) == 6


def test_a_user_name_needs_a_suffix() -> None:
    with pytest.raises(ValueError, match="suffix"):
        panel_username("ada@example.com", "")


@pytest.mark.req("CAL-06")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        (" ada@example.com\n", "ada@example.com"),
        ("ada@example.com.", "ada@example.com"),
        ("JÜRGEN@example.com", "jürgen@example.com"),
        ("ju\u0308rgen@example.com", "jürgen@example.com"),
        ("ada@MÜNCHEN.example.com", "ada@xn--mnchen-3ya.example.com"),
        ("ada@mu\u0308nchen.example.com", "ada@xn--mnchen-3ya.example.com"),
        ("ada@example\u3002com", "ada@example.com"),
    ],
)
def test_one_address_in_two_spellings(one: str, other: str) -> None:
    assert fold_email(one) == fold_email(other)


@pytest.mark.req("CAL-06")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada@example.com", "ada+x@example.com"),
        ("a.da@example.com", "ada@example.com"),
        ("ada@example.com", "ada@example.com.evil.example.com"),
        ("su\u017fan@example.com", "susan@example.com"),
        ("\u212aate@example.com", "kate@example.com"),
        ("stra\u00dfe@example.com", "strasse@example.com"),
        ("ada\uff20x@example.com", "ada@x@example.com"),
        ("b\u0131ll@example.com", "bill@example.com"),
    ],
)
def test_addresses_of_two_people_stay_apart(one: str, other: str) -> None:
    assert fold_email(one) != fold_email(other)


@given(st.emails())
def test_folding_twice_changes_nothing(email: str) -> None:
    assert fold_email(fold_email(email)) == fold_email(email)


@pytest.mark.parametrize(
    "text",
    ["ada@example.com", "a@b.co", "o'neil+x@example.co.uk", "jürgen@example.com", "ada@münchen.example.com",
     "a" * 64 + "@example.com", "123@123.example.com"],
)  # fmt: skip
def test_valid_addresses(text: str) -> None:
    assert valid_email(text)


@pytest.mark.parametrize(
    "text",
    ["", "ada", "@example.com", "ada@", "ada@localhost", "ada@@example.com", "ada@b@example.com",
     "ada lovelace@example.com", "ada@exa mple.com", "ada@example..com", ".ada@example.com",
     "ada.@example.com", "a..b@example.com", "ada@-example.com", "ada@[127.0.0.1]", "ada@127.0.0.1",
     '"ada"@example.com', "ada@example.com\r\nBcc: x@example.com", "ada\x00@example.com",
     "Ada <ada@example.com>", "a,b@example.com", "a" * 65 + "@example.com", "ada@" + "a." * 100 + "com",
     "ada@" + "a" * 64 + ".com", "ada\u202e@example.com", "su\u017fan@example.com", "ada@exa_mple.com",
     "ada@.com"],
)  # fmt: skip
def test_invalid_addresses(text: str) -> None:
    assert not valid_email(text)
