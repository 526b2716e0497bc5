"""What each family can fold, in words: one source for the terminal and for the documentation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from itda.hub.folders import shown_bytes
from itda.hub.installed import state_of
from itda.hub.registry import BuiltIn, Package, WeightSet, weight_sets
from itda.hub.source import how_to_get, origin_of
from itda.models.choose_parameters import parameter_schemas

if TYPE_CHECKING:
    from itda.models.family import Capabilities, Family

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")

_KOREAN: Mapping[str, str] = MappingProxyType(
    {
        "molecules": "분자",
        "chains": "사슬 수",
        "residues of a chain": "사슬당 잔기 수",
        "tokens in all": "전체 토큰 수",
        "inputs beside sequences": "서열 외 입력",
        "outputs": "출력",
        "samples": "표본",
        "template sets": "템플릿 조합",
        "recycles": "재순환",
        "modified residues": "변형 잔기",
        "covalent bonds": "공유 결합",
        "distance constraints": "거리 제약",
        "licence of weights": "가중치 라이선스",
        "commercial use": "상업적 이용",
        "protein": "단백질",
        "ligand": "리간드",
        "ion": "이온",
        "none": "없음",
        "yes": "예",
        "no": "아니요",
        "allowed": "허용",
        "forbidden": "금지",
        "or more": "이상",
        "up to": "최대",
        "differ by seed": "시드마다 다름",
        "one structure": "구조 하나",
        "confidence chooses": "신뢰도로 선택",
        "one": "하나",
        "built in": "내장",
    }
)
_WRITTEN = {"dna": "DNA", "rna": "RNA"}

_PAGE = {
    "en": (
        "# Model families",
        "Written by `itda models --markdown` from what the families declare; a job that asks for "
        "more is refused with\nthe family that can. `itda models` shows the same with the state of "
        "the weights on your machine.",
        "Weights",
        "Licence",
        "Not allowed",
        "Cite",
        "How to get them",
    ),
    "ko": (
        "# 모델 계열",
        "`itda models --markdown --language ko`가 각 계열의 선언에서 만든 문서입니다. "
        "선언에 없는 것을 요청하면 할 수 있는\n계열의 이름과 함께 거절됩니다. "
        "`itda models`는 같은 표와 이 컴퓨터에 있는 가중치의 상태를 보여 줍니다.",
        "가중치",
        "라이선스",
        "허용되지 않음",
        "인용",
        "받는 방법",
    ),
}


def family_rows(family: Family, language: Language = "en") -> dict[str, str]:
    """Say what a family can, by label.

    Args:
        family: Which.
        language: Of labels and values.
    """
    say = _speaker(language)
    can = family.capabilities
    weight_set = default_set(family)
    commercial = weight_set is None or not weight_set.licence.non_commercial
    rows = {
        "molecules": _listed(can.molecules, say),
        "chains": _chains(can, say),
        "residues of a chain": f"{can.min_length}–{can.longest_chain}",
        "tokens in all": f"{say('up to')} {can.max_tokens}",
        "inputs beside sequences": _listed(can.inputs, say),
        "outputs": _listed(can.outputs, say),
        "samples": say("differ by seed" if can.samples else "one structure"),
        "template sets": say("confidence chooses" if can.template_sets else "one"),
        "recycles": say("yes" if can.recycles else "no"),
        "modified residues": say("yes" if can.modifications else "no"),
        "covalent bonds": say("yes" if can.bonds else "no"),
        "distance constraints": say("yes" if can.constraints else "no"),
        "licence of weights": family.licence,
        "commercial use": say("allowed" if commercial else "forbidden"),
    }
    return {say(label): value for label, value in rows.items()}


def weights_entry(family: Family) -> dict[str, Any]:
    """Describe the default weights of a family and where they stand on this machine."""
    weight_set = default_set(family)
    if weight_set is None:
        return {"name": family.weight_set, "state": "unknown to this release"}
    return {
        "name": weight_set.name,
        "state": state_of(weight_set),
        "bytes": weight_set.expected_bytes or None,
        "source": origin_of(weight_set),
        "how_to_get": how_to_get(weight_set),
        "licence": weight_set.licence.spdx,
        "non_commercial": weight_set.licence.non_commercial,
        "forbids": list(weight_set.licence.forbids),
    }


def parameter_lines(family: Family) -> list[str]:
    """Say of each parameter of a family's own what it may be, its default, and what it does."""
    lines = []
    for name, schema in parameter_schemas(family).items():
        kinds = [schema, *schema.get("anyOf", ())]
        values = [json.dumps(value) for kind in kinds for value in kind.get("enum", ())] or [
            kind["type"] for kind in kinds if "type" in kind
        ]
        limits = [
            f"{word} {schema[key]}"
            for key, word in (
                ("minimum", "from"),
                ("exclusiveMinimum", "above"),
                ("maximum", "to"),
                ("exclusiveMaximum", "below"),
            )
            if key in schema
        ]
        shape = " ".join([" or ".join(values), *limits])
        default = f"default {json.dumps(schema.get('default'))}"
        lines.append(f"{name}={shape} ({default}): {schema.get('description', '')}".rstrip(": "))
    return lines


