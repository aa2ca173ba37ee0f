"""The saliency map: pyramids, differences across scales, N(·), winners, the fovea, displays to search."""

import itertools
from typing import get_args

import numpy as np
import pytest

from course_utils.saliency import (
    ANGLES,
    Kind,
    centre_surround,
    colour_opponents,
    conspicuity_maps,
    fixations_to_target,
    foveate,
    gaussian_pyramid,
    normalise_peaks,
    oriented_energy,
    rescale,
    saliency_map,
    search_display,
    winner_take_all,
)

SMALL = {"centres": (1, 2), "deltas": (2, 3), "scale": 2}  # for images of some sixty pixels


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def grey(height, width, value=0.0):
    return np.full((height, width, 3), value)


def binomial_blur(image):
    """The same blur, written as one sum over 25 neighbours of a mirrored image."""
    weights = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    height, width = image.shape

    def mirrored(index, length):
        period = 2 * (length - 1) if length > 1 else 1
        index = abs(index) % period
        return index if index < length else period - index

    out = np.zeros(image.shape)
    for i, j, di, dj in itertools.product(range(height), range(width), range(5), range(5)):
        out[i, j] += weights[di, dj] * image[mirrored(i + di - 2, height), mirrored(j + dj - 2, width)]
    return out


class TestPyramid:
    @pytest.mark.parametrize("shape", [(13, 17), (8, 5), (1, 7), (2, 3)])
    def test_a_level_is_the_one_before_blurred_and_halved(self, shape):
        image = noise(*shape)
        levels = gaussian_pyramid(image, 3)
        np.testing.assert_allclose(levels[0], image)
        for fine, coarse in itertools.pairwise(levels):
            np.testing.assert_allclose(coarse, binomial_blur(fine)[::2, ::2], atol=1e-14)

    def test_away_from_the_border_the_blur_agrees_with_scikit_image(self):
        # Another kernel of the same width (standard deviation 1): alike where the picture is smooth.
        from skimage.filters import gaussian

        image = np.add.outer(np.sin(np.arange(41) / 9), np.cos(np.arange(57) / 11))
        other = gaussian(image, sigma=1, preserve_range=True)[::2, ::2]
        np.testing.assert_allclose(gaussian_pyramid(image, 2)[1][2:-2, 2:-2], other[2:-2, 2:-2], atol=1e-4)

    def test_channels_are_treated_alike(self):
        image = noise(11, 9, 3)
        for channel in range(3):
            alone = gaussian_pyramid(image[..., channel], 3)[-1]
            np.testing.assert_allclose(gaussian_pyramid(image, 3)[-1][..., channel], alone)

    def test_a_flat_picture_stays_flat(self):
        for level in gaussian_pyramid(np.full((19, 31), 0.3), 6):
            np.testing.assert_allclose(level, 0.3)

    def test_the_picture_is_not_changed(self):
        image = noise(9, 9)
        kept = image.copy()
        gaussian_pyramid(image, 3)[0][0, 0] = 9
        np.testing.assert_array_equal(image, kept)


class TestCentreSurround:
    def test_by_hand(self):
        # Level 1 of a row: (0, 2, 4) interpolated to five pixels is 0, 1, 2, 3, 4.
        pyramid = [np.array([[5.0, 1.0, 0.0, 3.0, 4.0]]), np.array([[0.0, 2.0, 4.0]])]
        np.testing.assert_allclose(centre_surround(pyramid, 0, 1), [[5, 0, 2, 0, 0]])
        np.testing.assert_allclose(centre_surround(pyramid, 0, 1, rectify=True), [[5, 0, 0, 0, 0]])

    def test_beyond_the_last_coarse_pixel_its_value_holds(self):
        pyramid = [np.zeros((1, 4)), np.array([[1.0, 3.0]])]
        np.testing.assert_allclose(centre_surround(pyramid, 0, 1), [[1, 2, 3, 3]])

    def test_a_picture_and_its_negative_share_the_absolute_value(self):
        image = noise(33, 47)
        pyramid, negative = (gaussian_pyramid(each, 5) for each in (image, 1 - image))
        on, off = (centre_surround(each, 1, 3, rectify=True) for each in (pyramid, negative))
        np.testing.assert_allclose(on + off, centre_surround(pyramid, 1, 3), atol=1e-14)
        assert on.shape == (17, 24)
        assert on.any()
        assert not (on * off > 1e-14).any()


