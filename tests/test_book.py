"""The built book in a real browser: `make test` builds it first."""

import importlib.util
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import numpy as np
import pytest
from browsing import HTML, PHONE, TOUCH, WIDE, open_page, turn

THEMES = {"light": "rgb(29, 36, 51)", "dark": "rgb(227, 230, 235)"}  # and the ink of each
# Asked of every page, at once: a round trip to the browser costs more than the questions.
FACTS = """() => {
    const all = (selector) => [...document.querySelectorAll(selector)];
    const ids = all('[id]').map((element) => element.id);
    return {
        theme: document.documentElement.dataset.theme,
        overflow: document.documentElement.scrollWidth - innerWidth,
        bare: all('.math').filter((place) => !place.querySelector('mjx-container')).map((p) => p.textContent),
        merrors: all('mjx-merror, [data-mjx-error]').map((error) => error.textContent),
        unnamed: all('.bd-article img, .bd-article svg[role=img]').filter(
            (image) => !(image.getAttribute('aria-label') || image.alt || '').trim()).length,
        loose: all('.cell_output img[src$=".svg"]').length,
        figures: all('figure svg.course-figure').length,
        clashes: ids.filter((id, i) => ids.indexOf(id) !== i),
        inks: all('figure svg.course-figure [style*="fill: var(--c-ink,"]').map((e) => getComputedStyle(e).fill),
        // A stand-in is a face of the machine: where it has none, the next in line is taken.
        fonts: [...document.fonts].filter((font) => font.status === 'error' && !font.family.includes('stand-in'))
            .map((font) => font.family),
    };
}"""


def visit(page, url):
    """Load a page, wait until its mathematics is set and its fonts are there, and return the facts."""
    page.goto(url)
    page.evaluate("() => window.MathJax?.startup?.promise.then(() => null)")
    page.evaluate("() => document.fonts.ready.then(() => null)")
    return page.evaluate(FACTS)


PARTS = range(3)  # of the pages: other processes may take the others


@pytest.mark.parametrize("part", PARTS)
def test_every_page_from_the_file_system(browser, pages, part):
    """From a server: in test_access.py."""
    page, troubles = open_page(browser)
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or troubles.append(request.url))
    figures = 0
    for name in pages[part :: len(PARTS)]:
        if name == "404.html":  # which only a server shows, at any address
            continue
        facts = visit(page, (HTML / name).as_uri())
        figures += facts["figures"]
        check_facts(name, facts, "light")
        turn(page, "dark")
        page.set_viewport_size(PHONE)
        check_facts(name, page.evaluate(FACTS), "dark")
        page.set_viewport_size(WIDE)
        assert not troubles, name
    assert figures, "no page has a figure"
    page.context.close()


def check_facts(name, facts, theme):
    """Nothing is wrong with a page in a theme."""
    rest = {fact: value for fact, value in facts.items() if fact not in ("theme", "inks", "figures", "overflow")}
    assert not any(rest.values()), (name, rest)
    assert facts["theme"] == theme, name
    assert set(facts["inks"]) <= {THEMES[theme]}, name
    assert facts["overflow"] <= 0, f"{name} is wider than its window"


@pytest.mark.parametrize("theme", THEMES)
def test_the_reader_s_choice_of_a_theme_is_kept(browser, chapter, theme):
    page, troubles = open_page(browser, theme)
    assert visit(page, chapter)["theme"] == theme
    assert not troubles
    page.context.close()


def test_the_panel_of_headings_closes_when_one_is_chosen(browser, pages):
    page, troubles = open_page(browser, **TOUCH)
    page.goto((HTML / "05-self-attention.html").as_uri())
    page.locator(".secondary-toggle").first.tap()
    panel = page.locator("dialog#pst-secondary-sidebar-modal")
    link = panel.locator("nav a").nth(2)
    place = link.get_attribute("href")
    link.tap()
    panel.wait_for(state="hidden")
    page.wait_for_function("place => location.hash === place", arg=place)
    assert 0 <= page.locator(f"{place} > h2").bounding_box()["y"] < PHONE["height"] / 2
    page.locator(".secondary-toggle").first.tap()  # and it opens again
    assert panel.locator("nav a").nth(2).is_visible()
    assert not troubles
    page.context.close()


# --- The figure of the soft dictionary ---

SIMILARITIES = {
    "dot": lambda q, k: k @ q,
    "scaled": lambda q, k: k @ q / np.sqrt(2),
    "cosine": lambda q, k: k @ q / np.linalg.norm(k, axis=1) / np.linalg.norm(q),
    "distance": lambda q, k: -((k - q) ** 2).sum(1),
}


@pytest.fixture(scope="session")
def chapter(pages):
    found = [HTML / name for name in pages if "<soft-dictionary" in (HTML / name).read_text(encoding="utf-8")]
    assert found, "no page has a <soft-dictionary>"
    return found[0].as_uri()


@pytest.fixture
def figure(browser, chapter):
    page, troubles = open_page(browser)
    page.goto(chapter)
    yield page.locator("soft-dictionary").first
    assert not troubles
    page.context.close()


def check_against_numpy(figure):
    """Everything that is shown follows from the data and the state, computed anew; return the state."""
    data, state = figure.evaluate("element => [element.data, element.state]")
    keys, values, query = np.array(data["keys"]), np.array(data["values"]), np.array(state["query"])
    scores = SIMILARITIES[state["similarity"]](query, keys)
    powers = np.exp((scores - scores.max()) / state["temperature"])
    weights = powers / powers.sum()
    shown = np.array([float(text) for text in figure.locator("tbody .number").all_inner_texts()])
    np.testing.assert_allclose(shown, weights, atol=5.1e-4)
    widths = figure.evaluate("element => [...element.querySelectorAll('.bar')].map((bar) => bar.style.width)")
    np.testing.assert_allclose([float(width.rstrip("%")) for width in widths], 100 * weights, atol=0.01)
    number = {name: figure.locator(f".{name}-value").inner_text().replace("−", "-") for name in ("soft", "hard")}
    np.testing.assert_allclose(float(number["soft"]), weights @ values, atol=5.1e-4)
    np.testing.assert_allclose(float(number["hard"]), values[scores.argmax()], atol=5.1e-3)
    return state


