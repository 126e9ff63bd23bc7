#include "coupling.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "buffer.hpp"
#include "registry.hpp"
#include "threads.hpp"

namespace nb = nanobind;

namespace lhcflow {
namespace {

template <class T> using In = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T> using InRow = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T> using OutRow = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
// Addresses of contiguous arrays, which the caller keeps alive: converting a hundred arrays one by one would
// cost more than a small batch.
using Addresses = std::vector<std::uintptr_t>;

template <class T> const CouplingKernels& kernels() {
  const CouplingTables& tables = LHCFLOW_PICK(coupling_tables);
  return sizeof(T) == 4 ? tables.f32 : tables.f64;
}

// A stack of layers without its weights.
class CouplingStack {
 public:
  CouplingStack(int dim, int context) : dim_(dim), context_(context) {}

  void add(std::vector<int> passed, std::vector<int> transformed, std::vector<int> sizes,
           const SplineSettings& spline, double scale, double offset, double negative_slope) {
    for (const auto& list : {passed, transformed})
      for (int i : list)
        if (i < 0 || i >= dim_) throw std::invalid_argument("coupling: no such dimension");
    if (sizes.size() < 2 || sizes.front() != int(passed.size()) + context_ ||
        sizes.back() != int(transformed.size()) * spline.count())
      throw std::invalid_argument("coupling: sizes of the conditioner do not fit");
    parts_.push_back({std::move(passed), std::move(transformed), std::move(sizes), spline, scale, offset,
                      negative_slope});
    parameters_ += 2 * (int(parts_.back().sizes.size()) - 1);
  }

  template <class T>
  void apply(bool inverse, const Addresses& parameters, In<T> x, In<T> conditions, Out<T> y, OutRow<T> log_det,
             int threads) const {
    const std::ptrdiff_t n = rows(x, conditions);
    if (rows(y) != n || std::ptrdiff_t(log_det.size()) != n) throw std::invalid_argument("coupling: shapes do not fit");
    View view(*this, inverse, parameters);
    view.task.x = x.data();
    view.task.conditions = conditions.data();
    view.task.y = y.data();
    view.task.log_det = log_det.data();
    const CouplingKernels& k = kernels<T>();
    nb::gil_scoped_release released;
    const std::ptrdiff_t chunk = 192, chunks = (n + chunk - 1) / chunk;
    std::vector<AlignedBytes> work(workers(threads, chunks));
    for (auto& w : work) w = aligned_bytes(k.workspace(view.task, false));
    parallel_for(chunks, int(work.size()), [&](std::ptrdiff_t i, int thread) {
      k.apply(view.task, i * chunk, n < (i + 1) * chunk ? n : (i + 1) * chunk, work[thread].get());
    });
  }

  // Gradients are added up over chunks of fixed size, in order, whatever the number of threads.
  template <class T>
  void gradient(bool inverse, const Addresses& parameters, In<T> x, In<T> conditions, In<T> grad_y,
                InRow<T> grad_log_det, Out<T> grad_x, Out<T> grad_conditions, const Addresses& gradients,
                int threads) const {
    const std::ptrdiff_t n = rows(x, conditions);
    if (rows(grad_y) != n || std::ptrdiff_t(grad_log_det.size()) != n || rows(grad_x, grad_conditions) != n ||
        gradients.size() != parameters.size())
      throw std::invalid_argument("coupling: shapes do not fit");
    View view(*this, inverse, parameters);
    view.task.x = x.data();
    view.task.conditions = conditions.data();
    view.task.grad_y = grad_y.data();
    view.task.grad_log_det = grad_log_det.data();
    view.task.grad_x = grad_x.data();
    view.task.grad_conditions = grad_conditions.data();
    std::vector<void*> targets;
    for (auto address : gradients) targets.push_back(reinterpret_cast<void*>(address));
    const CouplingKernels& k = kernels<T>();
    nb::gil_scoped_release released;
    const std::ptrdiff_t chunk = 960, chunks = (n + chunk - 1) / chunk;
    const int count = workers(threads, chunks);
    const std::size_t bytes = k.sums(view.task) * sizeof(T);
    std::vector<AlignedBytes> work(count), sums(count);
    for (auto& w : work) w = aligned_bytes(k.workspace(view.task, true));
    for (auto& s : sums) s = aligned_bytes(bytes);
    for (std::ptrdiff_t first = 0; first < chunks; first += count) {
      const std::ptrdiff_t wave = chunks - first < count ? chunks - first : count;
      parallel_for(wave, int(wave), [&](std::ptrdiff_t i, int) {
        const std::ptrdiff_t begin = (first + i) * chunk;
        std::memset(sums[i].get(), 0, bytes);
        k.gradient(view.task, begin, n < begin + chunk ? n : begin + chunk, work[i].get(), sums[i].get());
      });
      for (std::ptrdiff_t i = 0; i < wave; ++i) k.collect(view.task, sums[i].get(), targets.data());
    }
  }

