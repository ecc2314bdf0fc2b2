"""Rates and waiting times, by the arithmetic of Apache's `Rate` and `QuotaUtils`."""

import pytest

from ottla.broker.quotas.rates import Rate


@pytest.fixture
def rate():
    return Rate(windows=11, window_s=1)


def test_windows_before_the_first_count_as_empty(rate):
    rate.add(5000, 100.0)
    assert rate.seconds(100.0) == 10.0
    assert rate.per_second(100.0) == 500.0
    assert rate.wait_ms(1000, 100.0) == 0


def test_who_is_above_waits_until_the_average_is_down(rate):
    rate.add(10_000, 100.0)
    rate.add(3000, 100.2)
    # 1300 a second over 10.2 s, 300 of them too many.
    assert rate.per_second(100.2) == pytest.approx(13_000 / 10.2)
    assert rate.wait_ms(1000, 100.2) == round((13_000 / 10.2 - 1000) / 1000 * 10.2 * 1000)


def test_what_is_old_is_forgotten(rate):
    rate.add(10_000, 100.0)
    rate.add(1000, 105.0)
    assert rate.per_second(110.9) == pytest.approx(11_000 / 10.9)
    assert rate.per_second(111.0) == pytest.approx(1000 / 10.0)
    assert not rate.is_idle(115.9)
    assert rate.is_idle(116.0)


def test_what_did_not_happen_is_taken_back(rate):
    rate.add(10_000, 100.0)
    rate.add(5000, 100.5)
    rate.add(-5000, 100.5)
    assert rate.per_second(100.5) == pytest.approx(10_000 / 10.5)
