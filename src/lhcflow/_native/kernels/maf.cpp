// The kernels of maf.hpp: tiles of samples side by side ("feature-major": one row of `lanes` numbers per
// unit), and one sample alone. A lane's sums run in the same order whatever the tile, so results do not
// depend on how a batch is cut into tiles.
#include "maf.hpp"

#include "spline_simd.hpp"

namespace lhcflow::LHCFLOW_ISA {
namespace {

template <class T>
constexpr int width = lanes<T>;

constexpr int block = 6;    // rows at a time: 6 x 2 sums fill the registers of AVX2
constexpr int chunk = 192;  // inputs at a time: their weights and values stay in the second cache

// out[r] += sum_k weight(r, k) in[k] for R rows and two vectors of lanes. Rows are `stride` apart, or,
// if packed, inputs are. With few rows, `Chains` sums per row hide the latency.
template <class T, int R, int Chains, bool Packed>
static inline void micro(const T* weight, std::ptrdiff_t stride, int inputs, const T* in, std::ptrdiff_t lanes,
                         T* out) {
  Vec<T> a[Chains][R][2];
#pragma GCC unroll 8
  for (int c = 0; c < Chains; ++c)
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      a[c][r][0] = c ? splat<T>(0) : load(out + r * lanes);
      a[c][r][1] = c ? splat<T>(0) : load(out + r * lanes + width<T>);
    }
  int k = 0;
  for (; k + Chains <= inputs; k += Chains) {
#pragma GCC unroll 8
    for (int c = 0; c < Chains; ++c) {
      const Vec<T> v0 = load(in + (k + c) * lanes), v1 = load(in + (k + c) * lanes + width<T>);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const T w = Packed ? weight[(k + c) * stride + r] : weight[r * stride + k + c];
        a[c][r][0] += v0 * w;
        a[c][r][1] += v1 * w;
      }
    }
  }
  for (; k < inputs; ++k) {
    const Vec<T> v0 = load(in + k * lanes), v1 = load(in + k * lanes + width<T>);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const T w = Packed ? weight[k * stride + r] : weight[r * stride + k];
      a[0][r][0] += v0 * w;
      a[0][r][1] += v1 * w;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int c = 1; c < Chains; ++c) {
      a[0][r][0] += a[c][r][0];
      a[0][r][1] += a[c][r][1];
    }
    store(out + r * lanes, a[0][r][0]);
    store(out + r * lanes + width<T>, a[0][r][1]);
  }
}

// out (rows, lanes) += weight (rows, inputs) in (inputs, lanes).
template <class T, bool Packed>
static void product(const T* weight, std::ptrdiff_t stride, int rows, int inputs, const T* in, int lanes, T* out) {
  const int blocks = (rows + block - 1) / block;
  for (int k = 0; k < inputs; k += chunk) {
    const int count = inputs - k < chunk ? inputs - k : chunk;
    for (int b = 0; b < blocks; ++b) {
      const int first = b * rows / blocks, size = (b + 1) * rows / blocks - first;
      const T* w = Packed ? weight + k * stride + first : weight + first * stride + k;
      for (int g = 0; g < lanes; g += 2 * width<T>) {
        const T* v = in + std::ptrdiff_t(k) * lanes + g;
        T* o = out + std::ptrdiff_t(first) * lanes + g;
        switch (size) {
          case 1: micro<T, 1, 4, Packed>(w, stride, count, v, lanes, o); break;
          case 2: micro<T, 2, 2, Packed>(w, stride, count, v, lanes, o); break;
          case 3: micro<T, 3, 2, Packed>(w, stride, count, v, lanes, o); break;
          case 4: micro<T, 4, 1, Packed>(w, stride, count, v, lanes, o); break;
          case 5: micro<T, 5, 1, Packed>(w, stride, count, v, lanes, o); break;
          default: micro<T, 6, 1, Packed>(w, stride, count, v, lanes, o);
        }
      }
    }
  }
}

