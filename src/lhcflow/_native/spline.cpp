#include "spline.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "buffer.hpp"
#include "registry.hpp"
#include "threads.hpp"

namespace nb = nanobind;

namespace lhcflow {
namespace {

template <class T> using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

template <class T> const SplineKernel<T>& kernel() {
  const SplineKernels& kernels = LHCFLOW_PICK(spline_kernels);
  if constexpr (sizeof(T) == 4) return kernels.f32; else return kernels.f64;
}

constexpr std::ptrdiff_t chunk = 1024;  // elements that one thread takes at a time

// Calls f(begin, length, scratch) for each chunk.
template <class F> void over_chunks(std::size_t bytes, std::ptrdiff_t n, int threads, F&& f) {
  nb::gil_scoped_release released;
  const std::ptrdiff_t chunks = (n + chunk - 1) / chunk;
  if (threads > chunks) threads = static_cast<int>(chunks);
  std::vector<AlignedBytes> scratch(threads < 1 ? 1 : threads);
  for (auto& s : scratch) s = aligned_bytes(bytes);
  parallel_for(chunks, threads, [&](std::ptrdiff_t i, int thread) {
    const std::ptrdiff_t begin = i * chunk;
    f(begin, n - begin < chunk ? n - begin : chunk, scratch[thread].get());
  });
}

template <class T> void check(const SplineSettings& s, const In<T>& x, const In<T>& params) {
  if (params.size() != x.size() * std::size_t(s.count())) throw std::invalid_argument("spline: shapes do not fit");
}

template <class T>
void apply(const SplineSettings& s, bool inverse, In<T> x, In<T> params, Out<T> y, Out<T> log_det, int threads) {
  check<T>(s, x, params);
  if (y.size() != x.size() || log_det.size() != x.size()) throw std::invalid_argument("spline: shapes do not fit");
  const int count = s.count();
  over_chunks(kernel<T>().workspace(s), x.size(), threads, [&](std::ptrdiff_t i, std::ptrdiff_t n, void* work) {
    kernel<T>().apply(s, inverse, n, x.data() + i, params.data() + i * count, y.data() + i, log_det.data() + i, work);
  });
}

template <class T>
void gradient(const SplineSettings& s, bool inverse, In<T> x, In<T> params, In<T> grad_y, In<T> grad_log_det,
              Out<T> grad_x, Out<T> grad_params, int threads) {
  check<T>(s, x, params);
  if (grad_y.size() != x.size() || grad_log_det.size() != x.size() || grad_x.size() != x.size() ||
      grad_params.size() != params.size())
    throw std::invalid_argument("spline: shapes do not fit");
  const int count = s.count();
  over_chunks(kernel<T>().workspace(s), x.size(), threads, [&](std::ptrdiff_t i, std::ptrdiff_t n, void* work) {
    kernel<T>().gradient(s, inverse, n, x.data() + i, params.data() + i * count, grad_y.data() + i,
                         grad_log_det.data() + i, grad_x.data() + i, grad_params.data() + i * count, work);
  });
}

const Register spline_functions([](nb::module_& m) {
  nb::class_<SplineSettings>(m, "SplineSettings", "Settings that all splines of one call share.")
      .def("__init__",
           [](SplineSettings* self, int bins, int tails, double low, double high, double min_bin,
              double min_derivative) {
             if (bins < 1 || tails < 0 || tails > 2) throw std::invalid_argument("spline: wrong settings");
             new (self) SplineSettings{bins,    static_cast<Tails>(tails), low, high, min_bin, min_derivative,
                                       std::log(std::expm1(1 - min_derivative))};
           },
           nb::arg("bins"), nb::arg("tails"), nb::arg("low"), nb::arg("high"), nb::arg("min_bin"),
           nb::arg("min_derivative"))
      .def("count", &SplineSettings::count, "Raw parameters per spline.");
  constexpr const char* text = "Splines: x (n), params (n, count) to y (n), log_det (n), which are written.";
  m.def("spline_apply", &apply<float>, text);
  m.def("spline_apply", &apply<double>, text);
  constexpr const char* gradient_text = "Gradients of spline_apply with respect to x and params.";
  m.def("spline_gradient", &gradient<float>, gradient_text);
  m.def("spline_gradient", &gradient<double>, gradient_text);
});

}  // namespace
}  // namespace lhcflow
