"""Cookies, read strictly (SEC-61 to SEC-66) and written safely (SEC-47 to SEC-55)."""

from __future__ import annotations

import random  # noqa: TID251
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coatcheck.cookies import MAX_AGE_LIMIT, CookieTemplate, read_cookies
from coatcheck.errors import ConfigurationError
from tests.core.cookiejar import Jar, Page, Parsed, parse

ID = "aB3-" * 16 + "_9zZ"
HTTPS = Page(https=True)


def reference(header: str, name: str) -> list[str]:
    """Read cookies the plain way: split, cut at the first `=`, trim space and tab, compare."""
    values: list[str] = []
    for part in header.split(";"):
        found, equals, value = part.partition("=")
        if equals and found.strip(" \t") == name:
            values.append(value.strip(" \t"))
    return values


# Reading


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("session=v", ["v"]),
        ("a=1; session=v; b=2", ["v"]),
        ("a=1;session=v;b=2", ["v"]),
        ("a=1;\tsession\t=\tv\t;b=2", ["v"]),
        ("  session = v  ", ["v"]),
        ("session=v; session=w; session=v", ["v", "w", "v"]),
        ("session=", [""]),
        ("session==v=", ["=v="]),
        ("session=v w", ["v w"]),
        ("session=a,session=b", ["a,session=b"]),
        ("session=v;", ["v"]),
        (";;session=v;;", ["v"]),
        ("session", []),
        ("", []),
        ("xsession=v", []),
        ("sessions=v", []),
        ("x session=v", []),
        ("x=session=v", []),
        ("session x=v", []),
        ("x-session=1; session=v; session-x=2", ["v"]),
        ("sessionsession=v", []),
        ("sessio=n; n=session", []),
    ],
)
def test_only_the_exact_name_counts(header: str, values: list[str]) -> None:
    """A cookie is what stands between two semicolons, and its name ends at the first `=`."""
    assert read_cookies(header, "session") == values == reference(header, "session")


@pytest.mark.parametrize(
    "imitation",
    [
        "=session=v",
        "Session=v",
        "SESSION=v",
        "\xa0session=v",
        "\x85session=v",
        "\x1csession=v",
        "\x0bsession=v",
        "\x0csession=v",
        "\rsession=v",
        "\nsession=v",
        "\x00session=v",
        "session\x00=v",
        "session\xa0=v",
        "\xe2\x80\x80session=v",
        "\N{EN QUAD}session=v",
        "\N{FULLWIDTH LATIN SMALL LETTER S}ession=v",
        "\N{LATIN SMALL LETTER LONG S}ession=v",
        "%73ession=v",
        '"session"=v',
        "$session=v",
        "session[]=v",
        "a=1, session=v",
    ],
)
def test_sec_63_an_imitation_of_the_name_is_ignored(imitation: str) -> None:
    """What other parsers trim, fold or decode into the name is not the name (CVE-2023-23934)."""
    assert read_cookies(imitation, "session") == []
    assert read_cookies(f"{imitation}; session={ID}", "session") == [ID]
    assert read_cookies(f"session={ID}; {imitation}", "session") == [ID]


def test_sec_63_a_prefixed_name_cannot_be_imitated() -> None:
    """`__host-id` and `\\x85__Host-id` are not `__Host-id`."""
    for imitation in ("__host-id=v", "__HOST-id=v", "\x85__Host-id=v", "\x1c__Host-id=v"):
        assert read_cookies(f"{imitation}; __Host-id=real", "__Host-id") == ["real"]


@pytest.mark.parametrize(
    ("header", "values"),
    [
        (f'session="{ID}"', [f'"{ID}"']),
        ("session=%41%42", ["%41%42"]),
        ("session=a\\073b", ["a\\073b"]),
        ("session=a+b", ["a+b"]),
        ("$Version=1; session=v; $Path=/", ["v"]),
        ('a="1; session=v; b=2"', ["v"]),
        ('session="x; secret=1; y"', ['"x']),
    ],
)
def test_sec_64_nothing_is_unquoted_or_decoded(header: str, values: list[str]) -> None:
    """A value is what was sent, and quotes do not hold a semicolon (no cookie sandwich)."""
    assert read_cookies(header, "session") == values


