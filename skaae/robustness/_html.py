"""The report as HTML: one page without scripts, whose summary comes first and whose details are folded."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from skaae.robustness._battery import ATTACKERS, CLEAN, WORST
from skaae.robustness._checks import FAIL, PASS, SKIP, WARN
from skaae.robustness._svg import chart

STYLE = """
.skaae-report { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; }
.skaae-report a { color: inherit; }
.skaae-report h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
.skaae-report h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
.skaae-report .cards { display: grid; gap: .75rem; margin: 1rem 0; }
.skaae-report .cards { grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); }
.skaae-report .card { border: 1px solid #8886; border-radius: .5rem; padding: .6rem .9rem; }
.skaae-report .card b { display: block; font-size: 1.6rem; line-height: 1.3; }
.skaae-report .scroll { overflow-x: auto; }
.skaae-report table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
.skaae-report th, .skaae-report td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #8884; }
.skaae-report td.number, .skaae-report th.number { text-align: right; }
.skaae-report details td, .skaae-report details th { white-space: nowrap; }
.skaae-report .status { font-weight: 600; border-radius: .25rem; padding: 0 .4rem; color: #fff; }
.skaae-report .PASS { background: #00664b; } .skaae-report .FAIL { background: #a8321c; }
.skaae-report .WARN { background: #7a5600; } .skaae-report .SKIP { background: #5a5a5a; }
.skaae-report details { margin: .6rem 0; } .skaae-report summary { cursor: pointer; font-weight: 600; }
.skaae-report svg { width: 100%; max-width: 40rem; height: auto; }
.skaae-report svg text { fill: currentColor; font: 13px system-ui, sans-serif; }
.skaae-report svg .grid { stroke: currentColor; stroke-opacity: .2; }
.skaae-report svg .curve { fill: none; stroke-width: 2.5; }
.skaae-report svg .curve.unaware { stroke: #2b8cc9; } .skaae-report svg .dot.unaware { fill: #2b8cc9; }
.skaae-report svg .curve.knowing { stroke: #d55e00; } .skaae-report svg .dot.knowing { fill: #d55e00; }
@media print { .skaae-report details > * { display: block; } .skaae-report { max-width: none; } }
@media print { .skaae-report tr, .skaae-report svg { break-inside: avoid; } }
@media print { .skaae-report details::details-content { content-visibility: visible; } }
"""
PAGE_STYLE = "html { color-scheme: light dark; } body { margin: 2rem auto; padding: 0 1rem; max-width: 64rem; }"
KNOWN = {
    "none": "on clean rows",
    "unaware": "attackers who know the classifier",
    "knowing": "attackers who know the defense too",
}
LIMITS = (
    "These figures are upper bounds. They hold against the attacks that are listed here, at these sizes, on these "
    "rows. A row counts as lost if one attack, in one of its random starts, made its final answer wrong. Not tried: "
    "attacks that search for longer, attacks written for this model, features outside the given range, changes of "
    "categories, several queries that probe the threshold, and poisoned training data."
)


def page(report: Any) -> str:
    """The report as a page of its own.

    Parameters
    ----------
    report : RobustnessReport

    Returns
    -------
    html : str
    """
    title = escape(f"Robustness of {report.settings['estimator']}")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{PAGE_STYLE}</style></head><body><main>{fragment(report)}</main></body></html>\n"
    )


def fragment(report: Any) -> str:
    """The report as a part of a page, for notebooks."""
    return f'<style>{STYLE}</style><div class="skaae-report">{"".join(_parts(report))}</div>'


def _parts(report: Any) -> Iterator[str]:
    yield f"<h1>Robustness of {escape(str(report.settings['estimator']))}</h1>"
    yield f"<p>{_verdict(report)}</p><div class='cards'>{''.join(_cards(report))}</div>"
    curves = report.curves()
    if curves:
        yield "<h2>Accuracy in the worst case</h2>"
        yield chart(curves, f"size, in units of {report.settings['unit of sizes']}")
    yield f"<h2>Checks</h2>{_checks(report)}"
    yield f"<h2>What the figures do not say</h2><p>{LIMITS}</p>"
    if report.not_tried:
        yield f"<p>Attacks of skaae that were left out: {escape(', '.join(report.not_tried))}.</p>"
    for attacker in ATTACKERS:
        yield _details(report, attacker)
    recalls = [name for name in report.frame.columns if name.startswith("recall_")]
    worst = report.frame[report.frame["attack"].isin([CLEAN, WORST])]
    yield _folded("Recall of each class in the worst case", _table(worst[["attacker", "size", *recalls]]))
    settings = "".join(
        f"<tr><th>{escape(str(key))}</th><td>{escape(str(value))}</td></tr>" for key, value in report.settings.items()
    )
    yield _folded("Settings", f"<table>{settings}</table>")


def _verdict(report: Any) -> str:
    counts = {status: sum(check.status == status for check in report.check_list) for status in (FAIL, WARN, PASS)}
    said = f"{counts[PASS]} checks passed, {counts[WARN]} warn, {counts[FAIL]} failed."
    if report.stopped:
        said += f" <strong>The evaluation ended early ({escape(report.stopped)}).</strong>"
    return f"Attacked: {escape(str(report.settings['rows']))} rows. {said}"


def _cards(report: Any) -> Iterator[str]:
    for attacker in ATTACKERS:
        lines = report._worst(attacker)
        if not len(lines):
            continue
        line = lines.iloc[-1]
        size = "" if attacker == "none" else f", size {line['size']:g}"
        is_told = report.has_defense and attacker != "knowing"
        alone = f"<br>without the defense {line['accuracy_without_defense']:.1%}" if is_told else ""
        yield (
            f'<div class="card">{KNOWN[attacker]}{size}<b>{line["accuracy"]:.1%}</b>'
            f"95 % interval {line['accuracy_low']:.1%} to {line['accuracy_high']:.1%}{alone}</div>"
        )


def _checks(report: Any) -> str:
    order = {FAIL: 0, WARN: 1, PASS: 2, SKIP: 3}
    rows = "".join(
        f'<tr><td><span class="status {check.status}">{check.status}</span></td>'
        f'<td><a href="{escape(check.link)}">{check.code}</a></td>'
        f"<td>{escape(check.title)}</td><td>{escape(check.sentence)}</td></tr>"
        for check in sorted(report.check_list, key=lambda check: order[check.status])
    )
    return (
        f'<div class="scroll"><table><thead><tr><th>status</th><th>code</th><th>check</th><th>finding</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _details(report: Any, attacker: str) -> str:
    lines = report.frame[report.frame["attacker"] == attacker]
    if not len(lines):
        return ""
    columns = [name for name in lines.columns if name not in ("attacker",) and not name.startswith("recall_")]
    return _folded(f"Every attack: {KNOWN[attacker]}", _table(lines[columns]))


def _folded(title: str, content: str) -> str:
    return f'<details><summary>{escape(title)}</summary><div class="scroll">{content}</div></details>'


def _table(frame: Any) -> str:
    is_number = {name: frame[name].dtype.kind in "fiu" for name in frame.columns}
    head = "".join(
        f'<th class="{"number" if is_number[name] else "text"}">{escape(str(name).replace("_", " "))}</th>'
        for name in frame.columns
    )
    body = "".join(
        "<tr>"
        + "".join(_cell(value, is_number[name], name) for name, value in zip(frame.columns, line, strict=True))
        + "</tr>"
        for line in frame.itertuples(index=False)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any, is_number: bool, name: str) -> str:
    if not is_number:
        return f"<td>{escape(str(value))}</td>"
    is_share = isinstance(value, float) and name not in ("size", "seconds")
    shown = "" if value != value else f"{value:.3f}" if is_share else f"{value:g}"
    return f'<td class="number">{shown}</td>'
