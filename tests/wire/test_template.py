"""Templates write, and patterns read, the same bytes as the compiled codec does."""

import pytest

from ottla.wire import frames
from ottla.wire.messages.core import MetadataRequest
from ottla.wire.messages.groups import HeartbeatRequest, HeartbeatResponse
from ottla.wire.template import Pattern, Template


@pytest.mark.parametrize("version", [3, 4])
def test_a_filled_template_is_the_encoded_answer(version):
    template = Template(
        HeartbeatResponse(error_code=0x71, throttle_time_ms=0x72737475), version, code="ih", marks=(0x72737475, 0x71)
    )
    response = HeartbeatResponse(error_code=27, throttle_time_ms=500)
    frame = frames.encode_response(9, response.encode(version), flexible=HeartbeatResponse.is_flexible(version))
    assert template.fill(9, 500, 27) == frame


def test_marks_that_stand_twice_in_a_sample_are_refused():
    with pytest.raises(ValueError, match="do not mark one place"):
        Template(HeartbeatResponse(error_code=0, throttle_time_ms=0), 3, code="h", marks=(0,))


def pattern() -> Pattern:
    sample = HeartbeatRequest(group_id="group", generation_id=0x71727374, member_id="m")
    return Pattern(sample, 2, (("i", 0x71727374),))


def test_a_message_like_the_sample_gives_its_fields_wherever_it_stands():
    message = HeartbeatRequest(group_id="group", generation_id=5, member_id="another").encode(2)
    assert pattern().match(b"..." + message, 3) == (5,)
    assert pattern().size == 2 + len("group") + 4


def test_a_message_that_differs_before_its_fields_is_not_recognised():
    message = HeartbeatRequest(group_id="other", generation_id=5, member_id="m").encode(2)
    assert pattern().match(message, 0) is None


def test_a_field_that_is_not_in_the_sample_is_refused():
    with pytest.raises(ValueError, match="not found"):
        Pattern(MetadataRequest(topics=[]), 9, (("i", 0x71727374),))
