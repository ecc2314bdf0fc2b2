"""From a request's bytes to its handler and back to an answer's bytes: once, for all APIs.

A handler is a plain function: it returns its response, a ``Promise``, or None if the protocol has no answer
(Produce with acks=0). ``KafkaError`` out of a handler becomes the response's own error code. Two short cuts: a
family may answer the most common requests of an API straight from their bytes (``produce_straight``), and answers to
Metadata are remembered by the request's bytes for as long as the catalog does not change.
"""

import logging
from functools import partial
from struct import error as struct_error
from typing import Any

from ottla.broker.apis import BY_KEY
from ottla.broker.requests.context import Context
from ottla.broker.requests.deferred import Deferred, Reply
from ottla.broker.requests.metadata_cache import holds_until_a_change
from ottla.broker.requests.metered import MeteredRoute
from ottla.broker.requests.routes import ROUTES, Route
from ottla.broker.versions.releases import accepted_versions
from ottla.scheduling.promise import Promise
from ottla.wire import frames
from ottla.wire.codes import ApiKey, ErrorCode
from ottla.wire.errors import KafkaError, ProtocolError
from ottla.wire.frames import REQUEST_HEADER_SIZE, read_fixed_header
from ottla.wire.schema import Response

log = logging.getLogger(__name__)


def _find_route(context: Context, api_key: int, version: int) -> Route:
    api = BY_KEY.get(api_key)
    if api is None:
        raise ProtocolError(f"API {api_key} is not served")
    release = context.cluster.release
    accepted = accepted_versions(api, release)
    if accepted is None:
        raise ProtocolError(f"{api.name} is not served: Kafka {release and release.name} does not have it")
    if not accepted[0] <= version <= accepted[1]:
        if api_key == ApiKey.API_VERSIONS:
            raise _UnsupportedApiVersionsError(accepted)
        served = f"{accepted[0]} to {accepted[1]} are{f' by Kafka {release.name}' if release else ''}"
        raise ProtocolError(f"{api.name} version {version} is not served ({served})")
    api_and_version = api_key << 16 | version
    route: Route | None
    if context.meter is not None:
        route = MeteredRoute(api, version, context.meter)
    else:
        route = ROUTES.get(api_and_version)
        if route is None:
            route = ROUTES[api_and_version] = Route(api, version)
    context.routes[api_and_version] = route
    context.client.apis_in_use.add(api_and_version)
    return route


class _UnsupportedApiVersionsError(Exception):
    """An ApiVersions request that is too new: answered in version 0, so that the client can try again (KIP-35)."""

    def __init__(self, accepted: tuple[int, int]) -> None:
        self.accepted = accepted


def handle(context: Context, buffer: bytearray, start: int, end: int) -> Reply | Deferred | None:
    """Answer the request in ``buffer[start:end]``; its views must not outlive this call.

    Returns the answer's bytes (or pieces), a ``Deferred`` whose ``pending`` is done when they are there, or None for
    no answer. Raises ``ProtocolError`` if the bytes are bad and the connection must be closed.
    """
    if end - start < REQUEST_HEADER_SIZE:
        raise ProtocolError(f"a request of {end - start} bytes has no whole header")
    api_key, version, correlation_id, name_length = read_fixed_header(buffer, start)
    try:
        route: Route = context.routes.get(api_key << 16 | version) or _find_route(context, api_key, version)
    except _UnsupportedApiVersionsError as unsupported:
        return _unsupported_api_versions(correlation_id, unsupported.accepted)
    position = start + REQUEST_HEADER_SIZE
    body = position + name_length if name_length > 0 else position
    if body > end:
        raise ProtocolError(f"{route.api.name}: the bytes end before the client's id does")
    client_name = buffer[position:body]
    if client_name != context.client_name:
        context.client_name = client_name
        context.client.id = frames.read_client_id(buffer, position, name_length)
        context.cluster.clients.meet_unnamed(context.client, api_key, version)
    context.api_version = version
    if route.request_is_flexible:
        if body < end and buffer[body] == 0:
            body += 1
        else:
            body = _skip_header_tags(route, buffer, body, end)
    if route.depends_on_catalog_only:
        return _remembered(context, route, correlation_id, buffer=buffer, start=body, end=end)
    try:
        response: Any = None if route.straight is None else route.straight(context, correlation_id, buffer, body, end)
        if response is None:
            request, _ = route.decode(buffer, body, end)
            response = route.handler(context, request)
        elif type(response) is bytes:
            return response
        if type(response) is Promise:
            if not response.done:
                return Deferred(route.api, response, partial(_finish, context, route, correlation_id))
            if response.error is not None:
                raise response.error
            response = response.value
        return None if response is None else route.encode(response, correlation_id)
    except ProtocolError:
        raise
    except Exception as error:
        return _error_reply(route, correlation_id, error, context)


