// Python side of pdf.hpp.
#include "pdf.hpp"

#include <nanobind/ndarray.h>

#include <algorithm>
#include <stdexcept>

#include "registry.hpp"
#include "threads.hpp"

namespace nb = nanobind;

namespace lhcflow {
namespace {

template <int N> using In = nb::ndarray<const double, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <int N> using Out = nb::ndarray<double, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

constexpr std::ptrdiff_t chunk = 2048;  // points that one thread takes at a time

void require(bool good) {
  if (!good) throw std::invalid_argument("pdf_interpolate: arrays do not fit together");
}

PdfAxis axis_of(const In<1>& knots, const In<2>& before, const In<2>& after) {
  const std::size_t n = knots.shape(0);
  require(n >= 2 && before.shape(0) == n && after.shape(0) == n && before.shape(1) == 2 && after.shape(1) == 2);
  return {std::ptrdiff_t(n), knots.data(), before.data(), after.data()};
}

void interpolate(In<1> x_knots, In<2> x_before, In<2> x_after, In<1> q_knots, In<2> q_before, In<2> q_after,
                 In<3> values, In<1> x, In<1> q, Out<2> out, int threads) {
  const PdfAxis x_axis = axis_of(x_knots, x_before, x_after), q_axis = axis_of(q_knots, q_before, q_after);
  const std::ptrdiff_t n = std::ptrdiff_t(x.shape(0));
  require(values.shape(0) == q_knots.shape(0) && values.shape(1) == x_knots.shape(0) &&
          values.shape(2) == pdf_padded && q.shape(0) == x.shape(0) && out.shape(0) == x.shape(0) &&
          out.shape(1) == pdf_columns);
  nb::gil_scoped_release release;
  parallel_for((n + chunk - 1) / chunk, threads, [&](std::ptrdiff_t i, int) {
    const std::ptrdiff_t first = i * chunk;
    LHCFLOW_PICK(pdf_kernels)
        .interpolate(x_axis, q_axis, values.data(), x.data() + first, q.data() + first, std::min(chunk, n - first),
                     out.data() + first * pdf_columns);
  });
}

const Register registration([](nb::module_& m) {
  m.def("pdf_interpolate", &interpolate, nb::arg("x_knots"), nb::arg("x_before"), nb::arg("x_after"),
        nb::arg("q_knots"), nb::arg("q_before"), nb::arg("q_after"), nb::arg("values"), nb::arg("x"), nb::arg("q"),
        nb::arg("out"), nb::arg("threads"), "Parton densities at points (x, q); see processes/pdf_kernels.py.");
});

}  // namespace
}  // namespace lhcflow
