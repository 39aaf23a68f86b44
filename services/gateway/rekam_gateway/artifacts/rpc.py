"""TransferService: files over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
import grpc.aio

from rekam_gateway.artifacts.transfer import Transfer
from rekam_proto.artifacts.v1 import artifact_pb2, transfer_pb2
from rekam_runtime.errors import Invalid
from rekam_runtime.rpc.parsing import parsed

SERVICE = transfer_pb2.DESCRIPTOR.services_by_name["TransferService"].full_name
MOST_CHUNK_BYTES = 1024 * 1024


class TransferService:
    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer

    def handler(self) -> grpc.GenericRpcHandler:
        upload: grpc.RpcMethodHandler[bytes, artifact_pb2.File] = grpc.stream_unary_rpc_method_handler(
            self._upload,
            request_deserializer=None,  # what cannot be parsed is answered by us
            response_serializer=artifact_pb2.File.SerializeToString,
        )
        download: grpc.RpcMethodHandler[transfer_pb2.DownloadRequest, transfer_pb2.DownloadResponse] = (
            grpc.unary_stream_rpc_method_handler(
                self._download,
                request_deserializer=transfer_pb2.DownloadRequest.FromString,
                response_serializer=transfer_pb2.DownloadResponse.SerializeToString,
            )
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"Upload": upload, "Download": download})

    async def _upload(
        self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> artifact_pb2.File:
        first = await anext(aiter(requests), b"")
        request = parsed(transfer_pb2.UploadRequest.FromString, first)
        if request.WhichOneof("body") != "header":
            raise Invalid("an upload begins with a header", field="header")
        header = request.header
        if header.size < 0:
            raise Invalid("must be at least 0", field="size")
        return await self._transfer.store(
            header.path,
            _chunks(requests),
            size=header.size if header.HasField("size") else None,
            digest=header.digest,
            media_type=header.media_type,
            actor=header.actor,
        )

    async def _download(
        self,
        request: transfer_pb2.DownloadRequest,
        context: grpc.aio.ServicerContext[transfer_pb2.DownloadRequest, transfer_pb2.DownloadResponse],
    ) -> AsyncIterator[transfer_pb2.DownloadResponse]:
        file = await self._transfer.find(request.path)
        if not 0 <= request.offset <= file.size:
            raise Invalid(f"{request.path} has {file.size} bytes", field="offset")
        if request.size < 0:
            raise Invalid("must be at least 0", field="size")
        size = min(request.size or file.size, file.size - request.offset)
        yield transfer_pb2.DownloadResponse(header=file)
        if size == 0 < file.size:
            return  # from its end
        async with aclosing(self._transfer.read(file, request.offset, size)) as chunks:
            async for chunk in chunks:
                for at in range(0, len(chunk), MOST_CHUNK_BYTES):
                    yield transfer_pb2.DownloadResponse(chunk=chunk[at : at + MOST_CHUNK_BYTES])


async def _chunks(requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for data in requests:
        request = parsed(transfer_pb2.UploadRequest.FromString, data)
        if request.WhichOneof("body") != "chunk":
            raise Invalid("an upload has one header, and chunks behind it", field="chunk")
        if len(request.chunk) > MOST_CHUNK_BYTES:
            raise Invalid(f"a chunk has at most {MOST_CHUNK_BYTES} bytes", field="chunk")
        yield request.chunk
