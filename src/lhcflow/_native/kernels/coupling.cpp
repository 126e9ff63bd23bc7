#include "coupling.hpp"

#include "coupling_tile.hpp"

namespace lhcflow::LHCFLOW_ISA {
namespace {

// Hands out pieces of one block of memory, each aligned to a cache line.
template <class T> class Arena {
 public:
  explicit Arena(void* memory) : memory_(static_cast<T*>(memory)) {}
  T* take(std::ptrdiff_t elements) {
    T* const piece = memory_ + used_;
    constexpr std::ptrdiff_t line = 64 / sizeof(T);
    used_ += (elements + line - 1) / line * line;
    return piece;
  }
  std::size_t bytes() const { return sizeof(T) * used_; }

 private:
  T* memory_;
  std::ptrdiff_t used_ = 0;
};

constexpr int larger(int a, int b) { return a > b ? a : b; }

// The scratch of one call. For gradients every layer keeps its input, activations and raw parameters.
template <class T> struct Scratch {
  int activations = 0, raw = 0, widest = 0, bins = 0;
  T *x, *conditions, *log_det, *kept, *raw_block, *spline;
  T *inputs = nullptr, *grad = nullptr, *grad_log_det = nullptr, *grad_conditions = nullptr;
  T *a = nullptr, *b = nullptr, *turned = nullptr;

  Scratch(const CouplingTask& task, bool gradient, Arena<T>& arena) {
    for (int i = 0; i < task.count; ++i) {
      const CouplingLayer& layer = task.layers[i];
      const int rows = activation_rows(layer), outputs = layer.sizes[layer.linears];
      activations = gradient ? activations + rows : larger(activations, rows);
      raw = gradient ? raw + outputs : larger(raw, layer.spline.count());
      for (int l = 0; l < layer.linears; ++l) widest = larger(widest, layer.sizes[l]);
      bins = larger(bins, layer.spline.bins);
    }
    const auto rows = [&](int n) { return arena.take(std::ptrdiff_t(n) * tile_size); };
    x = rows(task.dim);
    conditions = rows(task.context);
    log_det = rows(1);
    kept = rows(activations);
    raw_block = rows(raw);
    spline = arena.take(2 * bins * lanes<T>);
    if (!gradient) return;
    inputs = rows(task.count * task.dim);
    grad = rows(task.dim);
    grad_log_det = rows(1);
    grad_conditions = rows(task.context);
    a = rows(widest);
    b = rows(widest);
    turned = arena.take(std::ptrdiff_t(padded<T>(widest)) * tile_size);
  }
};

// Rows of samples to rows of features; samples beyond `count` repeat the last one, or are zero.
template <class T> void gather(const void* from, int features, std::ptrdiff_t begin, int count, T* to, bool repeat) {
  const T* rows = static_cast<const T*>(from) + begin * features;
  for (int j = 0; j < tile_size; ++j)
    for (int f = 0; f < features; ++f) {
      const int row = j < count ? j : count - 1;
      to[f * tile_size + j] = j < count || repeat ? rows[std::ptrdiff_t(row) * features + f] : T(0);
    }
}

template <class T> void scatter(const T* from, int features, std::ptrdiff_t begin, int count, void* to) {
  T* rows = static_cast<T*>(to) + begin * features;
  for (int j = 0; j < count; ++j)
    for (int f = 0; f < features; ++f) rows[std::ptrdiff_t(j) * features + f] = from[f * tile_size + j];
}

template <class T> std::size_t workspace(const CouplingTask& task, bool gradient) {
  Arena<T> arena(nullptr);
  Scratch<T> scratch(task, gradient, arena);
  return arena.bytes();
}

template <class T> std::size_t sums(const CouplingTask& task) {
  std::ptrdiff_t size = 0;
  for (int i = 0; i < task.count; ++i) size += sum_size<T>(task.layers[i]);
  return std::size_t(size);
}

template <class T, bool inverse>
void apply_rows(const CouplingTask& task, std::ptrdiff_t begin, std::ptrdiff_t end, void* work) {
  Arena<T> arena(work);
  Scratch<T> s(task, false, arena);
  for (; begin < end; begin += tile_size) {
    const int count = end - begin < tile_size ? int(end - begin) : tile_size, width = padded<T>(count);
    gather<T>(task.x, task.dim, begin, count, s.x, true);
    gather<T>(task.conditions, task.context, begin, count, s.conditions, true);
    for (int j = 0; j < tile_size; ++j) s.log_det[j] = 0;
    for (int i = 0; i < task.count; ++i) {
      const CouplingLayer& layer = task.layers[inverse ? task.count - 1 - i : i];
      CouplingTile<T>(layer, width, s.spline)
          .template apply<inverse>(s.x, s.conditions, task.context, s.log_det, s.kept, s.raw_block, false);
    }
    scatter<T>(s.x, task.dim, begin, count, task.y);
    scatter<T>(s.log_det, 1, begin, count, task.log_det);
  }
}

template <class T, bool inverse>
void gradient_rows(const CouplingTask& task, std::ptrdiff_t begin, std::ptrdiff_t end, void* work, T* all_sums) {
  Arena<T> arena(work);
  Scratch<T> s(task, true, arena);
  for (; begin < end; begin += tile_size) {
    const int count = end - begin < tile_size ? int(end - begin) : tile_size, width = padded<T>(count);
    gather<T>(task.x, task.dim, begin, count, s.x, true);
    gather<T>(task.conditions, task.context, begin, count, s.conditions, true);
    gather<T>(task.grad_y, task.dim, begin, count, s.grad, false);
    gather<T>(task.grad_log_det, 1, begin, count, s.grad_log_det, false);
    for (int j = 0; j < task.context * tile_size; ++j) s.grad_conditions[j] = 0;

    T *kept = s.kept, *raw = s.raw_block, *input = s.inputs;
    for (int i = 0; i < task.count; ++i) {
      const CouplingLayer& layer = task.layers[inverse ? task.count - 1 - i : i];
      std::memcpy(input, s.x, sizeof(T) * task.dim * tile_size);
      CouplingTile<T>(layer, width, s.spline)
          .template apply<inverse>(s.x, s.conditions, task.context, s.log_det, kept, raw, true);
      kept += activation_rows(layer) * tile_size;
      raw += layer.sizes[layer.linears] * tile_size;
      input += task.dim * tile_size;
    }
    T* layer_sums = inverse ? all_sums : all_sums + sums<T>(task);
    for (int i = task.count - 1; i >= 0; --i) {
      const CouplingLayer& layer = task.layers[inverse ? task.count - 1 - i : i];
      kept -= activation_rows(layer) * tile_size;
      raw -= layer.sizes[layer.linears] * tile_size;
      input -= task.dim * tile_size;
      if (!inverse) layer_sums -= sum_size<T>(layer);
      CouplingTile<T>(layer, width, s.spline)
          .template backward<inverse>(input, kept, raw, s.grad, s.grad_log_det, s.grad_conditions, task.context,
                                      layer_sums, s.a, s.b, s.turned);
      if (inverse) layer_sums += sum_size<T>(layer);
    }
    scatter<T>(s.grad, task.dim, begin, count, task.grad_x);
    scatter<T>(s.grad_conditions, task.context, begin, count, task.grad_conditions);
  }
}

template <class T> void apply(const CouplingTask& task, std::ptrdiff_t begin, std::ptrdiff_t end, void* work) {
  task.inverse ? apply_rows<T, true>(task, begin, end, work) : apply_rows<T, false>(task, begin, end, work);
}

template <class T>
void gradient(const CouplingTask& task, std::ptrdiff_t begin, std::ptrdiff_t end, void* work, void* sums) {
  task.inverse ? gradient_rows<T, true>(task, begin, end, work, static_cast<T*>(sums))
               : gradient_rows<T, false>(task, begin, end, work, static_cast<T*>(sums));
}

template <class T> void collect(const CouplingTask& task, const void* sums, void* const* gradients) {
  const T* from = static_cast<const T*>(sums);
  for (int i = 0; i < task.count; ++i) {
    const CouplingLayer& layer = task.layers[i];
    for (int l = 0; l < layer.linears; ++l) {
      const int in = layer.sizes[l], out = layer.sizes[l + 1];
      T* weight = static_cast<T*>(*gradients++);
      for (int r = 0; r < out; ++r, from += padded<T>(in), weight += in)
        for (int c = 0; c < in; ++c) weight[c] += from[c];
      T* const bias = static_cast<T*>(*gradients++);
      for (int r = 0; r < out; ++r) bias[r] += from[r];
      from += padded<T>(out);
    }
  }
}

template <class T> constexpr CouplingKernels kernels = {workspace<T>, sums<T>, apply<T>, gradient<T>, collect<T>};

}  // namespace

const CouplingTables coupling_tables = {kernels<float>, kernels<double>};

}  // namespace lhcflow::LHCFLOW_ISA
