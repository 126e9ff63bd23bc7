// What all rational-quadratic splines of one call share; built by the bindings, read by the kernels.
#pragma once

namespace lhcflow {

enum class Tails : int { none = 0, linear = 1, circular = 2 };

struct SplineSettings {
  int bins;
  Tails tails;
  double low, high, min_bin, min_derivative;
  double shift;  // log(exp(1 - min_derivative) - 1): raw derivatives of 0 mean a derivative of 1

  int derivatives() const {
    return tails == Tails::none ? bins + 1 : tails == Tails::linear ? bins - 1 : bins;
  }
  int count() const { return 2 * bins + derivatives(); }
};

}  // namespace lhcflow