def test_it_begins_with_the_data_of_its_cell(figure):
    state = check_against_numpy(figure)
    assert state == {"query": figure.evaluate("e => e.data.query"), "similarity": "dot", "temperature": 1}
    assert figure.locator("tfoot .number").inner_text() == "1.000"
    assert not figure.locator(".still").is_visible()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_keyboard_moves_the_query_and_the_weights_follow(figure, similarity):
    before = check_against_numpy(figure)["query"]
    figure.locator(f"input[value={similarity}]").focus()
    figure.page.keyboard.press("Space")
    handle = figure.get_by_role("slider", name="Query")
    handle.focus()
    for key in ["ArrowLeft", "ArrowUp", "ArrowUp", "Shift+ArrowDown"]:
        figure.page.keyboard.press(key)
    state = check_against_numpy(figure)
    assert state["similarity"] == similarity
    step = np.array(state["query"]) - before
    np.testing.assert_allclose(step[1] / step[0], 3, rtol=1e-9)
    assert step[0] < 0
    assert handle.get_attribute("aria-valuetext").startswith("x ")


@pytest.mark.parametrize(("key", "temperature"), [("Home", 10**-1.3), ("End", 10**1.3)])
def test_the_temperature_goes_from_hard_to_plain_mean(figure, key, temperature):
    figure.get_by_role("slider", name="Temperature").focus()
    figure.page.keyboard.press(key)
    state = check_against_numpy(figure)
    assert state["temperature"] == pytest.approx(temperature)
    assert figure.locator(".degrees").inner_text() == f"{temperature:.2f}"


def test_the_result_is_spoken_and_reset_goes_back(figure):
    figure.get_by_role("slider", name="Query").focus()
    figure.page.keyboard.press("ArrowLeft")
    status = figure.get_by_role("status")
    status.get_by_text("Soft answer").wait_for(state="attached")
    assert f"Hard lookup: {figure.locator('.hard-value').inner_text()}" in status.inner_text()
    figure.get_by_role("button", name="Reset").click()
    assert check_against_numpy(figure)["query"] == figure.evaluate("e => e.data.query")


def handle_centre(figure):
    box = figure.locator(".handle .dot").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_mouse_drags_the_query_and_stops_at_the_edge(figure):
    figure.locator(".plane").scroll_into_view_if_needed()
    x, y = handle_centre(figure)
    mouse = figure.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x - 40, y + 30, steps=3)
    np.testing.assert_allclose(handle_centre(figure), (x - 40, y + 30), atol=1)
    check_against_numpy(figure)
    mouse.move(x - 2000, y)
    mouse.up()
    assert check_against_numpy(figure)["query"][0] == pytest.approx(-figure.evaluate("e => e.plane.limit"))


def test_a_finger_drags_the_query_and_the_page_stays(browser, chapter):
    page, troubles = open_page(browser, viewport=PHONE, has_touch=True, is_mobile=True)
    page.goto(chapter)
    figure = page.locator("soft-dictionary").first
    figure.locator(".plane").scroll_into_view_if_needed()
    x, y = handle_centre(figure)
    scrolled = page.evaluate("scrollY")
    finger = page.context.new_cdp_session(page)
    for kind, points in [
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x - 30, "y": y + 50}]),
        ("touchMove", [{"x": x - 60, "y": y + 80}]),
        ("touchEnd", []),
    ]:
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    np.testing.assert_allclose(handle_centre(figure), (x - 60, y + 80), atol=1)
    check_against_numpy(figure)
    assert page.evaluate("scrollY") == scrolled
    assert not troubles
    page.context.close()


def test_bars_do_not_move_for_readers_who_want_no_motion(browser, chapter):
    durations = []
    for motion in ("no-preference", "reduce"):
        page, _ = open_page(browser, reduced_motion=motion)
        page.goto(chapter)
        bar = page.locator("soft-dictionary .bar").first
        durations.append(bar.evaluate("bar => getComputedStyle(bar).transitionDuration"))
        page.context.close()
    assert durations == ["0.12s", "0s"]


def test_print_has_the_still_picture(figure):
    figure.page.emulate_media(media="print")
    assert figure.locator(".still svg").is_visible()
    assert not figure.locator(".live").is_visible()


def test_without_javascript_there_is_the_still_picture(browser, chapter):
    page, _ = open_page(browser, java_script_enabled=False)
    page.goto(chapter)
    assert page.locator("soft-dictionary .still svg").first.is_visible()
    page.context.close()


def test_without_triton_only_the_page_on_the_kernel_is_not_run(monkeypatch):
    source = Path(__file__).parents[1] / "book"
    specification = importlib.util.spec_from_file_location("course_book", source / "_ext" / "course_book.py")
    extension = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(extension)
    for triton, left_out in ((object(), []), (None, ["08b-triton.md"])):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, found=triton: found)
        config = SimpleNamespace(nb_execution_excludepatterns=[])
        extension.leave_without_outputs(None, config)
        pages = sorted(path.name for path in source.glob("*.md"))
        matched = [
            p for p in pages if any(PurePosixPath(p).match(each) for each in config.nb_execution_excludepatterns)
        ]
        assert matched == left_out
