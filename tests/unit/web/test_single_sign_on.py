"""A provider that can't be asked; what a real one answers is tested in tests/integration."""

from datetime import UTC, datetime

import pytest

from radiolucent.web.single_sign_on import Provider, SignOnFailed, SingleSignOn


def test_a_provider_that_is_away_is_said_so_without_its_address() -> None:
    away = SingleSignOn(Provider(issuer="http://127.0.0.1:9", client_id="room", roles=(("readers", "radiologist"),)))
    with pytest.raises(SignOnFailed) as caught:
        away.begin(target="/worklist", redirect="http://127.0.0.1/login/back", now=datetime.now(UTC))
    assert caught.value.reason == str(caught.value) != ""
    assert "127.0.0.1" not in str(caught.value)
