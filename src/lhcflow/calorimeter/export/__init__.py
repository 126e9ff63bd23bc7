"""Shower models for the experiments' software: ONNX graphs and a C++ header."""

from .cpp_file import export_cpp
from .onnx_file import INPUTS, OUTPUT, export_onnx

__all__ = ["INPUTS", "OUTPUT", "export_cpp", "export_onnx"]
