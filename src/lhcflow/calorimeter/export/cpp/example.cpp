// Showers of one energy as text, one per line, in MeV per voxel:
//   c++ -std=c++17 -O3 -march=native example.cpp -o example && ./example model.lhcflow 50000 10 1 > showers.txt
#include "lhcflow_showers.hpp"

#include <cstdio>
#include <cstdlib>

int main(int count, char **argument) try {
    if (count != 5) {
        std::fprintf(stderr, "usage: %s MODEL INCIDENT_ENERGY_IN_MEV SHOWERS SEED\n", argument[0]);
        return 2;
    }
    const lhcflow::Model model(argument[1]);
    const double incident = std::atof(argument[2]);
    std::mt19937_64 random(std::strtoull(argument[4], nullptr, 10));
    for (long n = std::atol(argument[3]); n > 0; --n) {
        for (double energy : model.shower(incident, random)) std::printf("%.9g ", energy);
        std::printf("\n");
    }
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
}
