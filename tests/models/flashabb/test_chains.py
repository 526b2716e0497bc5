import pytest

from itda.errors import CapabilityError
from itda.models.flashabb.chains import find_domains, germlines, sort_chains
from itda.parity.flashabb import HEAVY, LIGHT

CONSTANT_HEAVY = "ASTKGPSVFPLAPSSKSTSGGTAALGCLVKDYFPEPVTVSWNSGALTSGVHTFPAVLQSSGLYSLSSVVTVPSSS"
CONSTANT_LIGHT = "RTVAAPSVFIFPPSDEQLKSGTASVVCLLNNFYPREAKVQWKVDNALQSGNSQESVTEQDSKDSTYSLSSTLTLS"
LINKER = "GGGGSGGGGSGGGGS"
GAMMA = (
    "DSWISQDQLSFTRRPNKTVHISCKLSGVPLHNTIVHWYQLKEGEPLRRIFYGSVKTYKQDKSHSRLEIDEKDDGTFYLIINNVVTSDE"
    "ATYYCACWDSSGFHKVFAEGTKLIVIPS"
)
ALPHA = (
    "QQNVQQSPESLIVPEGARTSLNCTFSDSASQYFWWYRQHSGKAPKALMSIFSNGEKEEGRFTIHLNKASLHFSLHIRDSQPSDSALYL"
    "CAVSDSGYNKLTFGKGTVLLVSP"
)
BETA = (
    "EAGVTQFPSHSVIEKGQTVTLRCDPISGHDNLYWYRRVMGKEIKFLLHFVKESKQDESGMPNNRFLAERTGGTYSTLKVQPAELEDSG"
    "VYFCASSQNTEAFFGQGTRLTVV"
)
SHARK = (
    "RVDQTPQRITKETGESLTINCVVRDSRCVLSTGYWYRKPPGSRNEESISDGGRYVETVNRGSKSFSLRINDLTVKDSGTYRCKPESRY"
    "GSYDAVCAALNDQYGGGTVVTVNA"
)
UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"


@pytest.mark.parametrize("kind", ["heavy", "light"])
def test_each_germline_domain_is_whole_and_of_its_kind(kind):
    for text in germlines()[kind]:
        (domain,) = find_domains(text)
        assert (domain.kind, domain.first, domain.last) == (kind, 0, len(text) - 1)
        assert domain.identity == 1.0


@pytest.mark.parametrize(
    ("variable", "constant", "kind"),
    [(HEAVY, CONSTANT_HEAVY, "heavy"), (LIGHT, CONSTANT_LIGHT, "light")],
)
def test_the_domain_of_a_whole_chain_ends_where_the_constant_domain_begins(
    variable, constant, kind
):
    (domain,) = find_domains(variable + constant)
    assert domain.kind == kind
    assert (domain.first, domain.last) == (0, len(variable) - 1)


def test_both_domains_of_a_single_chain_fragment_are_found_in_order():
    first, second = find_domains(HEAVY + LINKER + LIGHT)
    assert (first.kind, second.kind) == ("heavy", "light")
    assert second.first == len(HEAVY) + len(LINKER)


def test_another_protein_has_no_domain():
    assert find_domains(UBIQUITIN) == []
    assert find_domains(UBIQUITIN * 2) == []
    assert find_domains("A" * 200) == []


@pytest.mark.parametrize("text", [*germlines()["receptor"], GAMMA, ALPHA, BETA, SHARK])
def test_domains_of_receptors_and_of_sharks_are_never_those_of_antibodies(text):
    """Of receptor germlines, the nearest to light chains: TRGV5, TRAV7-3, TRBV14; of PDB 2I25."""
    assert {domain.kind for domain in find_domains(text)} <= {"receptor"}


def test_the_order_of_chains_does_not_matter():
    assert sort_chains([("H", HEAVY), ("L", LIGHT)], job="ab") == (0, 1)
    assert sort_chains([("A", LIGHT), ("B", HEAVY)], job="ab") == (1, 0)


@pytest.mark.parametrize(
    ("chains", "said"),
    [
        ([("H", HEAVY)], r"chain H: a heavy chain without a light chain \(a nanobody\).*5\.0 Å"),
        ([("L", LIGHT)], r"only light chains are given \(L\)"),
        ([("H", HEAVY), ("K", HEAVY)], r"only heavy chains are given \(H and K\)"),
        ([("L", LIGHT), ("M", LIGHT)], r"only light chains are given \(L and M\)"),
        ([("H", HEAVY), ("U", UBIQUITIN)], "chain U: 76 residues are too few"),
        ([("H", HEAVY), ("U", UBIQUITIN * 2)], "chain U: 152 residues, none of which"),
        ([("H", HEAVY), ("L", LIGHT[:70])], "chain L: 70 residues are too few"),
        (
            [("H", HEAVY), ("T", GAMMA)],
            "chain T: residues 1 to 114 are the variable domain of a T-cell receptor",
        ),
        ([("S", HEAVY + LINKER + LIGHT)], r"2 variable domains \(heavy 1-121 and light 137-248\)"),
        (
            [("H", HEAVY + CONSTANT_HEAVY), ("L", LIGHT)],
            "chain H: the variable domain is residues 1 to 121, and there are 0 residues before it "
            "and 75 after it",
        ),
        (
            [("H", HEAVY), ("L", "MDMRVPAQLLGLLLLWLRGARC" + LIGHT)],
            "residues 23 to 134, and there are 22 residues before it and 0 after it",
        ),
    ],
)
def test_what_cannot_be_folded_is_refused_by_name(chains, said):
    with pytest.raises(CapabilityError, match=said) as caught:
        sort_chains(chains, job="ab")
    assert caught.value.hint


def test_a_lone_heavy_chain_is_sent_to_families_of_single_chains():
    with pytest.raises(CapabilityError) as caught:
        sort_chains([("H", HEAVY)], job="ab")
    assert "`--model mini`" in caught.value.hint and "`--model esmfold`" in caught.value.hint


def test_loose_ends_of_crystal_structures_pass():
    assert sort_chains([("H", "GS" + HEAVY + "A"), ("L", LIGHT + "RT")], job="ab") == (0, 1)
