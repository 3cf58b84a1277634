"""Boot options are read strictly, and what passes fits into one segment of an address."""

from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builds.boot.options import SEGMENT_LIMIT, BadOptions, BootOptions
from builds.choices import Console
from builds.tests.boot.examples import anything, fields, key, nasty, right


def errors(**texts: str) -> dict[str, str]:
    with pytest.raises(BadOptions) as refused:
        BootOptions.parse(texts)
    return refused.value.errors


def test_all_fields_are_read_and_written_in_one_form() -> None:
    options = BootOptions.parse(
        {
            "keys": f"# mine\n\n  {key()}\n{key()}\n",
            "hostname": " Rescue-7.example.org ",
            "card": "52-54-00-AB-cd-56",
            "addresses": "192.0.2.5/255.255.255.0  2001:DB8:0::5/64",
            "gateways": "192.0.2.1 fe80::1",
            "nameservers": "192.0.2.53",
            "consoles": "tty0 ttyS1,115200",
            "params": "quiet  mini.poweroff\nroot=LABEL=x",
        }
    )
    assert options.texts == {
        "keys": key(),
        "hostname": "rescue-7.example.org",
        "card": "52:54:00:ab:cd:56",
        "addresses": "192.0.2.5/24 2001:db8::5/64",
        "gateways": "192.0.2.1 fe80::1",
        "nameservers": "192.0.2.53",
        "consoles": "tty0 ttyS1,115200",
        "params": "quiet mini.poweroff root=LABEL=x",
    }
    assert options.kernel_params == (
        *("console=tty0", "console=ttyS1,115200"),
        *("quiet", "mini.poweroff", "root=LABEL=x"),
    )
    assert options.consoles == (Console.SCREEN, Console.SECOND_SERIAL)


def test_nothing_at_all_is_fine() -> None:
    assert BootOptions.parse({}) == BootOptions() == BootOptions.from_segment("e30")
    assert BootOptions().segment == "e30"


def test_every_wrong_field_is_named_at_once() -> None:
    found = errors(hostname="a_b", params="a;b", addresses="192.0.2.5", consoles="ttyS9")
    assert list(found) == ["hostname", "addresses", "consoles", "params"]
    assert "'a_b' is no hostname" in found["hostname"]
    assert "lacks the length of its network" in found["addresses"]
    assert "known are tty0," in found["consoles"]


@pytest.mark.parametrize(
    "name",
    ["-a", "a-", "a..b", ".a", "a.", "a b", "ä", "a" * 64, "a\n.b", "${mac}", "x" * 30 + "."],
)
def test_wrong_hostname_is_refused(name: str) -> None:
    assert list(errors(hostname=name)) == ["hostname"]


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("addresses", "192.0.2.0/24", "names the network"),
        ("addresses", "192.0.2.255/24", "names the network"),
        ("addresses", "127.0.0.1/8", "no address of a machine"),
        ("addresses", "fe80::1%eth0/64", "leave out what follows the %"),
        ("addresses", "192.0.2.5/33", "is no address such as"),
        ("addresses", "1.1.1.1/8 1.1.1.2/8 1.1.1.3/8 1.1.1.4/8 1.1.1.5/8", "4 at most"),
        ("gateways", "192.0.2.1 192.0.2.2", "one gateway for IPv4"),
        ("nameservers", "192.0.2.300", "is no address"),
        ("nameservers", "224.0.0.1", "no address of a machine"),
        ("card", "52:54:00:12:34", "no card's address"),
        ("consoles", "ttyS0", "is no console"),
    ],
)
def test_wrong_address_or_console_says_what_is_wrong(field: str, text: str, words: str) -> None:
    assert words in errors(**{field: text})[field]


def test_gateway_needs_an_address_of_its_family_and_is_another_machine() -> None:
    assert (
        "needs an address of IPv6"
        in errors(addresses="192.0.2.5/24", gateways="fe80::1")["gateways"]
    )
    assert "own address" in errors(addresses="192.0.2.5/24", gateways="192.0.2.5")["gateways"]
    assert "card" in errors(card="52:54:00:12:34:56")


@pytest.mark.parametrize("address", ["192.0.2.5/31", "192.0.2.5/32", "2001:db8::/127"])
def test_smallest_networks_have_no_ends(address: str) -> None:
    assert BootOptions.parse({"addresses": address}).texts["addresses"] == address


@pytest.mark.parametrize(
    "word",
    [
        *("a;b", "a&&b", "a|b", "${x}", "#", "'a'", '"a', "a\\", "a`b`", "a$b", "{a}", "a\x00b"),
        *("--", "-a", "=a", "initrd=other", "INITRD=x", "BOOTIF=01-x", "ä=1", "a\u200bb"),
    ],
)
def test_parameter_that_means_something_on_the_way_is_refused(word: str) -> None:
    assert list(errors(params=f"quiet {word}")) == ["params"]


def test_parameters_have_a_length_that_the_kernel_takes() -> None:
    BootOptions.parse({"params": "a" * 1000})
    assert "longer than 1000" in errors(params="a" * 1001)["params"]


def test_more_keys_than_fit_into_an_address_are_refused() -> None:
    kind, blob, _ = key("rsa", 4096).split()
    many = "\n".join(f"{kind} {blob} {'x' * 60}{number}" for number in range(3))
    assert "too much for one address" in errors(keys=many)[""]


@pytest.mark.parametrize(
    "segment",
    [
        *("", "e30=", "e 30", "e30\n", "%00", "[]", "e3", "W10", "eyJhIjoxfQ", "bnVsbA", "_w"),
        base64.urlsafe_b64encode(b"[" * 2000).decode().rstrip("="),
        base64.urlsafe_b64encode(b'{"hostname": 5}').decode().rstrip("="),
        base64.urlsafe_b64encode(b'{"host\\ud800": "x"}').decode().rstrip("="),
        "A" * (SEGMENT_LIMIT + 1),
    ],
)
def test_segment_that_nobody_composed_is_refused(segment: str) -> None:
    with pytest.raises(BadOptions) as refused:
        BootOptions.from_segment(segment)
    assert list(refused.value.errors) == [""]
    str(refused.value).encode()


@given(nasty)
def test_no_segment_does_more_than_be_refused(text: str) -> None:
    try:
        BootOptions.from_segment(text)
    except BadOptions as refused:
        str(refused).encode()


@given(right)
@settings(max_examples=50)
def test_right_options_come_back_from_their_segment(texts: dict[str, str]) -> None:
    options = BootOptions.parse(texts)
    assert BootOptions.from_segment(options.segment) == options
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,3000}", options.segment)
    assert BootOptions.parse(options.texts) == options


@given(st.dictionaries(st.one_of(st.sampled_from(fields), st.text(max_size=5)), nasty, max_size=4))
@settings(max_examples=200)
def test_any_texts_are_options_or_errors_that_can_be_shown(texts: dict[str, str]) -> None:
    raw = json.dumps(texts).encode()
    segment = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    try:
        options = BootOptions.from_segment(segment)
    except BadOptions as refused:
        named = refused.errors
        str(refused).encode()
    else:
        named = {}
        assert BootOptions.from_segment(options.segment) == options
    assert set(named) <= {*fields, ""}


@given(anything)
@settings(max_examples=200)
def test_no_option_carries_a_control_character(texts: dict[str, str]) -> None:
    try:
        options = BootOptions.parse(texts)
    except BadOptions:
        return
    for name, text in options.texts.items():
        lines = text.split("\n") if name == "keys" else [text]
        assert all(line.isprintable() for line in lines)
