#include "spline.hpp"

#include "spline_simd.hpp"

namespace lhcflow::LHCFLOW_ISA {
namespace {

// One vector of elements at a time: their parameters are turned feature-major into the scratch.
template <class T> struct Turned {
  T *raw, *work;
  int count;
  Turned(const SplineSettings& s, void* memory)
      : raw(static_cast<T*>(memory)), work(raw + s.count() * lanes<T>), count(s.count()) {}
  void read(const T* params, int filled) {
    for (int k = 0; k < count; ++k)
      for (int i = 0; i < lanes<T>; ++i) raw[k * lanes<T> + i] = params[(i < filled ? i : 0) * count + k];
  }
  void write(T* params, int filled) const {
    for (int i = 0; i < filled; ++i)
      for (int k = 0; k < count; ++k) params[i * count + k] = raw[k * lanes<T> + i];
  }
};

template <class T> Vec<T> part(const T* from, int filled) {
  Vec<T> v = {};
  std::memcpy(&v, from, sizeof(T) * filled);
  return v;
}

template <class T> std::size_t workspace(const SplineSettings& s) {
  return sizeof(Vec<T>) * (s.count() + 2 * s.bins);
}

template <class T, bool inverse>
void apply_all(const SplineSettings& s, std::ptrdiff_t n, const T* x, const T* params, T* y, T* log_det, void* work) {
  const Spline<T> spline(s);
  Turned<T> turned(s, work);
  for (std::ptrdiff_t i = 0; i < n; i += lanes<T>) {
    const int filled = n - i < lanes<T> ? int(n - i) : lanes<T>;
    turned.read(params + i * turned.count, filled);
    Vec<T> change;
    const Vec<T> result = spline.template apply<inverse>(part(x + i, filled), turned.raw, lanes<T>, turned.work, change);
    std::memcpy(y + i, &result, sizeof(T) * filled);
    std::memcpy(log_det + i, &change, sizeof(T) * filled);
  }
}

template <class T, bool inverse>
void gradient_all(const SplineSettings& s, std::ptrdiff_t n, const T* x, const T* params, const T* grad_y,
                  const T* grad_log_det, T* grad_x, T* grad_params, void* work) {
  const Spline<T> spline(s);
  Turned<T> turned(s, work);
  for (std::ptrdiff_t i = 0; i < n; i += lanes<T>) {
    const int filled = n - i < lanes<T> ? int(n - i) : lanes<T>;
    turned.read(params + i * turned.count, filled);
    const Vec<T> result =
        spline.template backward<inverse>(part(x + i, filled), part(grad_y + i, filled),
                                          part(grad_log_det + i, filled), turned.raw, lanes<T>, turned.work);
    std::memcpy(grad_x + i, &result, sizeof(T) * filled);
    turned.write(grad_params + i * turned.count, filled);
  }
}

template <class T>
void apply(const SplineSettings& s, bool inverse, std::ptrdiff_t n, const T* x, const T* params, T* y, T* log_det,
           void* work) {
  (inverse ? apply_all<T, true> : apply_all<T, false>)(s, n, x, params, y, log_det, work);
}

template <class T>
void gradient(const SplineSettings& s, bool inverse, std::ptrdiff_t n, const T* x, const T* params, const T* grad_y,
              const T* grad_log_det, T* grad_x, T* grad_params, void* work) {
  (inverse ? gradient_all<T, true> : gradient_all<T, false>)(s, n, x, params, grad_y, grad_log_det, grad_x,
                                                             grad_params, work);
}

template <class T> constexpr SplineKernel<T> kernel = {workspace<T>, apply<T>, gradient<T>};

}  // namespace

const SplineKernels spline_kernels = {kernel<float>, kernel<double>};

}  // namespace lhcflow::LHCFLOW_ISA