template <class T>
static inline Vec<T> activate(MafActivation activation, Vec<T> v) {
  const Vec<T> zero = splat<T>(0);
  switch (activation) {
    case MafActivation::relu: return vmax(v, zero);
    case MafActivation::leaky_relu: return v > 0 ? v : v * T(0.01);
    case MafActivation::silu: return v * vsigmoid<T>(v);
    case MafActivation::elu: return v > 0 ? v : vexp<T>(v) - T(1);
    default: {
      const Vec<T> e = vexp<T>(vabs(v) * T(-2));
      const Vec<T> t = (T(1) - e) / (T(1) + e);
      return v > 0 ? t : -t;
    }
  }
}

// Adds to a sum with Kahan's compensation for what was lost before.
template <class T>
static inline void add(Vec<T> term, T* sum, T* lost) {
  const Vec<T> exact = term - load(lost), before = load(sum), after = before + exact;
  store(lost, (after - before) - exact);
  store(sum, after);
}

template <class T, bool inverse>
static void spline(const Spline<T>& map, const T* p, int lanes, const T* y, T* x, T* sum, T* lost, T* scratch) {
  for (int g = 0; g < lanes; g += width<T>) {
    Vec<T> log_det;
    store(x + g, map.template apply<inverse>(load(y + g), p + g, lanes, scratch, log_det));
    add(log_det, sum + g, lost + g);
  }
}

// z = x scale + shift and its inverse; raw parameters (scale, shift).
template <class T>
static void affine(const MafProgram<T>& program, const T* p, int lanes, const T* y, T* x, T* sum, T* lost,
                   bool inverse) {
  for (int g = 0; g < lanes; g += width<T>) {
    const Vec<T> raw = load(p + g) + program.shift, shift = load(p + lanes + g), v = load(y + g);
    Vec<T> scale = program.element == MafElement::affine_sigmoid ? vsigmoid<T>(raw)
                                                                 : vsoftplus<T>(raw);
    scale += program.minimum;
    const Vec<T> log_scale = vlog<T>(scale);
    store(x + g, inverse ? (v - shift) / scale : v * scale + shift);
    add(inverse ? -log_scale : log_scale, sum + g, lost + g);
  }
}

// The map of one dimension, from its parameters p (outputs, lanes).
template <class T>
static inline void element(const MafProgram<T>& program, const Spline<T>& map, const T* p, int lanes, const T* y, T* x,
                           T* sum, T* lost, T* scratch, bool inverse) {
  if (program.element != MafElement::spline)
    affine(program, p, lanes, y, x, sum, lost, inverse);
  else if (inverse)
    spline<T, true>(map, p, lanes, y, x, sum, lost, scratch);
  else
    spline<T, false>(map, p, lanes, y, x, sum, lost, scratch);
}

// Scratch memory: inputs, results, parameters, and the values of all units before and after activation.
// One sample alone uses the first number of each row, or rows end to end.
template <class T>
struct Work {
  T *x, *y, *p, *flat, *sum, *lost, *scratch, *raw, *act;
  Work(const MafProgram<T>& program, int lanes, void* memory) {
    T* next = static_cast<T*>(memory);
    const auto take = [&](std::ptrdiff_t rows) {
      T* here = next;
      next += rows * lanes;
      return here;
    };
    x = take(program.dim);
    y = take(program.dim);
    p = take(program.padded);
    flat = take(program.padded);
    sum = take(1);
    lost = take(1);
    scratch = take(2 * program.spline.bins);
    std::ptrdiff_t units = 0;
    for (int l = 0; l < program.layers; ++l) units += program.layer[l].units;
    raw = take(units);
    act = take(units);
    bytes = reinterpret_cast<char*>(next) - static_cast<char*>(memory);
  }
  std::ptrdiff_t bytes;
};

template <class T>
static std::size_t workspace(const MafProgram<T>& program, int lanes) {
  return std::size_t(Work<T>(program, lanes, nullptr).bytes);
}

