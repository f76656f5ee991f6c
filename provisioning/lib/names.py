"""Names and e-mail addresses from strangers, made fit for panels (CAL-06, CAL-26, CAL-30)."""

import hashlib
import re
import unicodedata

import idna

LONGEST_NAME = 191

_JOINER = "\u200d"
_SELECTORS = ("\ufe0e", "\ufe0f")
# Letters by category that show nothing: a name made of them would look empty.
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
_MOST_MARKS = 4
_LOCAL = re.compile(r"[^\s@\"(),:;<>\[\]\\.\x00-\x1f\x7f]+(?:\.[^\s@\"(),:;<>\[\]\\.\x00-\x1f\x7f]+)*")
_DOMAIN_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PLAIN_SUFFIX = re.compile(r"[a-z0-9]{1,40}")


def clean_server_name(text: str, limit: int = 48) -> str:
    """Return a customer's own server name as one printable line of at most `limit` characters (CAL-30).

    Control, zero-width and direction characters go, emoji stay whole. May return an empty text: the caller
    then uses the product's prefix (CAL-26).
    """
    return _cut(_printable(text), limit).strip()


def person_name(text: str, fallback: str) -> str:
    """Return a name for a panel user, 1 to 191 characters: the text, else the fallback, else a dash."""
    return clean_server_name(text, LONGEST_NAME) or clean_server_name(fallback, LONGEST_NAME) or "-"


def _printable(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for sign in unicodedata.normalize("NFC", text):
        shown = _shown(sign, kept[-1] if kept else "")
        marks = marks + 1 if unicodedata.category(sign) in ("Mn", "Me") else 0
        if shown and marks <= _MOST_MARKS:
            kept.append(shown)
    # A joiner that joins nothing is just a zero-width character.
    joined = re.sub(f"{_JOINER}(?![\u2190-\u2bff\U0001f000-\U0001faff])", "", "".join(kept))
    return " ".join(joined.split())


def _shown(sign: str, before: str) -> str:
    """Return what is kept of one character, given the one kept before it."""
    if sign == _JOINER or sign in _SELECTORS:
        return sign if before and (_is_picture(before) or before in _SELECTORS) else ""
    category = unicodedata.category(sign)
    if category in ("Zs", "Zl", "Zp") or sign in _BLANKS or sign in "\t\n\r":
        return " "
    return "" if category.startswith("C") else sign


def _is_picture(sign: str) -> bool:
    category = unicodedata.category(sign)
    return category == "So" or (sign > "\u2000" and category in ("Sk", "Sm", "Po")) or sign in "0123456789#*"


def _continues(sign: str, cluster: str) -> bool:
    """Tell whether a character belongs to the visible unit before it."""
    if (
        unicodedata.category(sign) in ("Mn", "Me", "Mc")
        or sign == _JOINER
        or "\U0001f3fb" <= sign <= "\U0001f3ff"
    ):
        return True
    flag = "\U0001f1e6" <= sign <= "\U0001f1ff"
    return cluster.endswith(_JOINER) or (
        flag and len(cluster) == 1 and "\U0001f1e6" <= cluster <= "\U0001f1ff"
    )


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    clusters: list[str] = []
    for sign in text:
        if clusters and _continues(sign, clusters[-1]):
            clusters[-1] += sign
        else:
            clusters.append(sign)
    kept = ""
    for cluster in clusters:
        if len(kept) + len(cluster) > limit:
            break
        kept += cluster
    return kept or text[:limit]


def panel_username(email: str, stable_suffix: str) -> str:
    """Return a user name that Pterodactyl takes (contract section 3), the same for the same input.

    3 to 191 lower-case ASCII characters, a letter or digit at both ends. The suffix makes it unique; one
    that can't stand in a user name is replaced by its fingerprint. Raises ValueError for an empty suffix.
    """
    if not stable_suffix:
        raise ValueError("A user name needs a suffix that makes it unique.")
    plain = unicodedata.normalize("NFKD", email.partition("@")[0]).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", ".", plain)[:60].strip(".") or "user"
    suffix = stable_suffix
    if not _PLAIN_SUFFIX.fullmatch(suffix):
        suffix = hashlib.sha256(stable_suffix.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{base}_{suffix}"


def _hides_plain_letter(text: str) -> bool:
    return any(
        not sign.isascii() and unicodedata.normalize("NFKC", sign.casefold()).isascii() for sign in text
    )


def _fold_domain(domain: str) -> str:
    folded = unicodedata.normalize("NFC", domain).casefold().rstrip(".")
    try:
        return idna.encode(domain, uts46=True).decode().rstrip(".") if not domain.isascii() else folded
    except idna.IDNAError:
        return folded


def fold_email(text: str) -> str:
    """Return the form in which two addresses are compared (design rule 6): whole, case-folded, NFC.

    A local part with a character that would fold into a plain letter (long s, Kelvin sign) is left as it is:
    folded, it would equal the address of somebody else.
    """
    local, at, domain = text.strip().rpartition("@")
    if not _hides_plain_letter(local):
        local = unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).casefold())
    return local + at + _fold_domain(domain)


def valid_email(text: str) -> bool:
    """Tell whether this can be a customer's address: one @, a dotted domain name, at most 191 characters."""
    if not text.isprintable() or len(text) > LONGEST_NAME:
        return False
    local, _, domain = fold_email(text).rpartition("@")
    labels = domain.split(".")
    proper = bool(_LOCAL.fullmatch(local)) and len(local.encode()) <= 64 and not _hides_plain_letter(local)
    named = len(labels) > 1 and all(_DOMAIN_LABEL.fullmatch(label) for label in labels)
    return proper and named and not labels[-1].isdigit() and len(domain) <= 253
