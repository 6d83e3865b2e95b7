"""`make mutants`: take each guard of exactly-once away, one at a time, and see a named test go red."""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECOVERY = "tests/prove/test_recovery.py"
PROVING = "tests/prove/test_proving.py"
ANNULLING = "tests/prove/test_annulling.py"
STORE = "tests/integration/test_store_documents.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A guard, the text that it is, the text without it, and the tests that must notice."""

    guard: str
    file: str
    text: str
    without: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        guard="a draft is compared before it is made final",
        file="syncd/dispatch/proving.py",
        text="        if not wrong:\n",
        without="        if True:\n",
        tests=(f"{PROVING}::test_a_draft_teaches_how_the_account_adds_up_and_no_wrong_document_comes_into_being",),
    ),
    Mutant(
        guard="what one document has proven is not believed of one that claims more",
        file="syncd/dispatch/verify.py",
        text="frozenset({shape_of(draft), *map(refutation, unlike(draft))})",
        without="frozenset({shape_of(draft)})",
        tests=(
            f"{PROVING}::test_what_was_proven_by_documents_that_tell_nothing_is_proven_again_by_one_that_does",
            "tests/unit/test_outcome.py",
        ),
    ),
    Mutant(
        guard="what gifts have proven is not believed of percentages",
        file="syncd/dispatch/verify.py",
        text='        "percentage": any(line.discounts and line.discount != HUNDRED for line in draft.lines),\n',
        without="",
        tests=(f"{PROVING}::test_the_first_document_that_shows_a_discount_is_proven_whatever_gifts_have_proven",),
    ),
    Mutant(
        guard="an annulment of unknown outcome is read back before it is asked for again",
        file="syncd/dispatch/annulling.py",
        text="        if not (taken.unclear and (await service.read(taken.provider_id)).annulled):\n",
        without="        if True:\n",
        tests=(f"{ANNULLING}::test_an_unknown_outcome_is_read_back_and_the_document_annulled_once",),
    ),
    Mutant(
        guard="what is issued in the place of an annulled document has a key of its own",
        file="syncd/mapping/corrections.py",
        text='    before = sum(part.partition("-")[0] == SALE for part in books.annulled)\n',
        without="    before = 0\n",
        tests=(f"{ANNULLING}::test_an_order_that_is_taken_up_again_has_one_living_document",),
    ),
    Mutant(
        guard="what a request may have brought to its buyer is never annulled",
        file="syncd/mapping/annulments.py",
        text="    if document.told_of:\n",
        without="    if False:\n",
        tests=(f"{ANNULLING}::test_what_may_have_reached_its_buyer_is_credited",),
    ),
    Mutant(
        guard="only what two markers prove to be our own duplicate is annulled",
        file="syncd/dispatch/recovery.py",
        text="        if document is first or carried[document.marker] > 1:\n",
        without="        if document is first:\n",
        tests=(f"{RECOVERY}::test_several_documents_with_the_marker_are_held_with_their_numbers",),
    ),
    Mutant(
        guard="a draft that is left behind is remembered",
        file="syncd/dispatch/proving.py",
        text="await references.put_many(connection, self._account, LEFT_BEHIND, {str(claimed.id): left})",
        without="pass",
        tests=(f"{PROVING}::test_a_proven_draft_outlives_the_process_that_made_it",),
    ),
    Mutant(
        guard="the search compares the marker",
        file="syncd/providers/billpt/answers.py",
        text="return replace(document, marker=min(carried)) if carried else None",
        without="return replace(document, marker=min(carried or markers))",
        tests=(f"{RECOVERY}::test_what_is_adopted_is_the_document_with_its_marker_and_its_line_ids",),
    ),
    Mutant(
        guard="nothing is searched before the settle time",
        file="syncd/dispatch/outcome.py",
        text="Outcome(state=DocumentState.UNCERTAIN, delay=settle)",
        without="Outcome(state=DocumentState.UNCERTAIN)",
        tests=(f"{RECOVERY}::test_nothing_is_searched_before_the_settle_time",),
    ),
    Mutant(
        guard="an unknown outcome is uncertain, not without effect",
        file="syncd/dispatch/outcome.py",
        text="Outcome(state=DocumentState.UNCERTAIN, delay=settle)",
        without="Outcome(state=DocumentState.PLANNED)",
        tests=(
            "tests/unit/test_outcome.py",
            f"{RECOVERY}::test_a_lost_answer_costs_three_requests_and_makes_one_document",
        ),
    ),
    Mutant(
        guard="a lost answer to a writing request is unknown",
        file="syncd/providers/http.py",
        text="    if request.writes:\n        return UncertainError(",
        without="    if request.writes:\n        return NoEffectError(",
        tests=(f"{RECOVERY}::test_a_lost_answer_costs_three_requests_and_makes_one_document",),
    ),
    Mutant(
        guard="a connection carries one exchange",
        file="syncd/providers/http.py",
        text="limit=CONNECTIONS, force_close=True",
        without="limit=CONNECTIONS",
        tests=("tests/unit/test_billpt_http.py",),
    ),
    Mutant(
        guard="a request leaves once",
        file="syncd/providers/http.py",
        text="self._session._retry_connection = False",
        without="pass",
        tests=("tests/unit/test_billpt_http.py",),
    ),
    Mutant(
        guard="an unreadable success or a 5xx is unknown",
        file="syncd/providers/http.py",
        text="kind = UncertainError if request.writes else NoEffectError",
        without="kind = NoEffectError",
        tests=(f"{RECOVERY}::test_a_lost_answer_costs_three_requests_and_makes_one_document",),
    ),
    Mutant(
        guard="an attempt is written down with its marker before it leaves",
        file="syncd/dispatch/gateway.py",
        text='marker=on_behalf.marker if on_behalf else ""',
        without='marker=""',
        tests=(f"{RECOVERY}::test_killed_between_write_ahead_and_record_it_is_found",),
    ),
    Mutant(
        guard="what a killed process was sending is uncertain",
        file="syncd/store/claims.py",
        text="(DocumentState.UNCERTAIN, now + settle) if left else",
        without="(DocumentState.PLANNED, row.run_at) if left else",
        tests=(f"{RECOVERY}::test_killed_between_write_ahead_and_record_it_is_found",),
    ),
    Mutant(
        guard="a new process takes over what is in flight",
        file="syncd/dispatch/dispatcher.py",
        text="self._unsettled = True  # something",
        without="self._unsettled = False  # something",
        tests=(f"{RECOVERY}::test_killed_between_write_ahead_and_record_it_is_found",),
    ),
    Mutant(
        guard="an issued document is never planned anew",
        file="syncd/store/documents.py",
        text="where=_REPLACEABLE & (",
        without="where=(",
        tests=(STORE, "tests/prove/test_schedules.py"),
    ),
    Mutant(
        guard="every marker ever sent is searched for",
        file="syncd/store/documents.py",
        text="frozenset((await conn.execute(current.union(earlier))).scalars())",
        without="frozenset((await conn.execute(current)).scalars())",
        tests=(f"{RECOVERY}::test_a_first_attempt_that_cannot_be_annulled_any_more_is_told_to_a_person",),
    ),
    Mutant(
        guard="a document found absent is looked for again",
        file="syncd/dispatch/dispatcher.py",
        text=", also=promise",
        without="",
        tests=(f"{RECOVERY}::test_a_first_attempt_that_cannot_be_annulled_any_more_is_told_to_a_person",),
    ),
    Mutant(
        guard="the second look outlives the process",
        file="syncd/dispatch/dispatcher.py",
        text="await self._looks.load()",
        without="pass",
        tests=(f"{RECOVERY}::test_the_second_look_outlives_the_process",),
    ),
    Mutant(
        guard="a draft that went with a search that died is forgotten",
        file="syncd/dispatch/recovery.py",
        text="        await self._prover.forget_draft(claimed)\n",
        without="        if verdict.drafts:\n            await self._prover.forget_draft(claimed)\n",
        tests=(f"{PROVING}::test_a_draft_that_went_with_a_search_that_died_is_made_anew",),
    ),
    Mutant(
        guard="several documents are for a person",
        file="syncd/dispatch/recovery.py",
        text="if len(final) > 1:",
        without="if len(final) > 2:",
        tests=(
            "tests/unit/test_outcome.py",
            f"{RECOVERY}::test_several_documents_with_the_marker_are_held_with_their_numbers",
        ),
    ),
    Mutant(
        guard="a second document for a row is a duplicate",
        file="syncd/store/documents.py",
        text="if row.issued and row.provider_id != issued.provider_id:",
        without="if False:",
        tests=(f"{RECOVERY}::test_a_first_attempt_that_cannot_be_annulled_any_more_is_told_to_a_person",),
    ),
    Mutant(
        guard="who was overtaken by another attempt changes nothing",
        file="syncd/dispatch/records.py",
        text="                marker=claimed.marker,\n            )\n            if not ours:",
        without="            )\n            if not ours:",
        tests=(f"{RECOVERY}::test_who_was_overtaken_by_another_attempt_changes_nothing",),
    ),
    Mutant(
        guard="nothing leaves after a sleep longer than the lease",
        file="syncd/dispatch/gateway.py",
        text="self._fence.ensure_time()",
        without="pass",
        tests=("tests/integration/test_leases.py::test_a_process_that_slept_after_writing_ahead_sends_nothing",),
    ),
    Mutant(
        guard="who lost the account can neither write nor send",
        file="syncd/store/leases.py",
        text="(lease.c.name == tenure.name) & (lease.c.fence == tenure.fence)",
        without="(lease.c.name == tenure.name)",
        tests=("tests/integration/test_leases.py::test_who_lost_the_account_can_neither_write_nor_send",),
    ),
    Mutant(
        guard="a turn that another process has just taken is not taken again",
        file="syncd/store/pollers.py",
        text="_APART = timedelta(minutes=5)",
        without="_APART = timedelta()",
        tests=("tests/integration/test_store_ledger.py",),
    ),
    Mutant(
        guard="an entry of the trail that was changed breaks its chain",
        file="syncd/audit/trail.py",
        text="elif entry.hash != chain.link(head, chain.canonical(_hashed(entry))):",
        without="elif False:",
        tests=("tests/integration/test_audit_trail.py::test_tampering_is_found_and_named",),
    ),
    Mutant(
        guard="an unfinished search is no proof of absence",
        file="syncd/providers/billpt/adapter.py",
        text='            raise NoEffectError(\n                f"cannot tell whether it was issued: {error}"',
        without='            return ()\n            raise NoEffectError(\n                f"cannot tell whether it was issued: {error}"',
        tests=(f"{RECOVERY}::test_a_blocked_account_pauses_the_search_and_holds_no_order",),
    ),
    Mutant(
        guard="a repeated event is dropped and an older state never wins",
        file="syncd/store/merge.py",
        text="(sa.tuple_(given.version, given.rank) >= sa.tuple_(stored.version, stored.rank))",
        without="sa.true()",
        tests=("tests/integration/test_store_events.py", "tests/prove/test_schedules.py"),
    ),
)