def test_sec_66_malformed_headers_are_read_like_by_the_plain_way() -> None:
    """200,000 headers out of hostile pieces: no exception, and the same as the plain reading."""
    pieces = [
        *(
            "session",
            "session=",
            "=",
            ";",
            "; ",
            " ",
            "\t",
            ",",
            '"',
            "\\",
            "\\073",
            "%3B",
            "$Path",
        ),
        *("\x00", "\x1c", "\x85", "\xa0", "\xff", "\n", "\r", "é", "sess", "ion", "a=1", ID, "S"),
    ]
    draw = random.Random(20261121)
    for _ in range(200_000):
        header = "".join(draw.choices(pieces, k=draw.randrange(12)))
        assert read_cookies(header, "session") == reference(header, "session"), repr(header)


@given(st.text(), st.sampled_from(["session", "a", "aa", "aba", "__Host-x", "~"]))
@settings(max_examples=1_000, deadline=None)
def test_sec_66_any_text_is_read_like_by_the_plain_way(header: str, name: str) -> None:
    """Any Unicode text at all, lone surrogates included."""
    assert read_cookies(header, name) == reference(header, name)
    header = header.replace("x", name).replace("y", "=").replace("z", "; ")
    assert read_cookies(header, name) == reference(header, name)


@given(st.text(alphabet="ab=; \t"), st.sampled_from(["a", "aa", "ab", "aba"]))
@settings(max_examples=1_000, deadline=None)
def test_names_that_overlap_with_themselves_are_found(header: str, name: str) -> None:
    """A search that skips what it looked at finds every cookie nevertheless."""
    assert read_cookies(header, name) == reference(header, name)


def test_an_empty_name_is_never_found() -> None:
    """Cookies without a name are nobody's."""
    assert read_cookies("=v; v; ;", "") == []


