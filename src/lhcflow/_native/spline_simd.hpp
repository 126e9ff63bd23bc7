// One rational-quadratic spline per lane (1906.04032): forward, inverse and gradient, the native twin of
// flows/spline_formulas.py, whose comments and docstrings give the formulas.
//
// Raw parameters lie feature-major: parameter k of all lanes at raw + k * stride. `work` holds 2 * bins
// vectors of scratch.
#pragma once

#include <cstddef>

#include "simd.hpp"
#include "spline_settings.hpp"

namespace lhcflow::LHCFLOW_ISA {

template <class T> class Spline {
 public:
  using V = Vec<T>;

  explicit Spline(const SplineSettings& s)
      : bins_(s.bins), tails_(s.tails), low_(T(s.low)), high_(T(s.high)),
        smallest_(T((s.high - s.low) * s.min_bin)), free_(T((s.high - s.low) * (1 - s.bins * s.min_bin))),
        min_derivative_(T(s.min_derivative)), shift_(T(s.shift)) {}

  // Maps x to the result and returns it; log_det gets the logarithm of the derivative of the map applied.
  template <bool inverse> LHCFLOW_INLINE V apply(V x, const T* raw, std::ptrdiff_t stride, T* work,
                                                 V& log_det) const {
    const V given = wrapped(x);
    const V clamped = vmin(vmax(given, splat<T>(low_)), splat<T>(high_));
    T* const e_heights = work + bins_ * lanes<T>;
    const V widths = exponentials(raw, stride, work);
    const V heights = exponentials(raw + bins_ * stride, stride, e_heights);
    const Bin bin = find<inverse>(clamped, raw + 2 * bins_ * stride, stride, work, widths, heights);
    const Value v = evaluate(bin, theta<inverse>(bin, clamped));
    const V logarithm = vlog<T>(v.derivative());
    V y;
    if constexpr (inverse)
      y = bin.x0 + bin.width * v.theta;
    else
      y = bin.y0 + bin.height * v.fraction;
    y = vmin(splat<T>(high_), vmax(splat<T>(low_), y));  // in this order NaN stays NaN
    const auto inside = (given >= low_) & (given <= high_);
    log_det = inside ? (inverse ? -logarithm : logarithm) : V{};
    return inside ? y : given;
  }

  // Given the input x of apply() and the gradients of a loss with respect to its two results, returns the
  // gradient with respect to x and replaces the raw parameters by the gradient with respect to them.
  template <bool inverse>
  LHCFLOW_INLINE V backward(V x, V grad_y, V grad_log_det, T* raw, std::ptrdiff_t stride, T* work) const {
    const V given = wrapped(x);
    const V clamped = vmin(vmax(given, splat<T>(low_)), splat<T>(high_));
    T* const e_heights = work + bins_ * lanes<T>;
    const V widths = exponentials(raw, stride, work);
    const V heights = exponentials(raw + bins_ * stride, stride, e_heights);
    const Bin bin = find<inverse>(clamped, raw + 2 * bins_ * stride, stride, work, widths, heights);
    const Value v = evaluate(bin, theta<inverse>(bin, clamped));
    const auto inside = (given >= low_) & (given <= high_);

    // Partial derivatives of the forward map y = y0 + height * fraction and of its log-derivative.
    const V one = splat<T>(1), two = splat<T>(2);
    const V over_d = one / v.denominator, over_n = one / v.numerator, over_width = one / bin.width;
    const V turn = one - two * v.theta, rest = one - v.theta;
    const V log_theta = two * (over_n * (bin.d1 * v.theta + v.slope * turn - bin.d0 * rest) -
                               over_d * (bin.d0 + bin.d1 - two * v.slope) * turn);
    const V slope_x = v.derivative();

    // The inverse's gradient is the forward map's at the same point, by the implicit function theorem.
    V gy = grad_y, gl = grad_log_det, result = {};
    if constexpr (inverse) {
      result = (grad_y - grad_log_det * log_theta * over_width) / slope_x;
      gy = -result;
      gl = -grad_log_det;
    }
    gy = inside ? gy : V{};
    gl = inside ? gl : V{};
    const V scaled = gy * bin.height * over_d;
    const V g_theta = gy * slope_x * bin.width + gl * log_theta;
    const V straight = one - two * v.cross;
    const V g_slope = scaled * (v.theta * v.theta - v.fraction * straight) +
                      two * gl * (one / v.slope - straight * over_d + v.cross * over_n);
    V g_d0 = scaled * (v.cross - v.fraction * v.cross) + gl * (rest * rest * over_n - two * v.cross * over_d);
    V g_d1 = gl * (v.theta * v.theta * over_n - two * v.cross * over_d) - scaled * v.fraction * v.cross;
    const V g_height = gy * v.fraction + g_slope * over_width;
    const V g_x0 = -g_theta * over_width;
    const V g_width = -(g_theta * v.theta + g_slope * v.slope) * over_width;
    if constexpr (!inverse) result = g_theta * over_width;

    softmax_gradient(raw, stride, work, bin.index, widths, bin.width_before, bin.width_here, g_x0, g_width);
    softmax_gradient(raw + bins_ * stride, stride, e_heights, bin.index, heights, bin.height_before,
                     bin.height_here, gy, g_height);
    g_d0 = g_d0 * vsigmoid<T>(bin.raw0 + shift_);
    g_d1 = g_d1 * vsigmoid<T>(bin.raw1 + shift_);
    derivative_gradient(raw + 2 * bins_ * stride, stride, bin.index, g_d0, g_d1);
    return inside ? result : grad_y;
  }

 private:
  struct Bin {
    V index;                              // of the bin, counted as T
    V x0, width, y0, height;              // lower edges and sizes
    V width_here, height_here;            // exponentials of the bin
    V width_before, height_before;        // sums of the exponentials of the bins before it
    V raw0, raw1, d0, d1;                 // derivatives at its edges
  };

  struct Value {
    V theta, cross, slope, denominator, numerator, fraction;
    // The derivative of the forward map, slope^2 numerator / denominator^2; in this order it can't overflow.
    LHCFLOW_INLINE V derivative() const {
      const V ratio = slope / denominator;
      return ratio * (ratio * numerator);
    }
  };

  LHCFLOW_INLINE V wrapped(V x) const {
    if (tails_ != Tails::circular) return x;
    const T period = high_ - low_;
    for (int i = 0; i < lanes<T>; ++i) {
      T v = x[i];
      if (v >= low_ && v < high_) continue;
      v = T(__builtin_fmod(v - low_, period));  // exact
      v = low_ + (v < 0 ? v + period : v);
      x[i] = v < low_ ? low_ : v > high_ ? high_ : v;  // rounding may have gone a step too far
    }
    return x;
  }

  // Writes exp(raw - max) and returns the sum.
  LHCFLOW_INLINE V exponentials(const T* raw, std::ptrdiff_t stride, T* out) const {
    V top = load(raw);
    for (int k = 1; k < bins_; ++k) top = vmax(top, load(raw + k * stride));
    V total = {};
    for (int k = 0; k < bins_; ++k) {
      const V e = vexp<T>(load(raw + k * stride) - top);
      store(out + k * lanes<T>, e);
      total += e;
    }
    return total;
  }

  template <bool inverse>
  LHCFLOW_INLINE Bin find(V x, const T* ds, std::ptrdiff_t stride, const T* e_widths, V widths,
                          V heights) const {
    const V width_scale = free_ / widths, height_scale = free_ / heights;
    const T* e_heights = e_widths + bins_ * lanes<T>;
    Bin b;
    V x_sum = load(e_widths), y_sum = load(e_heights);
    b.index = b.width_before = b.height_before = V{};
    b.width_here = x_sum;
    b.height_here = y_sum;
    b.raw0 = load(ds + left(0) * stride);
    b.raw1 = load(ds + right(0) * stride);
    V smallest = splat<T>(low_);
    for (int k = 1; k < bins_; ++k) {
      smallest += smallest_;
      const V edge = inverse ? smallest + height_scale * y_sum : smallest + width_scale * x_sum;
      const auto beyond = x >= edge;
      const V e_width = load(e_widths + k * lanes<T>), e_height = load(e_heights + k * lanes<T>);
      b.index = beyond ? splat<T>(T(k)) : b.index;
      b.width_before = beyond ? x_sum : b.width_before;
      b.height_before = beyond ? y_sum : b.height_before;
      b.width_here = beyond ? e_width : b.width_here;
      b.height_here = beyond ? e_height : b.height_here;
      b.raw0 = beyond ? load(ds + left(k) * stride) : b.raw0;
      b.raw1 = beyond ? load(ds + right(k) * stride) : b.raw1;
      x_sum += e_width;
      y_sum += e_height;
    }
    const auto last = b.index == T(bins_ - 1);
    const V base = low_ + smallest_ * b.index;
    b.x0 = base + width_scale * b.width_before;
    b.y0 = base + height_scale * b.height_before;
    b.width = last ? high_ - b.x0 : smallest_ + width_scale * b.width_here;
    b.height = last ? high_ - b.y0 : smallest_ + height_scale * b.height_here;
    b.d0 = min_derivative_ + vsoftplus<T>(b.raw0 + shift_);
    b.d1 = min_derivative_ + vsoftplus<T>(b.raw1 + shift_);
    if (tails_ == Tails::linear) {
      b.d0 = b.index == 0 ? splat<T>(1) : b.d0;
      b.d1 = last ? splat<T>(1) : b.d1;
    }
    return b;
  }

  // Where the raw derivatives at the edges of bin k lie. At a border whose derivative is fixed this is some
  // other parameter, whose value is not used.
  LHCFLOW_INLINE int left(int k) const { return tails_ == Tails::linear ? k - 1 : k; }
  LHCFLOW_INLINE int right(int k) const {
    if (tails_ == Tails::none) return k + 1;
    if (tails_ == Tails::linear) return k < bins_ - 1 ? k : k - 1;
    return k < bins_ - 1 ? k + 1 : 0;
  }

  template <bool inverse> LHCFLOW_INLINE V theta(const Bin& b, V x) const {
    V t;
    if constexpr (inverse) {
      const V slope = b.height / b.width, eta = vmax((x - b.y0) / b.height, V{});
      const V beta = b.d0 - eta * (b.d0 + b.d1 - 2 * slope);
      const V half = beta - 2 * slope * eta;
      const V root = vsqrt(half * half + vmax(4 * slope * slope * eta * (1 - eta), V{}));
      t = (beta >= 0 ? 2 * slope * eta : root - beta) / (beta >= 0 ? root + beta : 2 * (slope - beta));
    } else {
      t = (x - b.x0) / b.width;
    }
    return vmin(splat<T>(1), vmax(V{}, t));
  }

  LHCFLOW_INLINE Value evaluate(const Bin& b, V theta) const {
    Value v;
    v.theta = theta;
    v.slope = b.height / b.width;
    v.cross = theta * (1 - theta);
    v.denominator = v.slope * (1 - 2 * v.cross) + (b.d0 + b.d1) * v.cross;
    v.numerator = b.d1 * theta * theta + 2 * v.slope * v.cross + b.d0 * (1 - theta) * (1 - theta);
    v.fraction = (v.slope * theta * theta + b.d0 * v.cross) / v.denominator;
    return v;
  }

  // Sizes are smallest + free softmax(raw). The edge of the bin depends on all sizes before it.
  LHCFLOW_INLINE void softmax_gradient(T* raw, std::ptrdiff_t stride, const T* e, V index, V total, V before,
                                       V here, V g_edge, V g_size) const {
    const V over = 1 / total;
    const V mean = (g_edge * before + g_size * here) * over;
    const V scale = free_ * over;
    const V below = scale * (g_edge - mean), at = scale * (g_size - mean), above = -scale * mean;
    for (int k = 0; k < bins_; ++k) {
      const V g = index > T(k) ? below : (index == T(k) ? at : above);
      store(raw + k * stride, load(e + k * lanes<T>) * g);
    }
  }

  LHCFLOW_INLINE void derivative_gradient(T* ds, std::ptrdiff_t stride, V index, V g0, V g1) const {
    const int first = tails_ == Tails::linear ? 1 : 0, count = tails_ == Tails::none ? bins_ + 1 : bins_;
    for (int k = first; k < count; ++k) {
      V g = index == T(k) ? g0 : V{};
      g = index == T(k - 1) ? g1 : g;
      if (tails_ == Tails::circular && k == 0) g += index == T(bins_ - 1) ? g1 : V{};
      store(ds + (k - first) * stride, g);
    }
  }

  int bins_;
  Tails tails_;
  T low_, high_, smallest_, free_, min_derivative_, shift_;
};

}  // namespace lhcflow::LHCFLOW_ISA
