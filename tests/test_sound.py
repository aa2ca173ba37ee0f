"""Voices, the short-time Fourier transform against torch, masks, and decibels worked by hand."""

import math

import numpy as np
import pytest
import torch

from course_utils.sound import (
    HIGH_VOICE,
    LOW_VOICE,
    RATE,
    binary_masks,
    energy,
    hann,
    istft,
    ratio_db,
    ratio_masks,
    snr_db,
    speak,
    stft,
)

FRAMES = [(512, 128), (30, 5), (14, 7), (10, 1)]


@pytest.fixture(scope="module")
def voices():
    return np.stack([speak(LOW_VOICE, 1.1), speak(HIGH_VOICE, 1.1)])


@pytest.fixture(scope="module")
def spectrograms(voices):
    return np.stack([stft(voice) for voice in voices])


def noise(length, seed=0):
    return np.random.default_rng(seed).normal(size=length)


class TestVoices:
    @pytest.mark.parametrize("voice", [LOW_VOICE, HIGH_VOICE], ids=["low", "high"])
    def test_as_long_as_asked_and_as_loud_as_the_other(self, voice):
        signal = speak(voice, 1.7, rate=7000)
        assert signal.shape == (11900,)
        assert energy(signal) / len(signal) == pytest.approx(1)

    def test_between_syllables_there_is_silence(self):
        signal = speak(LOW_VOICE, 1.0)
        syllable, step = round(0.3 * RATE), round(0.37 * RATE)
        assert np.abs(signal[100:syllable]).max() > 1
        assert not signal[syllable:step].any()
        assert not signal[2 * step + syllable :].any()  # no part of a syllable either

    @pytest.mark.parametrize("voice", [LOW_VOICE, HIGH_VOICE], ids=["low", "high"])
    def test_energy_lies_at_multiples_of_the_pitch(self, voice):
        length = round(voice.syllable * RATE)
        power = np.abs(np.fft.rfft(speak(voice, voice.syllable))) ** 2
        pitch = voice.pitch * 2 ** (voice.melody[0] / 12) * 0.95  # the mean of a fall by a tenth
        multiple = np.fft.rfftfreq(length, 1 / RATE) / pitch
        low, near = multiple < 4.5, np.abs(multiple - multiple.round()) < 0.25  # higher up, the fall blurs them
        assert power[low & near].sum() / power[low].sum() > 0.95

    def test_the_resonances_shape_a_vowel(self):
        length = round(LOW_VOICE.syllable * RATE)
        power = np.abs(np.fft.rfft(speak(LOW_VOICE, LOW_VOICE.syllable))) ** 2

        def near(frequency):
            return power[np.abs(np.fft.rfftfreq(length, 1 / RATE) - frequency) < 100].sum()

        first, second, third = map(near, LOW_VOICE.vowels[0])
        assert first > second > third > 2 * near(1800)  # those between are faint
        assert first > 5 * third  # and the higher, the weaker

    def test_no_time_to_speak(self):
        with pytest.raises(ValueError, match=r"speak: seconds needs to be at least 0.3, one syllable, got 0.2"):
            speak(LOW_VOICE, 0.2)


