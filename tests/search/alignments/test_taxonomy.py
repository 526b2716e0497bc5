import pytest

from itda.search.alignments.taxonomy import is_collective, is_taxonomy_id, species_of


@pytest.mark.parametrize(
    ("header", "species"),
    [
        (
            "UniRef100_A0A2L2TCV1 Xylanase n=1 Tax=Fusarium venenatum TaxID=56646 ID=X_9HYPO",
            "56646",
        ),
        ("sp|P04637|P53_HUMAN Cellular tumor antigen OS=Homo sapiens OX=9606 GN=TP53", "9606"),
        ("sp|P04637-2|P53_HUMAN Isoform 2", "HUMAN"),
        ("tr|A0A146SKV9|A0A146SKV9_FUNHE/12-88 [subseq from] Protein", "FUNHE"),
        ("tr|B1WPR3|B1WPR3_CYAA5 Probable isomerase OS=Cyanothece sp. GN=x", "CYAA5"),
        ("P53_HUMAN", "HUMAN"),
        ("P53_HUMAN/94-297", "HUMAN"),
        ("UniRef100_UPI000462DD9F_110321/\t205\t0.948\t1.778E-55", "110321"),
        ("A0A249P6L0_716928/\t199", "716928"),
        ("UniRef100_A9WTJ5\t203\t0.303", ""),
        ("A0A519Z9U4\t126\t0.505", ""),
        ("SRR5262249_47116078/1-99", ""),
        ("6KWC_1/1-99", ""),
        ("7WUX_AAA", ""),
        ("14331_ARATH", "ARATH"),
        ("A1_12345", ""),
        ("101", ""),
        ("query", ""),
        ("6KWC_1", ""),
        ("1st9_A", ""),
        ("7wnn_A/33-316 mol:protein", ""),
        ("MGYP000510094044/36-224", ""),
        ("SRR5262249_47116078", ""),
        ("ERR1712241_242389", ""),
        ("APSaa0605_1042622.scaffolds.fasta_scaffold01525_5\t76", ""),
        ("GraSoiStandDraft_4_1057263.scaffolds.fasta_scaffold11650594_1 # 3 # 203 # 1 # ID=2", ""),
        ("", ""),
        ("sp|P0A001.2|AAA1_HUMAN RecName: Full=Made", "HUMAN"),
        ("gi|129369|sp|P04637.4|P53_HUMAN RecName: Full=Cellular tumor antigen", "HUMAN"),
        ("tr|A0A0B4J2F0|A0A0B4J2F0_9BACT Protein", "9BACT"),
        ("sp|P04637|P53_HUMAN/94-297", "HUMAN"),
        ("sp|P04637|P53_HUMAN Cellular tumor antigen OS=Homo sapiens GN=TP53", "HUMAN"),
        ("UniRef90_P04637 Cellular tumor antigen n=9 RepID=P53_HUMAN", "HUMAN"),
        ("UniRef90_P04637 p53 n=9 Tax=Primates TaxID=9443 RepID=P53_HUMAN", "9443"),
        ("UniRef90_P04637 p53 n=9 Tax=root TaxID=1 RepID=P53_MOUSE", "MOUSE"),
        ("UniRef90_P04637 p53 n=9 Tax=root TaxID=1 RepID=UPI000462DD9F", ""),
        ("UniRef90_P04637 p53 n=9 Tax=root", ""),
        ("x OX=9606", "9606"),
        ("x taxid=9606", "9606"),
        ("x NCBI_TaxID=9606", "9606"),
        ("x TAXID=9606 y", "9606"),
        ("x FOX=9606", ""),
        ("x OS=Homo sapiens (Human) GN=TP53", "Homo sapiens (Human)"),
        ("x OS=Homo sapiens", "Homo sapiens"),
        ("UniRef90_Q1 Kinase n=2 Tax=Homo sapiens", "Homo sapiens"),
        ("NP_000537.3 cellular tumor antigen p53 isoform a [Homo sapiens]", "Homo sapiens"),
        ("XP_1.1 oxidase [NAD(P)H] [Mus musculus]", "Mus musculus"),
        ("XP_1.1 oxidase [NAD(P)H]", ""),
        ("P04637_HUMAN", "HUMAN"),
        ("A0A146SKV9_FUNHE/12-88", "FUNHE"),
        ("1A01_HUMAN/25-299", "HUMAN"),
        ("H3_RAT", "RAT"),
        ("INS_PIG", "PIG"),
        ("CYC_HORSE", "HORSE"),
        ("LYSC_CHICK/19-147", "CHICK"),
        ("CRAM_CRAAB", "CRAAB"),
    ],
)
def test_species_of_headers(header, species):
    assert species_of(header) == species


@pytest.mark.parametrize(
    "name",
    ["1ABC_HEAVY", "1ABC_LIGHT", "H3_CDR", "CDR_H3", "root", "ROOT", "chain_A", "CHAIN_A",
     "A_CHAIN", "query_1", "QUERY_001", "VH_KAPPA", "SPIKE_RBD", "RBD_SPIKE", "ACE2_ECTO",
     "P53_MUT", "KRAS_G12D", "GFP_TAG", "ENV_GP120", "TEST_MODEL", "SEQ_0001", "NODE_12", "FAB_H",
     "HER2_ECD", "BSA_FULL", "AB1_SCFV", "VHH_CLONE", "X1_FINAL", "1ABC_HEAVY/1-120", "7XYZ_CHAIN",
     "A_LAMBD"],
)  # fmt: skip
def test_names_of_the_laboratory_have_no_species(name):
    assert species_of(name) == ""
    assert species_of(f"{name} of something") == ""


def test_the_root_of_the_taxonomy_is_no_species():
    for number in (0, 1, 131567):
        assert species_of(f"UniRef90_X Tax=root TaxID={number}") == ""
    assert is_collective("2") and not is_collective("9606")


def test_kinds():
    assert is_taxonomy_id("9606") and not is_taxonomy_id("HUMAN")
    assert is_collective("9BACT") and not is_collective("HUMAN") and not is_collective("90371")
