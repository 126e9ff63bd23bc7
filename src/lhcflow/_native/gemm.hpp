// Small matrix products on tiles that stay in cache: C = A B, with B and C row-major and of a width that is
// a multiple of the vector, and A read element by element (so a transposed A costs nothing).
#pragma once

#include <cstddef>

#include "simd.hpp"

namespace lhcflow::LHCFLOW_ISA {

// How the product starts: from a bias per row, or from what C holds.
enum class Start { bias, add };

template <class T> struct Product {
  int rows, depth, width;        // C is rows x width, A rows x depth; width counts elements
  const T* a;
  std::ptrdiff_t a_row, a_depth; // steps of A
  const T* b;
  std::ptrdiff_t b_row;
  T* c;
  std::ptrdiff_t c_row;
  const T* bias = nullptr;       // null means zero
};

// The register block: R rows by N vectors. R * N accumulators + N vectors of B + 1 of A fit 16 registers.
template <class T, Start start, int R, int N>
LHCFLOW_INLINE void block(const Product<T>& p, int row, int column) {
  Vec<T> sum[R][N];
  T* const c = p.c + row * p.c_row + column;
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < N; ++n) {
      if constexpr (start == Start::add)
        sum[r][n] = load(c + r * p.c_row + n * lanes<T>);
      else
        sum[r][n] = p.bias ? splat<T>(p.bias[row + r]) : Vec<T>{};
    }
  const T* a = p.a + row * p.a_row;
  const T* b = p.b + column;
  for (int k = 0; k < p.depth; ++k, a += p.a_depth, b += p.b_row) {
    Vec<T> right[N];
    for (int n = 0; n < N; ++n) right[n] = load(b + n * lanes<T>);
    for (int r = 0; r < R; ++r) {
      const Vec<T> left = splat<T>(a[r * p.a_row]);
      for (int n = 0; n < N; ++n) sum[r][n] += left * right[n];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < N; ++n) store(c + r * p.c_row + n * lanes<T>, sum[r][n]);
}

template <class T, Start start, int R> LHCFLOW_INLINE void row_block(const Product<T>& p, int row) {
  int column = 0;
  for (; column + 3 * lanes<T> <= p.width; column += 3 * lanes<T>) block<T, start, R, 3>(p, row, column);
  if (column + 2 * lanes<T> <= p.width)
    block<T, start, R, 2>(p, row, column);
  else if (column + lanes<T> <= p.width)
    block<T, start, R, 1>(p, row, column);
}

template <class T, Start start> __attribute__((noinline)) void multiply(const Product<T>& p) {
  int row = 0;
  for (; row + 4 <= p.rows; row += 4) row_block<T, start, 4>(p, row);
  for (; row < p.rows; ++row) row_block<T, start, 1>(p, row);
}

// B (columns x rows, steps b_row) = transpose of A (rows x columns, steps a_row).
template <class T>
inline void transpose(const T* a, std::ptrdiff_t a_row, int rows, int columns, T* b, std::ptrdiff_t b_row) {
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) b[j * b_row + i] = a[i * a_row + j];
}

}  // namespace lhcflow::LHCFLOW_ISA
