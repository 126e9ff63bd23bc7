// Python side of maf.hpp: MafPlan packs the weights once and solves batches.
#include "maf.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "registry.hpp"
#include "threads.hpp"

namespace nb = nanobind;

namespace lhcflow {
namespace {

template <class T>
using Matrix = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using Row = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Aligned numbers.
template <class T>
struct Buffer {
  AlignedBytes bytes;
  Buffer() = default;
  explicit Buffer(std::ptrdiff_t count) : bytes(aligned_bytes(std::size_t(count) * sizeof(T))) {}
  T* get() const { return reinterpret_cast<T*>(bytes.get()); }
};

MafElement element_of(const std::string& name) {
  if (name == "spline") return MafElement::spline;
  if (name == "softplus") return MafElement::affine_softplus;
  if (name == "sigmoid") return MafElement::affine_sigmoid;
  throw std::invalid_argument("unknown element " + name);
}

MafActivation activation_of(const std::string& name) {
  if (name == "relu") return MafActivation::relu;
  if (name == "leaky_relu") return MafActivation::leaky_relu;
  if (name == "silu") return MafActivation::silu;
  if (name == "elu") return MafActivation::elu;
  if (name == "tanh") return MafActivation::tanh;
  throw std::invalid_argument("unknown activation " + name);
}

template <class T>
const MafKernels<T>& kernels() {
  const MafTables& tables = LHCFLOW_PICK(maf_tables);
  if constexpr (sizeof(T) == 4)
    return tables.f32;
  else
    return tables.f64;
}

template <class T>
class MafPlan {
 public:
  // Weights and biases with units sorted by degree and inputs and outputs in autoregressive order;
  // upto[l][d] is the number of units of layer l with degree <= d.
  MafPlan(Row<int> order, const std::vector<Matrix<T>>& weights, const std::vector<Row<T>>& biases,
          const std::vector<Row<int>>& upto, const std::vector<int>& context, Matrix<T> last_weight, Row<T> last_bias,
          bool residual, const std::string& activation, const std::string& element, int bins, bool tails, double low,
          double high, double min_bin, double minimum, double shift) {
    const int dim = int(order.shape(0)), layers = int(weights.size());
    if (dim < 1 || layers < 1 || biases.size() != weights.size() || upto.size() != weights.size() ||
        context.size() != weights.size() || last_weight.shape(0) != last_bias.shape(0) ||
        last_weight.shape(0) % dim != 0)
      throw std::invalid_argument("MafPlan: layers do not fit together");
    program_.dim = dim;
    program_.layers = layers;
    program_.outputs = int(last_weight.shape(0)) / dim;
    const int unit = 32 / int(sizeof(T));
    program_.padded = (program_.outputs + unit - 1) / unit * unit;
    program_.residual = residual;
    program_.activation = activation_of(activation);
    program_.element = element_of(element);
    program_.spline = {bins, tails ? Tails::linear : Tails::none, low, high, min_bin, minimum, shift};
    program_.minimum = T(minimum);
    program_.shift = T(shift);
    order_.assign(order.data(), order.data() + dim);
    const int expected = program_.element == MafElement::spline ? program_.spline.count() : 2;
    if (program_.outputs != expected) throw std::invalid_argument("MafPlan: wrong number of outputs");

    const int* before = nullptr;
    int inputs = dim;
    for (int l = 0; l < layers; ++l) {
      const int units = int(weights[l].shape(0));
      if (int(weights[l].shape(1)) != inputs || int(biases[l].shape(0)) != units || int(upto[l].shape(0)) != dim)
        throw std::invalid_argument("MafPlan: a layer has the wrong shape");
      columns_ = context[l] >= 0 && context[l] + units > columns_ ? context[l] + units : columns_;
      upto_.emplace_back(upto[l].data(), upto[l].data() + dim);
      biases_.emplace_back(biases[l].data(), biases[l].data() + units);
      auto& offset = offsets_.emplace_back(dim);
      std::ptrdiff_t size = 0;
      const auto seen = [&](int d) { return before ? before[d] : d; };
      const auto begin = [&](int d) { return d ? upto_[l][d - 1] : 0; };
      for (int d = 0; d < dim; ++d) {
        offset[d] = size;
        size += std::ptrdiff_t(upto_[l][d] - begin(d)) * seen(d);
      }
      auto& packed = weights_.emplace_back(size);
      T* out = packed.get();
      for (int d = 0; d < dim; ++d)
        for (int j = begin(d); j < upto_[l][d]; ++j)
          for (int k = 0; k < seen(d); ++k) *out++ = weights[l].data()[std::ptrdiff_t(j) * inputs + k];
      layers_.push_back({units, upto_[l].data(), offset.data(), packed.get(), biases_[l].data(), context[l]});
      before = upto_[l].data();
      inputs = units;
    }
    if (int(last_weight.shape(1)) != inputs) throw std::invalid_argument("MafPlan: wrong shape of the last layer");

    const int outputs = program_.outputs, padded = program_.padded;
    offset_.resize(dim);
    std::ptrdiff_t size = 0;
    for (int i = 0; i < dim; ++i) {
      offset_[i] = size;
      size += std::ptrdiff_t(before[i]) * padded;
    }
    weight_ = Buffer<T>(size);
    bias_ = Buffer<T>(std::ptrdiff_t(dim) * padded);
    for (int i = 0; i < dim; ++i)
      for (int p = 0; p < padded; ++p) {
        bias_.get()[std::ptrdiff_t(i) * padded + p] = p < outputs ? last_bias.data()[i * outputs + p] : T(0);
        const T* row = last_weight.data() + std::ptrdiff_t(i * outputs + p) * inputs;
        for (int k = 0; k < before[i]; ++k)
          weight_.get()[offset_[i] + std::ptrdiff_t(k) * padded + p] = p < outputs ? row[k] : T(0);
      }
    program_.layer = layers_.data();
    program_.order = order_.data();
    program_.offset = offset_.data();
    program_.weight = weight_.get();
    program_.bias = bias_.get();
  }

