"""Sounds as data inside the page, and the listening figure: its markup, and in a browser what it does with it."""

import base64
import io
import json
import re
import wave

import numpy as np
import pytest
from browsing import figure_page

from course_utils.listening import listening_figure, sound_players, wav

RATE = 8000
VOICES = ["low voice", "high voice"]


def make_parts(seed=0):
    """Of two filters, what each lets through of two voices: (2, 2, 4000), half a second of noise."""
    rng = np.random.default_rng(seed)
    voices = rng.normal(size=(2, 4000)) * [[1.0], [0.7]]
    kept = rng.uniform(0.6, 1.0, size=(2, 1, 2, 1))
    return {
        name: np.stack(
            [[k[0, 0] * voices[0], (1 - k[0, 1]) * voices[1]], [(1 - k[0, 0]) * voices[0], k[0, 1] * voices[1]]]
        )
        for name, k in zip(["hard", "soft"], kept, strict=True)
    }


@pytest.fixture(scope="module")
def parts():
    return make_parts()


@pytest.fixture(scope="module")
def made(parts):
    return listening_figure(parts, RATE, VOICES, "Listen to <two> voices.")


@pytest.fixture(scope="module")
def markup(made):
    return made.markup


def samples(uri):
    """The samples of a data URI, from −1 to 1, shape (channels, N), and its rate."""
    with wave.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:audio/wav;base64,")))) as reader:
        assert reader.getsampwidth() == 2
        numbers = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2") / 32767
        return numbers.reshape(-1, reader.getnchannels()).T, reader.getframerate()


def sources(markup):
    return re.findall(r'<audio[^>]* src="([^"]+)"', markup)


def expected_shares(parts, gains):
    """How much of each voice is heard at these gains, from the signals themselves."""
    heard = np.tensordot(gains, parts, axes=1)
    return np.square(heard).sum(-1) / np.square(parts.sum(0)).sum(-1)


class TestWav:
    @pytest.mark.parametrize("shape", [(1237,), (2, 1237)])
    def test_the_samples_come_back(self, shape):
        signal = np.random.default_rng(0).uniform(-1, 1, size=shape)
        uri = "data:audio/wav;base64," + base64.b64encode(wav(signal, 7000)).decode()
        numbers, rate = samples(uri)
        assert rate == 7000
        np.testing.assert_allclose(numbers, np.atleast_2d(signal), atol=0.51 / 32767)

    @pytest.mark.parametrize(
        ("signal", "message"),
        [
            (np.ones((3, 5)), r"\(N,\) or \(2, N\), got \(3, 5\)"),
            ([], r"got \(0,\)"),
            ([0.5, -1.25], "from -1 to 1, got up to 1.25"),
            ([0.5, np.nan], "finite"),
        ],
    )
    def test_bad_input(self, signal, message):
        with pytest.raises(ValueError, match=message):
            wav(signal, RATE)


class TestPlayers:
    def test_all_sounds_have_one_scale_and_a_name(self):
        loud, quiet = np.array([0.0, 4, -2]), np.array([1.0, 0, -1])
        made = sound_players({"A & B": loud, "quiet": quiet, "one in each ear": np.stack([loud, quiet])}, RATE)
        found = [samples(uri)[0] for uri in sources(made.markup)]
        np.testing.assert_allclose(found[0][0], 0.9 * loud / 4, atol=1e-4)
        np.testing.assert_allclose(found[1][0], 0.9 * quiet / 4, atol=1e-4)
        np.testing.assert_allclose(found[2], 0.9 * np.stack([loud, quiet]) / 4, atol=1e-4)
        assert re.findall('aria-label="([^"]+)"', made.markup) == ["A &amp; B", "quiet", "one in each ear"]
        assert made.alt == "Sounds: A & B, quiet, one in each ear."

    def test_they_wait_to_be_started(self):
        made = sound_players({"a": [0.0, 1]}, RATE).markup
        assert "<audio controls" in made
        assert "autoplay" not in made

    @pytest.mark.parametrize("sounds", [{}, {"a": [0.0, 0]}, {"a": [1.0], "b": [np.inf]}])
    def test_bad_input(self, sounds):
        with pytest.raises(ValueError, match=r"sound_players: expected (sounds|finite)"):
            sound_players(sounds, RATE)


