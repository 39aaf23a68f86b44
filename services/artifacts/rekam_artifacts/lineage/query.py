"""Lineage: which runs and models have which bytes, and which runs used them."""

from __future__ import annotations

from rekam_artifacts import tokens
from rekam_proto.artifacts.v1 import artifact_pb2
from rekam_runtime.errors import Invalid
from rekam_runtime.postgres import Connection, Row, Statements

_statements = Statements.load("rekam_artifacts.lineage", "query.sql")


async def of_digest(
    connection: Connection, digest: bytes, request: artifact_pb2.GetLineageRequest, page_size: int
) -> artifact_pb2.GetLineageResponse:
    return await _edges(connection, _statements.of_digest, digest, request, page_size)


async def of_owner(
    connection: Connection, owner: str, request: artifact_pb2.GetLineageRequest, page_size: int
) -> artifact_pb2.GetLineageResponse:
    """owner: a run's or model's id."""
    return await _edges(connection, _statements.of_owner, owner, request, page_size)


async def _edges(
    connection: Connection,
    statement: str,
    of: bytes | str,
    request: artifact_pb2.GetLineageRequest,
    page_size: int,
) -> artifact_pb2.GetLineageResponse:
    after: tuple[int, str, str, bytes] = (-1, "", "", b"")
    if request.page_token:
        kind, owner, path, digest = tokens.decode(request, request.page_token, 4)
        try:
            after = (artifact_pb2.EdgeKind.Value(kind), owner, path, bytes.fromhex(digest))
        except ValueError:
            raise Invalid("not a page token that was given out", field="page_token") from None
    rows = await connection.fetch(statement, of, *after, page_size + 1)
    response = artifact_pb2.GetLineageResponse(edges=[_edge(row) for row in rows[:page_size]])
    if len(rows) > page_size:
        last = response.edges[-1]
        response.next_page_token = tokens.encode(
            request, artifact_pb2.EdgeKind.Name(last.kind), last.owner, last.path, last.digest
        )
    return response


def _edge(row: Row) -> artifact_pb2.Edge:
    return artifact_pb2.Edge(
        kind=row["kind"],
        owner=row["owner"],
        path=row["path"],
        digest=row["digest"].hex(),
        time_ms=row["time_us"] // 1000,
    )
