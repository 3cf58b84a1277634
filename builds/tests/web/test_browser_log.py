"""The log of a build in a real Chromium: followed, inert, found, linked, and never too much."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from builds.models import Build
from builds.pipeline import archive_log
from builds.tests.factories import BuildFactory, write_log
from builds.tests.web.test_browser import browser
from builds.tests.webs import MakeWeb

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = [
    "<img src=x onerror=\"document.title='stolen'\"><script>document.title='stolen'</script>",
    "\x1b]8;;javascript:document.title='stolen'\x1b\\click\x1b]8;;\x1b\\ \x1b[31mred\x1b[0m",
    "https://evil.example/",
]


def numbered(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last + 1)]


def beside(act: Callable[[], object]) -> None:
    """Write rows while a browser is open: its loop runs in this thread, so from another one."""

    def run() -> None:
        try:
            act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result()


def write(build: Build, lines: list[str], per_chunk: int = 100) -> None:
    beside(lambda: write_log(build, lines, per_chunk))


def end(build: Build) -> None:
    row = Build.objects.get
    beside(lambda: row(pk=build.pk).fail("It broke.", kind="x", excerpt="", may_retry=False))


def test_running_build_is_followed_to_its_end_without_reloading(make_web: MakeWeb) -> None:
    build = BuildFactory(running=True, log=numbered(1, 89))
    with browser(make_web()) as chromium:
        page = chromium.open(f"/builds/{build.pk}/")
        page.evaluate("window.wasHere = true")
        assert page.evaluate(IS_AT_END), "the log of a running build begins at its end"
        write(build, ["line 90"])
        beside(lambda: Build.objects.filter(pk=build.pk).update(derivations_done=20))
        page.get_by_text("line 90").wait_for()
        page.get_by_text("building 68%").wait_for()
        page.get_by_text("20 of 29 derivations built").wait_for()
        assert page.locator("#build-bar").get_attribute("value") == "68"
        assert "so far; no earlier build tells" in page.locator("#build-timing").inner_text()
        assert page.evaluate(IS_AT_END)
        end(build)
        page.get_by_text("It broke.").wait_for()
        assert page.evaluate("window.wasHere")
        assert page.locator("#log > span").count() == 90
        assert chromium.complaints == []


def test_log_goes_on_where_the_portal_was_away_for_a_moment(make_web: MakeWeb) -> None:
    build = BuildFactory(running=True, log=numbered(1, 50))
    web = make_web()
    with browser(web) as chromium:
        page = chromium.open(f"/builds/{build.pk}/")
        write(build, ["before the break"])
        page.get_by_text("before the break").wait_for()
        os.kill(web.pid, signal.SIGKILL)
        write(build, ["during the break"])
        make_web(port=int(web.url.rpartition(":")[2]))
        page.get_by_text("during the break").wait_for(timeout=60_000)
        write(build, ["after the break"])
        page.get_by_text("after the break").wait_for()
        numbers = page.evaluate("[...document.querySelectorAll('#log > .line')].map(r => r.id)")
        assert numbers == [f"L{number}" for number in range(1, 54)], "no line twice, none missing"


def test_log_is_inert_in_the_page_and_as_it_comes(make_web: MakeWeb) -> None:
    build = BuildFactory(running=True, log=HOSTILE)
    with browser(make_web()) as chromium:
        page = chromium.open(f"/builds/{build.pk}/")
        write(build, [*HOSTILE, "the last"])
        page.get_by_text("the last").wait_for()
        assert page.locator("#log img, #log script").count() == 0
        assert page.locator("#log a:not([href^='#L'])").count() == 0
        assert page.locator("#log span span.ansi-red").all_inner_texts() == ["red", "red"]
        both = page.locator("#L2, #L5").all_inner_texts()
        assert both[0] == both[1] == "click red\n"
        assert "stolen" not in page.title()
        assert chromium.complaints == []


def test_a_hundred_thousand_lines_leave_two_thousand_in_the_page(make_web: MakeWeb) -> None:
    build = BuildFactory(running=True, log=numbered(1, 10))
    with browser(make_web()) as chromium:
        page = chromium.open(f"/builds/{build.pk}/")
        write(build, numbered(11, 100_000), per_chunk=4000)
        page.locator("#L100000").wait_for()
        assert page.locator("#log > span").count() == 2000
        page.get_by_text("the last 2,000 lines of 100,000 lines").wait_for()
        assert page.evaluate(IS_AT_END)


def test_who_reads_further_up_is_left_in_peace(make_web: MakeWeb) -> None:
    build = BuildFactory(running=True, log=numbered(1, 500))
    with browser(make_web()) as chromium:
        page = chromium.open(f"/builds/{build.pk}/")
        page.locator("#log").evaluate("log => { log.scrollTop = 100 }")
        follow = page.get_by_label("follow")
        page.locator("#log-tools input[name=follow]:not(:checked)").wait_for()
        write(build, ["line 501"])
        page.get_by_text("1 new line below").wait_for()
        assert page.locator("#log").evaluate("log => log.scrollTop") == 100
        follow.check()
        page.locator("#L501").wait_for()
        assert page.evaluate(IS_AT_END)


def test_lines_are_found_and_wrapped_as_one_likes(make_web: MakeWeb) -> None:
    build = BuildFactory(running=True, log=[*numbered(1, 50), "x" * 3000])
    with browser(make_web()) as chromium:
        page = chromium.open(f"/builds/{build.pk}/")
        page.get_by_label("Find in the lines shown").fill("LINE 4")
        page.get_by_text("11 lines of 51 shown").wait_for()
        write(build, ["another line 4711", "no such thing"])
        page.get_by_text("12 lines of 53 shown").wait_for()
        page.get_by_label("Find in the lines shown").fill("")
        high = page.locator("#L51").evaluate("row => row.offsetHeight")
        page.get_by_label("wrap").uncheck()
        assert page.locator("#L51").evaluate("row => row.offsetHeight") < high
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_link_to_a_line_goes_to_that_line_even_far_from_the_end(make_web: MakeWeb) -> None:
    build = BuildFactory(failed=True, log=numbered(1, 9000))
    archive_log(build)
    with browser(make_web()) as chromium:
        page = chromium.open(f"/builds/{build.pk}/#L8000")
        assert page.locator("#L8000").is_visible()
        page = chromium.open(f"/builds/{build.pk}/#L12")
        page.wait_for_url("**/?from=*#L12")  # by itself: the line lies before those shown
        page.locator("#L12").wait_for()
        assert page.locator("#log").evaluate("log => log.scrollTop") < 1000
        assert chromium.complaints == []


def test_without_javascript_the_whole_log_is_in_reach(make_web: MakeWeb) -> None:
    build = BuildFactory(failed=True, log=[*numbered(1, 4499), "\x1b[31mline 4500"])
    with browser(make_web(), scripts=False) as chromium:
        page = chromium.open(f"/builds/{build.pk}/")
        assert page.locator("#L4500 .ansi-red").inner_text() == "line 4500"
        assert not page.locator("#log-tools").is_visible()
        page.get_by_role("link", name="earlier lines").click()
        assert page.locator("#L2500").is_visible()
        page.get_by_role("link", name="earlier lines").click()
        assert page.locator("#L1").is_visible()
        page.get_by_role("link", name="later lines").click()
        assert page.locator("#L2001").is_visible()


def test_where_events_are_refused_the_page_asks_now_and_then(make_web: MakeWeb) -> None:
    build = BuildFactory(running=True, log=numbered(1, 10))
    with browser(make_web(WATCHERS_MOST=1)) as chromium:
        first = chromium.open(f"/builds/{build.pk}/")
        second = first.context.new_page()
        second.goto(first.url)
        write(build, ["line 11"])
        first.locator("#L11").wait_for()
        second.locator("#L11").wait_for()
        end(build)
        second.get_by_text("It broke.").wait_for()


IS_AT_END = """() => {
  const log = document.getElementById("log");
  return log.scrollHeight - log.scrollTop - log.clientHeight < 24;
}"""