template <class T>
static void tile(const MafProgram<T>& program, const T* y, const T* context, std::ptrdiff_t columns, T* x, T* log_det,
                 int rows, int lanes, bool inverse, void* memory) {
  const Work<T> work(program, lanes, memory);
  const Spline<T> map(program.spline);
  const int dim = program.dim;
  // Lanes without a sample repeat the last one.
  const auto row = [&](int lane) { return std::ptrdiff_t(lane < rows ? lane : rows - 1); };
  for (int lane = 0; lane < lanes; ++lane) {
    const T* source = y + row(lane) * dim;
    for (int i = 0; i < dim; ++i) work.y[std::ptrdiff_t(i) * lanes + lane] = source[program.order[i]];
    work.sum[lane] = work.lost[lane] = 0;
  }
  for (int i = 0; i < dim; ++i) {
    T *raw = work.raw, *act = work.act, *skip = nullptr;
    const T* in = work.x;
    int inputs = i;
    for (int l = 0; l < program.layers; ++l) {
      const MafLayer<T>& layer = program.layer[l];
      const int begin = i ? layer.upto[i - 1] : 0, count = layer.upto[i] - begin;
      T* out = raw + std::ptrdiff_t(begin) * lanes;
      const bool add = program.residual && l >= 2 && l % 2 == 0;
      for (int r = 0; r < count; ++r) {
        T* o = out + std::ptrdiff_t(r) * lanes;
        const T bias = layer.bias[begin + r];
        const T* more = skip + std::ptrdiff_t(begin + r) * lanes;
        if (layer.context >= 0)
          for (int lane = 0; lane < lanes; ++lane)
            o[lane] = bias + context[row(lane) * columns + layer.context + begin + r];
        else
          for (int lane = 0; lane < lanes; ++lane) o[lane] = add ? bias + more[lane] : bias;
      }
      if (count) product<T, false>(layer.weight + layer.offset[i], inputs, count, inputs, in, lanes, out);
      T* active = act + std::ptrdiff_t(begin) * lanes;
      for (std::ptrdiff_t k = 0; k < std::ptrdiff_t(count) * lanes; k += width<T>)
        store(active + k, activate<T>(program.activation, load(out + k)));
      in = act;
      inputs = layer.upto[i];
      if (l % 2 == 0) skip = raw;
      raw += std::ptrdiff_t(layer.units) * lanes;
      act += std::ptrdiff_t(layer.units) * lanes;
    }
    if (program.residual) in = skip;
    const T* bias = program.bias + std::ptrdiff_t(i) * program.padded;
    for (int r = 0; r < program.outputs; ++r)
      for (int lane = 0; lane < lanes; ++lane) work.p[std::ptrdiff_t(r) * lanes + lane] = bias[r];
    product<T, true>(program.weight + program.offset[i], program.padded, program.outputs, inputs, in, lanes, work.p);
    element(program, map, work.p, lanes, work.y + std::ptrdiff_t(i) * lanes, work.x + std::ptrdiff_t(i) * lanes,
            work.sum, work.lost, work.scratch, inverse);
  }
  for (int lane = 0; lane < rows; ++lane) {
    T* target = x + std::ptrdiff_t(lane) * dim;
    for (int i = 0; i < dim; ++i) target[program.order[i]] = work.x[std::ptrdiff_t(i) * lanes + lane];
    log_det[lane] = work.sum[lane];
  }
}

template <class T>
static inline T dot(const T* a, const T* b, int n) {
  constexpr int w = width<T>;
  Vec<T> s[4] = {};
  int k = 0;
  for (; k + 4 * w <= n; k += 4 * w)
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) s[c] += load(a + k + c * w) * load(b + k + c * w);
  for (; k + w <= n; k += w) s[0] += load(a + k) * load(b + k);
  s[0] = (s[0] + s[1]) + (s[2] + s[3]);
  T sum = 0;
  for (int c = 0; c < w; ++c) sum += s[0][c];
  for (; k < n; ++k) sum += a[k] * b[k];
  return sum;
}

