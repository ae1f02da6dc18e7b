import threading

import keras
import pytest
import tensorflow as tf

from skaae._keras import devices, row_function
from skaae._keras.devices import (
    allocate_memory_as_needed,
    can_compile,
    full_float32,
    is_op_determinism_enabled,
    memory_errors,
    op_determinism,
)

is_enabled = tf.config.experimental.tensor_float_32_execution_enabled


class TestAllocation:
    @pytest.fixture
    def settings(self, monkeypatch):
        """Two devices, of which the second has a limit; no GPU is needed to set them."""
        grown = []
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["free", "limited"])
        monkeypatch.setattr(
            tf.config, "get_logical_device_configuration", lambda device: ["1 GiB"] if device == "limited" else None
        )
        monkeypatch.setattr(
            tf.config.experimental, "set_memory_growth", lambda device, enable: grown.append((device, enable))
        )
        return grown

    def test_devices_without_a_limit_grow(self, settings):
        allocate_memory_as_needed()
        assert settings == [("free", True)]

    def test_nothing_changes_once_tensorflow_runs(self, settings, monkeypatch):
        def refuse(device, enable):
            raise RuntimeError("Physical devices cannot be modified after being initialized")

        monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refuse)
        allocate_memory_as_needed()


class TestFullFloat32:
    def test_nested_and_after_an_error(self):
        tf.config.experimental.enable_tensor_float_32_execution(True)
        with full_float32():
            with pytest.raises(ZeroDivisionError), full_float32():
                1 / 0  # noqa: B018
            assert not is_enabled()
        assert is_enabled()

    def test_the_last_of_several_threads_restores_it(self):
        entered, leave = threading.Event(), threading.Event()

        def other():
            with full_float32():
                entered.set()
                leave.wait(10)

        thread = threading.Thread(target=other)
        with full_float32():
            thread.start()
            assert entered.wait(10)
        assert not is_enabled()
        leave.set()
        thread.join()
        assert is_enabled()

    def test_what_the_user_has_switched_off_stays_off(self):
        tf.config.experimental.enable_tensor_float_32_execution(False)
        try:
            with full_float32():
                pass
            assert not is_enabled()
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(True)


def test_only_what_keras_knows_is_compiled():
    class Own(keras.layers.Layer):
        def call(self, x):
            return x

    inputs = keras.Input((2,))
    assert can_compile([keras.Model(inputs, keras.layers.Dense(1)(inputs))])
    assert not can_compile([keras.Model(inputs, Own()(inputs))])


def test_other_errors_pass():
    with pytest.raises(tf.errors.InvalidArgumentError), memory_errors("Use fewer rows."):
        raise tf.errors.InvalidArgumentError(None, None, "something else")


class TestScoringOnAGpu:
    """Larger batches, and one that finds no memory is not used again."""

    @pytest.fixture(autouse=True)
    def gpu(self, monkeypatch):
        monkeypatch.setattr(row_function, "has_gpu", lambda: True)

    def test_sizes(self):
        assert max(row_function.RowFunction(lambda x: {"x": x}, (30,))._multiples) == 1024
        assert max(row_function.RowFunction(lambda x: {"x": x}, (32, 32, 3))._multiples) == 64

    def test_full_device(self, monkeypatch):
        function, sizes = row_function.RowFunction(lambda x: {"total": tf.reduce_sum(x, axis=1)}, (2,)), []
        run = function._run

        def limited(rows):
            sizes.append(len(rows))
            if len(rows) > 8 * function.batch_size:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM")
            return run(rows)

        monkeypatch.setattr(function, "_run", limited)
        X = tf.random.normal((7000, 2)).numpy()
        for _ in range(2):
            assert function(X)["total"] == pytest.approx(X.sum(axis=1), abs=1e-6)
        assert sizes.count(64 * function.batch_size) == 1

    def test_no_memory_at_all(self, monkeypatch):
        function = row_function.RowFunction(lambda x: {"x": x}, (2,))

        def full(rows):
            raise tf.errors.ResourceExhaustedError(None, None, "OOM")

        monkeypatch.setattr(function, "_run", full)
        with pytest.raises(MemoryError, match=r"no memory left\. Other processes"):
            function(tf.zeros((200, 2)).numpy())


def test_no_device_but_the_cpu_here():
    assert devices.has_gpu() == bool(tf.config.list_physical_devices("GPU"))


def test_op_determinism_is_as_before_after_the_block():
    with op_determinism(True):
        with op_determinism(False):
            assert not is_op_determinism_enabled()
        assert is_op_determinism_enabled()