def _finish(context: Context, route: Route, correlation_id: int, pending: Promise[Any]) -> Reply | Deferred | None:
    """Encode an answer that has come later, or its error."""
    if pending.error is not None:
        return _error_reply(route, correlation_id, pending.error, context)
    return None if pending.value is None else route.encode(pending.value, correlation_id)


def _skip_header_tags(route: Route, buffer: bytearray, position: int, end: int) -> int:
    try:
        body = frames.skip_header_tags(buffer, position, end)
    except (struct_error, IndexError):
        body = end + 1
    if body > end:
        raise ProtocolError(f"{route.api.name}: the bytes end before the header does")
    return body


def _remembered(
    context: Context, route: Route, correlation_id: int, *, buffer: bytearray, start: int, end: int
) -> Reply | Deferred:
    """Return the remembered answer to a request, if the catalog has not changed since; else answer it."""
    answers = context.answers
    key = (route.version, context.listener, bytes(buffer[start:end]))
    answer = answers.get(key)
    if answer is None:
        request, _ = route.decode(buffer, start, end)
        try:
            response = route.handler(context, request)
            answer = response.encode(route.version)
        except Exception as error:
            return _error_reply(route, correlation_id, error, context)
        if holds_until_a_change(response):
            answers.put(key, answer)
    return frames.encode_response(correlation_id, answer, flexible=route.response_is_flexible)


def _error_reply(route: Route, correlation_id: int, error: Exception, context: Context) -> Reply | Deferred:
    if isinstance(error, ProtocolError):
        raise error
    if isinstance(error, KafkaError):
        code = error.code
    else:
        log.error("%s v%d request from %s failed", route.api.name, route.version, context.client.host, exc_info=error)
        code = ErrorCode.UNKNOWN_SERVER_ERROR
    response = _top_level_error(route, code, error)
    if response is None:
        raise ProtocolError(f"{route.api.name} has no place for {code.name}; the connection is closed") from error
    return route.encode(response, correlation_id)


def _top_level_error(route: Route, code: ErrorCode, error: Exception) -> Response | None:
    declared = {field.name: field for field in route.response_class.fields()}
    if "error_code" not in declared or not declared["error_code"].in_version(route.version):
        return None
    values = {name: field.default for name, field in declared.items()}
    values["error_code"] = code
    if "error_message" in values:
        values["error_message"] = error.message if isinstance(error, KafkaError) else None
    return route.response_class(**values)


def _unsupported_api_versions(correlation_id: int, accepted: tuple[int, int]) -> Reply:
    from ottla.wire.messages.core import ApiVersionsResponse

    first, last = accepted
    response = ApiVersionsResponse(
        error_code=ErrorCode.UNSUPPORTED_VERSION,
        api_keys=[ApiVersionsResponse.ApiVersion(api_key=ApiKey.API_VERSIONS, min_version=first, max_version=last)],
    )
    return frames.encode_response(correlation_id, response.encode(0), flexible=False)
