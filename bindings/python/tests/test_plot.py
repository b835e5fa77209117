"""Pictures: that they are drawn, of what, and that what is seen is right."""

import io

import diffeo
import numpy as np
import pytest
from conftest import regression, two_moons

pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
pytest.importorskip("scipy", reason="SciPy is not installed")

from diffeo import plot
from matplotlib.figure import Figure


def drawn(figure):
    """The picture as an array of RGBA."""
    assert isinstance(figure, Figure)
    from matplotlib.image import imread

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60)
    buffer.seek(0)
    return imread(buffer)


def texts(figure):
    from matplotlib.text import Text

    return {each.get_text() for each in figure.findobj(Text)}


def standard(dim, mean=0.0, std=1.0):
    """Exactly normal."""
    return diffeo.Spec(dim, dtype="float64").add_standardize([mean] * dim, [std] * dim).build()


def test_corner(trained, moons):
    figure = plot.corner(trained, moons, names=["left", "up [cm]"], seed=1)
    assert {"left", "up [cm]", "data", "samples of the flow"} <= texts(figure)
    pixels = drawn(figure)
    assert (pixels[..., 3] == 0).mean() > 0.2  # the ground shows
    figures = [drawn(plot.corner(trained, moons, seed=seed)) for seed in (1, 1, 2)]
    assert np.array_equal(figures[0], figures[1])
    assert not np.array_equal(figures[0], figures[2])


def test_corner_of_some_columns_and_of_data_frames():
    pandas = pytest.importorskip("pandas")
    flow = standard(9)
    x = flow.sample(200, seed=1)
    assert len(plot.corner(flow, x).axes) == 64
    frame = pandas.DataFrame(x, columns=[f"c{i}" for i in range(9)])
    figure = plot.corner(flow, frame, columns=[8, 2])
    assert {"c8", "c2"} <= texts(figure)
    assert "c0" not in texts(figure)


def test_corner_into_a_figure(trained, moons):
    own = Figure()
    assert plot.corner(trained, moons[:100], figure=own) is own


def test_contours_hold_their_share():
    """The contours of corner are at heights above which half and nine tenths of the rows lie."""
    rng = np.random.default_rng(0)
    counts = np.histogram2d(*rng.normal(size=(2, 400_000)), bins=80, range=[[-4, 4], [-4, 4]])[0]
    for share, radius in ((0.5, 1.177), (0.9, 2.146)):
        height = plot._height(counts, share)
        assert counts[counts > height].sum() / counts.sum() == pytest.approx(share, abs=0.01)
        expected = 400_000 * 0.01 / (2 * np.pi) * np.exp(-(radius**2) / 2)
        assert height == pytest.approx(expected, rel=0.15)


def test_density_of_one_column():
    figure = plot.density(standard(1, 2.0, 0.5), names=["m"])
    x, y = figure.axes[0].lines[0].get_data()
    np.testing.assert_allclose(y, np.exp(-2 * (x - 2) ** 2) / np.sqrt(0.5 * np.pi), rtol=1e-6)
    assert (x[0] < 0.7, x[-1] > 3.3) == (True, True)
    assert np.sum(y) * (x[1] - x[0]) == pytest.approx(1, abs=0.02)
    assert "m" in texts(figure)
    drawn(figure)


def test_density_of_two_columns_is_the_right_way_up():
    flow = diffeo.Spec(2, dtype="float64").add_standardize([1.0, -2.0], [0.3, 0.6]).build()
    figure = plot.density(flow, low=[0, -5], high=[4, 1], pixels=40)
    image = figure.axes[0].images[0]
    row, column = np.unravel_index(image.get_array().argmax(), (40, 40))
    assert image.get_extent() == [0, 4, -5, 1]
    assert image.origin == "lower"
    assert (0.05 + column * 0.1, -4.925 + row * 0.15) == pytest.approx((1, -2), abs=0.15)
    drawn(figure)


