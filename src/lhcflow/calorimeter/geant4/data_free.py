"""Geant4 physics that needs no data files.

The `geant4_pybind` wheel binds no process classes, but its library exports their constructors. They are
called here through ctypes (mangled names of the Itanium C++ ABI), so that showers run without Geant4's
data sets: photoelectric effect (Sandia tables), Klein-Nishina, conversion; Urban multiple scattering,
Moller and Bhabha ionisation, relativistic bremsstrahlung at all energies, annihilation. There is no Rayleigh
scattering, fluorescence or photonuclear reaction. Pions get FTFP and Bertini cascades with cross sections
that are coded in the library, without elastic scattering, capture and nuclear levels: "pion-like" showers.
"""

from __future__ import annotations

import ctypes
from typing import Any

from .library import g4

_ELECTROMAGNETIC = ctypes.c_int(2)  # G4ProcessType::fElectromagnetic
_LARGEST = 16384  # bytes, more than any object built here takes

# PyDLL keeps Python's lock: Geant4 calls back into Python.
_library = ctypes.PyDLL(g4.__file__)
_allocate = ctypes.CDLL("libstdc++.so.6")._Znwm
_allocate.restype = ctypes.c_void_p
_allocate.argtypes = [ctypes.c_size_t]
_strings: list[Any] = []


def electromagnetic_list() -> Any:
    """The physics list for e+, e- and photons."""
    physics = g4.G4VModularPhysicsList()
    physics.SetVerboseLevel(0)
    physics.RegisterPhysics(_Electromagnetic())
    return physics


def hadronic_list() -> Any:
    """The physics list for charged pions."""
    physics = electromagnetic_list()
    physics.RegisterPhysics(_Hadronic())
    physics.RegisterPhysics(g4.G4DecayPhysics())
    physics.RegisterPhysics(g4.G4NeutronTrackingCut())
    return physics


class _Electromagnetic(g4.G4VPhysicsConstructor):
    def __init__(self) -> None:
        super().__init__("DataFreeEm")
        parameters = g4.G4EmParameters.Instance()
        parameters.SetDefaults()
        parameters.SetVerbose(0)
        parameters.SetGeneralProcessActive(False)
        parameters.SetFluo(False)
        parameters.SetAuger(False)
        parameters.SetPixe(False)

    def ConstructParticle(self) -> None:
        _call("_ZN11G4EmBuilder21ConstructMinimalEmSetEv")

    def ConstructProcess(self) -> None:
        photon = _particle("_ZN7G4Gamma5GammaEv")
        for symbol, name in (
            ("_ZN21G4PhotoElectricEffectC1ERK8G4String13G4ProcessType", "phot"),
            ("_ZN19G4ComptonScatteringC1ERK8G4String13G4ProcessType", "compt"),
            ("_ZN17G4GammaConversionC1ERK8G4String13G4ProcessType", "conv"),
        ):
            _register(_new(symbol, _string(name), _ELECTROMAGNETIC), photon)
        positron = _particle("_ZN10G4Positron8PositronEv")
        for lepton in (_particle("_ZN10G4Electron8ElectronEv"), positron):
            _register(_new("_ZN21G4eMultipleScatteringC1ERK8G4String", _string("msc")), lepton)
            _register(_new("_ZN13G4eIonisationC1ERK8G4String", _string("eIoni")), lepton)
            bremsstrahlung = _new("_ZN17G4eBremsstrahlungC1ERK8G4String", _string("eBrem"))
            # The default model below 1 GeV reads the Seltzer-Berger tables.
            relativistic = _new(
                "_ZN25G4eBremsstrahlungRelModelC1EPK20G4ParticleDefinitionRK8G4String",
                None,
                _string("eBremLPM"),
            )
            _call(
                "_ZN20G4VEnergyLossProcess10SetEmModelEP10G4VEmModeli",
                bremsstrahlung,
                relativistic,
                ctypes.c_int(0),
            )
            _register(bremsstrahlung, lepton)
        _register(_new("_ZN19G4eplusAnnihilationC1ERK8G4String", _string("annihil")), positron)


