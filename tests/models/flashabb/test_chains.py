import pytest

from itda.errors import CapabilityError
from itda.job.model import Job
from itda.models.flashabb.chains import join_hints, sort_chains, trim
from itda.models.flashabb.domains import find_domains, germlines
from itda.models.flashabb.family import FAMILY
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
# Of a cow (Bos taurus), with an ultralong CDR-H3 on a stalk.
COW_HEAVY = (
    "QVQLRESGPSLVQPSQTLSLTCTASGFSLSDKAVGWVRQAPGKALEWLGGIDTGGSTGYNPGLKSRLSITKDNSKSQVSLSVSSVTTEDSATYYC"
    "TTVHQETRKTCSDGYIAVDSCGRGQSDGCVNDCNSCYYGWRNCRRQPAIQSYEFHVDAWGRGLLVTVSS"
)
COW_LIGHT = (
    "QAVLNQPSSVSGSLGQRVSITCSGSSSNVGNGYVSWYQLIPGSAPRTLIYGDTSRASGVPDRFSGSRSGNTATLTISSLQAEDEADYFCASAEDS"
    "SSNAVFGSGTTLTVLG"
)
RABBIT_HEAVY = (
    "QSVEESGGRLVTPGTPLTLTCTVSGFSLSSYAMSWVRQAPGKGLEWIGIISSSGSTYYASWAKGRFTISKTSTTVDLKITSPTTEDTATYFCARG"
    "GSGGDYYYYGMDLWGPGTLVTVSS"
)
CHICKEN_HEAVY = (
    "AVTLDESGGGLQTPGGALSLVCKASGFTFSSYGMQWVRQAPGKGLEFVAGISSSGSYTNYGAAVKGRATISRDNGQSTVRLQLNNLRAEDTGTYY"
    "CAKAAGGGYCSGWGAYIDAWGHGTEVIVSS"
)
CONSTANT_LAMBDA = (
    "GQPKAAPSVTLFPPSSEELQANKATLVCLISDFYPGAVTVAWKADSSPVKAGVETTTPSKQSNNKYAASSYLSLTPEQWKSHR"
)
CONSTANT_MOUSE = (
    "AKTTPPSVYPLAPGSAAQTNSMVTLGCLVKGYFPEPVTVTWNSGSLSSGVHTFPAVLQSDLYTLSSSVTVPSSTWPSETVTCN"
)
CONSTANT_MOUSE_KAPPA = (
    "ADAAPTVSIFPPSSEQLTSGGASVVCFLNNFYPKDINVKWKIDGSERQNGVLNSWTDQDSKDSTYSMSSTLTLTKDEYERHNS"
)
SIGNAL = "MDMRVPAQLLGLLLLWLRGARC"
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
    assert find_domains(UBIQUITIN) == ()
    assert find_domains(UBIQUITIN * 2) == ()
    assert find_domains("A" * 200) == ()


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


def test_the_warning_for_a_lone_heavy_chain_says_what_its_h3_is_worth():
    with pytest.raises(CapabilityError) as caught:
        sort_chains([("H", HEAVY + CONSTANT_HEAVY)], job="ab")
    assert "nanobody" in caught.value.problem
    assert "not to be trusted" in caught.value.hint
    assert "pLDDT of 92 to 96 where the true lDDT was 0.3 to 0.6" in caught.value.hint


DOMAINS = {
    **{f"heavy {number}": text for number, text in enumerate(germlines()["heavy"])},
    **{f"light {number}": text for number, text in enumerate(germlines()["light"])},
    "trastuzumab, heavy": HEAVY,
    "trastuzumab, light": LIGHT,
    "cow, heavy": COW_HEAVY,
    "cow, light": COW_LIGHT[:-1],
    "rabbit": RABBIT_HEAVY,
    "chicken": CHICKEN_HEAVY,
}