HOSTILE: dict[str, Callable[[int], str]] = {
    "backslashes": lambda size: "session=" + "\\" * size,
    "pairs": lambda size: "a=b; " * (size // 5),
    "our pairs": lambda size: "session=b; " * (size // 11),
    "quotes": lambda size: 'session="' + '"' * size,
    "equals": lambda size: "=" * size,
    "semicolons": lambda size: ";" * size,
    "blanks": lambda size: " " * size,
    "names": lambda size: "session" * (size // 7),
    "names and blanks": lambda size: "session " * (size // 8),
    "blanks before names": lambda size: (" " * 93 + "session") * (size // 100),
    "blanks before one name": lambda size: "x" + " " * size + "session=v",
    "blanks after a name": lambda size: "session" + " " * size,
    "half names": lambda size: "sessio" * (size // 6),
    "quoted pairs": lambda size: 'session="\\"; ' * (size // 12),
}


def seconds_for(header: str) -> float:
    """Return the best of five readings, in processor time: the machine may have other work."""
    best = float("inf")
    for _ in range(5):
        begun = time.thread_time()
        read_cookies(header, "session")
        best = min(best, time.thread_time() - begun)
    return best


@pytest.mark.parametrize("kind", HOSTILE)
def test_sec_61_reading_is_linear(kind: str) -> None:
    """200 KB take less than 50 ms, and twice the length at most about twice the time."""
    make = HOSTILE[kind]
    assert seconds_for(make(200_000)) < 0.05
    ratios: list[float] = []
    for _ in range(10):
        small, large = seconds_for(make(32_768)), seconds_for(make(65_536))
        # Below 50 us the clock and the machine decide.
        ratios.append(large / small if large > 50e-6 else 1)
        if ratios[-1] < 2.5:
            return
    pytest.fail(f"{ratios} times as long for twice the length")


# Writing


def template(name: str = "session", **options: Any) -> CookieTemplate:
    """Make a template."""
    return CookieTemplate(name, **options)


def test_sec_47_the_default_cookie_is_exactly_this() -> None:
    """Byte for byte, over http and over https."""
    cookie = template()
    assert cookie.set(ID, max_age=3600, https=False) == (
        f"session={ID}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"
    )
    assert cookie.set(ID, max_age=3600, https=True) == (
        f"session={ID}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure"
    )
    assert cookie.set(ID, max_age=None, https=True) == (
        f"session={ID}; Path=/; HttpOnly; SameSite=Lax; Secure"
    )


def test_sec_52_the_default_deletion_is_exactly_this() -> None:
    """It repeats the attributes, has Max-Age=0 and, for old browsers, an `Expires` long past."""
    assert template().delete(https=True) == (
        "session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0;"
        " Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure"
    )
    assert not template().delete(https=False).endswith("Secure")


def test_every_option_has_its_place() -> None:
    """All attributes at once, in the documented order."""
    cookie = template(
        "__Secure-shop", path="/app", domain="Example.ORG", samesite="none", partitioned=True
    )
    assert cookie.set("v", max_age=1, https=False) == (
        "__Secure-shop=v; Path=/app; Domain=example.org; HttpOnly; SameSite=None; Partitioned;"
        " Max-Age=1; Secure"
    )


@pytest.mark.parametrize("off", [None, False, 0, ""])
def test_a_false_value_turns_an_option_off(off: Any) -> None:
    """S-66: whatever is false, of every option."""
    cookie = template(
        path=off, domain=off, httponly=off, samesite=off, partitioned=off, max_age=off, secure=off
    )
    assert cookie.set("v", max_age=3600, https=True) == "session=v"


@pytest.mark.parametrize("on", [True, 1])
def test_switches_are_true_or_false(on: Any) -> None:
    """1 is as good as True, from a settings file; text is an error, whatever it says."""
    assert "; HttpOnly" in template(httponly=on).set("v", max_age=None, https=False)
    assert "; Secure" in template(secure=on).set("v", max_age=None, https=False)
    for wrong in ("yes", "false", "off", 2, [1]):
        for option in ("httponly", "secure", "partitioned"):
            options: dict[str, Any] = {option: wrong}
            with pytest.raises(ConfigurationError, match=option):
                template(**options)


PREFIXES = ["__Secure-", "__Host-", "__Http-", "__Host-Http-"]
BAD_FOR_PREFIX: dict[str, list[dict[str, Any]]] = {
    "__Secure-": [{"secure": False}],
    "__Http-": [{"secure": False}, {"httponly": False}],
    "__Host-": [
        {"secure": False},
        {"path": "/app"},
        {"path": None},
        {"domain": "example.org"},
        {"domain": "example.org", "path": "/app"},
    ],
    "__Host-Http-": [
        {"secure": False},
        {"httponly": False},
        {"path": "/app"},
        {"path": None},
        {"domain": "example.org"},
    ],
}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_sec_48_a_prefix_forces_what_it_needs(prefix: str) -> None:
    """With the defaults the cookie is one that browsers accept, also where the server sees http."""
    for https in (True, False):
        cookie = template(f"{prefix}id").set(ID, max_age=3600, https=https)
        assert cookie == (f"{prefix}id={ID}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure")
        jar = Jar()
        assert jar.receive(cookie, HTTPS)


@pytest.mark.parametrize(
    ("prefix", "options"),
    [(prefix, options) for prefix in PREFIXES for options in BAD_FOR_PREFIX[prefix]],
)
def test_sec_48_what_a_prefix_forbids_is_an_error(prefix: str, options: dict[str, Any]) -> None:
    """A cookie that every browser would drop is refused at construction."""
    with pytest.raises(ConfigurationError, match=prefix):
        template(f"{prefix}id", **options)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_sec_48_a_miscased_prefix_is_an_error(prefix: str) -> None:
    """Browsers compare prefixes without case, servers names with it: only one spelling is safe."""
    for spelling in (prefix.lower(), prefix.upper(), prefix.swapcase(), prefix.title()):
        if spelling != prefix:
            with pytest.raises(ConfigurationError, match=f"spell the prefix {prefix}"):
                template(f"{spelling}id")
    with pytest.raises(ConfigurationError, match="spell the prefix __Host-Http-"):
        template("__Host-HTTP-id")


@pytest.mark.parametrize(
    ("samesite", "secure", "partitioned", "name"),
    list(
        product(
            [None, "Strict", "Lax", "None"],
            [True, False, "auto"],
            [True, False],
            ["session", "__Host-session"],
        )
    ),
)
def test_sec_49_combinations_follow_the_table(
    samesite: str | None, secure: Any, partitioned: bool, name: str
) -> None:
    """SameSite=None and Partitioned need Secure, and Partitioned means SameSite=None: 48 cases."""
    embeds = partitioned or samesite == "None"
    wrong = (secure is False and (embeds or name != "session")) or (
        partitioned and samesite in ("Strict", "Lax")
    )
    options = {"samesite": samesite, "secure": secure, "partitioned": partitioned}
    if wrong:
        with pytest.raises(ConfigurationError):
            template(name, **options)
        return
    for https in (True, False):
        attributes = parse(template(name, **options).set("v", max_age=None, https=https)).attributes
        always = secure is True or embeds or name != "session"
        assert ("secure" in attributes) == (always or (secure == "auto" and https))
        assert attributes.get("samesite") == ("None" if partitioned else samesite)
        assert ("partitioned" in attributes) == partitioned


@pytest.mark.parametrize(
    ("given", "sent"), [("lax", "Lax"), ("STRICT", "Strict"), ("None", "None"), ("none", "None")]
)
def test_samesite_is_written_as_the_rfc_does(given: str, sent: str) -> None:
    """Any case is understood, as Starlette's lower case is."""
    assert f"; SameSite={sent}" in template(samesite=given).set("v", max_age=None, https=True)


@pytest.mark.parametrize(
    "wrong",
    ["laxx", "Lax; Domain=a.example", "Lax\n", "\N{LATIN SMALL LETTER LONG S}trict", 1, True],
)
def test_sec_49_another_samesite_is_an_error(wrong: Any) -> None:
    """Only the three words are known."""
    with pytest.raises(ConfigurationError, match="samesite"):
        template(samesite=wrong)


BAD_BYTES = [*range(0x21), *map(ord, ';,"\\'), *range(0x7F, 0x100)]


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_sec_50_no_byte_breaks_out(place: str) -> None:
    """In name, value, path and domain, every control, separator and non-ASCII character raises."""

    def spoil(good: str, bad: str) -> str:
        at = {"first": 0, "middle": len(good) // 2, "last": len(good)}[place]
        return good[:at] + bad + good[at:]

    for code in BAD_BYTES:
        bad = chr(code)
        with pytest.raises(ConfigurationError):
            template(spoil("session", bad))
        with pytest.raises(ConfigurationError):
            template(path=spoil("/app", bad))
        with pytest.raises(ConfigurationError):
            template(domain=spoil("example.org", bad))
        with pytest.raises(ValueError):
            template().set(spoil(ID, bad), max_age=None, https=True)


@pytest.mark.parametrize("name", ["", "a=b", "a b", "a(b)", "a/b", "a:b", "a{b}", "[a]", None, 7])
def test_sec_50_a_name_is_a_token(name: Any) -> None:
    """The separators of RFC 9110 do not occur in a cookie's name."""
    with pytest.raises(ConfigurationError, match="cookie name"):
        template(name)


@pytest.mark.parametrize("path", ["app", "?", "\N{KELVIN SIGN}", "/" + "a" * 1024, 7, ["/"]])
def test_a_path_begins_with_a_slash(path: Any) -> None:
    """Browsers would take the folder of the URL for any other path, and ignore one over 1024."""
    with pytest.raises(ConfigurationError, match="path"):
        template(path=path)


@pytest.mark.parametrize(
    "domain",
    [
        *(".example.org", "example.org.", "example.org:80", "localhost", "org", "example..org"),
        *("127.0.0.1", "1.2.3", "::1", "[::1]", "2130706433", "example.1", "0x7f.0x1"),
        *("-a.org", "a-.org", "a_b.org", "bücher.example", "example.org/", "*.example.org"),
        *("example.\N{KELVIN SIGN}org", "http://example.org", "a" * 64 + ".org"),
        *(("a." * 126) + "org", 7, ["example.org"]),
    ],
)
def test_sec_55_a_domain_is_a_name_with_a_dot(domain: Any) -> None:
    """No address, port, single label, leading or trailing dot, and nothing but ASCII."""
    with pytest.raises(ConfigurationError, match="domain"):
        template(domain=domain)


@pytest.mark.parametrize("domain", ["example.org", "a.b-c.example", "xn--bcher-kva.example"])
def test_sec_55_a_good_domain_is_sent(domain: str) -> None:
    """As written, in lower case."""
    assert f"; Domain={domain};" in template(domain=domain.upper()).set("v", max_age=1, https=True)


def test_sec_55_a_domain_has_253_characters_at_most() -> None:
    """As in the system of names (RFC 1035, 2.3.4)."""
    longest = "a." * 125 + "org"
    assert f"; Domain={longest};" in template(domain=longest).set("v", max_age=1, https=True)
    with pytest.raises(ConfigurationError, match="domain"):
        template(domain=f"a{longest}")


def test_what_is_wrong_is_named() -> None:
    """An error says which option needs Secure, and where `"auto"` is an answer."""
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"partitioned": True}, "partitioned"),
        ({"samesite": "None"}, "samesite='None'"),
    ]
    for options, named in wrong:
        with pytest.raises(ConfigurationError, match=f"a cookie with {named}"):
            template(secure=False, **options)
    for option, hinted in (("secure", True), ("httponly", False), ("partitioned", False)):
        with pytest.raises(ConfigurationError) as caught:
            template(**{option: "yes"})
        assert ("'auto'" in str(caught.value)) == hinted


def test_options_have_names() -> None:
    """A path in the place of the next argument is a mistake."""
    with pytest.raises(TypeError):
        # The types refuse it too, and these two silence them: they report it if they ever do not.
        CookieTemplate("session", "/")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_sec_53_name_and_value_have_4096_octets_together() -> None:
    """4,096 pass and 4,097 raise, for the value and for the name."""
    assert template().set("v" * (4096 - 7), max_age=None, https=True)
    with pytest.raises(ValueError, match="4096"):
        template().set("v" * (4096 - 6), max_age=None, https=True)
    assert template("n" * 4096)
    with pytest.raises(ConfigurationError, match="shorter"):
        template("n" * 4097)
    assert template("n" * (4096 - 68), value_size=68)
    with pytest.raises(ConfigurationError, match="shorter"):
        template("n" * (4096 - 67), value_size=68)
    assert len(parse(template(path="/" + "a" * 1023).set("v", max_age=1, https=True)).value) == 1


def test_sec_53_an_error_does_not_repeat_the_value() -> None:
    """The value of a cookie is a credential; it stays out of messages."""
    for value in (ID + ";", ID * 100):
        with pytest.raises(ValueError) as caught:
            template().set(value, max_age=None, https=True)
        assert ID not in str(caught.value)


def test_max_age_is_at_most_400_days() -> None:
    """Browsers count no more (RFC 6265bis, 5.5)."""
    assert MAX_AGE_LIMIT == 34_560_000
    assert f"; Max-Age={MAX_AGE_LIMIT}" in template().set("v", max_age=10**12, https=True)


@pytest.mark.parametrize(
    ("max_age", "sent"),
    [(1, "1"), (MAX_AGE_LIMIT, str(MAX_AGE_LIMIT)), (timedelta(hours=1), "3600")],
)
def test_a_max_age_by_hand_counts(max_age: Any, sent: str) -> None:
    """Whatever each call says."""
    for each in (None, 5):
        cookie = template(max_age=max_age).set("v", max_age=each, https=True)
        assert parse(cookie).attributes["max-age"] == sent


def test_without_max_age_the_cookie_ends_with_the_browser() -> None:
    """`max_age=None` holds against a call that says otherwise."""
    assert "Max-Age" not in template(max_age=None).set("v", max_age=3600, https=True)


@pytest.mark.parametrize(
    "wrong",
    [
        -1,
        MAX_AGE_LIMIT + 1,
        True,
        1.5,
        float("nan"),
        "3600",
        "Auto",
        timedelta(-1),
        timedelta(seconds=0.5),
        [1],
    ],
)
def test_another_max_age_is_an_error(wrong: Any) -> None:
    """Negative, too long, not whole, not a number."""
    with pytest.raises(ConfigurationError, match="max_age"):
        template(max_age=wrong)


def test_a_template_cannot_be_made_to_raise_less() -> None:
    """SEC-50: a length of time that is no whole number never gets into the header."""
    with pytest.raises(ValueError):
        template().set("v", max_age=1.5, https=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# Both, in a browser


def combinations() -> list[tuple[str, dict[str, Any]]]:
    """Return every combination of attributes that a template can be made with."""
    accepted: list[tuple[str, dict[str, Any]]] = []
    for name, path, domain, secure, httponly, samesite, partitioned in product(
        ["session", *(f"{prefix}s" for prefix in PREFIXES)],
        ["/", "/app", None],
        [None, "example.org"],
        [True, False, "auto"],
        [True, False],
        [None, "Strict", "Lax", "None"],
        [True, False],
    ):
        options = {"path": path, "domain": domain, "secure": secure, "httponly": httponly}
        options |= {"samesite": samesite, "partitioned": partitioned}
        try:
            template(name, **options)
        except ConfigurationError:
            continue
        accepted.append((name, options))
    return accepted


def test_sec_52_deletion_empties_the_jar_for_every_combination() -> None:
    """What was set is deleted, and neighbours stay; over https and, where it can be set, http."""
    tried = 0
    for (name, options), https in product(combinations(), [True, False]):
        page = Page(path="/app/login", https=https)
        cookie = template(name, **options)
        jar = Jar()
        if not jar.receive(cookie.set(ID, max_age=3600, https=https), page):
            # Only a Secure cookie over http is refused by the browser.
            assert not https
            assert cookie.is_secure(https=https)
            continue
        assert jar.receive("other=1; Path=/", page)
        assert read_cookies(jar.header(page), name) == [ID]
        assert jar.receive(cookie.delete(https=https), page)
        assert jar.header(page) == "other=1"
        assert len(jar.cookies) == 1
        tried += 1
    assert tried > 200


def test_sec_52_the_model_notices_a_deletion_that_leaves_something_out() -> None:
    """Without Secure, Path or Domain the browser keeps the cookie: the oracle is no yes-man."""
    for name, options, left_out in (
        ("__Host-s", {}, "; Secure"),
        ("s", {"path": "/app"}, "; Path=/app"),
        ("s", {"domain": "example.org"}, "; Domain=example.org"),
        ("s", {"partitioned": True}, "; Partitioned"),
    ):
        page = Page(path="/app/deeper/login")
        cookie = template(name, **options)
        jar = Jar()
        assert jar.receive(cookie.set(ID, max_age=3600, https=True), page)
        jar.receive(cookie.delete(https=True).replace(left_out, ""), page)
        assert len(jar.cookies) == 1


def test_sec_54_plain_http_does_not_replace_a_secure_cookie() -> None:
    """An `"auto"` cookie set over https stays as it is when a response over http sets another."""
    cookie, jar = template(), Jar()
    assert jar.receive(cookie.set("good", max_age=60, https=True), HTTPS)
    assert not jar.receive(cookie.set("bad", max_age=60, https=False), Page(https=False))
    assert jar.header(HTTPS) == "session=good"


names = st.builds(
    "{}{}".format,
    st.sampled_from(["", "", "", *PREFIXES, "__host-", "__HTTP-"]),
    st.text(alphabet="abAB_-.~$!", min_size=1, max_size=8),
)
paths = st.sampled_from(["/", "/app", "/a%20b?#", None, "app", "/é"]) | st.text(
    alphabet=st.characters(max_codepoint=0xFF), max_size=4
).map("/{}".format)
domains = st.sampled_from(["example.org", "Www.Example.Org", None, None, "org", "1.2.3.4"])
several_options = st.fixed_dictionaries(
    {},
    optional={
        "path": paths,
        "domain": domains | st.text(max_size=4).map("{}.org".format),
        "secure": st.sampled_from([True, True, "auto", "auto", False, None, "yes"]),
        "httponly": st.sampled_from([True, True, False, None, "no"]),
        "samesite": st.sampled_from(["Lax", "strict", "NONE", None, "auto", "?"]),
        "partitioned": st.booleans(),
        "max_age": st.sampled_from(["auto", None, 1, MAX_AGE_LIMIT, timedelta(days=1), -1]),
    },
)
cookie_values = st.just(ID) | st.text(alphabet=st.characters(max_codepoint=0xFF), max_size=8)
ages = st.none() | st.integers(0, 10**10)


@given(names, several_options, cookie_values, ages, st.booleans())
@settings(max_examples=800, deadline=None)
def test_sec_50_whatever_is_accepted_means_what_was_said(
    name: str, options: dict[str, Any], value: str, max_age: int | None, https: bool
) -> None:
    """Any options raise, or give a header that an independent strict parser reads the same."""
    expect_meaning(name, options, value, max_age, https)


def test_sec_50_many_combinations_mean_what_was_said() -> None:
    """The same for 10,000 random combinations of plausible and hostile settings."""
    draw = random.Random(20261121)
    pool: dict[str, list[Any]] = {
        "path": ["/", "/app", "/a b", "/a;b", "/\n", None, "app"],
        "domain": ["example.org", "WWW.Example.org", None, "org", "1.2.3.4", "a.org;", "a.org\n"],
        "secure": [True, True, "auto", "auto", False, None, "yes"],
        "httponly": [True, True, True, False, None, "no"],
        "samesite": ["Lax", "strict", "NONE", None, "auto", "?"],
        "partitioned": [True, False, False],
        "max_age": ["auto", None, 1, MAX_AGE_LIMIT, timedelta(days=1), -1],
    }
    accepted = 0
    for _ in range(10_000):
        chosen = draw.sample(sorted(pool), draw.randrange(len(pool) + 1))
        options = {option: draw.choice(pool[option]) for option in chosen}
        name = draw.choice(["", "", "", *PREFIXES, "__host-"]) + draw.choice(["s", "a.b", "a b"])
        value = draw.choice([ID, "", "v", "a;b", "a\r\nb"])
        max_age = draw.choice([None, 0, 3600, 10**10])
        accepted += expect_meaning(name, options, value, max_age, draw.choice([True, False]))
    assert accepted > 1_000


def expect_meaning(
    name: str, options: dict[str, Any], value: str, max_age: int | None, https: bool
) -> bool:
    """Compare a cookie with what was asked for; return whether it was accepted."""
    try:
        cookie = template(name, **options)
    except ConfigurationError:
        return False
    deletion = parse(cookie.delete(https=https))
    assert (deletion.name, deletion.value) == (name, "")
    assert deletion.attributes["max-age"] == "0"
    try:
        text = cookie.set(value, max_age=max_age, https=https)
    except ValueError:
        assert set(value) & {chr(code) for code in BAD_BYTES}
        return False
    parsed = parse(text)
    assert (parsed.name, parsed.value) == (name, value)
    expect_options(parsed, options, max_age)
    kept = set(deletion.attributes) - {"max-age", "expires"}
    assert kept == set(parsed.attributes) - {"max-age"}
    assert all(deletion.attributes[key] == parsed.attributes[key] for key in kept)
    return True


def expect_options(parsed: Parsed, options: dict[str, Any], max_age: int | None) -> None:
    """Compare what was parsed with the options that were given."""
    attributes = parsed.attributes
    path = options.get("path", "/")
    assert attributes.get("path") == (path or None)
    domain = options.get("domain")
    assert attributes.get("domain") == (domain.lower() if domain else None)
    assert ("httponly" in attributes) == bool(options.get("httponly", True))
    assert ("partitioned" in attributes) == options.get("partitioned", False)
    age = options.get("max_age", "auto")
    if age == "auto":
        age = max_age
    elif isinstance(age, timedelta):
        age = int(age.total_seconds())
    assert attributes.get("max-age") == (None if age is None else str(min(age, MAX_AGE_LIMIT)))
    if options.get("secure") is True:
        assert "secure" in attributes