class TestFigure:
    def test_the_sounds_are_what_the_filters_let_through(self, markup, parts):
        found = np.stack([samples(uri)[0][0] for uri in sources(markup)]).reshape(2, 2, -1)
        heard = np.stack([parts[name].sum(axis=1) for name in ("hard", "soft")])
        scale = found[0, 0] @ heard[0, 0] / (heard[0, 0] @ heard[0, 0])
        np.testing.assert_allclose(found, scale * heard, atol=1e-4)
        assert np.abs(found.sum(axis=1)).max() <= 0.9 + 1e-4  # both together fit as well

    def test_the_energies_come_back(self, markup, parts):
        data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', markup)[1])
        assert data["voices"] == VOICES
        for each in data["filters"]:
            for gains in [(1, 0), (0, 1), (1, 1), (1, 0.3)]:
                share = np.einsum("k, l, vkl", gains, gains, each["through"])
                np.testing.assert_allclose(share, expected_shares(parts[each["name"]], gains))
            np.testing.assert_allclose(each["energy"], np.square(parts[each["name"]].sum(0)).sum(-1))

    def test_without_javascript_there_are_players_and_a_table(self, markup, parts):
        names = re.findall(r'<audio[^>]*aria-label="([^"]+)"', markup)
        assert names == [f"{kind} filter on the {voice}" for kind in ("hard", "soft") for voice in VOICES]
        cells = re.findall(r"<td>([\d.]+) %</td>", markup)
        shares = [100 * expected_shares(parts[n], g) for n in ("hard", "soft") for g in ((1, 0), (0, 1))]
        np.testing.assert_allclose(np.array(cells, float), np.concatenate(shares), atol=0.051)

    def test_text_cannot_break_out_and_it_is_the_same_every_time(self, parts):
        made = [listening_figure(parts, RATE, ["</script>", "b"], 'A "b" & c') for _ in range(2)]
        assert made[0] == made[1]
        assert made[0].markup.count("</script>") == 1
        assert 'aria-label="A &quot;b&quot; &amp; c"' in made[0].markup

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"parts": {}}, r"expected two voices and for each filter an array \(2, 2, N\)"),
            ({"parts": {"hard": np.ones((2, 3, 5))}}, r"got 2 voices and \[\(2, 3, 5\)\]"),
            ({"parts": {"hard": np.ones((2, 2, 5)), "soft": np.ones((2, 2, 6))}}, r"\(2, 2, 5\), \(2, 2, 6\)"),
            ({"voices": ["one"]}, "got 1 voices"),
            ({"parts": {"hard": np.full((2, 2, 5), np.nan)}}, "finite"),
            ({"parts": {"hard": np.stack([np.ones((2, 5)), [[1] * 5, [-1] * 5]])}}, "silence from one"),
            ({"fallback_alt": " "}, "fallback_alt is empty"),
        ],
    )
    def test_bad_input(self, change, message):
        given = {"parts": make_parts(), "rate": RATE, "voices": VOICES, "fallback_alt": "Two voices."}
        with pytest.raises(ValueError, match=message):
            listening_figure(**given | change)


# --- in a browser, on a page of its own from the file system ---


ELEMENT = "listening-figure"


@pytest.fixture(scope="module")
def address(made, tmp_path_factory):
    return figure_page(tmp_path_factory.mktemp("page"), made)


def shown(figure):
    shares = [float(text.rstrip(" %")) / 100 for text in figure.locator("tbody .number").all_inner_texts()]
    return shares, figure.locator(".balance").inner_text()


def check_against_numpy(figure, parts, name, gains):
    shares, balance = shown(figure)
    np.testing.assert_allclose(shares, expected_shares(parts[name], gains), atol=5.1e-4)
    heard = np.square(np.tensordot(gains, parts[name], axes=1)).sum(-1)
    decibels = 10 * np.log10(heard[0] / heard[1])
    louder, softer = VOICES if decibels >= 0 else VOICES[::-1]
    assert balance == f"The {louder} is {abs(decibels):.1f} dB above the {softer}."


