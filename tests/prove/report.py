"""The report of `make prove`, as text."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median, quantiles

from tests.prove.cuts import Sweep, Told
from tests.prove.judge import Recovery, Result, Trouble
from tests.prove.world import SETTLE

SOON = 60.0  # seconds after the settle time within which an unknown outcome should be known
FEW = 3  # requests that looking for a lost document should take at most


def command(seed: int) -> str:
    """How to see a schedule again."""
    return f"python -m tests.prove --seed {seed}"


def report(
    on_sqlite: Sequence[Result],
    on_postgres: Sequence[Result],
    told: Told | None,
    swept: Sequence[Sweep],
    *,
    seconds: float,
    workers: int,
) -> str:
    """Markdown; the same figures in the same places each time, so that two reports can be compared."""
    results = [*on_sqlite, *on_postgres]
    wrong = [result for result in results if result.wrong]
    purposes = _sum(result.purposes for result in results)
    kinds = _sum(result.kinds for result in results)
    lines = [
        "# What the schedules proved",
        "",
        f"Written by `make prove`: {len(on_sqlite):,} schedules on SQLite and {len(on_postgres):,} on Postgres,",
        f"{sum(result.orders for result in results):,} orders, {kinds.total():,} legal documents",
        f"({_table(kinds)}), in {seconds / 60:.0f} minutes with {workers} workers.",
        "",
        "| | |",
        "|---|---|",
        f"| schedules that went wrong | **{len(wrong)}** |",
        f"| documents that exist twice | **{sum(len(result.duplicate) for result in results)}** |",
        f"| documents that are missing | **{sum(len(result.missing) for result in results)}** |",
        f"| documents with a wrong amount | **{sum(len(result.amounts) for result in results)}** |",
        f"| anything else that should not be | **{sum(len(result.other) for result in results)}** |",
        f"| drafts left behind, without legal effect | {sum(result.drafts_left for result in results)} |",
        "",
        "| what went wrong on purpose | times |",
        "|---|---|",
        *(f"| {name} | {times:,} |" for name, times in _sum(result.met for result in results).most_common()),
        "",
        # A Postgres server's clock is the real one, so that only SQLite tells how long things take.
        *_recovered([recovery for result in on_sqlite for recovery in result.recoveries]),
        "",
        f"All requests: {_table(purposes)}; {purposes.total() / max(1, kinds.total()):.2f} for each document,",
        "faults, drafts, kills and reference data included.",
        "",
        *_stories(told),
        *_cuts(swept),
        *(f"- seed {result.seed}: {'; '.join(result.wrong)} (`{command(result.seed)}`)" for result in wrong),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _recovered(recoveries: Sequence[Recovery]) -> list[str]:
    """How long unknown outcomes stay unknown, and what finding out costs."""
    groups = [(trouble.value, [each for each in recoveries if each.trouble is trouble]) for trouble in Trouble]
    found = sum(recovery.found for recovery in recoveries)
    return [
        f"{len(recoveries):,} outcomes were unknown: {found:,} documents were found and adopted,",
        f"{len(recoveries) - found:,} were proven absent and issued again. Seconds count from the end of the settle",
        f"time ({SETTLE.seconds} s) to the proof, in simulated time, whatever came between: the time without a process",
        "and the wait for the request budget are in it, and so are all requests of all tries. Each outcome is counted",
        "under the first line that fits it, and in the last one.",
        "",
        f"| what came between | outcomes | within {SOON:.0f} s | seconds | at most {FEW} requests | by requests |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {len(some):,} | {_share(r.late <= SOON for r in some)} | {_spread([r.late for r in some])} "
            f"| {_share(r.requests <= FEW for r in some)} | {_table(Counter(r.requests for r in some))} |"
            for name, some in (*groups, ("**all**", recoveries))
        ),
    ]


def _stories(told: Told | None) -> list[str]:
    if told is None:
        return []
    return [
        f"{told.stories:,} stories were told against a model: webhooks, edits, refunds, faults, kills, a clock that is set",
        f"and an operator in any order, up to 30 steps each. Went wrong: **{told.failed}**.",
        "",
    ]


def _cuts(swept: Sequence[Sweep]) -> list[str]:
    if not swept:
        return []
    return [
        "A real daemon on each engine, killed by SIGKILL and started again; then the documents were counted at the service:",
        "",
        "| killed | cuts | wrong |",
        "|---|---|---|",
        *(f"| {each.where} | {each.cuts} | **{each.failed}** |" for each in swept),
        "",
    ]


def _sum(counters: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counter in counters:
        total += counter
    return total


def _share(which: Iterable[bool]) -> str:
    given = list(which)
    return f"{100 * sum(given) / len(given):.1f} %" if given else "-"


def _spread(values: Sequence[float]) -> str:
    if len(values) < 2:
        return "too few to say"
    cuts = quantiles(values, n=100, method="inclusive")
    return f"median {median(values):.0f}, 95 % {cuts[94]:.0f}, 99 % {cuts[98]:.0f}, longest {max(values):.0f}"


def _table(counts: Counter[int] | Counter[str]) -> str:
    return ", ".join(f"{name}: {times:,}" for name, times in sorted(counts.items())) or "none"
