// Complex numbers, two-component spinors and vectors for one event per lane; conventions of
// processes/spinors.py. Only left-handed spinors occur: a right-handed line from start to end is the
// left-handed line from end to start read backwards.
#pragma once

#include "simd.hpp"

namespace lhcflow::LHCFLOW_ISA {

using V = Vec<double>;

struct Complex {
  V r, i;
};
LHCFLOW_INLINE Complex operator+(Complex a, Complex b) { return {a.r + b.r, a.i + b.i}; }
LHCFLOW_INLINE Complex operator-(Complex a, Complex b) { return {a.r - b.r, a.i - b.i}; }
LHCFLOW_INLINE Complex operator-(Complex a) { return {-a.r, -a.i}; }
LHCFLOW_INLINE Complex operator*(Complex a, Complex b) { return {a.r * b.r - a.i * b.i, a.r * b.i + a.i * b.r}; }
LHCFLOW_INLINE Complex operator*(V a, Complex b) { return {a * b.r, a * b.i}; }
LHCFLOW_INLINE Complex& operator+=(Complex& a, Complex b) { return a = a + b; }
LHCFLOW_INLINE Complex conj(Complex a) { return {a.r, -a.i}; }
LHCFLOW_INLINE V norm(Complex a) { return a.r * a.r + a.i * a.i; }

// A column of spinor components, or a row (already conjugated).
struct Spinor {
  Complex a, b;
};
LHCFLOW_INLINE Spinor operator+(Spinor x, Spinor y) { return {x.a + y.a, x.b + y.b}; }
LHCFLOW_INLINE Spinor operator*(V s, Spinor x) { return {s * x.a, s * x.b}; }
LHCFLOW_INLINE Spinor operator*(Complex s, Spinor x) { return {s * x.a, s * x.b}; }
LHCFLOW_INLINE Spinor conj(Spinor x) { return {conj(x.a), conj(x.b)}; }
LHCFLOW_INLINE Complex operator*(Spinor row, Spinor column) { return row.a * column.a + row.b * column.b; }

// A real vector by E + pz, E - pz, px, py.
struct Real4 {
  V plus, minus, x, y;
};
LHCFLOW_INLINE Real4 operator+(Real4 p, Real4 q) { return {p.plus + q.plus, p.minus + q.minus, p.x + q.x, p.y + q.y}; }
LHCFLOW_INLINE Real4 operator-(Real4 p, Real4 q) { return {p.plus - q.plus, p.minus - q.minus, p.x - q.x, p.y - q.y}; }
LHCFLOW_INLINE Real4 operator*(V s, Real4 p) { return {s * p.plus, s * p.minus, s * p.x, s * p.y}; }
LHCFLOW_INLINE V twice_dot(Real4 p, Real4 q) {
  return p.plus * q.minus + p.minus * q.plus - 2.0 * (p.x * q.x + p.y * q.y);
}

// A complex vector by E + pz, E - pz, px - i py, px + i py.
struct Complex4 {
  Complex plus, minus, down, up;
};
LHCFLOW_INLINE Complex twice_dot(Real4 p, const Complex4& q) {
  const Complex x = p.x * (q.down + q.up), y = p.y * (q.down - q.up);  // 2 px qx, -2i py qy
  return p.plus * q.minus + p.minus * q.plus - Complex{x.r - y.i, x.i + y.r};
}

// v.sigmabar on a column, on a row from the right; the same with v.sigma.
LHCFLOW_INLINE Complex down(Real4 v, Complex c) { return {v.x * c.r + v.y * c.i, v.x * c.i - v.y * c.r}; }
LHCFLOW_INLINE Complex up(Real4 v, Complex c) { return {v.x * c.r - v.y * c.i, v.x * c.i + v.y * c.r}; }
LHCFLOW_INLINE Spinor bar(Real4 v, Spinor c) { return {v.plus * c.a + down(v, c.b), up(v, c.a) + v.minus * c.b}; }
LHCFLOW_INLINE Spinor bar_row(Spinor r, Real4 v) { return {v.plus * r.a + up(v, r.b), down(v, r.a) + v.minus * r.b}; }
LHCFLOW_INLINE Spinor sigma(Real4 v, Spinor c) { return {v.minus * c.a - down(v, c.b), v.plus * c.b - up(v, c.a)}; }
LHCFLOW_INLINE Spinor sigma_row(Spinor r, Real4 v) { return {v.minus * r.a - up(v, r.b), v.plus * r.b - down(v, r.a)}; }

// The vector end^dagger sigmabar^mu start as what its sigmabar matrix is: 2 ket x bra.
struct Current {
  Spinor ket, bra;
};
LHCFLOW_INLINE Current current(Spinor row, Spinor column) { return {{row.b, -row.a}, {column.b, -column.a}}; }
LHCFLOW_INLINE Complex4 vector_of(const Current& j) {
  const V two = splat(2.0);
  const Spinor k = two * j.ket;
  return {k.a * j.bra.a, k.b * j.bra.b, k.a * j.bra.b, k.b * j.bra.a};
}

// row sigmabar^mu column (mu down), to be contracted with vectors.
struct Covector {
  Complex plus, minus, x, y;
};
LHCFLOW_INLINE Covector covector(Spinor r, Spinor c) {
  const Complex ab = r.a * c.b, ba = r.b * c.a, d = ba - ab;
  return {r.a * c.a, r.b * c.b, ab + ba, {-d.i, d.r}};
}
LHCFLOW_INLINE Covector operator+(const Covector& a, const Covector& b) {
  return {a.plus + b.plus, a.minus + b.minus, a.x + b.x, a.y + b.y};
}
LHCFLOW_INLINE Complex operator*(const Covector& k, Real4 v) {
  return v.plus * k.plus + v.minus * k.minus + v.x * k.x + v.y * k.y;
}

// The column for momentum p with positive energy; its phase is free.
LHCFLOW_INLINE Spinor left_spinor(Real4 p) {
  const Mask<double> forward = p.plus > p.minus;
  const V zero = V{}, root = vsqrt(forward ? p.plus : p.minus), x = p.x / root, y = p.y / root;
  return {{forward ? -x : -root, forward ? y : zero}, {forward ? root : x, forward ? zero : y}};
}

// Two polarisation vectors, orthonormal, real, without time component. Source: Duff et al., Building an
// orthonormal basis, revisited, JCGT 6 (2017) 1.
LHCFLOW_INLINE void polarisations(Real4 p, Real4& first, Real4& second) {
  const V energy = 0.5 * (p.plus + p.minus), x = p.x / energy, y = p.y / energy;
  const V z = 0.5 * (p.plus - p.minus) / energy;
  const V sign = z < 0 ? splat(-1.0) : splat(1.0), a = -1.0 / (sign + z), b = x * y * a;
  const V first_z = -sign * x, second_z = -y;
  first = {first_z, -first_z, 1.0 + sign * x * x * a, sign * b};
  second = {second_z, -second_z, b, sign + y * y * a};
}

}  // namespace lhcflow::LHCFLOW_ISA
