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
    ],
)
def test_species_of_headers(header, species):
    assert species_of(header) == species


def test_kinds():
    assert is_taxonomy_id("9606") and not is_taxonomy_id("HUMAN")
    assert is_collective("9BACT") and not is_collective("HUMAN") and not is_collective("90371")
