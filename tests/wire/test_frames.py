"""Frames and headers: what stands around a message, flexible or not."""

import pytest

from ottla.wire import frames
from ottla.wire.codes import ApiKey
from ottla.wire.errors import ProtocolError
from ottla.wire.messages.core import ApiVersionsResponse, MetadataRequest, MetadataResponse


class Slice:
    """Stands for a slice of a file: it has a length and is not bytes."""

    def __len__(self) -> int:
        return 5


def test_a_request_is_read_back_field_by_field():
    frame = frames.encode_request(MetadataRequest(topics=None), 9, correlation_id=7, client_id="kcat")
    assert int.from_bytes(frame[:4]) == len(frame) - 4
    key, version, correlation_id, length = frames.read_fixed_header(frame, 4)
    assert (key, version, correlation_id) == (ApiKey.METADATA, 9, 7)
    position = 4 + frames.REQUEST_HEADER_SIZE
    assert frames.read_client_id(frame, position, length) == "kcat"
    assert frame[position + length] == 0  # no tagged fields in the header


def test_a_request_of_an_old_version_has_no_tagged_fields_in_its_header():
    frame = frames.encode_request(MetadataRequest(topics=None), 1, correlation_id=7, client_id=None)
    assert frames.read_fixed_header(frame, 4)[3] == -1
    assert frames.read_client_id(frame, 14, -1) is None
    assert len(frame) == 4 + frames.REQUEST_HEADER_SIZE + 4  # the length of a null array


def test_a_client_id_that_is_not_utf_8_is_still_a_text():
    assert frames.read_client_id(b"\xff\xfea", 0, 3) == "\ufffd\ufffda"


@pytest.mark.parametrize(("tags", "end"), [(b"\0", 1), (b"\1\7\2ab", 5)])
def test_tagged_fields_of_a_header_are_passed_over(tags, end):
    assert frames.skip_header_tags(tags + b"body", 0, len(tags) + 4) == end


def test_the_answer_to_api_versions_never_has_tagged_fields_in_its_header():
    assert not frames.response_header_is_flexible(ApiKey.API_VERSIONS, flexible=True)
    assert frames.response_header_is_flexible(ApiKey.METADATA, flexible=True)
    frame = frames.encode_response(3, ApiVersionsResponse(api_keys=[]).encode(3), flexible=False)
    assert frames.decode_response(ApiVersionsResponse, frame[4:], 3)[0] == 3


@pytest.mark.parametrize("version", [8, 9])
def test_an_answer_is_read_back(version):
    response = MetadataResponse(brokers=[], cluster_id="c", controller_id=1, topics=[])
    flexible = MetadataResponse.is_flexible(version)
    frame = frames.encode_response(12, response.encode(version), flexible=flexible)
    assert int.from_bytes(frame[:4]) == len(frame) - 4
    assert frames.decode_response(MetadataResponse, frame[4:], version) == (12, response)


def test_an_answer_that_ends_in_its_header_is_refused():
    with pytest.raises(ProtocolError, match="end before the header does"):
        frames.decode_response(MetadataResponse, b"\0\0", 9)


@pytest.mark.parametrize(("flexible", "header"), [(False, 4), (True, 5)])
def test_pieces_of_files_stay_between_joined_runs_of_bytes(flexible, header):
    piece = Slice()
    pieces = frames.encode_response_parts(1, [b"ab", bytearray(b"c"), piece, b"d"], flexible=flexible)
    assert pieces[1] is piece
    assert [len(each) for each in pieces] == [4 + header + 3, 5, 1]
    assert int.from_bytes(pieces[0][:4]) == header + 3 + 5 + 1


def test_no_empty_bytes_stand_behind_the_last_piece_of_a_file():
    piece = Slice()
    assert frames.encode_response_parts(1, [piece], flexible=False)[1:] == [piece]