def default_set(family: Family) -> WeightSet | None:
    """Return the set of weights that a family takes by itself; None where the table has none."""
    return weight_sets().get(family.weight_set)


def markdown(families: Sequence[Family], language: Language) -> str:
    """Write the page of the documentation: the matrix, then each family's weights and citation."""
    title, preface, weights, licence, forbids, cite, get = _PAGE[language]
    columns = [family_rows(family, language) for family in families]
    lines = [title, "", preface, ""]
    lines.append(f"| | {' | '.join(f'`{family.name}`' for family in families)} |")
    lines.append(f"| --- |{' --- |' * len(families)}")
    lines += [
        f"| {label} | {' | '.join(column[label] for column in columns)} |" for label in columns[0]
    ]
    for family in families:
        lines += ["", f"## `{family.name}`", "", f"{family.title}.", ""]
        weight_set = default_set(family)
        if weight_set is not None:
            size = weight_set.expected_bytes
            of = f", {shown_bytes(size)}" if size else ""
            where = _speaker(language)("built in")
            if not isinstance(weight_set.source, BuiltIn):
                where = f"`{origin_of(weight_set)}`"
            lines.append(f"- {weights}: `{weight_set.name}` ({where}{of})")
            lines.append(f"- {licence}: {weight_set.licence.title} ({weight_set.licence.spdx})")
            for sentence in weight_set.licence.forbids:
                lines.append(f"- {forbids}: {sentence}")
            if command := _command(weight_set):
                lines.append(f"- {get}: `{command}`")
        lines += [f"- `--parameter` {line}" for line in parameter_lines(family)]
        lines.append(f"- {cite}: {family.citation}")
    return "\n".join(lines) + "\n"


def _command(weight_set: WeightSet) -> str:
    """Give the command that brings a set; empty where it is there already."""
    if isinstance(weight_set.source, BuiltIn):
        return ""
    if isinstance(weight_set.source, Package):
        return f'pip install "itda[{weight_set.source.extra}]"'
    return f"itda weights pull {weight_set.name}"


def _chains(can: Capabilities, say: Callable[[str], str]) -> str:
    if can.max_chains is None:
        return f"{can.min_chains} {say('or more')}"
    few, many = can.min_chains, can.max_chains
    return str(few) if few == many else f"{few}–{many}"


def _listed(words: frozenset[str], say: Callable[[str], str]) -> str:
    return ", ".join(_WRITTEN.get(word, say(word)) for word in sorted(words)) or say("none")


def _speaker(language: Language) -> Callable[[str], str]:
    return lambda word: _KOREAN.get(word, word) if language == "ko" else word
