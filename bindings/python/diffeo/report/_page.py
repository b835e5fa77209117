"""The page of a report: a template, and the sections that are put into it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from .. import plot
from . import _draw
from ._results import Results
from ._tests import Test

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CORNER, _TABLE = 6, 24  # columns of data in the corner plot and in tables
_WORDS = {True: "does not hold", False: "not refuted"}  # of what a right flow does


def page(report: Results) -> str:
    """The whole of it."""
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    sections = (
        _summary,
        _data,
        _history,
        _likelihood,
        _noise,
        _classifier,
        _coverage,
        _worst,
        _support,
        _timing,
        _about,
    )
    return template.substitute(title=escape(report.title), body="\n".join(each(report) for each in sections))


# ----------------------------------------------------------------------------------------------------- sections


def _summary(report: Results) -> str:
    context = f" given {report.context_dim} of context" if report.context_dim else ""
    facts = f"{report.rows:,} rows of {report.dim} column{'s' * (report.dim > 1)}{context}; seed {report.seed}; Diffeo "
    count = len(report.tests)
    if report.flagged:
        comment = (
            f"A right flow would have had as bad a result in any of the {count} tests in "
            f"{report.false_alarms:.1%} of reports at most. The sizes of the differences are beside each test: with "
            "many rows the tests find differences that are too small to matter."
        )
    else:
        comment = (
            f"This is no proof. With these rows a shift of one column of the noise by {report.smallest_shift:.2g} "
            "standard deviations would have been found nine times in ten; smaller ones may be there."
        )
    rows = [
        [
            f'<span class="word">{_WORDS[each.flagged]}</span>',
            f'<span class="word">{escape(each.name)}</span>',
            escape(each.worst),
            _p(each.p),
            _p(each.adjusted),
        ]
        for each in sorted(report.tests, key=lambda each: each.p)
    ]
    flags = [each.flagged for each in sorted(report.tests, key=lambda each: each.p)]
    return "\n".join(
        [
            f'<p class="soft">{facts}{escape(report.version)}</p>',
            *(f'<p class="soft">{escape(each)}</p>' for each in report.said),
            f'<div class="box{" flagged" * bool(report.flagged)}"><p class="verdict">{report.verdict}</p>'
            f"<p>{comment}</p></div>",
            _table(["", "test", "the worst of it", "p", "p, all tests"], rows, numbers=(3, 4), flags=flags),
        ]
    )


def _data(report: Results) -> str:
    few = _draw.worst_columns(report.marginals, _CORNER)
    more = _draw.worst_columns(report.marginals, 12)
    shown = [report.marginals[i] for i in _draw.worst_columns(report.marginals, _TABLE)]
    rows = [
        [
            escape(each.name),
            _number(each.data_mean),
            _number(each.samples_mean),
            _number(2 * each.mean_error),
            _number(each.data_std),
            _number(each.samples_std),
            f"{each.distance:.3f}",
            _p(each.p),
        ]
        for each in shown
    ]
    key = '<span class="key"></span> data, <span class="key line"></span> samples of the flow'
    return _section(
        "Data and samples",
        report,
        "marginals",
        _figure(
            _draw.corner(report.material, few),
            "corner",
            "Corner plot of data and samples",
            f"{key}. Contours hold half and nine tenths of the rows.{_some(few, report.dim)}",
        ),
        _figure(
            _draw.marginals(report.marginals, more),
            "marginals",
            "Histograms by column, with ratios",
            f"{key}; below, data over samples with two standard errors.{_some(more, report.dim)}",
        ),
        _table(
            ["column", "mean: data", "samples", "± of their difference", "std: data", "samples", "distance", "p"],
            rows,
            numbers=range(1, 8),
        ),
        _note(
            "Distance: the largest difference of the two distribution functions." + _some(range(len(shown)), report.dim)
        ),
    )


def _history(report: Results) -> str:
    if report.history is None:
        return _section("Learning curve", report, None, _note("The history of the training was not given."))
    named = report.history if isinstance(report.history, Mapping) else {"": report.history}
    lines = [_note(escape(f"{name}: {each}" if name else str(each))) for name, each in named.items()]
    figure = _figure(plot.history(report.history), "history", "Learning curve", "")
    return _section("Learning curve", report, None, figure, *lines)


def _likelihood(report: Results) -> str:
    found = report.likelihood
    rows = [
        [escape(each.name), f"{each.mean:.4f} ± {each.two_errors:.4f}"]
        + (["", ""] if i == 0 else [f"{each.flow_more:+.4f} ± {each.flow_more_two_errors:.4f}", _word(each.flow_more,
           each.flow_more_two_errors)])
        for i, each in enumerate(found.scores)
    ]  # fmt: skip
    left_out = (
        f" {found.without_density} rows to which the flow gives no density are left out."
        if found.without_density
        else ""
    )
    return _section(
        "Log-likelihood",
        report,
        "likelihood",
        _figure(_draw.likelihood(found), "likelihood", "Differences of log-likelihood", "With two standard errors."),
        _table(["density", "nats a row", "the flow has more by", ""], rows, numbers=(1, 2)),
        _note(
            f"Mean over {found.rows:,} rows, with two standard errors. The others were fitted to {found.fitted_rows:,} "
            f"rows: {found.fitted_on}.{left_out}"
        ),
    )


def _word(more: float, two_errors: float) -> str:
    if abs(more) <= two_errors:
        return "within two standard errors"
    return "the flow is better" if more > 0 else "the flow is worse"


def _noise(report: Results) -> str:
    found = report.noise
    some = sorted(range(report.dim), key=lambda i: -abs(found.means[i]))[:_TABLE]
    rows = [
        [
            escape(report.material.names[i]),
            f"{found.means[i]:+.4f} ± {2 * found.mean_error:.4f}",
            f"{found.root_mean_squares[i]:.4f} ± {math.sqrt(2) * found.mean_error:.4f}",
        ]
        for i in sorted(some)
    ]
    pairs = [
        [
            escape(each.first),
            escape(each.second),
            each.of,
            f"{each.correlation:+.4f} ± {each.two_errors:.4f}",
            f"{each.z:+.1f}",
        ]
        for each in found.strongest
    ]
    parts = [
        _note(
            f"The noise of {found.rows:,} rows, {found.how}. If the flow is right, each column is uniform here"
            + (", and they are independent of each other" if found.independent else "")
            + (" and of the context." if report.context_dim else ".")
        ),
        _figure(
            _draw.noise(found, report.material.names),
            "noise",
            "Histograms of the noise",
            "Counts over what is expected; 19 of 20 bars of a right flow end between the dotted lines. |z|²: squared "
            "distances and the chi-square density.",
        ),
        _table(["column", "mean (0)", "root mean square (1)"], rows, numbers=(1, 2)),
    ]
    if found.independent and report.dim > 1:
        parts.append(
            _figure(
                _draw.directions(found),
                "directions",
                "Angles and rank correlations",
                f"Mean |z|²: {found.mean_square:.3f}, expected {report.dim}.",
            )
        )
    if pairs:
        parts.append(_table(["", "", "", "rank correlation", "over its error"], pairs, numbers=(3, 4)))
        looked = (
            f" {found.columns_paired} of {report.dim} columns were looked at."
            if found.columns_paired < report.dim
            else ""
        )
        parts.append(_note(f"The strongest rank correlations.{looked}"))
    return _section("Noise", report, "noise", *parts)


def _classifier(report: Results) -> str:
    found = report.classifier
    return _section(
        "Classifier two-sample test",
        report,
        "classifier",
        _figure(
            _draw.classifier(found),
            "classifier",
            "Scores of the classifier",
            "Apart where the classifier sees a difference.",
        ),
        _table(
            ["", "", "right flow"],
            [
                ["accuracy", f"{found.accuracy:.4f} ± {2 * found.accuracy_error:.4f}", "0.5"],
                ["pairs of row and sample told right", f"{found.ordered:.4f} ± {2 * found.ordered_error:.4f}", "0.5"],
            ],
            numbers=(1, 2),
        ),
        _note(
            f"Gradient boosting on {found.columns} columns{', with the context' * bool(report.context_dim)}, "
            f"learned from {found.learned_rows:,} rows and as many samples, asked of {found.rows:,} others. With two "
            "standard errors."
        ),
    )


def _coverage(report: Results) -> str:
    found, further = report.coverage, report.calibration
    picked = [i for i, level in enumerate(found.levels) if round(float(level), 2) in (0.1, 0.25, 0.5, 0.75, 0.9, 0.95)]
    rows = [[f"{found.levels[i]:.0%}", f"{found.covered[i]:.1%} ± {2 * found.error[i]:.1%}"]
            + ([f"{further.covered[i]:.1%}"] if further else []) for i in picked]  # fmt: skip
    parts = [
        _figure(
            _draw.coverage(found),
            "coverage",
            "Coverage of credible regions",
            "Band: where 19 of 20 points of a right flow are.",
        ),
        _table(
            ["credibility", "highest density"] + (["random regions (TARP)"] if further else []), rows, numbers=(0, 1, 2)
        ),
    ]
    if further:
        parts += [
            _figure(
                _draw.calibration(further, report.material.names),
                "calibration",
                "Calibration by simulation",
                "Ranks (SBC) are uniform if the flow is right; high in the middle: too wide, at both ends: too narrow.",
            ),
            _note(f"{further.rows:,} rows, each among {further.draws} draws for its context."),
        ]
    return _section("Coverage and calibration" if further else "Coverage", report, ("coverage", "calibration"), *parts)


def _worst(report: Results) -> str:
    named = any(each.name for each in report.worst)
    columns = min(report.dim, 6)
    header = ["row"] + ["name"] * named + ["log-density", "samples with less", "farthest column", "its noise"]
    rows = [
        [f"{each.number}"]
        + [escape(each.name)] * named
        + [f"{each.log_prob:.3f}", f"{each.rarer:.2%}", escape(each.column), f"{each.noise:+.2f}"]
        + [_number(value) for value in each.values[:columns]]
        for each in report.worst
    ]
    return _section(
        "Worst rows",
        report,
        None,
        _table(
            header + [escape(name) for name in report.material.names[:columns]],
            rows,
            numbers=[i for i in range(1 + named, 30) if i != 3 + named],
        ),
        _note(
            "By their number in the data, from 0, with the lowest density first. Noise in standard deviations; that of "
            "a right flow is beyond 3 in one of 370."
        ),
    )


def _support(report: Results) -> str:
    found = report.support
    facts = [
        ["rows without a density", f"{found.without_density:,} of {report.rows:,}", "0"],
        ["samples that are not finite", f"{found.samples_not_finite:,} of {report.rows:,}", "0"],
    ] + [
        [f"rows among the {share:.1%} with the lowest density", f"{of_rows:,} of {count:,}", f"{count / 2:,.0f}"]
        for share, count, of_rows in found.lowest
    ]
    most = sorted(found.beyond, key=lambda each: -max(each[1:]))[:_TABLE]
    rows = [[escape(name), *(str(count) for count in counts)] for name, *counts in most]
    return _section(
        "Support and outliers",
        report,
        "support",
        _table(["", "", "right flow"], facts, numbers=(1, 2)),
        _table(
            ["column", "rows below all samples", "rows above", "samples below all rows", "samples above"],
            rows,
            numbers=(1, 2, 3, 4),
        ),
        _note(
            "Ten or more in one place are there in one of a thousand cases if the flow is right."
            + _some(range(len(rows)), report.dim)
        ),
    )


def _timing(report: Results) -> str:
    trip = report.round_trip
    parts = [
        _note(
            f"To noise and back a row is {trip.median:.1e} standard deviations from where it was, {trip.largest:.1e} "
            "at most."
        )
    ]
    if report.timing:
        found = report.timing
        parts += [
            _table(
                ["", "rows a second"],
                [
                    ["densities", f"{found.log_prob_rows_per_second:,.0f}"],
                    ["samples", f"{found.sample_rows_per_second:,.0f}"],
                ],
                numbers=(1,),
            ),
            _note(
                f"{escape(found.machine)}, {found.cores} cores, {found.threads} thread{'s' * (found.threads > 1)}; the "
                f"best of three runs of {found.rows:,} rows."
            ),
        ]
    return _section("Arithmetic and time", report, None, *parts)


def _about(report: Results) -> str:
    rows = [
        [escape(each.name), escape(each.question), escape(each.method), f"{each.members:,}"] for each in report.tests
    ]
    return _section(
        "How it was tested",
        report,
        None,
        _note(
            "Each test asks whether something that holds for a right flow holds here. A test of many columns or pairs "
            "takes the smallest p-value times their number (Bonferroni); those of all tests are put together by Holm's "
            f"method, so that a right flow has a flagged test in {report.false_alarms:.1%} of reports at most, "
            "whatever the tests have in common. Rows must be ones that the flow was not trained on, independent of "
            "each other."
        ),
        _table(["test", "what a right flow does", "method", "members"], rows, numbers=(3,)),
        f"<pre>{escape(report.flow)}</pre>",
    )


# ------------------------------------------------------------------------------------------------------- pieces


def _section(title: str, report: Results, tests: str | tuple[str, ...] | None, *parts: str) -> str:
    """With what the tests of that name have found under the title."""
    names = (tests,) if isinstance(tests, str) else tests or ()
    findings = [_finding(each) for each in report.tests if each.section in names]
    return "\n".join(["<section>", f"<h2>{title}</h2>", *findings, *(part for part in parts if part), "</section>"])


def _finding(test: Test) -> str:
    return (
        f'<p class="finding{" flagged" * test.flagged}"><span class="word">{_WORDS[test.flagged]}</span>: '
        f"{escape(test.question)}. "
        f'<span class="soft">{escape(test.worst)}; p = {_p(test.p)}, with all tests {_p(test.adjusted)}.</span></p>'
    )


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = (), flags: Sequence[bool] = ()
) -> str:
    """Of cells that are HTML already; numbers: which columns go to the right; flags: of rows."""

    def line(cells: Sequence[str], tag: str, flagged: bool = False) -> str:
        made = (f"<{tag}{_class('number', i in numbers)}>{cell}</{tag}>" for i, cell in enumerate(cells))
        return f"<tr{_class('flagged', flagged)}>{''.join(made)}</tr>"

    marked = flags or [False] * len(rows)
    body = [line(row, "td", flag) for row, flag in zip(rows, marked, strict=True)]
    return "\n".join(
        [
            '<div class="scroll"><table>',
            f"<thead>{line(header, 'th')}</thead>",
            "<tbody>",
            *body,
            "</tbody></table></div>",
        ]
    )


def _figure(figure: Figure, key: str, words: str, caption: str) -> str:
    return f"<figure>{_draw.svg(figure, key, words)}<figcaption>{caption}</figcaption></figure>"


def _class(name: str, on: bool) -> str:
    return f' class="{name}"' if on else ""


def _note(text: str) -> str:
    return f'<p class="soft">{text}</p>'


def _some(shown: Sequence[int], dim: int) -> str:
    """Where not all columns are shown."""
    return f" Shown are the {len(shown)} of {dim} columns that differ most." if len(shown) < dim else ""


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-3 else f"{value:.0e}" if value > 1e-99 else "0"


def _number(value: float) -> str:
    return f"{value:.4g}"
