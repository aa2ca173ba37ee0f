"""The first page, what stands around all pages, and what they weigh: in the built book, by `make test`."""

from __future__ import annotations

import gzip
import http.server
import io
import json
import re
import threading
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from browsing import open_page
from PIL import Image
from playwright.sync_api import Browser, Page
from pypdf import PdfReader
from support import ROOT

from course_utils.party import loudest, party_figure

HTML = ROOT / "_build" / "html"
CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("0*.md"))
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# What a reader would search for, and the chapter that is about it.
TERMS = {
    "warm-up": "00-warm-up",
    "saliency": "01-selective-attention",
    "temperature": "02-soft-dictionary",
    "bottleneck": "03-bottleneck",
    "alignment": "04-looking-back",
    "self-attention": "05-self-attention",
    "ALiBi": "06-positions",
    "label smoothing": "07-transformer",
    "log-sum-exp": "08-flash-attention",
    "Triton": "08b-triton",
}
WATCH = """
    window.seen = { shift: 0 };
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) seen.shift += entry.value;
    }).observe({ type: 'layout-shift', buffered: true });
"""


@cache
def compressed(path: Path) -> bytes:
    """What a server sends: text compressed, all else as it is."""
    content = path.read_bytes()
    return gzip.compress(content, 6) if path.suffix in (".html", ".css", ".js", ".svg", ".json") else content


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the book as a host would: compressed, and 404.html where there is nothing. Keeps what it sent."""

    sent: dict[str, int]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        found = path.is_file()
        content = compressed(path if found else HTML / "404.html")
        self.sent[path.name] = len(content)
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", self.guess_type(str(path)) if found else "text/html")
        if content[:2] == b"\x1f\x8b":
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if not (HTML / "index.html").exists():
        pytest.fail("there is no book in _build/html: run `make book`", pytrace=False)
    Handler.sent = {}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(HTML))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


def load(page: Page, url: str) -> None:
    """Load a page, with its fonts and formulas."""
    page.goto(url)
    page.evaluate("() => window.MathJax?.startup?.promise.then(() => null)")
    page.evaluate("() => document.fonts.ready.then(() => null)")


def text_of(name: str) -> str:
    return (HTML / name).read_text(encoding="utf-8")


# --- What a page weighs, and that nothing moves ---


@pytest.mark.parametrize(("name", "limit"), [("index", 400_000), *((name, 1_000_000) for name in CHAPTERS)])
def test_a_page_is_light(browser: Browser, server: str, name: str, limit: int) -> None:
    page = browser.new_context(viewport=WIDE).new_page()
    Handler.sent.clear()
    load(page, f"{server}{name}.html")
    page.context.close()
    heaviest = sorted(Handler.sent.items(), key=lambda item: -item[1])[:5]
    assert sum(Handler.sent.values()) <= limit, heaviest


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize(("fonts", "limit"), [("never", 0.002), ("late", 0.02)])
def test_nothing_on_the_first_page_moves_while_it_loads(
    browser: Browser, server: str, viewport: dict[str, int], fonts: str, limit: float
) -> None:
    """Nothing at all but for the fonts; they come after the text was drawn with the stand-ins, and move it hardly."""
    context = browser.new_context(viewport=viewport)
    context.add_init_script(WATCH)
    page = context.new_page()
    page.route("**/*.woff2", lambda route: None if fonts == "late" else route.abort())
    page.goto(server, wait_until="commit")
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    page.locator("voice-party[data-ready]").wait_for()
    page.unroute("**/*.woff2")  # this lets those go that were held
    page.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame)).then(() => null)")
    assert page.evaluate("document.fonts.check('1em Inter')") == (fonts == "late")
    assert page.evaluate("seen.shift") < limit
    context.close()


def test_pages_without_formulas_do_not_load_mathjax() -> None:
    for path in HTML.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert ('src="_static/mathjax/' in text) == ('class="math ' in text), path.name
        assert "fontawesome.js" not in text


def test_every_letter_of_east_asia_is_in_a_font_of_the_course() -> None:
    """Elsewhere, and in a PDF, they would be boxes on a machine without such fonts."""
    css = (HTML / "_static" / "course.css").read_text(encoding="utf-8")
    spans = [span.split("-") for ranges in re.findall(r"unicode-range: ([^;]*);", css) for span in ranges.split(",")]
    covered = {code for first, *last in spans for code in range(_code(first), _code(last[0] if last else first) + 1)}
    for path in HTML.rglob("*.html"):
        letters = set(re.findall(r"[\u1100-\u11ff\u2e80-\uffdc]", path.read_text(encoding="utf-8")))
        assert {letter for letter in letters if ord(letter) not in covered} == set(), path.name


def _code(text: str) -> int:
    return int(text.strip().removeprefix("U+"), 16)


# --- The party ---


@pytest.fixture
def party(browser: Browser, server: str) -> Iterator[Page]:
    page = browser.new_context(viewport=WIDE).new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    load(page, server)
    yield page
    assert not troubles
    page.context.close()


def check_against_numpy(page: Page) -> dict[str, object]:
    """What is shown follows from the data and the state; return the state."""
    data, state = page.locator("voice-party").evaluate("element => [element.data, element.state]")
    scores = -((np.array(data["places"]) - state["listener"]) ** 2).sum(1) / state["temperature"]
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    sizes = page.locator("voice-party .live .voice").evaluate_all(
        "voices => voices.map((voice) => Number(voice.style.getPropertyValue('--w')))"
    )
    np.testing.assert_allclose(sizes, weights, atol=5.1e-5)
    assert page.locator("voice-party .live .heard").inner_text() == f"You hear: {loudest(data['words'], weights)}"
    return state


def test_it_begins_as_its_cell_computed(party: Page) -> None:
    check_against_numpy(party)
    still, live = (party.locator(f"voice-party .{part} .heard").text_content() for part in ("still", "live"))
    assert still == live


def test_a_touched_voice_is_heard(browser: Browser, server: str) -> None:
    page = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True).new_page()
    load(page, server)
    box = page.locator(".live .voice", has_text="coffee").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    check_against_numpy(page)
    assert page.locator(".live .heard").inner_text().startswith("You hear: coffee")
    page.context.close()


def test_the_mouse_drags_the_listener_and_stops_at_the_wall(party: Page) -> None:
    box = party.locator(".live .voice", has_text="chess").bounding_box()
    room = party.locator(".live .room").bounding_box()
    party.mouse.move(room["x"] + 30, room["y"] + 30)
    party.mouse.down()
    party.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    check_against_numpy(party)
    assert party.locator(".live .heard").inner_text().startswith("You hear: chess")
    party.mouse.move(room["x"] + 5000, room["y"] + 30)
    party.mouse.up()
    listener = check_against_numpy(party)["listener"]
    assert listener[0] == party.locator("voice-party").evaluate("element => element.high[0]")


def test_the_keyboard_moves_the_listener_and_turns_the_temperature(party: Page) -> None:
    before = check_against_numpy(party)["listener"]
    party.get_by_role("slider", name="Where you listen").focus()
    for key in ["ArrowRight", "Shift+ArrowRight", "ArrowDown"]:
        party.keyboard.press(key)
    after = check_against_numpy(party)["listener"]
    np.testing.assert_allclose(np.subtract(after, before), [1.25, 0.25])
    party.get_by_role("slider", name="Temperature").focus()
    for key, temperature in [("Home", 10**-1.3), ("End", 100)]:
        party.keyboard.press(key)
        assert check_against_numpy(party)["temperature"] == pytest.approx(temperature)
    party.get_by_role("status").get_by_text("You hear").wait_for(state="attached")


def test_without_a_script_and_in_print_the_still_picture_stands(browser: Browser, party: Page, server: str) -> None:
    party.emulate_media(media="print")
    assert party.locator("voice-party .still .room").is_visible()
    assert not party.locator("voice-party .live").is_visible()
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(server)
    assert page.locator("voice-party .still .room").is_visible()
    page.context.close()


class TestFigure:
    GIVEN = {  # noqa: RUF012 - not changed
        "words": ["a", "</script>"],
        "places": [[0, 0], [1, 0]],
        "listener": [0, 0],
        "weights": [0.75, 0.25],
        "temperature": 0.91,
        "fallback_alt": "Two voices.",
    }

    def test_the_data_come_back_and_text_cannot_break_out(self) -> None:
        markup = party_figure(**self.GIVEN).markup
        data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', markup)[1])
        assert data == {key: self.GIVEN[key] for key in ("words", "places", "listener", "temperature")}
        assert markup.count("</script>") == 1
        assert "a 75 % · &lt;/script&gt; 25 %" in markup

    def test_the_rest_is_said_together(self) -> None:
        assert loudest(list("abcd"), [0.1, 0.5, 0.15, 0.25]) == "b 50 % · d 25 % · c 15 % · 1 others 10 %"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"words": []}, "K = 0 words"),
            ({"places": [[0, 0, 0]] * 2}, r"got \(2, 3\)"),
            ({"listener": [0, np.nan]}, "finite"),
            ({"weights": [0.5, 0.6]}, "sum of 1, none below 0, got 1.1"),
            ({"temperature": 0}, "from 0.05 to 100, got 0"),
            ({"fallback_alt": " "}, "fallback_alt is empty"),
        ],
    )
    def test_bad_input(self, change: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            party_figure(**self.GIVEN | change)


# --- The map ---


def test_the_map_links_every_chapter_once_and_by_keyboard(party: Page) -> None:
    links = party.locator(".chapter-map svg a")
    assert [href.removesuffix(".html") for href in links.evaluate_all("e => e.map((a) => a.getAttribute('href'))")] == (
        CHAPTERS
    )
    for link in links.all():
        link.focus()
        assert link.evaluate("element => element === document.activeElement")
    overflow = party.locator(".chapter-map svg a").evaluate_all(
        """boxes => boxes.flatMap((box) => {
            const frame = box.querySelector('rect').getBoundingClientRect();
            return [...box.querySelectorAll('text')].map((text) => text.getBoundingClientRect())
                .filter(({left, right, top, bottom}) =>
                    left < frame.left || right > frame.right || top < frame.top || bottom > frame.bottom);
        }).length"""
    )
    assert overflow == 0


def test_hours_are_those_of_the_assignments() -> None:
    sources = (ROOT / "solutions").glob("*/*.md")
    minutes = [re.search(r"^  minutes: (\d+)$", path.read_text(encoding="utf-8"), re.MULTILINE) for path in sources]
    total = sum(int(match[1]) for match in minutes if match)
    halves = round(total / 30)
    foot = re.search(r"<tfoot>.*?</tfoot>", text_of("index.html"))[0]
    assert f"<td>{halves // 2}{'½' * (halves % 2)} h</td></tr>" in foot


# --- Around the pages ---


def test_a_wrong_address_at_any_depth_meets_the_page_404(browser: Browser, server: str) -> None:
    page = browser.new_context(viewport=WIDE).new_page()
    missing: list[str] = []
    page.on("response", lambda response: missing.append(response.url) if response.status == 404 else None)
    page.goto(f"{server}no/such/page.html")
    assert missing == [f"{server}no/such/page.html"]
    page.locator(".not-found input").fill("softmax")
    page.locator(".not-found button").click()
    page.wait_for_url(f"{server}search.html?q=softmax")
    page.go_back()
    page.get_by_role("link", name="How to check an answer").click()
    page.wait_for_url(f"{server}grading.html")
    page.context.close()


@pytest.mark.parametrize("name", ["index", *CHAPTERS])
def test_a_page_says_what_it_is(name: str) -> None:
    head = text_of(f"{name}.html").split("</head>")[0]
    for tag in ('name="description"', 'property="og:title"', 'property="og:description"', 'name="theme-color"'):
        assert head.count(tag) >= 1, tag
    assert 'name="twitter:card" content="summary_large_image"' in head
    assert "canonical" not in head, "no address is set"
    assert 'property="og:url"' not in head
    titles = [re.search("<title>(.*?)</title>", text_of(f"{each}.html"))[1] for each in ["index", *CHAPTERS]]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("source", ["file", "server"])
def test_search_finds_each_chapter_by_its_key_term(browser: Browser, server: str, source: str) -> None:
    page = browser.new_context(viewport=WIDE).new_page()
    root = server if source == "server" else HTML.as_uri() + "/"
    for term, chapter in TERMS.items():
        page.goto(f"{root}search.html?q={term}")
        page.locator(".search-summary", has_text="found").wait_for()
        found = page.locator("#search-results li > a").evaluate_all("e => e.map((a) => a.getAttribute('href'))")
        assert any(href.startswith(chapter) for href in found[:5]), (term, found[:5])
    page.context.close()


# What has the very name that a reader asks for, and must come first.
NAMED = {
    "value": "glossary.html#term-value-of-attention",
    "key-value cache": "glossary.html#term-keyvalue-cache",
    "masked softmax": "api/attention.html#course_utils.attention.masked_softmax",
    "masked_softmax": "api/attention.html#course_utils.attention.masked_softmax",
    "MultiHeadAttention": "api/attention.html#course_utils.attention.MultiHeadAttention",
    "glossary": "glossary.html",
    "telling where": "06-positions.html",
}


def test_search_finds_first_what_has_that_name(browser: Browser, server: str) -> None:
    page = browser.new_context(viewport=WIDE).new_page()
    for asked, place in NAMED.items():
        page.goto(f"{server}search.html?q={asked}")
        page.locator(".search-summary", has_text="found").wait_for()
        assert page.locator("#search-results li > a").first.get_attribute("href") == place, asked
    page.context.close()


def test_search_asks_for_excerpts_only_where_it_gets_them(browser: Browser, server: str) -> None:
    for root, excerpts in ((server, True), (HTML.as_uri() + "/", False)):
        page, troubles = open_page(browser)
        page.goto(f"{root}search.html?q=warm-up")
        page.locator(".search-summary", has_text="found").wait_for()
        page.wait_for_load_state("networkidle")
        assert bool(page.locator("#search-results .context").count()) == excerpts
        assert not troubles
        page.context.close()


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_sign_of_the_search_field_stands_beside_its_words(
    browser: Browser, server: str, viewport: dict[str, int]
) -> None:
    page = browser.new_context(viewport=viewport).new_page()
    load(page, f"{server}search.html")
    page.keyboard.press("Control+k")
    fields = [form for form in page.locator("form.bd-search").all() if form.is_visible()]
    assert fields
    for form in fields:
        sign, field = (form.locator(part).bounding_box() for part in (".fa-magnifying-glass", "input"))
        assert sign["x"] + sign["width"] <= field["x"]
        assert field["x"] + field["width"] <= viewport["width"]
    page.context.close()


def test_the_menu_of_downloads_says_what_its_entries_are(pages: list[str]) -> None:
    def entries(name: str) -> list[str]:
        return re.findall(r'<span class="btn__text-container">(.*?)</span>', text_of(name))

    assert entries("02-soft-dictionary.html") == ["Source (Markdown)", "Print, or save as PDF"]
    assert entries("exercises/lab-1-timing/lab-1-timing.html") == ["Source (notebook)", "Print, or save as PDF"]
    assert not any(entry.startswith(".") for name in pages for entry in entries(name))


def test_names_of_functions_are_whole_beside_the_text(browser: Browser, server: str) -> None:
    page = browser.new_context(viewport=WIDE).new_page()
    # There the names of its functions are unfolded.
    load(page, f"{server}api/attention.html#module-course_utils.attention")
    page.locator("#pst-page-toc-nav").get_by_text("scaled_dot_product_attention").wait_for()
    cut = """links => links.flatMap((link) => [link, ...link.querySelectorAll('span')]).filter((part) =>
        part.getBoundingClientRect().right > innerWidth).map((part) => part.textContent)"""
    assert page.locator("#pst-page-toc-nav a").evaluate_all(cut) == []
    page.context.close()


def test_an_address_in_a_table_fits_a_phone(browser: Browser, server: str) -> None:
    page = browser.new_context(viewport=PHONE).new_page()
    load(page, f"{server}publishing.html")
    table = page.locator(".pst-scrollable-table-container", has_text="https://").first
    assert table.evaluate("table => table.scrollWidth <= table.clientWidth")
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_line_that_goes_on_has_a_shade_at_its_edge(browser: Browser, server: str, theme: str) -> None:
    page, _ = open_page(browser, theme, viewport=PHONE)
    load(page, f"{server}02-soft-dictionary.html")
    cells = page.locator(".cell_input pre").all()
    pre = next(cell for cell in cells if cell.evaluate("cell => cell.scrollWidth > cell.clientWidth + 60"))

    def edges() -> list[tuple[int, ...]]:
        """The colours at the left and the right, above the first line, and that of the middle."""
        picture = Image.open(io.BytesIO(pre.screenshot())).convert("RGB")
        return [picture.getpixel((x, 8)) for x in (1, picture.width - 2, picture.width // 2)]

    left, right, ground = edges()
    assert left == ground != right
    pre.evaluate("pre => { pre.scrollLeft = pre.scrollWidth; }")
    left, right, ground = edges()
    assert left != ground == right
    page.context.close()


def test_links_to_places_show_for_the_keyboard_and_resolve(browser: Browser, server: str) -> None:
    page = browser.new_context(viewport=WIDE).new_page()
    load(page, f"{server}02-soft-dictionary.html")
    kinds = {
        "section": "h2",
        "figure": "figcaption",
        "formula": "div.math .eqno",
        "exercise": ".exercise .admonition-title",
    }
    for kind, place in kinds.items():
        link = page.locator(f".bd-article {place} a.headerlink").first
        assert link.evaluate("link => getComputedStyle(link).opacity") == "0", kind
        link.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        assert link.evaluate("link => getComputedStyle(link).opacity") == "1", kind
        assert link.evaluate("link => document.getElementById(decodeURIComponent(link.hash.slice(1))) !== null"), kind
    page.context.close()


def test_print_has_the_text_alone_and_whole(browser: Browser, server: str) -> None:
    page = browser.new_context(viewport={"width": 640, "height": 900}).new_page()
    load(page, f"{server}02-soft-dictionary.html")
    page.emulate_media(media="print")
    for part in ("#jb-print-docs-body", ".bd-sidebar-primary", ".bd-header-article", ".prev-next-footer"):
        assert not page.locator(part).first.is_visible(), part
    assert page.locator("h1").last.is_visible()
    cut = "places => places.filter((place) => place.scrollWidth > place.clientWidth + 1).length"
    assert page.locator(".bd-article pre").evaluate_all(cut) == 0
    page.context.close()


def test_no_page_of_paper_ends_within_the_ways_in(browser: Browser, server: str) -> None:
    page = browser.new_page()
    load(page, server)
    cards = [squeezed(text) for text in page.locator(".sd-card").all_inner_texts()]
    printed = [squeezed(sheet.extract_text()) for sheet in PdfReader(io.BytesIO(page.pdf(format="A4"))).pages]
    ends = ["Threewaysin", *(end for card in cards for end in (card[:30], card[-30:]))]
    assert len(ends) == 7
    assert len({number for number, text in enumerate(printed) for end in ends if end in text}) == 1
    page.close()


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_the_way_to_what_a_new_reader_asks() -> None:
    """From the first page: each within three clicks, the last of which a chapter's own page or the side bar has."""
    first = text_of("index.html")
    for target in ("01-selective-attention", "00-warm-up", "grading", "reproduced", "references", "05-self-attention"):
        assert f'href="{target}.html"' in first, target
    assert 'id="check-your-work"' in first
    assert "05-self-attention.ipynb" in text_of("05-self-attention.html")