def test_density_of_a_function_and_of_a_conditional(conditional):
    figure = plot.density(lambda x: -0.5 * (x**2).sum(axis=1), low=[-3, -3], high=[3, 3], brightest=0.5)
    assert figure.axes[0].images[0].norm.vmax == 0.5
    axes = Figure().subplots()
    assert plot.density(lambda x: -x[:, 0], low=0, high=1, ax=axes) is axes.figure
    flow = diffeo.maf(dim=1, context_dim=2, transforms=1, hidden=(8,))
    drawn(plot.density(flow, context=[0.5, 1.0]))
    with pytest.raises(ValueError, match="this one has 3: see corner"):
        plot.density(conditional, context=[0.0, 0.0])


def test_noise(trained, moons, conditional):
    figure = plot.noise(trained, moons, names=["a", "b"])
    assert {"a", "b", "|z|²"} <= texts(figure)
    drawn(figure)
    x, context = regression(300, seed=1)
    drawn(plot.noise(conditional, x, context))


def test_noise_of_bases_without_a_closed_form():
    flow = diffeo.Spec(2, dtype="float64").add_actnorm().set_base("student_t").build()
    found = plot.noise_of(flow, flow.sample(4000, seed=1), None, 5)
    assert abs(found.u.mean(axis=0) - 0.5).max() < 4 * np.sqrt(1 / 12 / 4000)
    assert abs(found.scores.std(axis=0) - 1).max() < 0.06
    drawn(plot.noise(flow, flow.sample(100, seed=2)))


def test_history(moons):
    flow = diffeo.realnvp(dim=2, transforms=2, hidden=(8,))
    record = flow.fit(moons[:500], max_epochs=3, progress=False)
    figure = plot.history(record, reference=-3.0)
    assert {"training", "validation", "reference", "epoch"} <= texts(figure)
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), record.train_log_prob)
    drawn(figure)
    assert "b, training" in texts(plot.history({"a": record, "b": record}))
    targets = flow.fit_target(lambda x: (-0.5 * (x**2).sum(axis=1), -x), steps=4, window=2, progress=False)
    assert "step" in texts(plot.history(targets))


def test_images_are_where_they_belong():
    """Line by line and one beside the other, n to n + 1 as n, and nothing between them."""
    counts = np.arange(24.0).reshape(4, 1, 2, 3)
    figure = plot.images({"data": counts, "samples": counts[:2] + 0.9}, quantization=24, cmap="gray")
    assert {"data", "samples"} <= texts(figure)
    (ax,) = figure.axes
    sheet = np.asarray(ax.images[0].get_array())
    assert sheet.shape == (2 * 2 + 1, 4 * 3 + 3, 4)
    for line, many in enumerate((4, 2)):
        for i in range(many):
            place = sheet[3 * line : 3 * line + 2, 4 * i : 4 * i + 3]
            np.testing.assert_allclose(place[..., 0], counts[i, 0] / 23, atol=1 / 255)
            assert (place[..., 3] == 1).all()
    assert sheet[..., 3].sum() == 6 * 6
    assert list(ax.get_yticks()) == [0.5, 3.5]
    drawn(figure)


def test_images_have_colours_and_real_numbers():
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (2, 3, 4, 4), np.uint8)
    sheet = np.asarray(plot.images({"": x}).axes[0].images[0].get_array())
    np.testing.assert_allclose(sheet[:, 5:, :3], x[1].transpose(1, 2, 0) / 255)
    real = np.array([[[-1.5, 0.5]], [[2.5, 2.5]]])  # without an axis of channels
    sheet = np.asarray(plot.images({"": real}, quantization=0, cmap="gray").axes[0].images[0].get_array())
    np.testing.assert_allclose(sheet[0, :, 0], [0, 0.5, 0, 1, 1], atol=1 / 255)
    drawn(plot.images({"same": np.ones((1, 2, 2))}, quantization=0))
    axes = Figure().subplots()
    assert plot.images({"": real}, ax=axes) is axes.figure
    drawn(plot.images({"many": np.zeros((300, 8, 8)), "one": np.zeros((1, 8, 8)), "none": np.zeros((0, 8, 8))}))


