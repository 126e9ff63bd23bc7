// One quark line with V and 0 to 3 gluons.
//
// With Q(1..i) the spinor after gluons 1..i (from the start, all orders in g_s that keep the colour order),
// R(i+1..n) the same from the end, and V between them, an amplitude is sum_i R(i+1..n) V Q(1..i). Its
// longest members enter through row = end V propagator and column = propagator V start only, so that no
// current of three gluons is ever built. Polarisation vectors are real, hence gluon currents too.
// Source: Berends, Giele, Nucl. Phys. B306 (1988) 759; 1 / sqrt(2) per vertex is left to the caller.
#pragma once

#include "amplitude_event.hpp"

namespace lhcflow::LHCFLOW_ISA {

template <int gluons, int pols> class OneLine {
 public:
  static constexpr int flows = gluons <= 1 ? 1 : gluons == 2 ? 2 : 6;

  explicit OneLine(const Event<gluons, pols>& event) : e(event), chi(event.spinor[0]), psi(conj(event.spinor[2])) {
    if constexpr (gluons >= 1) one_gluon();
    if constexpr (gluons >= 2) two_gluons();
    if constexpr (gluons >= 3) three_gluons();
  }

  // Adds weight times the square, summed over colours and polarisations, and the squares of partial amplitudes.
  LHCFLOW_INLINE void add(const AmplitudeTable& t, const Current& boson, V weight, V& total, V* squares) {
    attach(boson);
    Complex a[flows];
    for (int i = 0; i < (gluons >= 1 ? pols : 1); ++i)
      for (int j = 0; j < (gluons >= 2 ? pols : 1); ++j)
        for (int k = 0; k < (gluons >= 3 ? pols : 1); ++k) {
          if constexpr (gluons == 0) a[0] = splat(2.0) * ((psi * w.ket) * (w.bra * chi));
          if constexpr (gluons == 1) a[0] = k_eps[0][i];
          if constexpr (gluons == 2) amplitudes_2(i, j, a);
          if constexpr (gluons == 3) amplitudes_3(i, j, k, a);
          total += weight * colour_sum<flows>(t, a);
          if (squares)
            for (int f = 0; f < flows; ++f) squares[f] += weight * norm(a[f]);
        }
  }

 private:
  static constexpr int n = gluons ? gluons : 1, pairs = gluons == 3 ? 3 : 1;
  static constexpr int pair_of[3][3] = {{0, 0, 1}, {0, 0, 2}, {1, 2, 0}};  // (0,1), (0,2), (1,2)
  static constexpr int first_of[3] = {0, 0, 1}, second_of[3] = {1, 2, 2};

  const Event<gluons, pols>& e;
  const Spinor chi, psi;  // start as column, end as row
  Current w;
  V s_start[n], s_end[n];                      // denominators of propagators next to one gluon
  Spinor q[n][pols], r[n][pols];               // after one gluon, from the start and from the end
  Real4 pair[pairs][pols][pols];               // current of gluons i < j with its propagator
  V eps_eps[pairs][pols][pols];                // 2 eps.eps
  Spinor q2[n][n][pols][pols], r2[n][n][pols][pols];  // by the order from the start and polarisations
  // Three gluons: what [pair, third gluon] needs (with i, j the pair and k the third).
  V along[3][pols][pols], across[3][pols], between[3][pols][pols][pols], weight_123;
  // With V.
  Spinor row, column;
  Covector k;
  Spinor row_eps[n][pols], full_r[n][pols], full_q[n][pols];
  Spinor row_pair[pairs][pols][pols], pair_column[pairs][pols][pols];
  Complex k_eps[n][pols], k_pair[pairs][pols][pols], k_gluon[n];

  LHCFLOW_INLINE void one_gluon() {
    for (int i = 0; i < gluons; ++i) {
      s_start[i] = twice_dot(e.quark[0], e.gluon[i]);
      s_end[i] = twice_dot(e.quark[2], e.gluon[i]);
      if constexpr (gluons == 1) continue;
      const Real4 after = (-1.0 / s_start[i]) * (e.quark[0] + e.gluon[i]);  // momenta run from start to end
      const Real4 before = (1.0 / s_end[i]) * (e.quark[2] + e.gluon[i]);
      for (int a = 0; a < pols; ++a) {
        q[i][a] = sigma(after, bar(e.eps[i][a], chi));
        r[i][a] = sigma_row(bar_row(psi, e.eps[i][a]), before);
      }
    }
  }

  LHCFLOW_INLINE void two_gluons() {
    for (int p = 0; p < pairs; ++p) {
      const int i = first_of[p], j = second_of[p];
      const V inverse = 1.0 / twice_dot(e.gluon[i], e.gluon[j]);
      const Real4 difference = (0.5 * inverse) * (e.gluon[i] - e.gluon[j]);
      for (int a = 0; a < pols; ++a) {
        const V in_second = inverse * twice_dot(e.gluon[j], e.eps[i][a]);
        for (int b = 0; b < pols; ++b) {
          const V in_first = -inverse * twice_dot(e.gluon[i], e.eps[j][b]);
          eps_eps[p][a][b] = twice_dot(e.eps[i][a], e.eps[j][b]);
          pair[p][a][b] = in_second * e.eps[j][b] + in_first * e.eps[i][a] + eps_eps[p][a][b] * difference;
        }
      }
    }
  }

  LHCFLOW_INLINE void three_gluons() {
    for (int p = 0; p < 3; ++p) {
      const int i = first_of[p], j = second_of[p], third = 3 - i - j;
      const V s = twice_dot(e.gluon[i], e.gluon[j]);
      const Real4 both = e.gluon[i] + e.gluon[j];
      const Real4 after = (-1.0 / (s_start[i] + s_start[j] + s)) * (e.quark[0] + both);
      const Real4 before = (1.0 / (s_end[i] + s_end[j] + s)) * (e.quark[2] + both);
      for (int a = 0; a < pols; ++a)
        for (int b = 0; b < pols; ++b) {
          const Real4 current = pair[p][a][b];
          const Spinor from_pair = bar(current, chi), to_pair = bar_row(psi, current);
          // order i, j: the pair's current as it is; order j, i: its negative
          q2[i][j][a][b] = sigma(after, from_pair + bar(e.eps[j][b], q[i][a]));
          q2[j][i][b][a] = sigma(after, splat(-1.0) * from_pair + bar(e.eps[i][a], q[j][b]));
          r2[i][j][a][b] = sigma_row(to_pair + bar_row(r[j][b], e.eps[i][a]), before);
          r2[j][i][b][a] = sigma_row(splat(-1.0) * to_pair + bar_row(r[i][a], e.eps[j][b]), before);
          along[p][a][b] = twice_dot(e.gluon[third], current);
          for (int c = 0; c < pols; ++c) between[p][a][b][c] = 0.5 * twice_dot(current, e.eps[third][c]);
        }
      for (int c = 0; c < pols; ++c) across[p][c] = twice_dot(both, e.eps[third][c]);
    }
    weight_123 = 1.0 / (twice_dot(e.gluon[0], e.gluon[1]) + twice_dot(e.gluon[0], e.gluon[2]) +
                        twice_dot(e.gluon[1], e.gluon[2]));
  }

  LHCFLOW_INLINE void attach(const Current& boson) {
    w = boson;
    if constexpr (gluons == 0) return;
    Real4 sum = e.gluon[0];
    V s_row = s_start[0], s_column = s_end[0];
    for (int i = 1; i < gluons; ++i) {
      V s = V{};
      for (int j = 0; j < i; ++j) s += twice_dot(e.gluon[i], e.gluon[j]);
      sum = sum + e.gluon[i];
      s_row += s_start[i] + s;
      s_column += s_end[i] + s;
    }
    row = (splat(2.0) * (psi * w.ket)) * sigma_row(w.bra, (-1.0 / s_row) * (e.quark[0] + sum));
    column = (splat(2.0) * (w.bra * chi)) * sigma((1.0 / s_column) * (e.quark[2] + sum), w.ket);
    k = covector(row, chi) + covector(psi, column);
    for (int i = 0; i < gluons; ++i)
      for (int a = 0; a < pols; ++a) {
        k_eps[i][a] = k * e.eps[i][a];
        if constexpr (gluons == 1) continue;
        row_eps[i][a] = bar_row(row, e.eps[i][a]);
        full_q[i][a] = (splat(2.0) * (w.bra * q[i][a])) * w.ket + bar(e.eps[i][a], column);
        if constexpr (gluons == 3) full_r[i][a] = (splat(2.0) * (r[i][a] * w.ket)) * w.bra + row_eps[i][a];
      }
    if constexpr (gluons == 2)
      for (int a = 0; a < pols; ++a)
        for (int b = 0; b < pols; ++b) k_pair[0][a][b] = k * pair[0][a][b];
    if constexpr (gluons == 3) attach_pairs();
  }

  LHCFLOW_INLINE void attach_pairs() {
    for (int i = 0; i < 3; ++i) k_gluon[i] = splat(2.0) * (k * e.gluon[i]);
    for (int p = 0; p < 3; ++p)
      for (int a = 0; a < pols; ++a)
        for (int b = 0; b < pols; ++b) {
          k_pair[p][a][b] = k * pair[p][a][b];
          row_pair[p][a][b] = bar_row(row, pair[p][a][b]);
          pair_column[p][a][b] = bar(pair[p][a][b], column);
        }
  }

  LHCFLOW_INLINE void amplitudes_2(int a, int b, Complex* result) const {
    result[0] = row_eps[1][b] * q[0][a] + r[1][b] * full_q[0][a] + k_pair[0][a][b];
    result[1] = row_eps[0][a] * q[1][b] + r[0][a] * full_q[1][b] - k_pair[0][a][b];
  }

  // k.[pair, third]: the vertex of the pair's current with the third gluon; k.(sum of all gluons) = 0.
  LHCFLOW_INLINE Complex joined(int p, int a, int b, int c) const {
    const int third = 2 - p;
    return along[p][a][b] * k_eps[third][c] - across[p][c] * k_pair[p][a][b] - between[p][a][b][c] * k_gluon[third];
  }

  LHCFLOW_INLINE void amplitudes_3(int h0, int h1, int h2, Complex* result) const {
    const int h[3] = {h0, h1, h2};
    // k.J of three gluons by the one in the middle; J(1,2,3) = J(3,2,1), and the three sum up to zero.
    const V e01 = eps_eps[0][h0][h1], e02 = eps_eps[1][h0][h2], e12 = eps_eps[2][h1][h2];
    const Complex j01 = joined(0, h0, h1, h2), j02 = joined(1, h0, h2, h1), j12 = joined(2, h1, h2, h0);
    const Complex f0 = e12 * k_eps[0][h0], f1 = e02 * k_eps[1][h1], f2 = e01 * k_eps[2][h2];
    const V half = splat(0.5);
    Complex middle[3];
    middle[1] = weight_123 * (j01 - j12 + f1 - half * (f0 + f2));
    middle[2] = weight_123 * (j02 + j12 + f2 - half * (f0 + f1));
    middle[0] = -(middle[1] + middle[2]);
    constexpr int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int f = 0; f < 6; ++f) {
      const int x = orders[f][0], y = orders[f][1], z = orders[f][2];
      const int p = pair_of[x][y], s = pair_of[y][z];
      const Spinor column_xy = x < y ? pair_column[p][h[x]][h[y]] : splat(-1.0) * pair_column[p][h[y]][h[x]];
      const Spinor row_yz = y < z ? row_pair[s][h[y]][h[z]] : splat(-1.0) * row_pair[s][h[z]][h[y]];
      result[f] = full_r[z][h[z]] * q2[x][y][h[x]][h[y]] + r[z][h[z]] * column_xy +
                  r2[y][z][h[y]][h[z]] * full_q[x][h[x]] + row_yz * q[x][h[x]] + middle[y];
    }
  }
};

}  // namespace lhcflow::LHCFLOW_ISA