 private:
  struct Part {
    std::vector<int> passed, transformed, sizes;
    SplineSettings spline;
    double scale, offset, negative_slope;
  };

  // The stack together with its weights, as the kernels read it.
  struct View {
    CouplingTask task{};
    std::vector<CouplingLayer> layers;
    std::vector<const void*> pointers;

    View(const CouplingStack& stack, bool inverse, const Addresses& parameters) {
      if (int(parameters.size()) != stack.parameters_)
        throw std::invalid_argument("coupling: wrong number of parameters");
      for (auto address : parameters) pointers.push_back(reinterpret_cast<const void*>(address));
      const void* const* next = pointers.data();
      for (const Part& p : stack.parts_) {
        const int linears = int(p.sizes.size()) - 1;
        layers.push_back({int(p.passed.size()), int(p.transformed.size()), p.passed.data(), p.transformed.data(),
                          linears, p.sizes.data(), p.spline, p.scale, p.offset, p.negative_slope, next});
        next += 2 * linears;
      }
      task.layers = layers.data();
      task.count = int(layers.size());
      task.dim = stack.dim_;
      task.context = stack.context_;
      task.inverse = inverse;
    }
  };

  template <class A> std::ptrdiff_t rows(const A& x) const {
    if (int(x.shape(1)) != dim_) throw std::invalid_argument("coupling: wrong number of dimensions");
    return std::ptrdiff_t(x.shape(0));
  }
  template <class A> std::ptrdiff_t rows(const A& x, const A& conditions) const {
    if (int(conditions.shape(1)) != context_ || conditions.shape(0) != x.shape(0))
      throw std::invalid_argument("coupling: wrong context");
    return rows(x);
  }
  static int workers(int threads, std::ptrdiff_t chunks) {
    return threads < 1 || chunks < 1 ? 1 : threads < chunks ? threads : int(chunks);
  }

  int dim_, context_, parameters_ = 0;
  std::vector<Part> parts_;
};

const Register coupling_functions([](nb::module_& m) {
  nb::set_leak_warnings(false);  // Python caches plans and settings until it exits
  nb::class_<CouplingStack>(m, "CouplingStack", "Spline coupling layers that run in one call.")
      .def(nb::init<int, int>(), nb::arg("dim"), nb::arg("context"))
      .def("add", &CouplingStack::add, nb::arg("passed"), nb::arg("transformed"), nb::arg("sizes"),
           nb::arg("spline"), nb::arg("scale"), nb::arg("offset"), nb::arg("negative_slope"),
           "Add a layer, in data-to-latent order.")
      .def("apply", &CouplingStack::apply<float>)
      .def("apply", &CouplingStack::apply<double>)
      .def("gradient", &CouplingStack::gradient<float>)
      .def("gradient", &CouplingStack::gradient<double>);
});

}  // namespace
}  // namespace lhcflow
