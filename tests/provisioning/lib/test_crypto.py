"""Stored secrets: readable with the right keys only, and never quoted in an error."""

import pytest

from provisioning.lib.crypto import DecryptError, FieldCipher, generate_key, last_four, token_hash
from provisioning.lib.redact import MASK, forget_secrets, redact

OLD, NEW = generate_key(), generate_key()
SECRET = "ptla_the_key_of_the_panel"


@pytest.mark.req("CAL-10")
@pytest.mark.parametrize("text", ["", "x", SECRET, "Schlüssel 🔑", "a" * 10_000])
def test_what_is_encrypted_can_be_read_again(text: str) -> None:
    cipher = FieldCipher([NEW])
    stored = cipher.encrypt(text)
    assert cipher.decrypt(stored) == text
    assert stored.startswith("k1:")
    assert text not in stored or text in ("", "x")
    assert cipher.encrypt(text) != stored


@pytest.mark.req("CAL-12")
def test_keys_can_be_changed_without_losing_a_value() -> None:
    before = FieldCipher([OLD]).encrypt(SECRET)
    both = FieldCipher([NEW, OLD])
    assert both.decrypt(before) == SECRET
    assert both.needs_rotation(before)
    after = both.encrypt(both.decrypt(before))
    assert not both.needs_rotation(after)
    assert FieldCipher([NEW]).decrypt(after) == SECRET
    with pytest.raises(DecryptError, match="not among the field keys"):
        FieldCipher([NEW]).decrypt(before)


@pytest.mark.parametrize("damage", [lambda s: s[:-6] + "AAAAA=", lambda s: s[:-20], lambda s: s + "é"])
def test_damaged_values_are_refused_without_quoting_them(damage: object) -> None:
    assert callable(damage)
    damaged = damage(FieldCipher([NEW]).encrypt(SECRET))
    with pytest.raises(DecryptError) as caught:
        FieldCipher([NEW]).decrypt(damaged)
    assert damaged[14:30] not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("stored", ["", SECRET, "k1:", "k1:00000000:", "k2:00000000:abc"])
def test_values_of_another_origin_are_refused(stored: str) -> None:
    with pytest.raises(DecryptError, match="not written by this cipher"):
        FieldCipher([NEW]).decrypt(stored)


@pytest.mark.parametrize(("keys", "words"), [([], "At least one"), ([NEW, "hunter2"], "number 2")])
def test_unusable_keys_are_refused_without_quoting_them(keys: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        FieldCipher(keys)
    assert "hunter2" not in str(caught.value)


@pytest.mark.req("CAL-12")
def test_a_decrypted_secret_is_hidden_from_then_on() -> None:
    stored = FieldCipher([NEW]).encrypt(SECRET.replace("ptla_", ""))
    forget_secrets()
    text = FieldCipher([NEW]).decrypt(stored)
    assert redact(f"the panel said: {text}!") == f"the panel said: {MASK}!"
    forget_secrets()


def test_fingerprints() -> None:
    assert token_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert token_hash("abc") != token_hash("abd")


@pytest.mark.parametrize(("text", "shown"), [("ptla_1234567890wxyz", "wxyz"), ("short", ""), ("", "")])
def test_only_the_end_of_a_long_secret_is_shown(text: str, shown: str) -> None:
    assert last_four(text) == shown
