// Two quark lines joined by a gluon, V on one of them, with 0 or 1 external gluon.
//
// The line with V is `a`, the other `b`. All pieces are computed with left-handed spinors; a right-handed
// line is its mirror: start and end exchanged, emissions in the opposite order, and a sign for each
// propagator, whose momentum runs against the line. 1 / sqrt(2) per vertex is left to the caller.
#pragma once

#include "amplitude_event.hpp"

namespace lhcflow::LHCFLOW_ISA {

template <int gluons, int pols> class TwoLines {
 public:
  static constexpr int flows = gluons ? 4 : 2, states = gluons ? pols : 1;

  TwoLines(const AmplitudeTable& table, const Event<gluons, pols>& event) : t(table), e(event) {
    for (int i = 0; i < 4; ++i) row[i] = conj(e.spinor[i]);
    if constexpr (gluons)
      for (int i = 0; i < 4; ++i) {
        s_gluon[i] = twice_dot(e.quark[i], e.gluon[0]);
        const Real4 after = (-1.0 / s_gluon[i]) * (e.quark[i] + e.gluon[0]);
        for (int a = 0; a < pols; ++a) {
          q[i][a] = sigma(after, bar(e.eps[0][a], e.spinor[i]));
          r[i][a] = splat(-1.0) * conj(q[i][a]);
        }
      }
  }

  // Adds the squares, summed over colours and all helicities. Reversing all helicities conjugates each part.
  void add(V& total, V* squares) const {
    for (int second = 0; second < 2; ++second)
      for (int lepton = 0; lepton < 2; ++lepton) {
        if (second) {  // lines of different chirality fit one pairing only
          for (int pairing = 0; pairing < 2; ++pairing) coherent(pairing, pairing, second, lepton, total, squares);
        } else {
          coherent(0, 1, second, lepton, total, squares);
        }
      }
  }

 private:
  const AmplitudeTable& t;
  const Event<gluons, pols>& e;
  Spinor row[4];
  V s_gluon[4];
  Spinor q[4][pols], r[4][pols];  // after the gluon, from each leg as start and as end

  // Left-handed first line; the second one by `second`. The sum of the given pairings, squared.
  LHCFLOW_INLINE void coherent(int from, int to, int second, int lepton, V& total, V* squares) const {
    Complex sums[2][states][flows];  // these helicities, and all of them reversed
    bool found[2] = {false, false};
    for (int pairing = from; pairing <= to; ++pairing)
      for (int line = 0; line < 2; ++line) {
        const int quark = line ? second : 0;
        const bool here = exists(t, pairing, line, quark, lepton);
        const bool there = exists(t, pairing, line, 1 - quark, 1 - lepton);
        if (!here && !there) continue;
        Complex part[states][flows];
        one_part(pairing, line, second, lepton, part);
        if (here) accumulate(e.coupling(t, pairing, line, quark, lepton), part, sums[0], found[0]);
        if (there) accumulate(conj(e.coupling(t, pairing, line, 1 - quark, 1 - lepton)), part, sums[1], found[1]);
      }
    for (int c = 0; c < 2; ++c)
      if (found[c])
        for (int s = 0; s < states; ++s) {
          total += colour_sum<flows>(t, sums[c][s]);
          if (squares)
            for (int f = 0; f < flows; ++f) squares[f] += norm(sums[c][s][f]);
        }
  }

  static LHCFLOW_INLINE void accumulate(Complex c, const Complex (&part)[states][flows], Complex (&sum)[states][flows],
                                        bool& found) {
    for (int s = 0; s < states; ++s)
      for (int f = 0; f < flows; ++f) sum[s][f] = found ? sum[s][f] + c * part[s][f] : c * part[s][f];
    found = true;
  }

  void one_part(int pairing, int line, int second, int lepton, Complex (&result)[states][flows]) const {
    const int other = 1 - line, end = pairing ? other : line;
    const bool back_a = line && second, back_b = other && second;
    const Line a = back_a ? Line{2 + end, line} : Line{line, 2 + end};
    const Line b = back_b ? Line{2 + 1 - end, other} : Line{other, 2 + 1 - end};
    const V sign = splat(pairing ? -1.0 : 1.0);  // of exchanged ends
    const V sign_a = back_a ? -sign : sign, sign_b = splat(back_b ? -1.0 : 1.0);
    if constexpr (gluons == 0) {
      const Complex across = sign_a * joined(a, b, e.boson[lepton]);
      result[0][pairing] = across;
      result[0][1 - pairing] = splat(-1.0 / 3) * across;
    } else {
      Pieces p[pols];
      pieces(a, b, e.boson[lepton], p);
      const int at_a = end, at_b = 1 - end;  // strings are named by their ends
      for (int s = 0; s < pols; ++s) {
        const Complex pair = sign_a * p[s].pair;
        const Complex a_xg = sign * (back_a ? p[s].a_gx : p[s].a_xg) + pair;
        const Complex a_gx = sign * (back_a ? p[s].a_xg : p[s].a_gx) - pair;
        const Complex b_gx = (sign_a * sign_b) * (back_b ? p[s].b_xg : p[s].b_gx);
        const Complex b_xg = (sign_a * sign_b) * (back_b ? p[s].b_gx : p[s].b_xg);
        const int leading = pairing ? 2 : 0, third = 2 - leading;
        result[s][leading + (at_a ? 0 : 1)] = a_xg + b_gx;
        result[s][leading + (at_b ? 0 : 1)] = a_gx + b_xg;
        result[s][third + (at_a ? 0 : 1)] = splat(-1.0 / 3) * (a_xg + a_gx);
        result[s][third + (at_b ? 0 : 1)] = splat(-1.0 / 3) * (b_gx + b_xg);
      }
    }
  }

  struct Line {
    int start, end;  // numbers of legs
  };

  // The gluon x from b to a and V, without an external gluon.
  LHCFLOW_INLINE Complex joined(Line a, Line b, const Current& w) const {
    const Current x = current(row[b.end], e.spinor[b.start]);
    const Real4 q_x = e.quark[b.start] + e.quark[b.end];
    const V s_x = twice_dot(e.quark[b.start], e.quark[b.end]);
    const Spinor chi = e.spinor[a.start], psi = row[a.end];
    const V after = -1.0 / (s_x + twice_dot(e.quark[a.start], q_x));
    const V before = 1.0 / (s_x + twice_dot(e.quark[a.end], q_x));
    const Complex first = after * (w.bra * sigma(e.quark[a.start] + q_x, x.ket));
    const Complex second = before * (x.bra * sigma(e.quark[a.end] + q_x, w.ket));
    return (4.0 / s_x) * ((psi * w.ket) * first * (x.bra * chi) + (psi * x.ket) * second * (w.bra * chi));
  }

  struct Pieces {
    Complex a_xg, a_gx, pair, b_gx, b_xg;  // as in the numpy twin, for left-handed lines
  };

  LHCFLOW_INLINE void pieces(Line a, Line b, const Current& w, Pieces (&result)[pols]) const {
    const V two = splat(2.0);
    const Real4 g = e.gluon[0], p_start = e.quark[a.start], p_end = e.quark[a.end];
    const Spinor chi = e.spinor[a.start], psi = row[a.end];
    const Current x = current(row[b.end], e.spinor[b.start]);
    const Real4 q_x = e.quark[b.start] + e.quark[b.end], all = q_x + g;
    const V s_x = twice_dot(e.quark[b.start], e.quark[b.end]), s_all = s_x + s_gluon[b.start] + s_gluon[b.end];
    const V over_x = 1.0 / s_x, over_all = 1.0 / s_all;
    const V start_x = s_x + twice_dot(p_start, q_x), end_x = s_x + twice_dot(p_end, q_x);
    const V start_all = start_x + (s_all - s_x) + s_gluon[a.start], end_all = end_x + (s_all - s_x) + s_gluon[a.end];
    const Spinor top = (two * (psi * w.ket)) * sigma_row(w.bra, (-1.0 / start_all) * (p_start + all));
    const Spinor low = (two * (w.bra * chi)) * sigma((1.0 / end_all) * (p_end + all), w.ket);
    const Complex x_chi = (two * over_x) * (x.bra * chi), psi_x = (two * over_x) * (psi * x.ket);
    const Complex top_x = (two * over_x) * (top * x.ket), x_low = (two * over_x) * (x.bra * low);
    const Spinor q_of_x = x_chi * sigma((-1.0 / start_x) * (p_start + q_x), x.ket);
    const Spinor r_of_x = psi_x * sigma_row(x.bra, (1.0 / end_x) * (p_end + q_x));
    const Spinor full_x = (two * (w.bra * q_of_x)) * w.ket + x_low * x.ket;
    const Complex4 vector = vector_of(x);
    const Covector k = covector(top, chi) + covector(psi, low);
    const Complex k_x = top_x * (x.bra * chi) + psi_x * (x.bra * low), k_g = two * (k * g);
    const Complex g_x = over_x * twice_dot(g, vector);
    for (int s = 0; s < pols; ++s) {
      const Real4 eps = e.eps[0][s];
      const Spinor q_g = q[a.start][s], r_g = r[a.end][s];
      result[s].a_xg = bar_row(top, eps) * q_of_x + r_g * full_x;
      result[s].a_gx =
          top_x * (x.bra * q_g) + r_of_x * ((two * (w.bra * q_g)) * w.ket + bar(eps, low));
      const Complex x_eps = (0.5 * over_x) * twice_dot(eps, vector);
      result[s].pair = over_all * (g_x * (k * eps) - twice_dot(q_x, eps) * k_x - x_eps * k_g);
      result[s].b_gx = over_all * through(current(row[b.end], q[b.start][s]), psi, chi, top, low);
      result[s].b_xg = over_all * through(current(r[b.end][s], e.spinor[b.start]), psi, chi, top, low);
    }
  }

  // A current on the line: k.current.
  static LHCFLOW_INLINE Complex through(const Current& j, Spinor psi, Spinor chi, Spinor top, Spinor low) {
    return splat(2.0) * ((top * j.ket) * (j.bra * chi) + (psi * j.ket) * (j.bra * low));
  }
};

}  // namespace lhcflow::LHCFLOW_ISA