class TestTransform:
    @pytest.mark.parametrize(("frame", "hop"), FRAMES)
    @pytest.mark.parametrize("length", [1, 131, 1024, 2817])
    def test_the_inverse_is_exact(self, frame, hop, length):
        signal = noise(length)
        spectrogram = stft(signal, frame=frame, hop=hop)
        assert spectrogram.shape == (frame // 2 + 1, (length - 1) // hop + frame // hop)
        np.testing.assert_allclose(istft(spectrogram, length, hop=hop), signal, atol=1e-12)

    @pytest.mark.parametrize(("frame", "hop"), FRAMES)
    def test_against_torch(self, frame, hop):
        signal = noise(997)
        padded = torch.from_numpy(np.pad(signal, frame))
        window = torch.hann_window(frame, dtype=torch.float64)
        theirs = torch.stft(padded, frame, hop, window=window, center=False, return_complex=True).numpy()
        ours = stft(signal, frame=frame, hop=hop)
        # Theirs has one frame more before the signal.
        np.testing.assert_allclose(ours, theirs[:, 1 : ours.shape[1] + 1], atol=1e-10)

    def test_linear(self, voices, spectrograms):
        np.testing.assert_allclose(stft(voices.sum(axis=0)), spectrograms.sum(axis=0), atol=1e-10)

    def test_a_tone_lies_at_its_frequency(self):
        tone = np.cos(2 * np.pi * 1000 / RATE * np.arange(4000))
        assert (np.abs(stft(tone))[:, 5:-5].argmax(axis=0) == 1000 * 512 / RATE).all()

    def test_hann_by_hand(self):
        np.testing.assert_allclose(hann(4), [0, 0.5, 1, 0.5], atol=1e-15)

    def test_of_a_changed_spectrogram_the_nearest_signal(self):
        signal = noise(200)
        changed = stft(signal, frame=30, hop=5) * (np.random.default_rng(1).random((16, 45)) > 0.5)
        best = istft(changed, 200, hop=5)

        def distance(candidate):
            return energy(np.fft.irfft((stft(candidate, frame=30, hop=5) - changed).T, n=30))

        for seed in range(5):
            assert distance(best + 1e-3 * noise(200, seed)) > distance(best)
        assert distance(best) > 1  # no signal has that spectrogram

    @pytest.mark.parametrize("signal", [np.ones((3, 5)), [], np.ones(5) * 1j, np.array(["a"])])
    def test_not_a_signal(self, signal):
        with pytest.raises(ValueError, match=r"stft: signal needs shape \(N,\), real, got"):
            stft(signal)

    @pytest.mark.parametrize(("frame", "hop"), [(511, 73), (512, 100), (512, 512), (512, 0), (0, 1)])
    def test_frames_that_do_not_fit(self, frame, hop):
        with pytest.raises(ValueError, match=f"expected an even frame.* got {frame} and {hop}"):
            stft(noise(100), frame=frame, hop=hop)

    @pytest.mark.parametrize(
        ("shape", "length", "message"),
        [((5,), 3, r"\(F, T\), got \(5,\)"), ((257, 4), 129, "have 5 frames at hop 128, got 4"), ((257, 3), 0, "0 sa")],
    )
    def test_not_a_spectrogram_of_that_length(self, shape, length, message):
        with pytest.raises(ValueError, match=message):
            istft(np.zeros(shape), length)


class TestMasks:
    def test_hard_by_hand(self):
        first, second = [[3, 1, 2, 0]], [[1, -3, -1j, 0]]
        masks = binary_masks([first, second])
        assert masks.dtype == bool
        assert masks[:, 0].tolist() == [[True, False, True, True], [False, True, False, False]]

    def test_soft_by_hand(self):
        first, second = [[3, 1, 2, 0, 0]], [[1, -3, -1j, 2, 0]]
        np.testing.assert_allclose(ratio_masks([first, second])[0, 0], [0.9, 0.1, 0.8, 0, 0.5])
        np.testing.assert_allclose(ratio_masks([first, second], exponent=1)[1, 0], [0.25, 0.75, 1 / 3, 1, 0.5])

    @pytest.mark.parametrize("masks", [binary_masks, ratio_masks])
    def test_the_masks_sum_to_one(self, masks, spectrograms):
        three = np.stack([*spectrograms, 0.5 * spectrograms[0]])
        assert masks(three).shape == three.shape
        np.testing.assert_allclose(masks(three).sum(axis=0), 1, rtol=1e-12)
        assert (masks(three) >= 0).all()

    def test_a_large_exponent_is_the_hard_mask_and_zero_the_plain_mean(self, spectrograms):
        sounding = np.abs(spectrograms).max(axis=0) > 0
        hard, nearly = binary_masks(spectrograms), ratio_masks(spectrograms, exponent=1e6)
        assert np.abs(nearly - hard)[:, sounding].max() < 1e-6
        assert (ratio_masks(spectrograms, exponent=0) == 0.5).all()
        assert np.isfinite(ratio_masks(1e200 * spectrograms, exponent=2)).all()

    @pytest.mark.parametrize("masks", [binary_masks, ratio_masks])
    def test_selection_raises_the_ratio(self, masks, voices, spectrograms):
        mixture = voices.sum(axis=0)
        for voice, mask in zip(voices, masks(spectrograms), strict=True):
            selected = istft(mask * stft(mixture), len(mixture))
            assert snr_db(voice, selected) > snr_db(voice, mixture) + 5

    def test_what_is_selected_for_all_voices_adds_up_to_the_mixture(self, voices, spectrograms):
        mixture = voices.sum(axis=0)
        for masks in (binary_masks(spectrograms), ratio_masks(spectrograms)):
            heard = [istft(mask * stft(mixture), len(mixture)) for mask in masks]
            np.testing.assert_allclose(sum(heard), mixture, atol=1e-12)

    @pytest.mark.parametrize("masks", [binary_masks, ratio_masks])
    @pytest.mark.parametrize("shape", [(3, 5), (0, 3, 5), (1, 2, 3, 5)])
    def test_bad_shape(self, masks, shape):
        with pytest.raises(ValueError, match=r"spectrograms needs shape \(S, F, T\), got"):
            masks(np.ones(shape))

    @pytest.mark.parametrize("exponent", [-1, math.inf, math.nan])
    def test_bad_exponent(self, exponent):
        with pytest.raises(ValueError, match="exponent needs to be a finite number of at least 0"):
            ratio_masks(np.ones((2, 3, 5)), exponent=exponent)


class TestDecibels:
    def test_by_hand(self):
        assert energy([3, 4j]) == 25
        assert ratio_db([1, 2, 2], [3]) == 0
        assert ratio_db([3, 1], [1]) == pytest.approx(10)
        assert ratio_db([1], [10]) == pytest.approx(-20)
        assert snr_db([3, 0, 4], [3, 1, 6]) == pytest.approx(10 * math.log10(25 / 5))

    def test_nothing_differs_or_nothing_is_left(self):
        assert snr_db([1, 2], [1, 2]) == math.inf
        assert snr_db([1, 2], [0, 0]) == 0
        assert ratio_db([0, 0], [1]) == -math.inf

    def test_bad_input(self):
        with pytest.raises(ValueError, match="silence in both"):
            ratio_db([0], [0, 0])
        with pytest.raises(ValueError, match="reference is silent"):
            snr_db([0, 0], [1, 2])
        with pytest.raises(ValueError, match=r"estimate needs shape \(2,\), as the reference, got \(1,\)"):
            snr_db([1, 2], [1])
