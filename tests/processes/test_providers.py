"""Amplitudes from Python functions and from shared libraries with the UMAMI interface."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from scattering import metric, scattering

from lhcflow import InputError, _native
from lhcflow.processes import CallableAmplitude, Process, UmamiAmplitude, export_umami
from lhcflow.processes.partonic import partonic_channels

native = pytest.mark.skipif(_native.core is None, reason="no native kernels")
compiler = shutil.which("g++") or shutil.which("c++")

# 4 particles; |M|^2 = (alpha_s or 0.5) * E of particle 2 * px of particle 3 + value of the card's file name
LIBRARY = """
#include <cstdlib>
#include <cstring>
struct Handle { double offset; };
extern "C" int umami_get_meta(int key, void* result) {
  if (key > 1) return 5;
  *static_cast<int*>(result) = key == 0 ? DEVICE : 4;
  return 0;
}
extern "C" int umami_initialize(void** handle, const char* card) {
  if (!std::strcmp(card, "bad")) return 1;
  *handle = new Handle{std::atof(card)};
  return 0;
}
extern "C" int umami_matrix_element(void* handle, size_t count, size_t stride, size_t offset, size_t n_in,
                                    const int* in_keys, const void* const* in,
                                    size_t n_out, const int* out_keys, void* const* out) {
  const double *p = nullptr, *alpha_s = nullptr;
  for (size_t i = 0; i < n_in; ++i) {
    if (in_keys[i] == 0) p = static_cast<const double*>(in[i]);
    else if (in_keys[i] == 1) alpha_s = static_cast<const double*>(in[i]);
    else return 3;
  }
  if (n_out != 1 || out_keys[0] != 0) return 4;
  double* result = static_cast<double*>(out[0]);
  for (size_t e = offset; e < offset + count; ++e) {
    const double energy = p[(0 * 4 + 2) * stride + e], px = p[(1 * 4 + 3) * stride + e];
    result[e] = (alpha_s ? alpha_s[e] : 0.5) * energy * px + static_cast<Handle*>(handle)->offset;
  }
  return 0;
}
extern "C" int umami_free(void* handle) { delete static_cast<Handle*>(handle); return 0; }
"""


def compiled(folder, source, *flags):
    (folder / "library.cpp").write_text(source)
    path = folder / "library.so"
    command = [compiler, "-shared", "-fPIC", *flags, str(folder / "library.cpp"), "-o", str(path)]
    subprocess.run(command, check=True, timeout=120)
    return path


@pytest.mark.skipif(compiler is None, reason="no compiler")
def test_foreign_library(tmp_path):
    """Layout of the momenta, the optional coupling, the card and errors, with a library made here."""
    path = compiled(tmp_path, LIBRARY, "-DDEVICE=0")
    amplitude = UmamiAmplitude(path, "2.25")
    momenta = np.random.default_rng(1).normal(size=(7, 4, 4))
    alpha_s = np.linspace(0.1, 0.2, 7)
    product = momenta[:, 2, 0] * momenta[:, 3, 1]
    assert amplitude.particles == 4
    np.testing.assert_allclose(amplitude.squared_amplitude(momenta, alpha_s), alpha_s * product + 2.25)
    np.testing.assert_allclose(amplitude.squared_amplitude(momenta, 0.118), 0.118 * product + 2.25)
    np.testing.assert_allclose(amplitude.squared_amplitude(momenta), 0.5 * product + 2.25)
    assert amplitude.squared_amplitude(momenta[:0]).shape == (0,)
    with pytest.raises(InputError, match=r"shape \(n, 4, 4\)"):
        amplitude.squared_amplitude(momenta[:, :3])
    with pytest.raises(InputError, match="one number or 7"):
        amplitude.squared_amplitude(momenta, alpha_s[:3])
    with pytest.raises(InputError, match="reports: an error"):
        UmamiAmplitude(path, "bad")
    amplitude.close()


@pytest.mark.skipif(compiler is None, reason="no compiler")
@pytest.mark.parametrize(
    ("source", "flags", "message"),
    [(LIBRARY, ["-DDEVICE=1"], "is for a GPU"), ("int nothing;", [], "no function umami_get_meta")],
)
def test_libraries_that_are_refused(tmp_path, source, flags, message):
    with pytest.raises(InputError, match=message):
        UmamiAmplitude(compiled(tmp_path, source, *flags))


def test_files_that_are_no_libraries(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        UmamiAmplitude(tmp_path / "missing.so")
    (tmp_path / "text.so").write_text("no library")
    with pytest.raises(InputError, match="can't be loaded"):
        UmamiAmplitude(tmp_path / "text.so")


@native
@pytest.mark.parametrize(
    "name", ["e+ e- > b b~", "u d~ > e+ ve g g g", "g u > e+ e- d d~ u", "u u~ > e+ e- u u~"]
)
def test_our_amplitudes_survive_the_export(name, tmp_path):
    process = Process(name, {"mz": 91.5, "alpha_s": 0.11})
    export_umami(process, tmp_path / "own.so")
    amplitude = UmamiAmplitude(tmp_path / "own.so")
    momenta = scattering(process.n_final, 300.0, 300, seed=3)
    assert amplitude.particles == 2 + process.n_final
    np.testing.assert_allclose(
        amplitude.squared_amplitude(momenta), process.squared_amplitude(momenta), rtol=1e-14
    )
    couplings = np.linspace(0.1, 0.2, 300)
    (element,) = process.elements
    np.testing.assert_allclose(
        amplitude.squared_amplitude(momenta, couplings), element.squared(momenta, couplings), rtol=1e-14
    )


HOST = """
import ctypes, json, sys
library = ctypes.CDLL(sys.argv[1])
handle, events = ctypes.c_void_p(), 3000
meta = ctypes.c_int()
assert library.umami_get_meta(4, ctypes.byref(meta)) == 0
assert library.umami_initialize(ctypes.byref(handle), None) == 0
momenta = json.load(open(sys.argv[2]))
p = (ctypes.c_double * (7 * 4 * 2 * events))()
for component in range(4):
    for particle in range(7):
        for e in range(events):  # the second half of an array of twice the events
            p[(component * 7 + particle) * 2 * events + events + e] = momenta[particle][component]
