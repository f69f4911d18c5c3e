"""A GPU as a device: one stream, in order.

device = CudaDevice(0)
x = device.alloc(4096)
function = device.load(KernelImage("scale", ptx, cubin=cubin, threads=128, params=("u64", "s32")))
with device.capture() as graph:
    device.launch(function, (8, 1, 1), [x.ptr, 1024])
graph.replay(); device.synchronize()
"""

from __future__ import annotations

import ctypes
import gc
import weakref
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from ...dialects.ir.diagnostics import LlmcError
from ..device import Allocation, Argument, Function, Grid, KernelImage, check_grid, check_range
from ..tensor_map import PARAMETER_BYTES, as_tensor_map
from .driver import check, driver, error_of, missing
from .tensor_maps import encoded

CTYPES: dict[str, Any] = {
    "u8": ctypes.c_uint8, "s8": ctypes.c_int8, "b8": ctypes.c_uint8, "u16": ctypes.c_uint16, "s16": ctypes.c_int16, "b16": ctypes.c_uint16,
    "u32": ctypes.c_uint32, "s32": ctypes.c_int32, "b32": ctypes.c_uint32, "u64": ctypes.c_uint64, "s64": ctypes.c_int64,
    "b64": ctypes.c_uint64, "f32": ctypes.c_float, "f64": ctypes.c_double, "tensormap": ctypes.c_uint8 * PARAMETER_BYTES,
}  # fmt: skip
STAGE_BYTES = 32 << 20
"""Size of each of the two pinned buffers that uploads go through."""
_DROPPED: dict[int, deque[int]] = {}
"""For each GPU the addresses whose `Allocation` is gone and was not freed; whoever allocates next gives them back."""
RECENT = 16
"""Launches remembered for the message of an asynchronous failure."""


def gpu_missing() -> str | None:
    """Why there is no GPU here; None when there is one."""
    return missing()


@dataclass(eq=False)
class LoadedKernel:
    """A kernel on the GPU with its argument block: the driver copies arguments during the launch call, so one block serves all."""

    library: Any
    function: Any
    config: Any
    values: list[Any]  # ctypes scalars, one a parameter
    floats: list[bool]
    pointers: Any  # ctypes array of void*
    address: int


@dataclass(eq=False)
class CudaGraph:
    """A captured sequence of launches."""

    device: CudaDevice
    executable: Any = None
    kernels: list[str] = field(default_factory=list)
    keep: list[Any] = field(default_factory=list)

    def replay(self) -> None:
        if self.executable is None:
            raise LlmcError(
                "LLMC0943",
                "the graph is replayed before its capture has ended",
                "the graph",
                fix="end the capture before the replay",
            )
        (status,) = self.device.cu.cuGraphLaunch(self.executable, self.device.stream)
        if int(status):
            raise error_of(status, "launching a graph", self.device.recent_launches())
        self.device.recent.append(f"graph of {len(self.kernels)} launches ({', '.join(dict.fromkeys(self.kernels))})"[:400])


class PinnedBuffer:
    """Page-locked host memory as a uint8 array, e.g. for tokens that the GPU writes and the host reads."""

    def __init__(self, device: CudaDevice, nbytes: int) -> None:
        self.device = device
        self.ptr = int(
            check(
                device.cu.cuMemHostAlloc(max(nbytes, 1), device.cu.CU_MEMHOSTALLOC_DEVICEMAP),
                f"allocating {nbytes} bytes of pinned host memory",
            )
        )
        self.array = np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(self.ptr))
        self.device_ptr = int(check(device.cu.cuMemHostGetDevicePointer(self.ptr, 0), "mapping pinned host memory"))

    def free(self) -> None:
        check(self.device.cu.cuMemFreeHost(self.ptr), "freeing pinned host memory")


