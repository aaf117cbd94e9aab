"""A Secret is shown by none of the ways in which values get shown by accident."""

import copy
import json
import logging
import pickle
from dataclasses import dataclass

import pytest
from pydantic import BaseModel, ValidationError

from common.crypto import Secret
from common.telemetry.redaction import redact

VALUE = "hunter2-hunter2"


@dataclass
class Holder:
    secret: Secret[str]


class Model(BaseModel):
    secret: Secret[str]
    raw: Secret[bytes] | None = None


def test_it_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(VALUE)
    model = Model(secret=secret)
    logging.getLogger("x").warning("%s %r %s", secret, secret, [secret])
    shown = [
        repr(secret), str(secret), f"{secret}", f"{secret:>40}", repr(Holder(secret)), repr([secret]),
        repr(model), str(model.model_dump()), model.model_dump_json(), json.dumps({"s": secret}, default=str),
        str(redact(secret)), str(redact({"x": [secret]})), caplog.text, str(vars(model)),
    ]  # fmt: skip
    assert not [text for text in shown if "hunter2" in text]
    assert secret.reveal() == VALUE


def test_models_read_it_and_write_asterisks() -> None:
    model = Model.model_validate_json(f'{{"secret": "{VALUE}", "raw": "abc"}}')
    assert model.secret.reveal() == VALUE
    assert model.raw is not None
    assert model.raw.reveal() == b"abc"
    assert json.loads(model.model_dump_json()) == {"secret": "**********", "raw": "**********"}
    assert model.model_dump()["secret"] == Secret(VALUE)
    assert Model(secret=Secret(VALUE)) == Model.model_validate({"secret": VALUE})


def test_a_wrong_value_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as refused:
        Model.model_validate({"secret": 1234567})
    assert "1234567" not in str(refused.value.errors(include_input=False))


def test_it_is_not_pickled_or_deep_copied_by_accident() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(VALUE))
    with pytest.raises(TypeError, match="not pickled"):
        copy.deepcopy(Secret(VALUE))


def test_equality_and_truth() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != Secret(b"a")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("a"))
    assert not Secret("")
    assert len(Secret("abc")) == 3