@pytest.mark.parametrize("cut", [0, 3, 8], ids="{} residues short".format)
@pytest.mark.parametrize("text", DOMAINS.values(), ids=DOMAINS)
def test_a_domain_ends_with_framework_4_whatever_stands_around_it(text, cut):
    kind = "heavy" if text.endswith(("SS",)) else "light"
    constant = (CONSTANT_HEAVY, CONSTANT_MOUSE) if kind == "heavy" else (
        CONSTANT_LIGHT, CONSTANT_LAMBDA, CONSTANT_MOUSE_KAPPA
    )  # fmt: skip
    for before in ("", SIGNAL):
        for after in ("", *constant):
            (domain,) = find_domains(before + text[cut:] + after)
            assert domain.kind == kind
            assert domain.last == len(before + text[cut:]) - 1
            assert abs(domain.first - len(before)) <= max(3, cut + 1)


def test_no_ultralong_loop_is_cut():
    (domain,) = find_domains(COW_HEAVY)
    assert (domain.first, domain.last, domain.loop) == (0, len(COW_HEAVY) - 1, 58)
    for heavy in (COW_HEAVY, COW_HEAVY + CONSTANT_HEAVY, SIGNAL + COW_HEAVY):
        with pytest.raises(CapabilityError) as caught:
            sort_chains([("H", heavy), ("L", COW_LIGHT)], job="ab")
        assert "164 residues, with 58 in CDR-H3, and flashabb folds up to 160" in str(caught.value)
        assert "cut" not in caught.value.hint.replace("cutting", "")
    shorter = COW_HEAVY[:110] + COW_HEAVY[120:]
    assert sort_chains([("H", shorter), ("L", COW_LIGHT)], job="ab") == (0, 1)


@pytest.mark.parametrize(
    ("heavy", "light", "said"),
    [
        (HEAVY[:96], LIGHT, "chain H: the heavy domain has no framework 4 behind CDR-H3"),
        (HEAVY[:-11], LIGHT, r"chain H: .* no framework 4 behind CDR-H3 \(Trp-Gly-X-Gly\)"),
        (HEAVY[:98] + HEAVY[110:], LIGHT, "chain H: the heavy domain has no CDR-H3: 2 residues"),
        (HEAVY[:96] + HEAVY[110:], LIGHT, "chain H: the heavy domain has no CDR-H3: 0 residues"),
        (HEAVY, LIGHT[:-10], r"chain L: the light domain has no framework 4 .*\(Phe-Gly-X-Gly\)"),
        (HEAVY, LIGHT[:94] + LIGHT[102:], "chain L: the light domain has no CDR-L3"),
        (HEAVY[:-11], LIGHT[:-10], "chain H: .* no framework 4 .*; chain L: .* no framework 4"),
        (HEAVY[:-11] + CONSTANT_HEAVY, LIGHT, "chain H: .* no framework 4"),
    ],
)
def test_a_pair_without_loop_or_framework_4_is_refused(heavy, light, said):
    with pytest.raises(CapabilityError, match=said):
        sort_chains([("H", heavy), ("L", light)], job="ab")


@pytest.mark.parametrize("missing", [1, 3, 5, 7])
def test_the_end_of_framework_4_may_be_missing(missing):
    chains = [("H", HEAVY[:-missing]), ("L", LIGHT[: -min(missing, 6)])]
    assert sort_chains(chains, job="ab") == (0, 1)


def test_both_chains_of_a_fab_are_told_at_once():
    with pytest.raises(CapabilityError) as caught:
        sort_chains([("H", HEAVY + CONSTANT_HEAVY), ("L", LIGHT + CONSTANT_LIGHT)], job="ab")
    assert "chain H: the variable domain is residues 1 to 121" in caught.value.problem
    assert "chain L: the variable domain is residues 1 to 112" in caught.value.problem
    assert "--trim cuts chain H to residues 1 to 121 and chain L to" in caught.value.hint


