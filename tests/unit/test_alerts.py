"""What is raised, resolved and said."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from syncd.alerts.channel import Message
from syncd.domain.alert import Alert, Changes, Condition, changes

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CALM = timedelta(seconds=15)
PAUSED = Condition(code="account_paused", subject="main", message="account main issues nothing", fix="a new token")
DOWN = Condition(code="service_down", subject="main", message="the service gives no answer", fix="wait")


def an_alert(condition: Condition = PAUSED, **changes: Any) -> Alert:
    return replace(Alert(id=7, condition=condition, raised_at=AT), **changes)


@pytest.mark.parametrize(
    ("open_", "wrong", "expected"),
    [
        ((), (), Changes()),
        ((), (PAUSED, DOWN), Changes(raised=(PAUSED, DOWN))),
        ((), (PAUSED, PAUSED), Changes(raised=(PAUSED,))),
        ((an_alert(),), (PAUSED,), Changes()),
        ((an_alert(),), (PAUSED, DOWN), Changes(raised=(DOWN,))),
        (
            (an_alert(),),
            (replace(PAUSED, message="another"),),
            Changes(seen=((7, replace(PAUSED, message="another")),)),
        ),
        (
            (an_alert(),),
            (replace(PAUSED, subject="other"),),
            Changes(raised=(replace(PAUSED, subject="other"),), gone=(7,)),
        ),
        ((an_alert(),), (), Changes(gone=(7,))),
        ((an_alert(gone_at=AT - CALM / 2),), (), Changes()),
        ((an_alert(gone_at=AT - CALM / 2),), (PAUSED,), Changes(seen=((7, PAUSED),))),
        ((an_alert(gone_at=AT - CALM),), (), Changes(resolved=(7,))),
    ],
    ids=["nothing", "new", "twice", "known", "one more", "other words", "another's", "gone", "calm", "back", "over"],
)
def test_alerts_follow_the_conditions(
    open_: tuple[Alert, ...], wrong: tuple[Condition, ...], expected: Changes
) -> None:
    found = changes(open_, wrong, now=AT, calm=CALM)
    assert found == expected
    assert bool(found) == (expected != Changes())


@pytest.mark.parametrize(
    ("alert", "message_id", "event"),
    [
        (an_alert(), "7-raised", "raised"),
        (an_alert(tries=3), "7-raised", "raised"),
        (an_alert(told=1), "7-reminder-1", "reminder"),
        (an_alert(told=2), "7-reminder-2", "reminder"),
        (an_alert(told=2, resolved_at=AT), "7-resolved", "resolved"),
        (an_alert(told=0, resolved_at=AT), "7-resolved", "resolved"),
    ],
)
def test_a_message_has_one_id_however_often_it_is_sent(alert: Alert, message_id: str, event: str) -> None:
    message = Message.of(alert)
    assert (message.id, message.event) == (message_id, event)


def test_a_message_is_text_for_people_and_fields_for_programs() -> None:
    said = Message.of(an_alert()).json()
    assert said["text"] == "syncd raised: account main issues nothing\nfix: a new token"
    assert said["raised_at"] == "2026-11-20T12:00:00+00:00"
    assert (said["code"], said["subject"], said["resolved_at"]) == ("account_paused", "main", None)
    over = Message.of(an_alert(resolved_at=AT + timedelta(hours=2))).json()
    assert over["text"] == "syncd resolved: account main issues nothing"
    assert over["resolved_at"] == "2026-11-20T14:00:00+00:00"
