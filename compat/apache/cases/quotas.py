"""Client quotas. All are so high that they bind nobody, even where a case makes one the default of everybody."""

from __future__ import annotations

from compat.apache.base import Base
from compat.apache.side import Side
from ottla.wire.messages.quotas import AlterClientQuotasRequest, DescribeClientQuotasRequest

Entry = AlterClientQuotasRequest.Entry
Component = DescribeClientQuotasRequest.Component
EXACT, ANY = 0, 2
RATE = 1e12


def _user(side: Side) -> str:
    return f"quota-user-{side.case}"


def _alter(side: Side, *, client_id: str | None = None, remove: bool = False) -> AlterClientQuotasRequest:
    entity = [Entry.Entity(entity_type="user", entity_name=_user(side))]
    if client_id is not None:
        entity.append(Entry.Entity(entity_type="client-id", entity_name=client_id))
    operation = Entry.Op(key="producer_byte_rate", value=0.0 if remove else RATE, remove=remove)
    return AlterClientQuotasRequest(entries=[Entry(entity=entity, ops=[operation])], validate_only=False)


def _has_quota(side: Side) -> None:
    side.ask(_alter(side))
    side.ask_until(_describe(side), lambda answer: bool(answer.entries))


def _describe(side: Side) -> DescribeClientQuotasRequest:
    component = Component(entity_type="user", match_type=EXACT, match=_user(side))
    return DescribeClientQuotasRequest(components=[component], strict=True)


def _describe_pairs(side: Side) -> DescribeClientQuotasRequest:
    parts = [
        Component(entity_type="user", match_type=EXACT, match=_user(side)),
        Component(entity_type="client-id", match_type=ANY, match=None),
    ]
    return DescribeClientQuotasRequest(components=parts, strict=False)


BASES = (
    Base("DescribeClientQuotas", _describe, before=_has_quota),
    Base("DescribeClientQuotas, unknown", _describe, mutate=False),
    Base("DescribeClientQuotas, of pairs", _describe_pairs, before=_has_quota, mutate=False),
    Base("AlterClientQuotas", _alter),
    Base("AlterClientQuotas, of a pair", lambda side: _alter(side, client_id="somebody"), mutate=False),
    Base("AlterClientQuotas, a removal", lambda side: _alter(side, remove=True), before=_has_quota, mutate=False),
    Base("AlterClientQuotas, a removal of nothing", lambda side: _alter(side, remove=True), mutate=False),
)