  void solve(Matrix<T> y, std::optional<Matrix<T>> context,
             nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu> x,
             nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu> log_det, bool inverse, int threads) const {
    const std::ptrdiff_t n = std::ptrdiff_t(y.shape(0)), dim = program_.dim;
    if (std::ptrdiff_t(y.shape(1)) != dim || x.shape(0) != y.shape(0) || x.shape(1) != y.shape(1) ||
        std::ptrdiff_t(log_det.shape(0)) != n)
      throw std::invalid_argument("MafPlan.solve: arrays do not fit together");
    if (columns_ > 0 && (!context || std::ptrdiff_t(context->shape(0)) != n || int(context->shape(1)) != columns_))
      throw std::invalid_argument("MafPlan.solve: the context has the wrong shape");
    if (n == 0) return;
    const T *in = y.data(), *given = context ? context->data() : nullptr;
    T *out = x.data(), *sums = log_det.data();
    const MafKernels<T>& kernel = kernels<T>();
    nb::gil_scoped_release release;
    if (n == 1) {
      const AlignedBytes work = aligned_bytes(kernel.workspace(program_, kernel.group));
      kernel.single(program_, in, given, out, sums, inverse, work.get());
      return;
    }
    // Tiles as wide as the caches like, of one size, and at least one per thread. The widths do not
    // change the results.
    const std::ptrdiff_t widest = 256 / sizeof(T), group = kernel.group;
    const auto parts = [](std::ptrdiff_t a, std::ptrdiff_t b) { return (a + b - 1) / b; };
    const std::ptrdiff_t wanted = std::max(parts(n, widest), std::min<std::ptrdiff_t>(threads, parts(n, group)));
    const std::ptrdiff_t lanes = parts(parts(n, wanted), group) * group, tiles = parts(n, lanes);
    const std::size_t bytes = (kernel.workspace(program_, int(lanes)) + 63) / 64 * 64;
    const int workers = int(std::min<std::ptrdiff_t>(std::max(threads, 1), tiles));
    const AlignedBytes work = aligned_bytes(bytes * std::size_t(workers));
    parallel_for(tiles, workers, [&](std::ptrdiff_t t, int worker) {
      const std::ptrdiff_t first = t * lanes, rows = std::min(lanes, n - first);
      kernel.tile(program_, in + first * dim, given ? given + first * columns_ : nullptr, columns_, out + first * dim,
                  sums + first, int(rows), int(lanes), inverse, work.get() + bytes * std::size_t(worker));
    });
  }

 private:
  MafProgram<T> program_{};
  int columns_ = 0;
  std::vector<int> order_;
  std::vector<std::vector<int>> upto_;
  std::vector<std::vector<T>> biases_;
  std::vector<std::vector<std::ptrdiff_t>> offsets_;
  std::vector<Buffer<T>> weights_;
  std::vector<MafLayer<T>> layers_;
  std::vector<std::ptrdiff_t> offset_;
  Buffer<T> weight_, bias_;
};

template <class T>
void declare(nb::module_& m, const char* name) {
  nb::class_<MafPlan<T>>(m, name, "Packed weights of a MADE for its sequential direction; see flows/incremental.py.")
      .def(nb::init<Row<int>, const std::vector<Matrix<T>>&, const std::vector<Row<T>>&, const std::vector<Row<int>>&,
                    const std::vector<int>&, Matrix<T>, Row<T>, bool, const std::string&, const std::string&, int, bool,
                    double, double, double, double, double>(),
           nb::arg("order"), nb::arg("weights"), nb::arg("biases"), nb::arg("upto"), nb::arg("context"),
           nb::arg("last_weight"), nb::arg("last_bias"), nb::arg("residual"), nb::arg("activation"),
           nb::arg("element"), nb::arg("bins"), nb::arg("tails"), nb::arg("low"), nb::arg("high"),
           nb::arg("min_bin"), nb::arg("minimum"), nb::arg("shift"))
      .def("solve", &MafPlan<T>::solve, nb::arg("y"), nb::arg("context").none(), nb::arg("x"), nb::arg("log_det"),
           nb::arg("inverse"), nb::arg("threads"));
}

const Register registration([](nb::module_& m) {
  declare<float>(m, "MafPlanF32");
  declare<double>(m, "MafPlanF64");
});

}  // namespace
}  // namespace lhcflow