class _Hadronic(g4.G4VPhysicsConstructor):
    def __init__(self) -> None:
        super().__init__("DataFreeHad")

    def ConstructParticle(self) -> None:
        for symbol in (
            "_ZN18G4MesonConstructor17ConstructParticleEv",
            "_ZN19G4BaryonConstructor17ConstructParticleEv",
            "_ZN23G4ShortLivedConstructor17ConstructParticleEv",
            "_ZN16G4IonConstructor17ConstructParticleEv",
        ):
            _call(symbol, ctypes.c_void_p(_allocate(64)))

    def ConstructProcess(self) -> None:
        # Neutrons take the protons' builder: their own insists on cross sections from files.
        for name, symbol, kind in (
            ("pi+Inelastic", "_ZN10G4PionPlus8PionPlusEv", "Pion"),
            ("pi-Inelastic", "_ZN11G4PionMinus9PionMinusEv", "Pion"),
            ("protonInelastic", "_ZN8G4Proton6ProtonEv", "Proton"),
            ("neutronInelast", "_ZN9G4Neutron7NeutronEv", "Proton"),
        ):
            _inelastic(name, _particle(symbol), kind)
        _call("_ZN17G4HadronicBuilder19BuildKaonsFTFP_BERTEv")
        _call("_ZN17G4HadronicBuilder22BuildHyperonsFTFP_BERTEv")
        ion = _particle("_ZN12G4GenericIon10GenericIonEv")
        scattering = _new("_ZN21G4hMultipleScatteringC1ERK8G4String", _string("ionmsc"))
        _register(scattering, ion)
        _register(_new("_ZN15G4ionIonisationC1ERK8G4String", _string("ionIoni")), ion)
        _call(
            "_ZN11G4EmBuilder16ConstructChargedEP21G4hMultipleScatteringP17G4NuclearStoppingb",
            scattering,
            None,
            ctypes.c_bool(True),
        )


def _inelastic(name: str, particle: ctypes.c_void_p, kind: str) -> None:
    """FTFP above the Bertini cascade for one hadron."""
    process = _new(
        "_ZN24G4HadronInelasticProcessC1ERK8G4StringPK20G4ParticleDefinition", _string(name), particle
    )
    ftfp, bertini = f"G4FTFP{kind}Builder", f"G4Bertini{kind}Builder"
    for builder, signature, arguments in ((ftfp, "b", (ctypes.c_bool(False),)), (bertini, "v", ())):
        made = _new(f"_ZN{len(builder)}{builder}C1E{signature}", *arguments)
        _call(f"_ZN{len(builder)}{builder}5BuildEP24G4HadronInelasticProcess", made, process)
    if kind == "Proton":
        cross_section = _new("_ZN23G4BGGNucleonInelasticXSC1EPK20G4ParticleDefinition", particle)
        _call("_ZN17G4HadronicProcess10AddDataSetEP22G4VCrossSectionDataSet", process, cross_section)
    _register(process, particle)


def _call(symbol: str, *arguments: Any, result: Any = None) -> Any:
    function = getattr(_library, symbol)
    function.restype = result
    return function(*arguments)


def _new(symbol: str, *arguments: Any) -> ctypes.c_void_p:
    """Build an object; Geant4 owns it from then on."""
    memory = _allocate(_LARGEST)
    ctypes.memset(memory, 0, _LARGEST)
    _call(symbol, ctypes.c_void_p(memory), *arguments)
    return ctypes.c_void_p(memory)


def _particle(symbol: str) -> ctypes.c_void_p:
    return ctypes.c_void_p(_call(symbol, result=ctypes.c_void_p))


def _register(process: ctypes.c_void_p, particle: ctypes.c_void_p) -> None:
    helper = _call("_ZN19G4PhysicsListHelper20GetPhysicsListHelperEv", result=ctypes.c_void_p)
    accepted = _call(
        "_ZN19G4PhysicsListHelper15RegisterProcessEP10G4VProcessP20G4ParticleDefinition",
        ctypes.c_void_p(helper),
        process,
        particle,
        result=ctypes.c_bool,
    )
    if not accepted:
        raise RuntimeError("Geant4 refused a process")


def _string(text: str) -> ctypes.c_void_p:
    """A G4String, as libstdc++ lays out short strings: {pointer, length, 16 bytes of text}."""
    data = text.encode()
    assert len(data) < 16
    buffer = ctypes.create_string_buffer(32)
    address = ctypes.addressof(buffer)
    ctypes.c_uint64.from_address(address).value = address + 16
    ctypes.c_uint64.from_address(address + 8).value = len(data)
    ctypes.memmove(address + 16, data + b"\0", len(data) + 1)
    _strings.append(buffer)
    return ctypes.c_void_p(address)
