"""A member of a group for programs that look at groups from outside, by confluent-kafka."""

from compat_program import Job, eventually
from confluent_kafka import Consumer, TopicPartition


def member_that_read(job: Job, group: str, committed: dict[int, int], **settings: str) -> Consumer:
    """The group's one member: it has read something of the job's topic, and committed these offsets by partition."""
    known = {"bootstrap.servers": job.bootstrap, "group.id": group, "client.id": "reader"}
    known |= {"auto.offset.reset": "earliest"} | settings
    member = Consumer(known | {"enable.auto.commit": False})
    member.subscribe([job.topic])
    eventually(lambda: member.poll(0.2), "the member reads")
    offsets = [TopicPartition(job.topic, partition, offset) for partition, offset in committed.items()]
    member.commit(offsets=offsets, asynchronous=False)
    return member
