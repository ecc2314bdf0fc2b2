"""With --as-kafka, a broker takes what that release of Kafka takes, as its jars say."""

import pytest

from ottla.broker.apis import APIS, BY_KEY
from ottla.broker.requests.dispatch import handle
from ottla.broker.versions.releases import UnknownReleaseError, advertised_versions, find_release, releases
from ottla.wire.codes import ApiKey, ErrorCode
from ottla.wire.errors import ProtocolError
from ottla.wire.messages.core import ApiVersionsRequest, ApiVersionsResponse, MetadataRequest
from tests.stage.clients import request_bytes
from tests.stage.single_broker import Broker


def versions(release, key):
    return find_release(release).accepted(BY_KEY[key])


def advertised(broker, version=0):
    request = ApiVersionsRequest(client_software_name="test", client_software_version="1")
    answer = broker.ask(request, version)
    return {each.api_key: (each.min_version, each.max_version) for each in answer.api_keys}


def test_the_newest_release_is_the_one_that_is_the_reference():
    newest = list(releases().values())[-1]
    assert newest.name == "4.3"
    for api in APIS:
        if api.advertised is not None:
            assert newest.advertised(api) == api.advertised == advertised_versions(api, None), api.name


@pytest.mark.parametrize(
    ("release", "key", "expected"),
    [
        ("0.9", ApiKey.PRODUCE, (0, 1)),
        ("0.9", ApiKey.API_VERSIONS, None),
        ("0.10.0", ApiKey.FETCH, (0, 2)),
        ("0.10.1", ApiKey.FETCH, (0, 3)),
        ("0.11.0", ApiKey.PRODUCE, (0, 3)),
        ("1.1", ApiKey.CREATE_PARTITIONS, (0, 0)),
        ("2.1", ApiKey.PRODUCE, (0, 7)),
        ("2.4", ApiKey.API_VERSIONS, (0, 3)),
        ("3.9", ApiKey.LIST_OFFSETS, (0, 9)),
        ("4.0", ApiKey.FETCH, (4, 17)),
    ],
)
def test_releases_are_as_their_jars_say(release, key, expected):
    assert versions(release, key) == expected


@pytest.mark.parametrize(
    ("name", "found"), [("2.8.1", "2.8"), ("v3.9", "3.9"), ("0.10.2.2", "0.10.2"), ("0.9.0.1", "0.9")]
)
def test_a_release_may_be_named_in_full(name, found):
    assert find_release(name).name == found


@pytest.mark.parametrize("name", ["", "5.0", "0.8", "two", "3"])
def test_an_unknown_release_is_refused_with_those_that_are_known(name):
    with pytest.raises(UnknownReleaseError, match=r"known are 0\.9, 0\.10\.0.*4\.3"):
        find_release(name)


def test_api_versions_says_what_the_release_has(broker):
    broker.cluster.release = find_release("0.10.2")
    found = advertised(broker)
    assert found[ApiKey.PRODUCE] == (0, 2)
    assert found[ApiKey.METADATA] == (0, 2)
    assert ApiKey.INIT_PRODUCER_ID not in found
    assert ApiKey.DESCRIBE_CONFIGS not in found


def test_a_newer_api_versions_is_answered_so_that_the_client_tries_again(broker):
    broker.cluster.release = find_release("2.0")
    frame = request_bytes(ApiKey.API_VERSIONS, 3, b"\0\2a\2b\0")
    reply = handle(broker.context, frame, 0, len(frame))
    answer = ApiVersionsResponse.decode(reply[8:], 0)
    assert answer.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [(each.api_key, each.min_version, each.max_version) for each in answer.api_keys] == [(18, 0, 2)]


@pytest.mark.parametrize(
    ("release", "key", "version", "sentence"),
    [
        ("0.9", ApiKey.API_VERSIONS, 0, r"ApiVersions is not served: Kafka 0\.9 does not have it"),
        ("0.10.0", ApiKey.METADATA, 2, r"Metadata version 2 is not served \(0 to 1 are by Kafka 0\.10\.0\)"),
        ("4.0", ApiKey.PRODUCE, 2, r"Produce version 2 is not served \(3 to 12 are by Kafka 4\.0\)"),
    ],
)
def test_what_the_release_refuses_is_refused(broker, release, key, version, sentence):
    broker.cluster.release = find_release(release)
    frame = request_bytes(key, version)
    with pytest.raises(ProtocolError, match=sentence):
        handle(broker.context, frame, 0, len(frame))


def test_what_the_release_has_works(broker):
    broker.cluster.release = find_release("0.10.0")
    assert broker.ask(MetadataRequest(topics=None), 1).brokers


@pytest.mark.parametrize(("release", "level"), [("3.2", None), ("3.9", 21), ("4.0", 25), ("4.3", 30)])
def test_features_are_those_of_the_release(tmp_path, release, level):
    broker = Broker(tmp_path, release=find_release(release))
    request = ApiVersionsRequest(client_software_name="test", client_software_version="1")
    answer = broker.ask(request, min(4, find_release(release).apis[18][1]))
    levels = {each.name: each.max_version_level for each in answer.finalized_features}
    assert levels.get("metadata.version") == level
    supported = {each.name: each.max_version for each in answer.supported_features}
    assert supported.get("metadata.version") == level
    broker.close()