def test_it_begins_silent_with_all_let_through(figure, parts):
    check_against_numpy(figure, parts, "hard", (1, 1))
    assert figure.locator(".play").inner_text() == "▶ Play"
    assert figure.evaluate("element => element.loops.context === undefined")
    assert not figure.locator(".still").is_visible()


@pytest.mark.parametrize(
    ("key", "gains", "words"),
    [
        ("Home", (1, 0), "low voice only"),
        ("End", (0, 1), "high voice only"),
        ("ArrowRight", (0.98, 1), "filter on low voice 98 per cent, on high voice 100 per cent"),
    ],
)
def test_the_keyboard_moves_attention(figure, parts, key, gains, words):
    slider = figure.get_by_role("slider", name="Attention")
    slider.focus()
    figure.page.keyboard.press(key)
    check_against_numpy(figure, parts, "hard", gains)
    assert slider.get_attribute("aria-valuetext") == words
    figure.locator("input[value=soft]").focus()
    figure.page.keyboard.press("Space")
    check_against_numpy(figure, parts, "soft", gains)
    assert figure.evaluate("element => element.gains()") == pytest.approx([0, 0, *gains])
    status = figure.get_by_role("status")
    status.get_by_text(f"Filter soft, {words}").wait_for(state="attached")


def test_it_plays_on_while_attention_moves_and_stops(figure, parts):
    button = figure.locator(".play")
    button.focus()
    figure.page.keyboard.press("Enter")
    assert button.inner_text() == "■ Stop"
    figure.page.wait_for_function("() => document.querySelector('listening-figure').loops.nodes?.length === 4")
    assert figure.evaluate("element => element.loops.nodes.every(({ loop }) => loop.loop)")
    figure.evaluate("element => (window.first = element.loops.nodes[0])")
    figure.get_by_role("slider", name="Attention").focus()
    figure.page.keyboard.press("End")
    # The gains approach the new ones; the same loops go on.
    gains = "element => element.loops.nodes.map(({ node }) => node.gain.value)"
    figure.page.wait_for_function("() => window.first.node.gain.value < 0.01")
    assert figure.evaluate(gains) == pytest.approx([0, 1, 0, 0], abs=0.02)
    assert figure.evaluate("element => element.loops.nodes[0] === window.first")
    context = figure.evaluate_handle("element => element.loops.context")
    button.click()
    assert button.inner_text() == "▶ Play"
    assert figure.evaluate("element => element.loops.context === undefined")
    figure.page.wait_for_function("context => context.state === 'closed'", arg=context)


def test_the_loops_hold_what_each_filter_lets_through(figure, parts):
    loops = figure.evaluate(
        """async (element) => {
            const context = new OfflineAudioContext(1, 4000, 8000);
            const bytes = element.loops.constructor.bytes;
            const decode = async (source) => context.decodeAudioData(await bytes(source));
            const buffers = await Promise.all(element.loops.sources.map(decode));
            return buffers.map((buffer) => [...buffer.getChannelData(0)]);
        }"""
    )
    heard = np.concatenate([parts[name].sum(axis=1) for name in ("hard", "soft")])
    scale = np.abs(loops[0]).max() / np.abs(heard[0]).max()
    np.testing.assert_allclose(loops, scale * heard, atol=1e-4)


def test_without_javascript_print_and_reduced_motion(browser, address):
    page = browser.new_page(java_script_enabled=False)
    page.goto(address)
    assert page.locator("listening-figure audio").first.is_visible()
    assert page.locator("listening-figure table").is_visible()
    page.close()
    durations = []
    for motion in ("no-preference", "reduce"):
        page = browser.new_page(reduced_motion=motion)
        page.goto(address)
        durations.append(page.locator(".bar").first.evaluate("bar => getComputedStyle(bar).transitionDuration"))
        page.emulate_media(media="print")
        assert page.locator("listening-figure .still table").is_visible()
        assert not page.locator("listening-figure .live").is_visible()
        page.close()
    assert durations == ["0.12s", "0s"]