// out[0 .. columns) = bias + sum_k in[k] weight[k]; columns * sizeof(T) is a multiple of 32 bytes.
template <class T>
static void accumulate(const T* weight, int columns, int inputs, const T* in, const T* bias, T* out) {
  typedef T V __attribute__((vector_size(32), aligned(alignof(T)), may_alias));
  constexpr int w = 32 / int(sizeof(T));
  int c = 0;
  for (; c + 3 * w <= columns; c += 3 * w) {
    V a[4][3] = {};
    const T* row = weight + c;
    int k = 0;
    for (; k + 4 <= inputs; k += 4)
#pragma GCC unroll 4
      for (int u = 0; u < 4; ++u)
#pragma GCC unroll 3
        for (int v = 0; v < 3; ++v)
          a[u][v] += *reinterpret_cast<const V*>(row + (k + u) * std::ptrdiff_t(columns) + v * w) * in[k + u];
    for (; k < inputs; ++k)
#pragma GCC unroll 3
      for (int v = 0; v < 3; ++v)
        a[0][v] += *reinterpret_cast<const V*>(row + k * std::ptrdiff_t(columns) + v * w) * in[k];
#pragma GCC unroll 3
    for (int v = 0; v < 3; ++v)
      *reinterpret_cast<V*>(out + c + v * w) =
          *reinterpret_cast<const V*>(bias + c + v * w) + ((a[0][v] + a[1][v]) + (a[2][v] + a[3][v]));
  }
  for (; c < columns; c += w) {
    V a[4] = {};
    int k = 0;
    for (; k + 4 <= inputs; k += 4)
#pragma GCC unroll 4
      for (int u = 0; u < 4; ++u)
        a[u] += *reinterpret_cast<const V*>(weight + (k + u) * std::ptrdiff_t(columns) + c) * in[k + u];
    for (; k < inputs; ++k) a[0] += *reinterpret_cast<const V*>(weight + k * std::ptrdiff_t(columns) + c) * in[k];
    *reinterpret_cast<V*>(out + c) = *reinterpret_cast<const V*>(bias + c) + ((a[0] + a[1]) + (a[2] + a[3]));
  }
}

// One sample: vectors run over outputs and inputs and not over samples.
template <class T>
static void single(const MafProgram<T>& program, const T* y, const T* context, T* x, T* log_det, bool inverse,
                   void* memory) {
  constexpr int lanes = width<T>;
  const Work<T> work(program, lanes, memory);
  const Spline<T> map(program.spline);
  T* known = work.x;
  for (int lane = 0; lane < lanes; ++lane) work.sum[lane] = work.lost[lane] = 0;
  T value[lanes] = {}, result[lanes];
  for (int i = 0; i < program.dim; ++i) {
    T *raw = work.raw, *act = work.act, *skip = nullptr;
    const T* in = known;
    int inputs = i;
    for (int l = 0; l < program.layers; ++l) {
      const MafLayer<T>& layer = program.layer[l];
      const int begin = i ? layer.upto[i - 1] : 0, end = layer.upto[i];
      const bool add = program.residual && l >= 2 && l % 2 == 0;
      for (int j = begin; j < end; ++j) {
        T s = layer.bias[j];
        if (layer.context >= 0) s += context[layer.context + j];
        if (add) s += skip[j];
        s += dot(layer.weight + layer.offset[i] + std::ptrdiff_t(j - begin) * inputs, in, inputs);
        raw[j] = s;
        act[j] = s > 0 ? s : 0;
      }
      if (program.activation != MafActivation::relu)
        for (int j = begin; j < end; ++j) act[j] = activate<T>(program.activation, splat<T>(raw[j]))[0];
      in = act;
      inputs = end;
      if (l % 2 == 0) skip = raw;
      raw += layer.units;
      act += layer.units;
    }
    if (program.residual) in = skip;
    accumulate(program.weight + program.offset[i], program.padded, inputs, in,
               program.bias + std::ptrdiff_t(i) * program.padded, work.flat);
    for (int r = 0; r < program.outputs; ++r) work.p[r * lanes] = work.flat[r];
    value[0] = y[program.order[i]];
    element(program, map, work.p, lanes, value, result, work.sum, work.lost, work.scratch, inverse);
    known[i] = result[0];
    x[program.order[i]] = result[0];
  }
  log_det[0] = work.sum[0];
}

}  // namespace

const MafTables maf_tables = {
    {2 * width<float>, workspace<float>, tile<float>, single<float>},
    {2 * width<double>, workspace<double>, tile<double>, single<double>},
};

}  // namespace lhcflow::LHCFLOW_ISA