class TestColour:
    @pytest.mark.parametrize(
        ("colour", "opponents"),
        [
            ((1, 0, 0), {"red": 3}),
            ((0, 1, 0), {"green": 3}),
            ((0, 0, 1), {"blue": 3}),
            ((1, 1, 0), {"yellow": 1.5}),
            ((0.5, 0.5, 0.5), {}),
            ((0, 0, 0), {}),
            # By hand: r, g, b = 2, 1, 0; R = 1.5, G = 0, B < 0, Y = 1.5 − 0.5.
            ((0.6, 0.3, 0), {"red": 1.5, "yellow": 1}),
        ],
    )
    def test_colours_by_hand(self, colour, opponents):
        channels = colour_opponents(np.broadcast_to(np.array(colour, dtype=float), (3, 5, 3)))
        assert list(channels) == ["red", "green", "blue", "yellow"]
        for name, channel in channels.items():
            np.testing.assert_allclose(channel, np.full((3, 5), opponents.get(name, 0)), atol=1e-12, err_msg=name)

    def test_hue_counts_and_not_brightness(self):
        image = noise(7, 9, 3) * 0.5 + 0.4
        dimmer = image * np.linspace(0.5, 1, 9)[None, :, None]
        for name, channel in colour_opponents(image).items():
            np.testing.assert_allclose(channel, colour_opponents(dimmer)[name], atol=1e-12)

    def test_what_is_darker_than_a_tenth_has_no_hue(self):
        image = grey(3, 4, 1.0)
        image[1, 1] = (0.2, 0, 0)
        image[1, 2] = (0.4, 0, 0)
        red = colour_opponents(image)["red"]
        assert red[1, 1] == 0
        assert red[1, 2] == pytest.approx(3)


