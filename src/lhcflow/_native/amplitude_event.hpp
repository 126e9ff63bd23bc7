// What the amplitudes of one and of two quark lines share: legs of the events in the lanes, the boson, colour.
#pragma once

#include "amplitudes.hpp"
#include "spinor_simd.hpp"

namespace lhcflow::LHCFLOW_ISA {

template <int gluons, int pols> struct Event {
  Real4 quark[4];            // starts of the lines, then ends; as if all were outgoing
  Spinor spinor[4];          // theirs, as columns
  Real4 gluon[gluons + 1];   // as if all were outgoing
  Real4 eps[gluons + 1][2];  // polarisation vectors, `pols` of them
  Current boson[2];          // of left- and right-handed leptons, without propagator
  Complex photon, heavy;     // propagators

  Event(const AmplitudeTable& t, const double* momenta, const double* angles) {
    for (int i = 0; i < t.lines; ++i) {
      leg(t, momenta, t.start[i], quark[i], spinor[i]);
      leg(t, momenta, t.end[i], quark[2 + i], spinor[2 + i]);
    }
    for (int i = 0; i < gluons; ++i) {
      const Real4 k = momentum(t, momenta, t.gluon[i]);
      polarisations(k, eps[i][0], eps[i][1]);
      gluon[i] = outgoing(k, t.gluon[i]);
      if constexpr (pols == 1) {
        V cosine, sine;
        for (int e = 0; e < lanes<double>; ++e) {
          cosine[e] = angles[(e * gluons + i) * 2];
          sine[e] = angles[(e * gluons + i) * 2 + 1];
        }
        eps[i][0] = cosine * eps[i][0] + sine * eps[i][1];
      }
    }
    Real4 p, q;
    Spinor first, last;
    leg(t, momenta, t.lepton_start, p, first);
    leg(t, momenta, t.lepton_end, q, last);
    boson[0] = current(conj(last), first);
    boson[1] = current(conj(first), last);
    const V s = twice_dot(p, q), off = s - t.mass * t.mass, on = splat(t.mass * t.width);
    const V size = 1.0 / (off * off + on * on);
    photon = {1.0 / s, V{}};
    heavy = {off * size, -on * size};
  }

  // Of V to a quark line, by chiralities (0 left, 1 right).
  LHCFLOW_INLINE Complex coupling(const AmplitudeTable& t, int pairing, int line, int quark, int lepton) const {
    return splat(t.photon[pairing][line][quark][lepton]) * photon +
           splat(t.heavy[pairing][line][quark][lepton]) * heavy;
  }

 private:
  static Real4 momentum(const AmplitudeTable& t, const double* momenta, int leg) {
    V e, x, y, z;
    for (int i = 0; i < lanes<double>; ++i) {
      const double* p = momenta + (i * t.particles + leg) * 4;
      e[i] = p[0], x[i] = p[1], y[i] = p[2], z[i] = p[3];
    }
    // |p| for E, and the smaller of E +- pz from the transverse momentum, free of cancellation
    const V pt2 = x * x + y * y, large = e + vabs(z), small = pt2 / large;
    return {z > 0 ? large : small, z > 0 ? small : large, x, y};
  }
  static Real4 outgoing(Real4 p, int leg) { return splat(leg < 2 ? -1.0 : 1.0) * p; }
  static void leg(const AmplitudeTable& t, const double* momenta, int leg, Real4& out, Spinor& column) {
    const Real4 p = momentum(t, momenta, leg);
    column = left_spinor(p);
    out = outgoing(p, leg);
  }
};

inline bool exists(const AmplitudeTable& t, int pairing, int line, int quark, int lepton) {
  return t.photon[pairing][line][quark][lepton] != 0 || t.heavy[pairing][line][quark][lepton] != 0;
}

// sum_ij colour_ij a_i conj(a_j)
template <int flows> LHCFLOW_INLINE V colour_sum(const AmplitudeTable& t, const Complex* a) {
  V total = V{};
  for (int i = 0; i < flows; ++i) {
    Complex row = {V{}, V{}};
    for (int j = 0; j < i; ++j) row += splat(2 * t.colour[i][j]) * a[j];
    row += splat(t.colour[i][i]) * a[i];
    total += row.r * a[i].r + row.i * a[i].i;
  }
  return total;
}

}  // namespace lhcflow::LHCFLOW_ISA