random = (ctypes.c_double * (2 * events))(*[((i * 0.6180339887498949) % 1) for i in range(2 * events)])
square, colour = (ctypes.c_double * (2 * events))(), (ctypes.c_int * (2 * events))()
ints, pointers, size = ctypes.c_int * 2, ctypes.c_void_p * 2, ctypes.c_size_t
inputs = ints(0, 3), pointers(ctypes.addressof(p), ctypes.addressof(random))
outputs = ints(0, 2), pointers(ctypes.addressof(square), ctypes.addressof(colour))
arguments = [handle, size(events), size(2 * events), size(events)]
assert library.umami_matrix_element(*arguments, size(2), *inputs, size(2), *outputs) == 0
assert library.umami_matrix_element(*arguments, size(1), *inputs, size(2), *outputs) == 6
assert library.umami_matrix_element(*arguments, size(1), ints(6, 0), inputs[1], size(1), *outputs) == 3
assert library.umami_matrix_element(*arguments, size(2), *inputs, size(1), ints(1, 0), outputs[1]) == 4
assert not any(square[:events]) and not any(colour[:events])
chosen = colour[events:]
counts = [chosen.count(i) for i in range(meta.value)]
print(json.dumps([square[events], square[-1], meta.value, counts]))
"""


@native
def test_exported_library_in_a_program_without_lhcflow(tmp_path):
    """Strides and offsets, colours in proportion to their squares, and the codes of errors."""
    process = Process("u d~ > e+ ve g g g")
    momenta = scattering(5, 300.0, 1, seed=4)
    export_umami(process, tmp_path / "own.so")
    (tmp_path / "momenta.json").write_text(json.dumps(momenta[0].tolist()))
    command = [sys.executable, "-I", "-S", "-c", HOST, tmp_path / "own.so", tmp_path / "momenta.json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    first, last, colours, counts = json.loads(done.stdout)
    assert first == last == pytest.approx(process.squared_amplitude(momenta)[0], rel=1e-14)
    weights = process.elements[0].flow_weights(momenta)[0]
    assert colours == len(weights) == 6
    # evenly spread numbers: counts deviate by a few only
    np.testing.assert_allclose(counts, 3000 * weights / weights.sum(), atol=4)


@native
def test_what_can_not_be_exported(tmp_path):
    with pytest.raises(InputError, match="sum of subprocesses"):
        export_umami("e+ e- > j j", tmp_path / "own.so")
    with pytest.raises(InputError, match="does not exist"):
        export_umami("e+ e- > b b~", tmp_path / "missing" / "own.so")


def test_no_export_without_kernels(tmp_path, monkeypatch):
    monkeypatch.setattr(_native, "core", None)
    with pytest.raises(InputError, match="needs the native kernels"):
        export_umami("e+ e- > b b~", tmp_path / "own.so")
    assert not (tmp_path / "own.so").exists()


def test_python_function_in_the_place_of_an_amplitude():
    """A textbook formula as provider of u d~ > e+ ve gives what the built-in amplitude gives."""
    group = partonic_channels("u d~ > e+ ve")[0]
    p = group.matrix_element.parameters

    def textbook(momenta, alpha_s):  # e^4 t^2 / (12 sw^4 |s - mW^2|^2)
        s = 2 * metric(momenta[:, 0], momenta[:, 1])
        t = 2 * metric(momenta[:, 0], momenta[:, 2])
        propagator = (s - p.mw**2) ** 2 + (p.mw * p.ww) ** 2
        return (4 * np.pi * p.alpha) ** 2 * t**2 / (12 * p.sin2thetaw**2 * propagator)

    momenta = scattering(2, 100.0, 20, seed=5)
    other = group.with_provider(CallableAmplitude(textbook, 4))
    np.testing.assert_allclose(
        other.squared_amplitude(momenta, 0.118), group.squared_amplitude(momenta, 0.118), rtol=1e-12
    )
    assert other.with_provider(None) == group


def test_python_functions_that_are_refused():
    momenta = scattering(2, 100.0, 3, seed=6)
    with pytest.raises(InputError, match="must be callable"):
        CallableAmplitude(3.0, 4)
    with pytest.raises(InputError, match=r"shape \(n, 5, 4\)"):
        CallableAmplitude(lambda p, a: a, 5).squared_amplitude(momenta, 0.1)
    for wrong in (lambda p, a: a[:1], lambda p, a: 1j * a, lambda p, a: None):
        with pytest.raises(InputError, match="must return 3 real numbers"):
            CallableAmplitude(wrong, 4).squared_amplitude(momenta, 0.1)
