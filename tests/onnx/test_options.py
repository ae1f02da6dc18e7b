"""The options of a session survive a pickle."""

import pickle

import onnxruntime

from skaae.onnx._options import options_of_values, values_of_options


def test_round_trip():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    values = pickle.loads(pickle.dumps(values_of_options(options)))
    assert values_of_options(options_of_values(values)) == values
    assert values["execution_mode"] == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert (values["intra_op_num_threads"], values["enable_cpu_mem_arena"]) == (1, False)
