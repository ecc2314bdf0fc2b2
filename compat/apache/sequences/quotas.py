"""Quotas set, shown and removed, and what the quota of changes to topics lets through."""

from __future__ import annotations

from compat.apache.sequence import Ask, Sequence, Steps
from compat.apache.sequences.topic_reads import describe_topic, let_changes_arrive
from compat.apache.sequences.topics import create, delete, grow, wait_until_gone
from compat.apache.side import Side
from ottla.wire.messages.quotas import AlterClientQuotasRequest, DescribeClientQuotasRequest

Entry = AlterClientQuotasRequest.Entry
Component = DescribeClientQuotasRequest.Component
EXACT, DEFAULT, ANY = range(3)
MUCH = 1e12
"""Binds nobody."""
LITTLE = 0.001
"""Changes to a topic per second: one is let through, and then none for longer than a run takes."""

Entity = dict[str, str | None]


def alter(entity: Entity, **quotas: float | None) -> AlterClientQuotasRequest:
    """Set quotas of an entity, or with None remove them."""
    entry = Entry(
        entity=[Entry.Entity(entity_type=kind.replace("_", "-"), entity_name=name) for kind, name in entity.items()],
        ops=[Entry.Op(key=key, value=value or 0.0, remove=value is None) for key, value in quotas.items()],
    )
    return AlterClientQuotasRequest(entries=[entry], validate_only=False)


def describe(*components: tuple[str, int, str | None], strict: bool = False) -> DescribeClientQuotasRequest:
    """The quotas of the entities that match."""
    asked = [Component(entity_type=kind, match_type=how, match=name) for kind, how, name in components]
    return DescribeClientQuotasRequest(components=asked, strict=strict)


def _set_and_removed(side: Side) -> Steps:
    user, client = f"user-{side.case}", f"client-{side.case}"
    both: Entity = {"user": user, "client_id": client}
    user_default: Entity = {"user": user, "client_id": None}
    for request in (
        alter(both, producer_byte_rate=MUCH),
        alter(both, consumer_byte_rate=MUCH, request_percentage=MUCH),
        alter(user_default, producer_byte_rate=MUCH),
        alter({"user": user}, producer_byte_rate=MUCH, controller_mutation_rate=MUCH),
        alter({"client_id": client}, producer_byte_rate=MUCH),
        alter({"ip": "10.1.2.3"}, connection_creation_rate=1e6),
        alter({"ip": "10.1.2.3"}, producer_byte_rate=MUCH),
        alter({"user": user}, connection_creation_rate=MUCH),
        alter({"user": user}, producer_byte_rate=-1.0),
        alter({"user": user}, producer_byte_rate=0.5),
        alter({"user": user}, no_such_quota=1.0),
        alter({"nobody": user}, producer_byte_rate=1.0),
        alter({"ip": "10.1.2.3", "user": user}, connection_creation_rate=1.0),
        alter(both, producer_byte_rate=None),
        alter(both, producer_byte_rate=None),
    ):
        yield Ask(request)
        let_changes_arrive(side)
        yield Ask(describe(("user", EXACT, user)))
        yield Ask(describe(("user", EXACT, user), strict=True))
        yield Ask(describe(("client-id", EXACT, client)))
        yield Ask(describe(("user", EXACT, user), ("client-id", DEFAULT, None)))
        yield Ask(describe(("ip", ANY, None)))
    yield Ask(alter(both, consumer_byte_rate=None, request_percentage=None))
    yield Ask(alter(user_default, producer_byte_rate=None))
    yield Ask(alter({"user": user}, producer_byte_rate=None, controller_mutation_rate=None))
    yield Ask(alter({"client_id": client}, producer_byte_rate=None))
    yield Ask(alter({"ip": "10.1.2.3"}, connection_creation_rate=None))
    let_changes_arrive(side)
    yield Ask(describe(("user", EXACT, user)))


def _changes_to_topics(side: Side, *, versions: tuple[int, int, int]) -> Steps:
    """A client over its quota is not read from for long, so each request has a connection of its own.

    All that share the quota are one client by id, so it is the user who has it.
    """
    creation, growth, deletion = versions
    yield Ask(create(side), creation)
    side.settle(side.topic)
    yield Ask(alter({"user": "ANONYMOUS"}, controller_mutation_rate=LITTLE))
    let_changes_arrive(side)
    yield Ask(create(side, f"{side.topic}-a", validate_only=True), creation, client="a")
    yield Ask(create(side, f"{side.topic}-b"), creation, client="b")
    yield Ask(create(side, f"{side.topic}-c"), creation, client="c")
    yield Ask(create(side, f"{side.topic}-d", validate_only=True), creation, client="d")
    yield Ask(create(side), creation, client="e")
    yield Ask(create(side, "not a name!"), creation, client="f")
    yield Ask(grow(side, 5), growth, client="g")
    yield Ask(grow(side, 5, validate_only=True), growth, client="h")
    yield Ask(grow(side, 1), growth, client="i")
    yield Ask(delete(side), deletion, client="j")
    unknown = delete(side)
    unknown.topics[0].name = "no-such-topic"
    unknown.topic_names = ["no-such-topic"]
    yield Ask(unknown, deletion, client="k")
    yield Ask(alter({"user": "ANONYMOUS"}, controller_mutation_rate=None))
    let_changes_arrive(side)
    yield Ask(describe_topic(side))
    yield Ask(delete(side), client="l")
    wait_until_gone(side)


def _changes_refused(side: Side) -> Steps:
    yield from _changes_to_topics(side, versions=(7, 3, 6))


def _changes_before_clients_knew(side: Side) -> Steps:
    yield from _changes_to_topics(side, versions=(5, 2, 4))


SEQUENCES = (
    Sequence("quotas set and removed", _set_and_removed),
    Sequence("more changes to topics than the quota allows", _changes_refused),
    Sequence(
        "more changes to topics than the quota allows, in versions that are not told", _changes_before_clients_knew
    ),
)
