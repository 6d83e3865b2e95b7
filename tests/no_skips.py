"""A pytest plug-in: a test that was skipped, or expected to fail, proved nothing, so the run fails."""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    # Workers of a distributed run have no reporter; their results are counted where there is one.
    if reporter is None:
        return
    unproven = [report for outcome in ("skipped", "xfailed") for report in reporter.stats.get(outcome, [])]
    for report in unproven:
        reporter.write_line(f"not allowed to be skipped or to fail: {report.nodeid}", red=True)
    if unproven and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
