// Python side of amplitudes.hpp.
#include "amplitudes.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "registry.hpp"
#include "threads.hpp"

namespace nb = nanobind;

namespace lhcflow {
namespace {

template <class T, int N> using In = nb::ndarray<const T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <int N> using Out = nb::ndarray<double, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

constexpr std::ptrdiff_t chunk = 512;  // events that one thread takes at a time

void require(bool good) {
  if (!good) throw std::invalid_argument("amplitude_squares: arrays do not fit together");
}

// legs: starts, ends, gluons, start and end of the lepton line.
AmplitudeTable table_of(int lines, const In<std::int64_t, 1>& legs, const In<double, 4>& photon,
                        const In<double, 4>& heavy, double mass, double width, double normalisation,
                        const In<double, 2>& colour) {
  AmplitudeTable t{};
  t.lines = lines;
  t.particles = int(legs.shape(0));
  t.gluons = t.particles - 2 * lines - 2;
  t.flows = int(colour.shape(0));
  static constexpr int flows_1[] = {1, 1, 2, 6}, flows_2[] = {2, 4};
  require((lines == 1 && t.gluons >= 0 && t.gluons <= 3) || (lines == 2 && (t.gluons == 0 || t.gluons == 1)));
  require(t.flows == (lines == 1 ? flows_1 : flows_2)[t.gluons] && colour.shape(1) == colour.shape(0));
  for (int i = 0; i < t.particles; ++i) require(legs.data()[i] >= 0 && legs.data()[i] < t.particles);
  const std::int64_t* leg = legs.data();
  for (int i = 0; i < lines; ++i) t.start[i] = int(*leg++);
  for (int i = 0; i < lines; ++i) t.end[i] = int(*leg++);
  for (int i = 0; i < t.gluons; ++i) t.gluon[i] = int(*leg++);
  t.lepton_start = int(leg[0]);
  t.lepton_end = int(leg[1]);
  require(photon.shape(0) == std::size_t(lines) && photon.shape(1) == std::size_t(lines) && photon.shape(2) == 2 &&
          photon.shape(3) == 2);
  for (int i = 0; i < 4; ++i) require(heavy.shape(i) == photon.shape(i));
  for (int pairing = 0; pairing < lines; ++pairing)
    for (int line = 0; line < lines; ++line) {
      const int from = (pairing * lines + line) * 4;
      std::memcpy(t.photon[pairing][line], photon.data() + from, 4 * sizeof(double));
      std::memcpy(t.heavy[pairing][line], heavy.data() + from, 4 * sizeof(double));
    }
  for (int i = 0; i < t.flows; ++i) std::memcpy(t.colour[i], colour.data() + i * t.flows, t.flows * sizeof(double));
  t.mass = mass;
  t.width = width;
  t.normalisation = normalisation;
  return t;
}

void squares(int lines, In<std::int64_t, 1> legs, In<double, 4> photon, In<double, 4> heavy, double mass, double width,
             double normalisation, In<double, 2> colour, In<double, 3> momenta, std::optional<In<double, 3>> angles,
             Out<1> out, std::optional<Out<2>> flows, int threads) {
  const AmplitudeTable t = table_of(lines, legs, photon, heavy, mass, width, normalisation, colour);
  const std::ptrdiff_t n = std::ptrdiff_t(momenta.shape(0));
  require(momenta.shape(1) == std::size_t(t.particles) && momenta.shape(2) == 4 && std::ptrdiff_t(out.shape(0)) == n);
  if (angles) {
    require(std::ptrdiff_t(angles->shape(0)) == n && angles->shape(1) == std::size_t(t.gluons));
    require(angles->shape(2) == 2);
  }
  if (flows) require(std::ptrdiff_t(flows->shape(0)) == n && flows->shape(1) == std::size_t(t.flows));
  const double* angle = angles ? angles->data() : nullptr;
  double* flow = flows ? flows->data() : nullptr;
  const double* p = momenta.data();
  double* result = out.data();
  nb::gil_scoped_release release;
  parallel_for((n + chunk - 1) / chunk, threads, [&](std::ptrdiff_t i, int) {
    const std::ptrdiff_t first = i * chunk;
    LHCFLOW_PICK(amplitude_kernels)
        .squares(t, p + first * t.particles * 4, angle ? angle + first * t.gluons * 2 : nullptr,
                 std::min(chunk, n - first), result + first, flow ? flow + first * t.flows : nullptr);
  });
}

const Register registration([](nb::module_& m) {
  m.def("amplitude_squares", &squares, nb::arg("lines"), nb::arg("legs"), nb::arg("photon"), nb::arg("heavy"),
        nb::arg("mass"), nb::arg("width"), nb::arg("normalisation"), nb::arg("colour"), nb::arg("momenta"),
        nb::arg("angles").none(), nb::arg("out"), nb::arg("flows").none(), nb::arg("threads"),
        "Squared amplitudes; see processes/amplitude_kernels.py.");
});

}  // namespace
}  // namespace lhcflow
