// Vectors of float or double as wide as the instruction set allows, with the few functions that flows
// need: exp, log and softplus to 1 or 2 ulp. Built on GCC vector extensions, without -ffast-math.
// Everything lives in the namespace of the instruction set, so that no build links another's code.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace lhcflow::LHCFLOW_ISA {

#if defined(__AVX512F__)
inline constexpr int vector_width = 64;
#elif defined(__AVX2__)
inline constexpr int vector_width = 32;
#else
inline constexpr int vector_width = 16;
#endif

template <class T> struct SimdTypes;
template <> struct SimdTypes<float> {
  typedef float V __attribute__((vector_size(vector_width)));
  typedef std::int32_t I __attribute__((vector_size(vector_width)));
  typedef std::uint32_t U __attribute__((vector_size(vector_width)));
};
template <> struct SimdTypes<double> {
  typedef double V __attribute__((vector_size(vector_width)));
  typedef std::int64_t I __attribute__((vector_size(vector_width)));
  typedef std::uint64_t U __attribute__((vector_size(vector_width)));
};

template <class T> using Vec = typename SimdTypes<T>::V;    // lanes of T
template <class T> using Mask = typename SimdTypes<T>::I;   // lanes of 0 or -1, what comparisons give
template <class T> using Bits = typename SimdTypes<T>::U;
template <class T> inline constexpr int lanes = vector_width / static_cast<int>(sizeof(T));

#define LHCFLOW_INLINE inline __attribute__((always_inline))

