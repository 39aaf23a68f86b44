"""Many equalities on one field become one list: a filter that names 10,000 ids is one condition."""

from __future__ import annotations

from collections.abc import Set

from rekam_runtime.filtering import And, Comparison, Kind, Not, Operator, Or, Reference

Positive = Comparison | And | Or


def merge_equalities(tree: Positive, *, many: Set[str] = frozenset()) -> Positive:
    """`k = 'a' OR k = 'b'` to `k IN ('a', 'b')`, and `k != 'a' AND k != 'b'` to NOT IN.

    many: entities of which one row has several values; each of their conditions may be met by another.
    """
    if isinstance(tree, Comparison):
        return tree
    single, listed = (Operator.EQ, Operator.IN) if isinstance(tree, Or) else (Operator.NE, Operator.NOT_IN)
    values: dict[Reference, list[str]] = {}
    terms: list[Positive] = []
    for term in tree.terms:
        if (
            isinstance(term, Comparison)
            and term.operator is single
            and term.reference.kind is Kind.TEXT
            and (single is Operator.EQ or term.reference.entity not in many)
        ):
            assert isinstance(term.value, str)
            values.setdefault(term.reference, []).append(term.value)
        else:
            assert not isinstance(term, Not)
            merged = merge_equalities(term, many=many)
            terms += merged.terms if type(merged) is type(tree) else [merged]  # type: ignore[arg-type]
    for reference, equals in values.items():
        if len(equals) == 1:
            terms.append(Comparison(reference, single, equals[0]))
        else:
            terms.append(Comparison(reference, listed, tuple(dict.fromkeys(equals))))
    if len(terms) == 1:
        return terms[0]
    return Or(tuple(terms)) if isinstance(tree, Or) else And(tuple(terms))
