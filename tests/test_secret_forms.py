from __future__ import annotations

import base64
import html
import json
import string
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libacli.masking import masked
from libacli.secret_forms import pattern_of

SECRETS = [
    'canary"+/\\in it',
    "c&n<a>r'y=?#%20",
    "plain-secret_1234",
    "of-two\nlines\tand-tabs",
    "päßwörd 🎉 x",
    "a/b+c=d\\\\e\"f'g",
    "0123456789abcdef" * 4,
]


def twice(encode: Callable[[str], str]) -> Callable[[str], str]:
    return lambda secret: encode(encode(secret))


def base64_of(secret: str) -> str:
    return base64.b64encode(secret.encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "json": lambda secret: json.dumps(secret)[1:-1],
    "json, not ascii": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "json, slashes": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    "json in json": twice(lambda secret: json.dumps(secret)[1:-1]),
    "repr": lambda secret: repr(secret)[1:-1],
    "repr of bytes": lambda secret: repr(secret.encode())[2:-1],
    "ascii": lambda secret: ascii(secret)[1:-1],
    "percent": lambda secret: quote(secret, safe=""),
    "percent, lower case": lambda secret: quote(secret, safe="").replace("%2F", "%2f").replace("%5C", "%5c"),
    "percent, in a path": quote,
    "percent, in a form": quote_plus,
    "percent of percent": twice(lambda secret: quote(secret, safe="")),
    "percent of all": lambda secret: "".join(f"%{byte:02X}" for byte in secret.encode()),
    "html": html.escape,
    "base64": base64_of,
    "base64 for urls": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    "base64 in a url": lambda secret: quote(base64_of(secret), safe=""),
    "a login": lambda secret: base64_of(f"user:{secret}"),
    "something before": lambda secret: base64_of(f"ab{secret}"),
    "something behind": lambda secret: base64_of(f"{secret}, and more"),
    "json in base64": lambda secret: base64_of(json.dumps({"key": secret}, ensure_ascii=False)),
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_however_it_is_written(secret: str, form: str) -> None:
    written = FORMS[form](secret)
    told = masked(f"refused: {written}; try again", [secret])
    assert "[secret]" in told, written
    assert told.startswith("refused: ")
    assert told.endswith("; try again")
    assert len(told) < len("refused: ; try again") + len("[secret]") + 20, told


@given(
    secret=st.text(string.ascii_letters + string.digits + "\"'+/\\-_=&%.~ é世", min_size=12, max_size=40),
    form=st.sampled_from(
        ["as it is", "json", "repr", "ascii", "percent", "percent, in a form", "html", "base64"]
    ),
    before=st.text(max_size=8),
)
def test_no_form_of_any_secret_passes(secret: str, form: str, before: str) -> None:
    written = FORMS[form](secret)
    assert written not in masked(f"{before} {written} end", [secret])


@given(st.text(max_size=200))
def test_other_texts_are_left_as_they_are(text: str) -> None:
    assert pattern_of('canary"+/\\in it').sub("[secret]", text) == text


@pytest.mark.parametrize("filler", ["a", "\\", "%25", "c", "QUFB", "\\\\u0063", "eyJ", "liba_", "://a:"])
def test_no_line_takes_long_to_search(filler: str) -> None:
    line = filler * (50_000 // len(filler))
    began = time.thread_time()
    masked(line, SECRETS)
    assert time.thread_time() - began < 0.5


def test_the_middle_of_base64_is_found_at_each_place() -> None:
    for before in range(6):
        written = base64_of("x" * before + SECRETS[0] + "yy")
        assert pattern_of(SECRETS[0]).search(written), before
