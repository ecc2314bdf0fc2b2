"""The one table of what is served (broker/apis), held against messages, handlers and what Apache 4.3.1 advertises."""

import importlib
from pathlib import Path

import pytest

from ottla.broker.apis import APIS, Api
from ottla.broker.requests.routes import Route, snake_case

APACHE = {
    int(key): (name, (int(first), int(last)))
    for key, name, first, last, _ in (
        line.split("\t") for line in (Path(__file__).parent / "apache_apis.tsv").read_text().splitlines()[1:]
    )
}
every_api = pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)


def test_an_api_has_one_row():
    assert len({api.key for api in APIS}) == len({api.name for api in APIS}) == len(APIS)


@every_api
def test_what_is_advertised_is_what_apache_advertises(api: Api):
    if api.advertised is None:
        assert api.key not in APACHE
    else:
        assert APACHE[api.key] == (api.name, api.advertised)


@every_api
def test_every_version_that_the_messages_have_is_served(api: Api):
    messages = importlib.import_module(f"ottla.wire.messages.{api.family}")
    for kind in ("Request", "Response"):
        message = getattr(messages, api.name + kind)
        assert (message.api_key, message.versions) == (api.key, api.served)


@every_api
def test_every_version_has_its_handler_and_codecs(api: Api):
    for version in range(api.served[0], api.served[1] + 1):
        assert Route(api, version).handler.__name__ == snake_case(api.name)


def test_names_become_names_of_functions():
    assert snake_case("OffsetForLeaderEpoch") == "offset_for_leader_epoch"
