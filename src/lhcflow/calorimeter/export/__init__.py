"""Shower models for the experiments' software: ONNX graphs and a C++ header."""

from .cpp_file import export_cpp
from .onnx_file import HITS, INPUTS, OUTPUT, export_onnx, input_names

__all__ = ["HITS", "INPUTS", "OUTPUT", "export_cpp", "export_onnx", "input_names"]