class TestOrientation:
    @pytest.mark.parametrize("angle", ANGLES)
    def test_a_line_answers_to_its_own_angle_most(self, angle):
        steps = np.arange(-12, 13)
        rise = {0: (0, 1), 45: (-1, 1), 90: (-1, 0), 135: (-1, -1)}[angle]
        image = np.zeros((33, 33))
        image[16 + steps * rise[0], 16 + steps * rise[1]] = 1
        energies = {each: oriented_energy(image, each)[16, 16] for each in ANGLES}
        assert max(energies, key=energies.get) == angle
        assert energies[angle] > 3 * energies[(angle + 90) % 180]

    @pytest.mark.parametrize("angle", ANGLES)
    def test_a_quarter_turn_of_the_picture_swaps_the_maps(self, angle):
        image = noise(33, 21)
        turned = oriented_energy(np.rot90(image), (angle + 90) % 180)
        np.testing.assert_allclose(turned, np.rot90(oriented_energy(image, angle)), atol=1e-12)

    def test_light_and_dark_lines_answer_alike(self):
        image = noise(21, 27)
        np.testing.assert_allclose(oriented_energy(image, 45), oriented_energy(1 - image, 45), atol=1e-12)

    def test_the_filter_is_the_convolution_with_a_complex_gabor(self):
        # In the middle, where no border reaches: blurring twice is one kernel of nine weights a side.
        image = noise(31, 31)
        detail = image - binomial_blur(image)
        kernel = np.convolve([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
        offset = np.arange(-4, 5)
        across = np.sin(np.pi / 4) * offset[None, :] + np.cos(np.pi / 4) * offset[:, None]
        gabor = np.outer(kernel, kernel) * np.exp(-1j * np.pi / 2 * across)
        expected = abs((gabor * detail[11:20, 11:20]).sum())
        assert oriented_energy(image, 45)[15, 15] == pytest.approx(expected, rel=1e-12)


class TestNormalisation:
    def test_by_hand_one_peak_against_five(self):
        one, five = np.zeros((3, 5)), np.zeros((3, 5))
        one[1, 2] = five[1, 2] = 8
        five[::2, ::4] = 6
        assert normalise_peaks(one)[1, 2] == pytest.approx(1)
        assert normalise_peaks(five)[1, 2] == pytest.approx((1 - 0.75) ** 2)
        assert normalise_peaks(five)[0, 0] == pytest.approx(0.75 / 16)

    def test_two_equal_peaks_cancel(self):
        peaks = np.zeros((5, 7))
        peaks[1, 1] = peaks[3, 5] = 2
        assert not normalise_peaks(peaks).any()

    def test_a_plateau_is_one_peak(self):
        plateau = np.zeros((7, 9))
        plateau[2:4, 3:6] = 5
        assert normalise_peaks(plateau).max() == pytest.approx(1)

    def test_the_unit_of_a_map_does_not_matter(self):
        feature = noise(9, 13)
        np.testing.assert_allclose(normalise_peaks(feature), normalise_peaks(1000 * feature + 7), atol=1e-12)

    def test_small_ripples_are_no_peaks(self):
        ripples = np.zeros((5, 11))
        ripples[2, 1] = 1
        ripples[2, 3::2] = 0.09
        assert normalise_peaks(ripples).max() == pytest.approx(1)
        ripples[2, 3::2] = 0.11
        assert normalise_peaks(ripples).max() == pytest.approx(0.89**2)

    def test_a_flat_map_becomes_zero(self):
        for flat in (np.zeros((3, 5)), np.full((3, 5), 0.7), np.full((3, 5), 1e6)):
            assert not normalise_peaks(flat).any()
            assert not rescale(flat).any()

    def test_what_rounding_leaves_of_a_flat_map_is_no_feature(self):
        assert not rescale(0.7 + 1e-13 * noise(5, 7)).any()

    def test_rescale_goes_from_zero_to_one(self):
        assert (rescale(noise(5, 7) - 3).min(), rescale(noise(5, 7) - 3).max()) == (0, 1)


class TestSaliency:
    @pytest.mark.parametrize("value", [0.0, 0.35, 1.0])
    def test_a_flat_picture_has_no_salient_place(self, value):
        assert not saliency_map(grey(65, 77, value), **SMALL).any()

    @pytest.mark.parametrize("colour", [(1, 1, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0)])
    def test_a_single_spot_is_found_first(self, colour):
        image = grey(97, 129, 0.5)
        image[60:66, 84:90] = colour
        (place,) = winner_take_all(saliency_map(image, **SMALL), 1, 2) * 4
        assert np.hypot(*(place - (62.5, 86.5))) <= 6

    def test_the_map_has_the_size_of_its_level(self):
        assert saliency_map(noise(70, 83, 3), **SMALL).shape == (18, 21)
        assert saliency_map(noise(130, 140, 3)).shape == (17, 18)

    def test_a_centre_coarser_than_the_map_is_enlarged(self):
        assert saliency_map(noise(70, 83, 3), centres=(2,), deltas=(2,), scale=1).shape == (35, 42)

    def test_turning_the_picture_turns_the_map(self):
        # 65 = 2^6 + 1: each level keeps the first and the last row and column, so that nothing shifts.
        image = noise(65, 65, 3)
        turned = saliency_map(np.rot90(image), **SMALL)
        np.testing.assert_allclose(turned, np.rot90(saliency_map(image, **SMALL)), atol=1e-9)

    def test_each_channel_finds_its_own_oddity(self):
        image = grey(97, 97, 0.5)
        image[40:46, 70:76] = (0.7, 0.3, 0.5)  # as bright as the rest
        maps = conspicuity_maps(image, **SMALL)
        assert maps["colour"].max() > 0
        assert not maps["intensity"].any()
        assert not maps["orientation"].any()

    def test_beside_red_there_is_no_green(self):
        image = grey(97, 97, 0.5)
        image[44:52, 44:52] = (0.9, 0.3, 0.3)
        colour = conspicuity_maps(image, **SMALL)["colour"]
        assert colour[12, 12] == colour.max()
        assert colour[12, 6] == 0  # within reach of the surround, where grey is greener than what is around it

    def test_red_among_green_and_green_among_red_are_one_case(self):
        image = search_display("colour", 12, seed=5).image
        swapped = image[..., [1, 0, 2]]
        np.testing.assert_allclose(conspicuity_maps(image)["colour"], conspicuity_maps(swapped)["colour"], atol=1e-12)

    def test_the_normalisation_is_the_callers(self):
        image = search_display("colour", 12, seed=5).image
        with_peaks, without = saliency_map(image), saliency_map(image, normalise=rescale)
        assert (without > 0.3 * without.max()).sum() > 3 * (with_peaks > 0.3 * with_peaks.max()).sum()


class TestWinnerTakeAll:
    def test_in_order_of_height(self):
        saliency = np.zeros((5, 9))
        saliency[1, 1], saliency[3, 7], saliency[1, 5] = 3, 2, 1
        assert winner_take_all(saliency, 3, 1).tolist() == [[1, 1], [3, 7], [1, 5]]

    @pytest.mark.parametrize("radius", [0, 1, 2.5, 4])
    def test_never_back_into_a_disc(self, radius):
        places = winner_take_all(noise(23, 31), 40, radius)
        distances = [np.hypot(*(a - b)) for a, b in itertools.combinations(places, 2)]
        assert min(distances) > radius

    def test_the_edge_of_the_disc_belongs_to_it(self):
        assert winner_take_all(np.array([[3.0, 0, 2.0, 1.0]]), 2, 2).tolist() == [[0, 0], [0, 3]]

    def test_fewer_where_no_place_is_left(self):
        assert winner_take_all(noise(3, 5), 9, 100).shape == (1, 2)
        assert winner_take_all(noise(3, 5), 0, 1).shape == (0, 2)
        assert len(winner_take_all(noise(3, 5), 99, 0)) == 15

    def test_the_map_is_not_changed(self):
        saliency = noise(5, 7)
        kept = saliency.copy()
        winner_take_all(saliency, 3, 1)
        np.testing.assert_array_equal(saliency, kept)


class TestFovea:
    def test_the_fixated_pixel_is_seen_as_it_is(self):
        image = noise(33, 41, 3)
        np.testing.assert_allclose(foveate(image, (11, 29), 5)[11, 29], image[11, 29])

    def test_at_the_half_distance_the_first_level_is_seen(self):
        image = noise(33, 33)
        level = gaussian_pyramid(image, 2)[1]
        seen = foveate(image, (16, 16), 6)
        assert seen[16, 22] == pytest.approx(level[8, 11])
        # At three times that distance, the second: log2(1 + 3) = 2.
        assert foveate(image, (16, 16), 4)[16, 28] == pytest.approx(gaussian_pyramid(image, 3)[2][4, 7])

    def test_detail_is_lost_with_distance(self):
        image = np.indices((65, 129)).sum(axis=0) % 2.0
        contrast = np.abs(foveate(image, (32, 0), 20) - 0.5)[32]
        assert contrast[0] == pytest.approx(0.5)
        assert contrast[4] > contrast[10] > contrast[18]
        assert contrast[20:].max() < 1e-12  # a chequerboard of single pixels is grey in every coarser level

    def test_a_flat_picture_and_a_wide_fovea_change_nothing(self):
        np.testing.assert_allclose(foveate(np.full((9, 13), 0.4), (3, 3), 2), 0.4)
        image = noise(9, 13)
        np.testing.assert_allclose(foveate(image, (3, 3), 1e9), image, atol=1e-6)


class TestDisplays:
    @pytest.mark.parametrize("kind", get_args(Kind))
    @pytest.mark.parametrize("distractors", [0, 7, 63])
    def test_one_target_among_so_many(self, kind, distractors):
        display = search_display(kind, distractors, seed=3)
        assert display.image.shape == (512, 512, 3)
        assert display.items.shape == (distractors + 1, 2)
        assert display.target == tuple(display.items[0])
        # No bar covers another: each is 8 × 28 pixels of one colour.
        assert display.image.sum() == (distractors + 1) * 8 * 28
        looks = [self.look(display.image, item) for item in display.items]
        assert looks.count(looks[0]) == 1
        assert looks[0] == ("red", "upright")

    def look(self, image, item):
        row, column = item
        colour = "red" if image[row, column, 0] else "green"
        return colour, "upright" if image[row - 12, column].any() else "lying"

    def test_kinds_differ_in_their_distractors_only(self):
        def looks(kind):
            display = search_display(kind, 9, seed=1)
            return {self.look(display.image, item) for item in display.items[1:]}

        assert looks("colour") == {("green", "upright")}
        assert looks("orientation") == {("red", "lying")}
        assert looks("conjunction") == {("green", "upright"), ("red", "lying")}

    def test_of_an_odd_number_the_odd_one_is_green(self):
        display = search_display("conjunction", 7, seed=1)
        assert [self.look(display.image, item)[0] for item in display.items[1:]].count("green") == 4

    def test_a_seed_gives_one_display(self):
        one, same, other = (search_display("conjunction", 11, seed).items.tolist() for seed in (4, 4, 5))
        assert one == same != other

    def test_fixations_are_counted_to_the_first_near_enough(self):
        fixations = np.array([[0, 0], [10, 10], [10, 11]])
        assert fixations_to_target(fixations, (10, 13), 3) == 2
        assert fixations_to_target(fixations, (10, 13), 2) == 3
        assert fixations_to_target(fixations, (99, 99), 2) == 4
        assert fixations_to_target(fixations[:0], (0, 0), 2) == 1

    def test_colour_pops_out(self):
        display = search_display("colour", 30, seed=11)
        fixations = winner_take_all(saliency_map(display.image), 3, 4) * 8
        assert fixations_to_target(fixations, display.target, 32) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian_pyramid(np.zeros(5), 2), r"gaussian_pyramid: image: expected shape \[H, W\] or .* got \[5\]"),
        (lambda: gaussian_pyramid(np.zeros((0, 3)), 2), r"at least one pixel, got \[0, 3\]"),
        (lambda: gaussian_pyramid(np.full((2, 3), np.nan), 2), "expected finite values"),
        (lambda: gaussian_pyramid(np.zeros((2, 3)), 0), "levels needs to be at least 1, got 0"),
        (lambda: centre_surround([np.zeros((3, 3))] * 3, 1, 2), "levels from 0 to 2, .* got centre 1 and surround 3"),
        (lambda: centre_surround([np.zeros((3, 3))] * 3, 1, 0), "the surround above the centre"),
        (lambda: centre_surround([np.zeros((3, 3, 3))] * 3, 0, 1), r"expected shape \[H, W\] with"),
        (lambda: colour_opponents(np.zeros((3, 5))), r"colour_opponents: image: expected shape \[H, W, 3\]"),
        (lambda: colour_opponents(np.full((3, 5, 3), 255)), "values from 0 to 1, got 255 to 255"),
        (lambda: saliency_map(np.full((3, 5, 3), np.nan)), "values from 0 to 1, got nan to nan"),
        (lambda: oriented_energy(np.zeros((3, 5, 3)), 0), r"oriented_energy: image: expected shape \[H, W\]"),
        (lambda: normalise_peaks(np.zeros((3, 5, 3))), r"expected shape \[H, W\]"),
        (lambda: winner_take_all(np.zeros((3, 5)), -1, 2), "at least 0, got -1 and 2"),
        (lambda: winner_take_all(np.zeros((3, 5)), 1, -2), "at least 0, got 1 and -2"),
        (lambda: winner_take_all(np.full((3, 5), np.inf), 1, 2), "expected finite values"),
        (lambda: foveate(np.zeros((3, 5)), (0, 0), 0), "more than 0 pixels, got 0"),
        (lambda: search_display("colour", 64, 0), "distractors: expected 0 to 63, got 64"),
        (lambda: search_display("shape", 4, 0), "expected colour, orientation or conjunction, got 'shape'"),
        (lambda: fixations_to_target(np.zeros(2), (0, 0), 1), r"expected shape \[F, 2\], got \[2\]"),
    ],
)
def test_input_that_cannot_work_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