def main() -> int:
    """0 if every mutant was noticed."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="syncd-mutants-") as folder:
        tree = Path(folder, "tree")
        for name in ("syncd", "tests"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", tree)
        for mutant in MUTANTS:
            rows.append((mutant, _fate(mutant, tree)))
            sys.stdout.write(f"{rows[-1][1]:9} {mutant.guard} ({mutant.file})\n")
            sys.stdout.flush()
    survivors = [mutant for mutant, fate in rows if fate != "killed"]
    sys.stdout.write(f"{len(rows) - len(survivors)} of {len(rows)} mutants killed\n")
    return 1 if survivors else 0


def _fate(mutant: Mutant, tree: Path) -> str:
    """What became of a mutant: killed by a red test, or survived; `stale` if the guard's text is no longer there."""
    file = tree / mutant.file
    whole = file.read_text("utf-8")
    if whole.count(mutant.text) != 1:
        return "stale"
    file.write_text(whole.replace(mutant.text, mutant.without), "utf-8")
    try:
        tests = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *mutant.tests],
            cwd=tree,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        file.write_text(whole, "utf-8")
    # 1: tests were run and some failed. Anything else (no such test, a broken import) proves nothing.
    return {0: "SURVIVED", 1: "killed"}.get(tests.returncode, f"error {tests.returncode}")


if __name__ == "__main__":
    raise SystemExit(main())
