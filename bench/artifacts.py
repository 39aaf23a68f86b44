"""Bytes of artifacts through the gateway, with what S3 does alone beside them.

raw_s3_put_bytes_per_s, raw_s3_get_bytes_per_s   parts of 8 MiB straight into S3, 3 at a time, and one
                                                 stream out of it
artifact_upload_..., artifact_download_...       4 GiB by one client over HTTP, 1 GiB over gRPC; every
                                                 byte is hashed in the gateway both ways
artifact_gateway_growth_mib                      what the gateway's resident memory grew by, from the first
                                                 GiB of those 4 to its greatest until the end
artifact_small_files_s                           10,000 files of 1 KiB, by 16 clients over HTTP
artifact_known_bytes_ms                          a file whose bytes are stored: 1 GiB by its digest
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import aioboto3
import psutil
from aiobotocore.config import AioConfig

from bench.report import Figures
from bench.stack import MIB, Stack
from rekam_proto.artifacts.v1 import artifact_pb2, artifact_pb2_grpc, transfer_pb2, transfer_pb2_grpc

RAW_BYTES = 1024 * MIB
HTTP_BYTES = 4096 * MIB
GRPC_BYTES = 1024 * MIB
PART_BYTES = 8 * MIB
RAW_PARTS_AT_A_TIME = 3
SMALL_FILES = 10_000
SMALL_BYTES = 1024
SMALL_CLIENTS = 16
PUT = "/api/2.0/mlflow-artifacts/artifacts"


def measure_artifacts(stack: Stack, figures: Figures) -> None:
    block = os.urandom(PART_BYTES)
    asyncio.run(_raw(stack, figures, block))
    _http(stack, figures, block)
    _grpc(stack, figures, block)
    figures.add("artifact_small_files_s", _small_files(stack))
    for transport in ("http", "grpc"):
        figures.compare(f"artifact_upload_{transport}_bytes_per_s", "raw_s3_put_bytes_per_s")
        figures.compare(f"artifact_download_{transport}_bytes_per_s", "raw_s3_get_bytes_per_s")


async def _raw(stack: Stack, figures: Figures, block: bytes) -> None:
    environment = stack.environment("gateway")
    bucket = environment["REKAM_S3_BUCKET"]
    session = aioboto3.Session(
        environment["REKAM_S3_ACCESS_KEY"], environment["REKAM_S3_SECRET_KEY"], region_name="us-east-1"
    )
    config = AioConfig(
        signature_version="s3v4", s3={"addressing_style": "path", "payload_signing_enabled": False}
    )
    async with session.client("s3", endpoint_url=environment["REKAM_S3_ENDPOINT"], config=config) as client:
        of = {"Bucket": bucket, "Key": "bench"}
        upload_id = (await client.create_multipart_upload(**of))["UploadId"]
        numbers = iter(range(1, RAW_BYTES // PART_BYTES + 1))
        parts = []

        async def put() -> None:
            for number in numbers:
                answer = await client.upload_part(
                    **of, UploadId=upload_id, PartNumber=number, Body=io.BytesIO(block)
                )
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})

        started = time.perf_counter()
        await asyncio.gather(*(put() for _ in range(RAW_PARTS_AT_A_TIME)))
        parts.sort(key=lambda part: part["PartNumber"])
        await client.complete_multipart_upload(**of, UploadId=upload_id, MultipartUpload={"Parts": parts})
        figures.add("raw_s3_put_bytes_per_s", RAW_BYTES / (time.perf_counter() - started))

        started = time.perf_counter()
        answer = await client.get_object(**of)
        async with answer["Body"] as body:
            got = sum([len(chunk) async for chunk in body.content.iter_any()])
        _check(got, RAW_BYTES)
        figures.add("raw_s3_get_bytes_per_s", RAW_BYTES / (time.perf_counter() - started))
        await client.delete_object(**of)


def _http(stack: Stack, figures: Figures, block: bytes) -> None:
    address = urlsplit(stack.http)
    gateway = psutil.Process(stack.pid("gateway"))
    resident: list[int] = []
    with socket.create_connection((address.hostname, address.port)) as opened:
        target = (
            f"PUT {PUT}/bench/http HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {HTTP_BYTES}\r\n\r\n"
        )
        started = time.perf_counter()
        opened.sendall(target.encode())
        for _ in range(HTTP_BYTES // PART_BYTES):
            opened.sendall(block)
            resident.append(gateway.memory_info().rss)
        answer = http.client.HTTPResponse(opened)
        answer.begin()
        _check(answer.status, 200)
        figures.add("artifact_upload_http_bytes_per_s", HTTP_BYTES / (time.perf_counter() - started))
    connection = http.client.HTTPConnection(address.netloc)
    started = time.perf_counter()
    connection.request("GET", f"{PUT}/bench/http")
    answer = connection.getresponse()
    buffer = memoryview(bytearray(MIB))
    got = 0
    while read := answer.readinto(buffer):
        got += read
        if got % PART_BYTES < MIB:
            resident.append(gateway.memory_info().rss)
    _check(got, HTTP_BYTES)
    figures.add("artifact_download_http_bytes_per_s", HTTP_BYTES / (time.perf_counter() - started))
    connection.close()
    first = max(resident[: 1024 * MIB // PART_BYTES])
    figures.add("artifact_gateway_growth_mib", (max(resident) - first) / MIB)


def _grpc(stack: Stack, figures: Figures, block: bytes) -> None:
    transfer = transfer_pb2_grpc.TransferServiceStub(stack.channel)
    files = artifact_pb2_grpc.ArtifactServiceStub(stack.channel)
    chunks = [transfer_pb2.UploadRequest(chunk=block[at : at + MIB]) for at in range(0, PART_BYTES, MIB)]

    def requests() -> Iterator[transfer_pb2.UploadRequest]:
        yield transfer_pb2.UploadRequest(header=transfer_pb2.UploadHeader(path="bench/grpc", size=GRPC_BYTES))
        for _ in range(GRPC_BYTES // PART_BYTES):
            yield from chunks

    started = time.perf_counter()
    file = transfer.Upload(requests())
    figures.add("artifact_upload_grpc_bytes_per_s", GRPC_BYTES / (time.perf_counter() - started))
    hashing = hashlib.sha256()
    for _ in range(GRPC_BYTES // PART_BYTES):
        hashing.update(block)
    _check(file.digest, hashing.hexdigest())

    started = time.perf_counter()
    answers = transfer.Download(transfer_pb2.DownloadRequest(path="bench/grpc"))
    _check(sum(len(answer.chunk) for answer in answers), GRPC_BYTES)
    figures.add("artifact_download_grpc_bytes_per_s", GRPC_BYTES / (time.perf_counter() - started))

    seconds = []
    for number in range(20):
        known = artifact_pb2.File(path=f"bench/known/{number}", digest=file.digest, size=file.size)
        started = time.perf_counter()
        stored = files.FindBlobs(artifact_pb2.FindBlobsRequest(digests=[file.digest])).blobs
        _check(len(stored), 1)
        files.PutFiles(artifact_pb2.PutFilesRequest(files=[known]))
        seconds.append(time.perf_counter() - started)
    figures.add("artifact_known_bytes_ms", statistics.median(seconds) * 1000)


def _small_files(stack: Stack) -> float:
    address = urlsplit(stack.http)
    own = threading.local()

    def put(number: int) -> int:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(address.netloc)
        content = number.to_bytes(4) + bytes(SMALL_BYTES - 4)
        own.connection.request("PUT", f"{PUT}/bench/small/{number:05}", content)
        answer = own.connection.getresponse()
        answer.read()
        status: int = answer.status
        return status

    with ThreadPoolExecutor(SMALL_CLIENTS) as clients:
        started = time.perf_counter()
        statuses = set(clients.map(put, range(SMALL_FILES)))
        seconds = time.perf_counter() - started
    _check(statuses, {200})
    return seconds


def _check(found: object, wanted: object) -> None:
    if found != wanted:
        raise RuntimeError(f"{found} instead of {wanted}")
