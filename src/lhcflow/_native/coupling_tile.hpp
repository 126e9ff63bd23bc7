// One coupling layer on one tile of samples. A tile is feature-major: row f holds feature f of `tile_size`
// samples, so that the conditioner is a sequence of small matrix products and the spline works lane by lane.
#pragma once

#include "coupling.hpp"
#include "gemm.hpp"
#include "spline_simd.hpp"

namespace lhcflow::LHCFLOW_ISA {

inline constexpr int tile_size = 48;  // samples: three vectors (the register block) or a multiple

template <class T> constexpr int padded(int n) { return (n + lanes<T> - 1) / lanes<T> * lanes<T>; }

// Elements of one layer's parameters in `sums`.
template <class T> inline std::ptrdiff_t sum_size(const CouplingLayer& layer) {
  std::ptrdiff_t size = 0;
  for (int l = 0; l < layer.linears; ++l)
    size += std::ptrdiff_t(layer.sizes[l + 1]) * padded<T>(layer.sizes[l]) + padded<T>(layer.sizes[l + 1]);
  return size;
}

// Rows of the activations that a layer needs: the inputs and all hidden layers, and the raw parameters.
inline int activation_rows(const CouplingLayer& layer) {
  int rows = 0;
  for (int l = 0; l < layer.linears; ++l) rows += layer.sizes[l];
  return rows;
}

template <class T> class CouplingTile {
 public:
  using V = Vec<T>;

  // `width`: samples of this tile, rounded up to whole vectors. `work`: 2 * bins vectors for the spline.
  CouplingTile(const CouplingLayer& layer, int width, T* work)
      : layer_(layer), spline_(layer.spline), width_(width), work_(work) {}

  // Transforms `x` (dim rows) in place and adds to log_det. Activations and raw parameters stay where
  // backward() wants them; apply() alone may reuse one block of parameters (`keep` false).
  template <bool inverse>
  void apply(T* x, const T* conditions, int context, T* log_det, T* activations, T* raw, bool keep) const {
    const int count = layer_.spline.count(), last = layer_.linears - 1;
    fill_features(x, conditions, context, activations);
    const T* h = activations;
    for (int l = 0; l < last; ++l) {
      T* const out = const_cast<T*>(h) + layer_.sizes[l] * tile_size;
      linear(l, 0, layer_.sizes[l + 1], h, out);
      activate(layer_.sizes[l + 1], out);
      h = out;
    }
    for (int t = 0; t < layer_.transformed; ++t) {
      T* const block = keep ? raw + std::ptrdiff_t(t) * count * tile_size : raw;
      linear(last, t * count, count, h, block);
      T* const row = x + layer_.transformed_index[t] * tile_size;
      for (int j = 0; j < width_; j += lanes<T>) {
        V change;
        store(row + j, spline_.template apply<inverse>(load(row + j), block + j, tile_size, work_, change));
        store(log_det + j, load(log_det + j) + change);
      }
    }
  }

  // Given the layer's input `x`, what apply() kept and the gradient with respect to its output (`grad`, dim
  // rows) and log_det, turns `grad` into the gradient with respect to the input, adds to the gradient with
  // respect to the conditions and to `sums`. `a` and `b` hold as many rows as the widest layer and `turned`
  // as many elements as a transposed tile of it.
  template <bool inverse>
  void backward(const T* x, const T* activations, T* raw, T* grad, const T* grad_log_det, T* grad_conditions,
                int context, T* sums, T* a, T* b, T* turned) const {
    const int count = layer_.spline.count(), last = layer_.linears - 1;
    for (int t = 0; t < layer_.transformed; ++t) {
      const int row = layer_.transformed_index[t] * tile_size;
      T* const block = raw + std::ptrdiff_t(t) * count * tile_size;
      for (int j = 0; j < width_; j += lanes<T>)
        store(grad + row + j, spline_.template backward<inverse>(load(x + row + j), load(grad + row + j),
                                                                 load(grad_log_det + j), block + j, tile_size, work_));
    }
    const T* h = activations;
    for (int l = 0; l < last; ++l) h += layer_.sizes[l] * tile_size;
    T* end = sums + sum_size<T>(layer_);
    T* above = raw;  // the gradient with respect to the output of linear layer l
    T* below = a;
    for (int l = last;; --l) {
      const int in = layer_.sizes[l], out = layer_.sizes[l + 1];
      T* const weight_sums = end - (std::ptrdiff_t(out) * padded<T>(in) + padded<T>(out));
      parameter_gradient(in, out, h, above, weight_sums, turned);
      input_gradient(l, above, below);
      end = weight_sums;
      if (l == 0) break;
      through_activation(in, h, below);
      h -= layer_.sizes[l - 1] * tile_size;
      above = below;
      below = above == a ? b : a;
    }
    spread_features(below, grad, grad_conditions, context);
  }

 private:
  const T* weight(int l) const { return static_cast<const T*>(layer_.parameters[2 * l]); }
  const T* bias(int l) const { return static_cast<const T*>(layer_.parameters[2 * l + 1]); }

  void fill_features(const T* x, const T* conditions, int context, T* out) const {
    const T scale = T(layer_.scale), offset = T(layer_.offset);
    for (int f = 0; f < layer_.passed; ++f, out += tile_size)
      for (int j = 0; j < width_; ++j) out[j] = scale * x[layer_.passed_index[f] * tile_size + j] + offset;
    std::memcpy(out, conditions, sizeof(T) * context * tile_size);
  }

  void spread_features(const T* from, T* grad, T* grad_conditions, int context) const {
    const T scale = T(layer_.scale);
    for (int f = 0; f < layer_.passed; ++f, from += tile_size)
      for (int j = 0; j < width_; ++j) grad[layer_.passed_index[f] * tile_size + j] += scale * from[j];
    for (int f = 0; f < context; ++f)
      for (int j = 0; j < width_; ++j) grad_conditions[f * tile_size + j] += from[f * tile_size + j];
  }

  void linear(int l, int first, int rows, const T* in, T* out) const {
    const int depth = layer_.sizes[l];
    multiply<T, Start::bias>({rows, depth, width_, weight(l) + std::ptrdiff_t(first) * depth, depth, 1, in,
                              tile_size, out, tile_size, bias(l) + first});
  }

  void activate(int rows, T* h) const {
    const T slope = T(layer_.negative_slope);
    for (int r = 0; r < rows; ++r, h += tile_size)
      for (int j = 0; j < width_; j += lanes<T>) {
        const V v = load(h + j);
        store(h + j, v > 0 ? v : slope * v);
      }
  }

  // The sign of an activation is the sign of its argument.
  void through_activation(int rows, const T* h, T* grad) const {
    const T slope = T(layer_.negative_slope);
    for (int r = 0; r < rows; ++r, h += tile_size, grad += tile_size)
      for (int j = 0; j < width_; j += lanes<T>) {
        const V g = load(grad + j);
        store(grad + j, load(h + j) > 0 ? g : slope * g);
      }
  }

  void parameter_gradient(int in, int out, const T* h, const T* grad, T* sums, T* turned) const {
    const int columns = padded<T>(in);
    for (int j = 0; j < width_; ++j)
      for (int i = in; i < columns; ++i) turned[j * columns + i] = 0;
    transpose(h, tile_size, in, width_, turned, columns);
    multiply<T, Start::add>({out, width_, columns, grad, tile_size, 1, turned, columns, sums, columns});
    T* const bias_sums = sums + std::ptrdiff_t(out) * columns;
    for (int r = 0; r < out; ++r) {
      V total = {};
      for (int j = 0; j < width_; j += lanes<T>) total += load(grad + r * tile_size + j);
      bias_sums[r] += sum<T>(total);
    }
  }

  void input_gradient(int l, const T* above, T* below) const {
    const int in = layer_.sizes[l], out = layer_.sizes[l + 1];
    constexpr int part = 64;  // rows of `above` that fit in the first-level cache with the rest
    for (int first = 0; first < out; first += part) {
      const int depth = out - first < part ? out - first : part;
      const Product<T> product = {in, depth, width_, weight(l) + std::ptrdiff_t(first) * in, 1, in,
                                  above + first * tile_size, tile_size, below, tile_size};
      if (first == 0) multiply<T, Start::bias>(product); else multiply<T, Start::add>(product);
    }
  }

  const CouplingLayer& layer_;
  Spline<T> spline_;
  int width_;
  T* work_;
};

}  // namespace lhcflow::LHCFLOW_ISA