// Minus zero changes no value, so it compiles to a broadcast alone (plus zero would not: -0 + 0 = 0).
template <class T> LHCFLOW_INLINE Vec<T> splat(T value) { return value - Vec<T>{}; }
template <class T> LHCFLOW_INLINE Vec<T> load(const T* from) {
  Vec<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class T> LHCFLOW_INLINE void store(T* to, Vec<T> v) { std::memcpy(to, &v, sizeof v); }

// Sums over lanes in pairs, so that the rounding does not depend on the compiler.
template <class T> LHCFLOW_INLINE T sum(Vec<T> v) {
  T part[lanes<T>];
  std::memcpy(part, &v, sizeof v);
  for (int half = lanes<T> / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) part[i] += part[i + half];
  return part[0];
}

template <class V> LHCFLOW_INLINE V vmax(V a, V b) { return a > b ? a : b; }
template <class V> LHCFLOW_INLINE V vmin(V a, V b) { return a < b ? a : b; }
template <class V> LHCFLOW_INLINE V vabs(V a) { return vmax(a, -a); }

template <class V> LHCFLOW_INLINE V vsqrt(V a) {
  constexpr bool single = sizeof(a[0]) == 4;
#if defined(__AVX512F__)  // with masks of ones: the plain ones make GCC 12 warn of its own headers
  if constexpr (single) return (V)_mm512_maskz_sqrt_ps(-1, (__m512)a);
  else return (V)_mm512_maskz_sqrt_pd(-1, (__m512d)a);
#elif defined(__AVX2__)
  if constexpr (single) return (V)_mm256_sqrt_ps((__m256)a); else return (V)_mm256_sqrt_pd((__m256d)a);
#elif defined(__SSE2__)
  if constexpr (single) return (V)_mm_sqrt_ps((__m128)a); else return (V)_mm_sqrt_pd((__m128d)a);
#else
  for (unsigned i = 0; i < sizeof(a) / sizeof(a[0]); ++i) {
    if constexpr (single) a[i] = __builtin_sqrtf(a[i]); else a[i] = __builtin_sqrt(a[i]);
  }
  return a;
#endif
}

// Horner's rule, highest power first.
template <class V, class T, int N> LHCFLOW_INLINE V polynomial(V x, const T (&c)[N]) {
  V p = V{} + c[0];
  for (int i = 1; i < N; ++i) p = p * x + c[i];
  return p;
}

// What differs between the two precisions. The polynomials are Chebyshev fits; their errors, times the
// power of the argument that multiplies them, stay under half an ulp.
template <class T> struct MathConstants;
template <> struct MathConstants<float> {
  using Integer = std::int32_t;
  using Unsigned = std::uint32_t;
  static constexpr int mantissa = 23;
  static constexpr Integer bias = 127;
  static constexpr float round = 12582912.0f;  // 1.5 2^23: adding it rounds to an integer
  static constexpr float exp_low = -87.0f, exp_high = 88.0f;
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440054690583e-4f;
  static constexpr Unsigned sqrt_half = 0x3f3504f3u, exponent_mask = 0xff800000u, two_power = 0x4b000000u;
  static constexpr float two_power_value = 8388608.0f;
  static constexpr float tiny = 1.17549435e-38f;
  static constexpr float exp[] = {0.001392625083149761f, 0.008363232883682618f, 0.04166655421298415f,
                                  0.1666657666711992f, 0.5f};
  static constexpr float log[] = {0.1479019914074235f, 0.1999438533675544f, 0.3333334253187516f};
  static constexpr float log1p[] = {0.1342574901141858f, 0.1411830990265524f, 0.2000378032245560f,
                                    0.3333332016834962f};
};
template <> struct MathConstants<double> {
  using Integer = std::int64_t;
  using Unsigned = std::uint64_t;
  static constexpr int mantissa = 52;
  static constexpr Integer bias = 1023;
  static constexpr double round = 6755399441055744.0;
  static constexpr double exp_low = -708.0, exp_high = 709.0;
  static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
  static constexpr Unsigned sqrt_half = 0x3fe6a09e667f3bcdull, exponent_mask = 0xfff0000000000000ull,
                            two_power = 0x4330000000000000ull;
  static constexpr double two_power_value = 4503599627370496.0;
  static constexpr double tiny = 2.2250738585072014e-308;
  static constexpr double exp[] = {2.510047250569499599e-8, 2.762020159103154878e-7, 2.755726827690569619e-6,
                                   2.48015210578682052e-5,  1.984126986317155603e-4, 1.388888891736708056e-3,
                                   8.333333333330038197e-3, 4.166666666662382053e-2, 1.666666666666666746e-1,
                                   5.000000000000001031e-1};
  static constexpr double log[] = {0.07308518774395825073, 0.07665837015083930926, 0.09091445278347801764,
                                   0.1111110555757208075,  0.1428571431304794577,  0.1999999999994961949,
                                   0.3333333333333334848};
  static constexpr double log1p[] = {0.0808202280597176611,  0.04400369243072336941, 0.06000536404795356268,
                                     0.06657072104827468075, 0.07692785032479311552, 0.09090894718066429085,
                                     0.1111111135871393149,  0.1428571428355437858,  0.2000000000000729134,
                                     0.3333333333333332928};
};

// exp(x) = 2^n exp(r), |r| <= ln2 / 2 (Cody and Waite). x is clamped to where the result is a normal number.
template <class T> LHCFLOW_INLINE Vec<T> vexp(Vec<T> x) {
  using C = MathConstants<T>;
  using V = Vec<T>;
  x = vmin(splat<T>(C::exp_high), vmax(splat<T>(C::exp_low), x));  // in this order NaN stays NaN
  V shifted = x * static_cast<T>(1.4426950408889634074) + C::round;
  V n = shifted - C::round;
  V r = x - n * C::ln2_high;
  r = r - n * C::ln2_low;
  V p = polynomial(r, C::exp) * (r * r) + r + static_cast<T>(1);
  Bits<T> scale = ((Bits<T>)shifted + static_cast<typename C::Unsigned>(C::bias)) << C::mantissa;
  return p * (V)scale;
}

// log(x) for positive x; denormal numbers count as the smallest normal one.
template <class T> LHCFLOW_INLINE Vec<T> vlog(Vec<T> x) {
  using C = MathConstants<T>;
  using V = Vec<T>;
  const Vec<T> normal = vmax(splat<T>(C::tiny), x);
  Bits<T> bits = (Bits<T>)normal;
  // The exponent n that leaves a mantissa in [sqrt(1/2), sqrt(2)), biased to stay positive.
  Bits<T> offset = bits - C::sqrt_half;
  Bits<T> biased = (offset + (static_cast<typename C::Unsigned>(C::bias) << C::mantissa)) >> C::mantissa;
  V n = (V)(biased | C::two_power) - (C::two_power_value + static_cast<T>(C::bias));
  V m = (V)(bits - (offset & C::exponent_mask));
  V s = (m - static_cast<T>(1)) / (m + static_cast<T>(1));
  V z = s * s;
  V tail = s * z * polynomial(z, C::log) + n * (static_cast<T>(0.5) * C::ln2_low);
  return normal == normal ? n * C::ln2_high + static_cast<T>(2) * (s + tail) : normal;  // NaN stays NaN
}

// log(1 + e) for e in [0, 1], as 2 atanh(e / (2 + e)): no cancellation for small e.
template <class T> LHCFLOW_INLINE Vec<T> vlog1p(Vec<T> e) {
  using C = MathConstants<T>;
  Vec<T> s = e / (e + static_cast<T>(2));
  Vec<T> z = s * s;
  return static_cast<T>(2) * (s + s * z * polynomial(z, C::log1p));
}

template <class T> LHCFLOW_INLINE Vec<T> vsoftplus(Vec<T> x) {
  return vmax(x, Vec<T>{}) + vlog1p<T>(vexp<T>(-vabs(x)));
}

// The derivative of softplus.
template <class T> LHCFLOW_INLINE Vec<T> vsigmoid(Vec<T> x) {
  Vec<T> e = vexp<T>(-vabs(x));
  return (x < 0 ? e : splat<T>(1)) / (e + static_cast<T>(1));
}

}  // namespace lhcflow::LHCFLOW_ISA