def test_images_that_cannot_be_drawn_are_refused():
    grey = np.zeros((2, 1, 4, 4))
    broken = grey.copy()
    broken[1, 0, 2, 2] = np.nan
    cases = [
        (grey, {}, TypeError, "lines must be words with images"),
        ({}, {}, ValueError, "there are no images to draw"),
        ({"a": grey[:0]}, {}, ValueError, "there are no images to draw"),
        ({"a": np.zeros((2, 2, 4, 4))}, {}, ValueError, r"line 'a' has shape \(2, 2, 4, 4\), expected \(n, height"),
        ({"a": np.zeros((2, 16))}, {}, ValueError, r"line 'a' has shape \(2, 16\)"),
        ({"a": grey, "b": grey[..., :3]}, {}, ValueError, r"line 'b' has images of shape \(1, 4, 3\), the first line"),
        ({"a": broken}, {}, ArithmeticError, "line 'a' has nan in image 1"),
        ({"a": ["x"]}, {}, TypeError, "line 'a' must hold real numbers"),
        ({"a": grey}, {"quantization": -1}, ValueError, "quantization must be"),
        ({"a": grey}, {"cmap": "no such"}, ValueError, "cmap must be the name of a colour map"),
    ]
    for lines, options, error, message in cases:
        with pytest.raises(error, match=message):
            plot.images(lines, **options)


def test_colours_are_told_apart():
    """Contrast of 3 with white and with black (WCAG 2.2, 1.4.11), and different lightness of data and flow."""

    def luminance(colour):
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    for colour in (plot.INK, *plot.COLOURS):
        assert 1.05 / (luminance(colour) + 0.05) > 3, colour
        assert (luminance(colour) + 0.05) / 0.05 > 3, colour
    assert (luminance(plot.INK) + 0.05) / 0.05 > 4.5 < 1.05 / (luminance(plot.INK) + 0.05)


def test_what_does_not_fit_is_refused(trained, moons):
    cases = [
        (lambda: plot.corner(trained, moons[:5]), "corner wants 10 rows at least; x has 5"),
        (lambda: plot.corner(trained, moons, columns=[2]), "some of 0 to 1, not"),
        (lambda: plot.corner(trained, moons, names=["a"]), "names must be 2 words"),
        (lambda: plot.corner(trained, moons[:, :1]), "x has 1 columns, this flow has dim 2"),
        (lambda: plot.noise(trained, moons[:9]), "noise wants 10 rows with a density at least; of 9 rows 9"),
        (lambda: plot.history(diffeo.History()), "no complete epoch"),
        (lambda: plot.density(len), "wants low and high"),
        (lambda: plot.density(trained, low=[0, 0], high=[1, 0]), "low must be below high"),
        (lambda: plot.density(trained, low=[0], high=[1]), r"expected \(2,\)"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
    broken = two_moons(20, seed=1)
    broken[7, 1] = np.nan
    with pytest.raises(ArithmeticError, match="x has nan in row 7, column 1"):
        plot.corner(trained, broken)


def test_rows_that_there_are_too_few_of(trained):
    for n in 0, 9:
        with pytest.raises(ValueError, match=f"corner wants 10 rows at least; x has {n}, samples {n}"):
            plot.corner(trained, np.zeros((n, 2)))


def test_a_density_is_that_given_one_row_of_context():
    flow = diffeo.maf(dim=2, context_dim=1, hidden=(4,))
    for one in [0.5], [[0.5]]:
        assert drawn(plot.density(flow, context=one, pixels=16)).any()
    for rows in 0, 5:
        with pytest.raises(ValueError, match=f"^context has {rows} rows, density is given one$"):
            plot.density(flow, context=np.zeros((rows, 1)))


def test_the_legend_of_one_column_covers_no_histogram():
    flow = standard(1)
    figure = plot.corner(flow, flow.sample(300, seed=1))
    figure.canvas.draw()
    (ax,) = figure.axes
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1