class CudaDevice:
    """One GPU, its primary context and one stream; see runtime/device.py for the protocol."""

    asynchronous = True
    instructions = 0

    def __init__(self, ordinal: int = 0) -> None:
        cu = self.cu = driver()
        count = check(cu.cuDeviceGetCount(), "counting GPUs")
        if not 0 <= ordinal < count:
            raise LlmcError(
                "LLMC0944",
                f"there is no GPU {ordinal}",
                f"cuda:{ordinal}",
                why=f"{count} GPUs are visible",
                fix="choose another, or check CUDA_VISIBLE_DEVICES",
            )
        self.device = check(cu.cuDeviceGet(ordinal), "opening the GPU")
        self.context = check(cu.cuDevicePrimaryCtxRetain(self.device), "opening a context")
        check(cu.cuCtxSetCurrent(self.context), "entering the context")
        self.stream = check(cu.cuStreamCreate(int(cu.CUstream_flags.CU_STREAM_NON_BLOCKING)), "creating a stream")
        attribute = cu.CUdevice_attribute
        major = self._attribute(attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
        minor = self._attribute(attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
        self.sm_count = self._attribute(attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
        self.max_smem = self._attribute(attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
        self.target = f"sm_{major}{minor}" + ("a" if major >= 9 else "")
        raw = check(cu.cuDeviceGetName(128, self.device), "reading the GPU's name")
        self.name = bytes(raw).split(b"\0")[0].decode()
        self.recent: deque[str] = deque(maxlen=RECENT)
        self._dropped = _DROPPED.setdefault(ordinal, deque())
        self._stages: list[tuple[PinnedBuffer, Any]] = []
        self._graph: CudaGraph | None = None

    def _attribute(self, attribute: Any) -> int:
        return int(check(self.cu.cuDeviceGetAttribute(attribute, self.device), "asking for a device attribute"))

    def enter(self) -> None:
        """Make the context current on this thread; needed once on every further thread."""
        check(self.cu.cuCtxSetCurrent(self.context), "entering the context")

    # -- memory -------------------------------------------------------------------------------------------------------------------

    def memory(self) -> tuple[int, int]:
        """(free, total) bytes of the GPU."""
        free, total = check(self.cu.cuMemGetInfo(), "asking for free memory")
        return int(free), int(total)

    def alloc(self, nbytes: int) -> Allocation:
        self._not_recording("alloc")
        self._free_dropped()
        result = self.cu.cuMemAlloc(max(nbytes, 1))
        full = int(self.cu.CUresult.CUDA_ERROR_OUT_OF_MEMORY)
        if int(result[0]) == full:
            gc.collect()  # models that nobody refers to are part of reference cycles
            if self._free_dropped():
                result = self.cu.cuMemAlloc(max(nbytes, 1))
        if int(result[0]) == full:
            free, total = self.memory()
            raise LlmcError(
                "LLMC0945",
                f"the GPU is out of memory: {nbytes} bytes ({nbytes / 2**30:.2f} GiB) wanted",
                where=self.name,
                why=f"{free / 2**30:.2f} GiB of {total / 2**30:.2f} GiB are free",
                fix="fewer KV pages (--max-context, --max-sequences), --quant int8, or end other processes on this GPU",
            )
        allocation = Allocation(int(check(result, f"allocating {nbytes} bytes")), nbytes, self)
        allocation.dropped = weakref.finalize(allocation, self._dropped.append, allocation.ptr)
        allocation.dropped.atexit = False
        return allocation

    def _free_dropped(self) -> bool:
        """Free what was dropped on this GPU, through whichever device object; whether there was any."""
        if not self._dropped:
            return False
        check(self.cu.cuCtxSynchronize(), "waiting for the GPU", self.recent_launches())
        while self._dropped:
            check(self.cu.cuMemFree(self._dropped.popleft()), "freeing dropped memory")
        return True

    def free(self, allocation: Allocation) -> None:
        check_range(allocation, 0, 0, "free")
        self._not_recording("free")
        self.synchronize()
        allocation.live = False
        if allocation.dropped is not None:
            allocation.dropped.detach()
        check(self.cu.cuMemFree(allocation.ptr), "freeing memory")

    def upload(self, allocation: Allocation, array: np.ndarray[Any, Any], offset: int = 0) -> None:
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        check_range(allocation, offset, data.nbytes, "upload")
        self._not_recording("upload")
        if data.nbytes <= 1 << 16:  # the driver stages small pageable copies itself, before it returns
            if data.nbytes:
                check(
                    self.cu.cuMemcpyHtoDAsync(allocation.ptr + offset, data.ctypes.data, data.nbytes, self.stream),
                    "uploading",
                    self.recent_launches(),
                )
            return
        self._upload_staged(allocation.ptr + offset, data)

    def _upload_staged(self, target: int, source: np.ndarray[Any, Any]) -> None:
        if not self._stages:
            for _ in range(2):
                event = check(self.cu.cuEventCreate(int(self.cu.CUevent_flags.CU_EVENT_DISABLE_TIMING)), "creating an event")
                self._stages.append((PinnedBuffer(self, STAGE_BYTES), event))
        for i, start in enumerate(range(0, len(source), STAGE_BYTES)):
            stage, event = self._stages[i % 2]
            check(self.cu.cuEventSynchronize(event), "waiting for an upload", self.recent_launches())  # its last copy has left
            size = min(STAGE_BYTES, len(source) - start)
            stage.array[:size] = source[start : start + size]
            check(self.cu.cuMemcpyHtoDAsync(target + start, stage.ptr, size, self.stream), "uploading", self.recent_launches())
            check(self.cu.cuEventRecord(event, self.stream), "recording an event")

    def download(self, allocation: Allocation, nbytes: int, offset: int = 0) -> np.ndarray[Any, Any]:
        check_range(allocation, offset, nbytes, "download")
        self._not_recording("download")
        out = np.empty(nbytes, np.uint8)
        if nbytes:
            check(
                self.cu.cuMemcpyDtoHAsync(out.ctypes.data, allocation.ptr + offset, nbytes, self.stream),
                "downloading",
                self.recent_launches(),
            )
        self.synchronize()
        return out

    def memset(self, allocation: Allocation, value: int = 0) -> None:
        check_range(allocation, 0, 0, "memset")
        check(
            self.cu.cuMemsetD8Async(allocation.ptr, value & 0xFF, allocation.nbytes, self.stream),
            "filling memory",
            self.recent_launches(),
        )

    def pinned(self, nbytes: int) -> PinnedBuffer:
        """Page-locked host memory that kernels can also write (`device_ptr`)."""
        return PinnedBuffer(self, nbytes)

    # -- kernels ------------------------------------------------------------------------------------------------------------------

    def load(self, image: KernelImage) -> Function:
        self._not_recording("load")
        where = f"kernel {image.name}"
        data = image.cubin if image.cubin is not None else image.ptx.encode() + b"\0"
        library = check(self.cu.cuLibraryLoadData(data, [], [], 0, [], [], 0), "loading a kernel", where)
        kernel = check(self.cu.cuLibraryGetKernel(library, image.name.encode()), "looking up a kernel", where)
        function = check(self.cu.cuKernelGetFunction(kernel), "loading a kernel", where)
        attribute = self.cu.CUfunction_attribute
        if image.dyn_smem:
            static = int(
                check(
                    self.cu.cuFuncGetAttribute(attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function),
                    "asking for shared memory",
                    where,
                )
            )
            if image.dyn_smem + static > self.max_smem:
                raise LlmcError(
                    "LLMC0947",
                    f"the kernel wants {image.dyn_smem + static} bytes of shared memory",
                    where=where,
                    why=f"{self.name} has {self.max_smem} a CTA",
                    fix="use a schedule with fewer stages or smaller tiles",
                )
            if image.dyn_smem + static > 48 << 10:
                check(
                    self.cu.cuFuncSetAttribute(
                        function, attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, image.dyn_smem
                    ),
                    "asking for more shared memory",
                    where,
                )
        params = image.params or parameter_types(image)
        unknown = [p for p in params if p not in CTYPES]
        if unknown:
            raise LlmcError(
                "LLMC0948", f"parameters of type {', '.join(unknown)} cannot be passed", where=where, fix="pass a pointer"
            )
        values = [CTYPES[p]() for p in params]
        pointers = (ctypes.c_void_p * max(len(values), 1))(*(ctypes.addressof(v) for v in values))
        floats = [p[0] == "f" for p in params]
        loaded = LoadedKernel(library, function, self._config(image), values, floats, pointers, ctypes.addressof(pointers))
        return Function(image.name, image, loaded)

    def _config(self, image: KernelImage) -> Any:
        """The launch configuration; launches change its grid only."""
        cu = self.cu
        config = cu.CUlaunchConfig()
        config.blockDimX, config.blockDimY, config.blockDimZ = block_of(image)
        config.sharedMemBytes = image.dyn_smem
        config.hStream = self.stream
        attributes: list[Any] = []
        if image.cluster != (1, 1, 1):
            cluster = cu.CUlaunchAttribute()
            cluster.id = cu.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
            cluster.value.clusterDim.x, cluster.value.clusterDim.y, cluster.value.clusterDim.z = image.cluster
            attributes.append(cluster)
        if image.dependent_launch:
            dependent = cu.CUlaunchAttribute()
            dependent.id = cu.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
            dependent.value.programmaticStreamSerializationAllowed = 1
            attributes.append(dependent)
        config.attrs = attributes
        config.numAttrs = len(attributes)
        return config

    def launch(self, function: Function, grid: Grid, args: Sequence[Argument]) -> None:
        if not check_grid(function, grid):
            return
        loaded: LoadedKernel = function.handle
        values = loaded.values
        if len(args) != len(values):
            raise LlmcError(
                "LLMC0949",
                f"kernel {function.name} takes {len(values)} arguments, {len(args)} are given",
                f"kernel {function.name}",
                fix="give one argument for each parameter of the PTX",
            )
        for value, arg, is_float in zip(values, args, loaded.floats, strict=True):
            if (mapped := as_tensor_map(ctypes.sizeof(value), arg, function.name)) is not None:
                value[:] = encoded(mapped)
            else:
                value.value = float(cast(Any, arg)) if is_float else int(cast(Any, arg))
        config = loaded.config
        config.gridDimX, config.gridDimY, config.gridDimZ = grid
        (status,) = self.cu.cuLaunchKernelEx(config, loaded.function, loaded.address if values else 0, 0)
        if int(status):
            raise error_of(status, f"launching {function.name} on a grid of {grid}", self.recent_launches())
        self.recent.append(function.name)
        if self._graph is not None:
            self._graph.kernels.append(function.name)
            self._graph.keep.append(function)

    def recent_launches(self) -> str | None:
        """The last launches, newest first: an asynchronous failure is one of theirs."""
        return "after launches of (newest first) " + ", ".join(reversed(self.recent)) if self.recent else None

    # -- order --------------------------------------------------------------------------------------------------------------------

    def synchronize(self) -> None:
        self._not_recording("synchronize")
        (status,) = self.cu.cuStreamSynchronize(self.stream)
        if int(status):
            raise error_of(status, "waiting for the GPU", self.recent_launches())
        self.recent.clear()

    def event(self) -> Any:
        """A timing event recorded now; see `elapsed_ms`."""
        event = check(self.cu.cuEventCreate(0), "creating an event")
        check(self.cu.cuEventRecord(event, self.stream), "recording an event")
        return event

    def elapsed_ms(self, first: Any, last: Any) -> float:
        """Milliseconds on the GPU between two events, after waiting for the second."""
        check(self.cu.cuEventSynchronize(last), "waiting for an event", self.recent_launches())
        return float(check(self.cu.cuEventElapsedTime(first, last), "reading a time"))

    def _not_recording(self, doing: str) -> None:
        if self._graph is not None:
            raise LlmcError(
                "LLMC0950",
                f"{doing} inside a capture",
                doing,
                why="a graph records launches and memset alone",
                fix="do it before the capture",
            )

    @contextmanager
    def capture(self) -> Generator[CudaGraph]:
        self._not_recording("capture")
        cu = self.cu
        check(
            cu.cuStreamBeginCapture(self.stream, cu.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
            "beginning a capture",
        )
        graph = self._graph = CudaGraph(self)
        try:
            yield graph
        except BaseException:
            self._graph = None
            status, recorded = cu.cuStreamEndCapture(self.stream)
            if int(status) == 0:
                cu.cuGraphDestroy(recorded)
            raise
        self._graph = None
        recorded = check(cu.cuStreamEndCapture(self.stream), "ending a capture", self.recent_launches())
        graph.executable = check(cu.cuGraphInstantiate(recorded, 0), f"instantiating a graph of {len(graph.kernels)} launches")
        check(cu.cuGraphDestroy(recorded), "dropping a graph")


def parameter_types(image: KernelImage) -> tuple[str, ...]:
    """The types of the kernel's parameters as its PTX declares them."""
    from ...dialects.ptx.parse import parse_ptx

    params = parse_ptx(image.ptx).kernels[image.name].params
    return tuple("tensormap" if p.size == PARAMETER_BYTES else p.type for p in params)


def block_of(image: KernelImage) -> Grid:
    """CTA dimensions: those that `.reqntid` demands where they have `image.threads` threads, else a line."""
    import re

    for match in re.finditer(r"\.reqntid\s+(\d+)(?:\s*,\s*(\d+))?(?:\s*,\s*(\d+))?", image.ptx):
        x, y, z = (int(g or 1) for g in match.groups())
        if x * y * z == image.threads:
            return (x, y, z)
    return (image.threads, 1, 1)