PAIRS = {
    "Fab, human kappa": (HEAVY + CONSTANT_HEAVY, LIGHT + CONSTANT_LIGHT),
    "IgG": (SIGNAL + HEAVY + CONSTANT_HEAVY * 3, SIGNAL + LIGHT + CONSTANT_LIGHT),
    "mouse": (
        germlines()["heavy"][3] + CONSTANT_MOUSE,
        germlines()["light"][2] + CONSTANT_MOUSE_KAPPA,
    ),
    "lambda": (HEAVY + CONSTANT_HEAVY, germlines()["light"][4] + CONSTANT_LAMBDA),
    "rabbit": (RABBIT_HEAVY + CONSTANT_HEAVY, LIGHT + CONSTANT_LIGHT),
    "short at the beginning": (HEAVY[4:] + CONSTANT_HEAVY, LIGHT[3:] + CONSTANT_LIGHT),
}


@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_trimmed_chains_are_folded_and_keep_their_numbers(pair, is_swapped):
    chains = pair[::-1] if is_swapped else pair
    job, cuts = trim(Job.from_sequence("ab", ":".join(chains)))
    assert job.chain_ids == ("A", "B") and len(cuts) == 2
    assert FAMILY.check(job) is None
    for entity, whole in zip(job.entities, chains, strict=True):
        first = whole.index(entity.sequence)
        assert entity.residue_numbers()[0].number == first + 1
        assert 100 < entity.length < 130
        assert entity.sequence.endswith(("SS", "IK", "LK", "VL"))


def test_a_single_chain_fragment_becomes_two_chains():
    for text in (HEAVY + LINKER + LIGHT + "HHHHHH", LIGHT + LINKER + HEAVY):
        job, cuts = trim(Job.from_sequence("scfv", text))
        assert job.chain_ids == ("A", "B") and len(cuts) == 2
        assert {entity.sequence for entity in job.entities} == {HEAVY, LIGHT}
        assert job.entities[1].numbering == text.index(job.entities[1].sequence) + 1
        assert FAMILY.check(job) is None


def test_what_is_a_domain_already_or_none_is_left():
    for text in (f"GS{HEAVY}A:{LIGHT}RT", f"{UBIQUITIN}:{LIGHT}", ALPHA + ":" + BETA):
        job = Job.from_sequence("ab", text)
        assert trim(job) == (job, ())


def test_numbers_of_the_users_own_are_kept():
    job = Job.from_dict(
        {
            "version": 1,
            "name": "ab",
            "entities": [
                {"protein": {"id": "X", "sequence": HEAVY + CONSTANT_HEAVY, "numbering": 501}},
                {
                    "protein": {
                        "id": "Y",
                        "sequence": SIGNAL + LIGHT,
                        "numbering": list(range(-21, len(LIGHT) + 1)),
                    }
                },
            ],
        }
    )
    cut, _ = trim(job)
    assert cut.chain_ids == ("X", "Y")
    assert cut.entities[0].residue_numbers()[0].number == 501
    assert cut.entities[1].residue_numbers()[0].number == 1


def test_heavy_and_light_in_records_of_their_own_are_to_be_joined():
    names = ("L1", "H1", "other", "H2", "L2")
    texts = (LIGHT, HEAVY + CONSTANT_HEAVY, UBIQUITIN, HEAVY, COW_LIGHT)
    hints = join_hints([Job.from_sequence(*one) for one in zip(names, texts, strict=True)])
    assert set(hints) == {"L1", "H1", "H2", "L2"}
    assert hints["H1"].endswith("H1:L1") and hints["L1"].endswith("H1:L1")
    assert hints["H2"].endswith("H2:L2")
    assert "H1 is a heavy chain and L1 a light one" in hints["H1"]
    assert join_hints([Job.from_sequence("H", HEAVY)]) == {}
    assert join_hints([Job.from_sequence("a", HEAVY), Job.from_sequence("b", HEAVY)]) == {}


def test_loose_ends_of_crystal_structures_pass():
    assert sort_chains([("H", "GS" + HEAVY + "A"), ("L", LIGHT + "RT")], job="ab") == (0, 1)
