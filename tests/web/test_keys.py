from __future__ import annotations

import hashlib

import pytest

from libacli.errors import ConfigError, UsageError
from libacli.web.keys import Key, find_key, new_key, parse_keys


def test_a_new_key_is_let_in_by_its_entry() -> None:
    key, entry = new_key("laptop")
    found = find_key(parse_keys([entry]), key)
    assert found
    assert found.name == "laptop"


def test_a_key_is_random_and_long_enough_for_a_fast_hash() -> None:
    (first, _), (second, _) = new_key("laptop"), new_key("laptop")
    assert first != second
    assert first.startswith("liba_")
    assert len(first) == len("liba_") + 43


def test_the_entry_does_not_tell_the_key() -> None:
    key, entry = new_key("laptop")
    assert entry == f"laptop:{hashlib.sha256(key.encode()).hexdigest()}"
    assert key.removeprefix("liba_") not in repr(parse_keys([entry]))


@pytest.mark.parametrize("position", range(3))
def test_of_several_keys_each_is_found_by_its_own_name(position: int) -> None:
    made = [new_key(name) for name in ("phone", "laptop", "ci")]
    keys = parse_keys(entry for _, entry in made)
    assert find_key(keys, made[position][0]) == keys[position]


def test_what_is_almost_a_key_is_none() -> None:
    key, entry = new_key("laptop")
    keys = parse_keys([entry])
    for almost in (key.swapcase(), key[:-1], f"{key} ", f" {key}", key.removeprefix("liba_")):
        assert find_key(keys, almost) is None


@pytest.mark.parametrize("presented", ["", "liba_", "ключ", "\udcff", "a" * 100_000])
def test_anything_may_be_presented(presented: str) -> None:
    assert find_key(parse_keys([new_key("laptop")[1]]), presented) is None


def test_what_is_stored_is_no_key() -> None:
    _, entry = new_key("laptop")
    (key,) = parse_keys([entry])
    assert find_key([key], key.digest) is None
    assert find_key([key], entry) is None


def test_without_keys_none_is_found() -> None:
    assert parse_keys([]) == ()
    assert find_key((), new_key("laptop")[0]) is None


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\n", "ä", "a" * 65])
def test_a_name_that_no_entry_can_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="name of a key"):
        new_key(name)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "laptop",
        "laptop:",
        ":" + "0" * 64,
        "laptop:" + "0" * 63,
        "laptop:" + "0" * 65,
        "laptop:" + "g" * 64,
        "laptop:" + "0" * 64 + "\n",
        "liba_NotTheHashButTheKeyItself",
    ],
)
def test_an_entry_that_is_none_is_named_by_its_number_and_never_repeated(entry: str) -> None:
    good = new_key("good")[1]
    with pytest.raises(ConfigError, match="entry 2") as caught:
        parse_keys([good, entry])
    assert not entry or entry not in f"{caught.value} {caught.value.hint}"


def test_two_keys_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="one name"):
        parse_keys([new_key("laptop")[1], new_key("laptop")[1]])


def test_while_keys_are_changed_the_old_and_the_new_one_are_let_in() -> None:
    (old, first), (new, second) = new_key("ci-2025"), new_key("ci-2026")
    keys = parse_keys([first, second])
    assert [found.name for key in (old, new) if (found := find_key(keys, key))] == ["ci-2025", "ci-2026"]
    assert find_key([Key("ci-2026", keys[1].digest)], old) is None
