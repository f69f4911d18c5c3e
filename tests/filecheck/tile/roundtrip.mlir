// RUN: %llmc-opt %s --mlir-print-local-scope | %llmc-opt - --mlir-print-local-scope | filecheck %s
// RUN: %llmc-opt %s --mlir-print-op-generic | %llmc-opt - --mlir-print-local-scope | filecheck %s

// Every op of tile, read and printed. Layouts that occur more than once get a name on top.

// CHECK: tile.kernel @k(%b0: !layout.buffer<["T", 64], bf16>, %b1: !layout.buffer<["T", 64], f32>, %b2: !layout.buffer<["T"],
tile.kernel @k(%b0: !layout.buffer<["T", 64], bf16>, %b1: !layout.buffer<["T", 64], f32>, %b2: !layout.buffer<["T"], i32>, %T: i32) attributes {effects = ["r", "rw", "rw"], grid = ["ceildiv(T, 64)", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  // CHECK: %0 = arith.constant 64 : i32
  %0 = arith.constant 64 : i32
  // CHECK: %1 = arith.constant 0 : i32
  %1 = arith.constant 0 : i32
  // CHECK: %2 = arith.constant 3 : i32
  %2 = arith.constant 3 : i32
  // CHECK: %3 = arith.constant 1 : i32
  %3 = arith.constant 1 : i32
  // CHECK: %4, %5, %6 = tile.task
  %4, %5, %6 = tile.task
  // CHECK: %7 = arith.muli %4, %0 : i32
  %7 = arith.muli %4, %0 : i32
  // CHECK: %8 = tile.alloc : !tile.smem<2x64x64xbf16, #layout.mem<{{\[\[}}2, 4096]], {{\[\[}}64, 64]], {{\[\[}}64, 1]], swizzle = [3, 3, 3]>>
  %8 = tile.alloc : !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  // CHECK: %9 = tile.stage %8[%1]
  %9 = tile.stage %8[%1] : !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>> -> !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  // CHECK: tile.cp_async %b0[%7, %1], %9[%1, %1] {tv = #layout.tv<shape = [64, 64], reg = {{\[\[}}8, [0, 1]], [4, [16, 0]]], lane = {{\[\[}}8,
  tile.cp_async %b0[%7, %1], %9[%1, %1] {tv = #layout.tv<shape = [64, 64], reg = [[8, [0, 1]], [4, [16, 0]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>, checked = [true, false]} : !layout.buffer<["T", 64], bf16> -> !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  // CHECK: tile.cp_async_commit
  tile.cp_async_commit
  // CHECK: tile.cp_async_wait 0 : i64
  tile.cp_async_wait 0 : i64
  // CHECK: tile.barrier
  tile.barrier
  // CHECK: %10 = tile.stage %8[%1]
  %10 = tile.stage %8[%1] : !tile.smem<2x64x64xbf16, #layout.mem<[[2, 4096]], [[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>> -> !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  // CHECK: %11 = tile.load %10[%1, %1]
  %11 = tile.load %10[%1, %1] : !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: %12 = tile.load %b0[%1, %1] bounds(%T) {checked = [true, false], cache = "nc"}
  %12 = tile.load %b0[%1, %1] bounds(%T) {checked = [true, false], cache = "nc"} : !layout.buffer<["T", 64], bf16> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [0, 8]], [4, [0, 16]], [8, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [0, 0]]]>>
  // CHECK: %13 = tile.full 0.000000e+00
  %13 = tile.full 0.000000e+00 : f32 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: %14 = scf.for %15 = %1 to %T step %0 iter_args(%16 = %13) -> (!tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg =
  %14 = scf.for %15 = %1 to %T step %0 iter_args(%16 = %13) -> (!tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>) : i32 {
    // CHECK: %17 = tile.mma %11, %12, %16 "m16n8k16"
    %17 = tile.mma %11, %12, %16 "m16n8k16" : !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [0, 8]], [4, [0, 16]], [8, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [0, 0]]]>>, !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
    // CHECK: scf.yield %17
    scf.yield %17 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  }
  // CHECK: %18 = tile.reduce %14 "max" over 1
  %18 = tile.reduce %14 "max" over 1 : i64 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x1xf32, #layout.tv<shape = [64, 1], reg = [[2, [8, 0]]], lane = [[4, [0, 0]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: %19 = tile.map %14, %18
  %19 = tile.map %14, %18 : (!tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, !tile.frag<64x1xf32, #layout.tv<shape = [64, 1], reg = [[2, [8, 0]]], lane = [[4, [0, 0]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>) -> !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> {
  ^bb0(%20: f32, %21: f32):
    // CHECK: %22 = arith.subf %20, %21 : f32
    %22 = arith.subf %20, %21 : f32
    // CHECK: %23 = math.exp2 %22 : f32
    %23 = math.exp2 %22 : f32
    // CHECK: tile.yield %23 : f32
    tile.yield %23 : f32
  }
  // CHECK: %24 = tile.map %19
  %24 = tile.map %19 : (!tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>) -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> {
  ^bb0(%25: f32):
    // CHECK: %26 = arith.truncf %25 : f32 to bf16
    %26 = arith.truncf %25 : f32 to bf16
    // CHECK: tile.yield %26 : bf16
    tile.yield %26 : bf16
  }
  // CHECK: %27 = tile.relabel %24
  %27 = tile.relabel %24 : !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: %28 = tile.load %b2[%7] {checked = [true]}
  %28 = tile.load %b2[%7] {checked = [true]} : !layout.buffer<["T"], i32> -> !tile.frag<64xi32, #layout.tv<shape = [64], reg = [[4, [16]]], lane = [[8, [0]], [4, [1]]], warp = [[4, [4]]]>>
  // CHECK: %29 = tile.relabel %28
  %29 = tile.relabel %28 : !tile.frag<64xi32, #layout.tv<shape = [64], reg = [[4, [16]]], lane = [[8, [0]], [4, [1]]], warp = [[4, [4]]]>> -> !tile.frag<64x1xi32, #layout.tv<shape = [64, 1], reg = [[4, [16, 0]]], lane = [[8, [0, 0]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>
  // CHECK: %30 = tile.load %b0[%1, %1] gather(%29 : !tile.frag<64x1xi32, #layout.tv<shape = [64, 1], reg = {{\[\[}}4, [16, 0]]], lane =
  %30 = tile.load %b0[%1, %1] gather(%29 : !tile.frag<64x1xi32, #layout.tv<shape = [64, 1], reg = [[4, [16, 0]]], lane = [[8, [0, 0]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>) {gather_dims = array<i64: 0>} : !layout.buffer<["T", 64], bf16> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[8, [0, 1]], [4, [16, 0]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>
  // CHECK: %31 = tile.map %30
  %31 = tile.map %30 : (!tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[8, [0, 1]], [4, [16, 0]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>) -> !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[8, [0, 1]], [4, [16, 0]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>> {
  ^bb0(%32: bf16):
    // CHECK: %33 = arith.extf %32 : bf16 to f32
    %33 = arith.extf %32 : bf16 to f32
    // CHECK: tile.yield %33 : f32
    tile.yield %33 : f32
  }
  // CHECK: tile.store %31, %b1[%7, %1] {checked = [true, false]}
  tile.store %31, %b1[%7, %1] {checked = [true, false]} : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[8, [0, 1]], [4, [16, 0]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>> -> !layout.buffer<["T", 64], f32>
  // CHECK: tile.store %19, %b1[%7, %1] {checked = [true, false]}
  tile.store %19, %b1[%7, %1] {checked = [true, false]} : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !layout.buffer<["T", 64], f32>
  // CHECK: %34 = tile.iota 1
  %34 = tile.iota 1 : i64 : !tile.frag<1x64xi32, #layout.tv<shape = [1, 64], reg = [[2, [0, 1]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [0, 0]]], warp = [[4, [0, 0]]]>>
  // CHECK: %35 = tile.map %27, %34
  %35 = tile.map %27, %34 : (!tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, !tile.frag<1x64xi32, #layout.tv<shape = [1, 64], reg = [[2, [0, 1]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [0, 0]]], warp = [[4, [0, 0]]]>>) -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> {
  ^bb0(%36: bf16, %37: i32):
    // CHECK: %38 = arith.sitofp %37 : i32 to bf16
    %38 = arith.sitofp %37 : i32 to bf16
    // CHECK: %39 = arith.addf %36, %38 : bf16
    %39 = arith.addf %36, %38 : bf16
    // CHECK: tile.yield %39 : bf16
    tile.yield %39 : bf16
  }
  // CHECK: %40 = tile.load_scalar %b2[%1] : !layout.buffer<["T"], i32> -> i32
  %40 = tile.load_scalar %b2[%1] : !layout.buffer<["T"], i32> -> i32
  // CHECK: %41 = arith.cmpi slt, %40, %2 : i32
  %41 = arith.cmpi slt, %40, %2 : i32
  // CHECK: scf.if %41 {
  scf.if %41 {
    // CHECK: tile.store_scalar %3, %b2[%1] : i32 -> !layout.buffer<["T"], i32>
    tile.store_scalar %3, %b2[%1] : i32 -> !layout.buffer<["T"], i32>
  }
  // CHECK: %42 = tile.atomic_add %3, %b2[%1] : !layout.buffer<["T"], i32>, i32 -> i32
  %42 = tile.atomic_add %3, %b2[%1] : !layout.buffer<["T"], i32>, i32 -> i32
  // CHECK: %43 = tile.full 3
  %43 = tile.full 3 : i8 : !tile.frag<64x64xi8, #layout.tv<shape = [64, 64], reg = [[8, [0, 1]], [4, [16, 0]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>
  // CHECK: %44 = tile.unpack %43
  %44 = tile.unpack %43 : !tile.frag<64x64xi8, #layout.tv<shape = [64, 64], reg = [[8, [0, 1]], [4, [16, 0]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>> -> !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[8, [0, 1]], [4, [16, 0]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>
  // CHECK: %45 = tile.relayout %19
  %45 = tile.relayout %19 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[4, [0, 1]], [8, [8, 0]]], lane = [[16, [0, 4]], [2, [1, 0]]], warp = [[4, [2, 0]]]>>
  // CHECK: %46 = tile.concat %19, %19 {axis = 1
  %46 = tile.concat %19, %19 {axis = 1 : i64} : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x128xf32, #layout.tv<shape = [64, 128], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]], [2, [0, 64]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: %47 = tile.splat %40
  %47 = tile.splat %40 : i32 -> !tile.frag<1xi32, #layout.tv<shape = [1], reg = [], lane = [[32, [0]]], warp = [[4, [0]]]>>
  // CHECK: %48 = tile.extract %47 at [0]
  %48 = tile.extract %47 at [0] : !tile.frag<1xi32, #layout.tv<shape = [1], reg = [], lane = [[32, [0]]], warp = [[4, [0]]]>> -> i32
  // CHECK: %49 = tile.is_thread {id = 0 : i32}
  %49 = tile.is_thread {id = 0 : i32}
  // CHECK: tile.fence
  tile.fence
  // CHECK: tile.return
  tile.return
}
// CHECK: tile.kernel @r(%b0: !layout.buffer<[4096], bf16>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [],
tile.kernel @r(%b0: !layout.buffer<[4096], bf16>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 3 : i32} {
  // CHECK: %0 = arith.constant 512 : i32
  %0 = arith.constant 512 : i32
  // CHECK: %1 = arith.constant 0 : i32
  %1 = arith.constant 0 : i32
  // CHECK: %2 = arith.constant 8 : i32
  %2 = arith.constant 8 : i32
  // CHECK: %3 = arith.constant 1 : i32
  %3 = arith.constant 1 : i32
  // CHECK: %4 = tile.ring {copies = 1 : i32, consumers = 2 : i32} : !tile.ring<4, 512xbf16>
  %4 = tile.ring {copies = 1 : i32, consumers = 2 : i32} : !tile.ring<4, 512xbf16>
  // CHECK: tile.roles warps [1, 2] {
  tile.roles warps [1, 2] {
    // CHECK: scf.for %5 = %1 to %2 step %3 : i32 {
    scf.for %5 = %1 to %2 step %3 : i32 {
      // CHECK: %6 = tile.ring_acquire %4[%5] : !tile.ring<4, 512xbf16> -> !tile.smem<512xbf16>
      %6 = tile.ring_acquire %4[%5] : !tile.ring<4, 512xbf16> -> !tile.smem<512xbf16>
      // CHECK: %7 = arith.muli %5, %0 : i32
      %7 = arith.muli %5, %0 : i32
      // CHECK: tile.bulk_load %b0[%7], %4[%5] {bytes = 1024 : i64} : !layout.buffer<[4096], bf16>[i32] -> !tile.ring<4, 512xbf16>
      tile.bulk_load %b0[%7], %4[%5] {bytes = 1024 : i64} : !layout.buffer<[4096], bf16>[i32] -> !tile.ring<4, 512xbf16>
    }
    // CHECK: tile.yield
    tile.yield
  }, {
    // CHECK: scf.for %8 = %1 to %2 step %3 : i32 {
    scf.for %8 = %1 to %2 step %3 : i32 {
      // CHECK: %9 = tile.ring_wait %4[%8] : !tile.ring<4, 512xbf16> -> !tile.smem<512xbf16>
      %9 = tile.ring_wait %4[%8] : !tile.ring<4, 512xbf16> -> !tile.smem<512xbf16>
      // CHECK: %10 = tile.load %9[%1]
      %10 = tile.load %9[%1] : !tile.smem<512xbf16> -> !tile.frag<512xbf16, #layout.tv<shape = [512], reg = [[8, [1]]], lane = [[32, [8]]], warp = [[2, [256]]]>>
      // CHECK: tile.ring_release %4[%8] : !tile.ring<4, 512xbf16>
      tile.ring_release %4[%8] : !tile.ring<4, 512xbf16>
    }
    // CHECK: tile.yield
    tile.yield
  }
  // CHECK: tile.return
  tile.return
}
// CHECK: tile.kernel @others(%b0: !layout.buffer<["T", 64], f32>, %T: i32) attributes {effects = ["rw"], grid = ["T", "1", "1"],
tile.kernel @others(%b0: !layout.buffer<["T", 64], f32>, %T: i32) attributes {effects = ["rw"], grid = ["T", "1", "1"], sizes = ["T"], warps = 4 : i32} {
  // CHECK: %0 = arith.constant 0 : i32
  %0 = arith.constant 0 : i32
  // CHECK: tile.await "x"
  tile.await "x"
  // CHECK: tile.await "b0" of %b0 : !layout.buffer<["T", 64], f32>
  tile.await "b0" of %b0 : !layout.buffer<["T", 64], f32>
  // CHECK: %1 = tile.alloc : !tile.smem<64xf32>
  %1 = tile.alloc : !tile.smem<64xf32>
  // CHECK: %2 = tile.view %1 at 128 : i64 : !tile.smem<64xf32> -> !tile.smem<32xf32>
  %2 = tile.view %1 at 128 : i64 : !tile.smem<64xf32> -> !tile.smem<32xf32>
  // CHECK: %3 = tile.full 1.000000e+00
  %3 = tile.full 1.000000e+00 : f32 : !tile.frag<16x64xf32, #layout.tv<shape = [16, 64], reg = [[8, [0, 1]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>
  // CHECK: %4 = tile.reduce %3 "add" over 1
  %4 = tile.reduce %3 "add" over 1 : i64 : !tile.frag<16x64xf32, #layout.tv<shape = [16, 64], reg = [[8, [0, 1]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>> -> !tile.frag<16x1xf32, #layout.tv<shape = [16, 1], reg = [], lane = [[8, [0, 0]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>
  // CHECK: %5 = tile.broadcast %4
  %5 = tile.broadcast %4 : !tile.frag<16x1xf32, #layout.tv<shape = [16, 1], reg = [], lane = [[8, [0, 0]], [4, [1, 0]]], warp = [[4, [4, 0]]]>> -> !tile.frag<16x64xf32, #layout.tv<shape = [16, 64], reg = [[8, [0, 1]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>
  // CHECK: %6 = tile.full 1.000000e+00
  %6 = tile.full 1.000000e+00 : f32 : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: %7 = tile.slice %6 {axis = 1
  %7 = tile.slice %6 {axis = 1 : i64, start = 0 : i64, size = 8 : i64} : !tile.frag<64x64xf32, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [8, [0, 8]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: tile.prefetch %b0[%0, %0] {tv = #layout.tv<shape = [16, 64], reg = {{\[\[}}8, [0, 1]]], lane = {{\[\[}}8, [0, 8]], [4, [1, 0]]],
  tile.prefetch %b0[%0, %0] {tv = #layout.tv<shape = [16, 64], reg = [[8, [0, 1]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>} : !layout.buffer<["T", 64], f32>
  // CHECK: tile.publish "x"
  tile.publish "x"
  // CHECK: tile.publish "b0" of %b0 : !layout.buffer<["T", 64], f32>
  tile.publish "b0" of %b0 : !layout.buffer<["T", 64], f32>
  // CHECK: tile.return
  tile.return
}
// CHECK: tile.kernel @wgmma() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 4 : i32} {
tile.kernel @wgmma() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 4 : i32} {
  // CHECK: %0 = tile.full 0.000000e+00
  %0 = tile.full 0.000000e+00 : f32 : !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: %1 = tile.alloc : !tile.smem<8x64xbf16, #layout.mem<{{\[\[}}8, 64]], {{\[\[}}64, 1]], swizzle = [3, 3, 3]>>
  %1 = tile.alloc : !tile.smem<8x64xbf16, #layout.mem<[[8, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  // CHECK: tile.async_fence
  tile.async_fence
  // CHECK: tile.barrier {fenced}
  tile.barrier {fenced}
  // CHECK: %2 = tile.wgmma_begin %0
  %2 = tile.wgmma_begin %0 : !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: %3 = tile.full 0.000000e+00
  %3 = tile.full 0.000000e+00 : bf16 : !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: %4 = tile.wgmma %3, %1, %2
  %4 = tile.wgmma %3, %1, %2 : !tile.frag<64x64xbf16, #layout.tv<shape = [64, 64], reg = [[2, [0, 1]], [2, [8, 0]], [2, [0, 8]], [4, [0, 16]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>, !tile.smem<8x64xbf16, #layout.mem<[[8, 64]], [[64, 1]], swizzle = [3, 3, 3]>>, !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: %5 = tile.wgmma_wait %4 {pending = 1
  %5 = tile.wgmma_wait %4 {pending = 1 : i64} : !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: %6 = tile.wgmma_wait %5 {pending = 0
  %6 = tile.wgmma_wait %5 {pending = 0 : i64} : !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: tile.return
  tile.return
}
// CHECK: tile.kernel @wgmma_of_shared_memory()
tile.kernel @wgmma_of_shared_memory() attributes {effects = [], grid = ["1", "1", "1"], sizes = [], warps = 4 : i32} {
  %0 = tile.full 0.000000e+00 : f32 : !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %1 = tile.alloc : !tile.smem<8x64xbf16, #layout.mem<[[8, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  %2 = tile.alloc : !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  // CHECK: %3 = tile.wgmma %2, %1, %0 : !tile.smem<64x64xbf16, #layout.mem<{{\[\[}}64, 64]], {{\[\[}}64, 1]], swizzle = [3, 3, 3]>>, !tile.smem<8x64xbf16,
  %3 = tile.wgmma %2, %1, %0 : !tile.smem<64x64xbf16, #layout.mem<[[64, 64]], [[64, 1]], swizzle = [3, 3, 3]>>, !tile.smem<8x64xbf16, #layout.mem<[[8, 64]], [[64, 1]], swizzle = [3, 3, 3]>>, !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  %4 = tile.wgmma_wait %3 {pending = 0 : i64} : !tile.inflight<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>> -> !tile.frag<64x8xf32, #layout.tv<shape = [64, 8], reg = [[2, [0, 1]], [2, [8, 0]]], lane = [[4, [0, 2]], [8, [1, 0]]], warp = [[4, [16, 0]]]>>
  // CHECK: tile.return
  tile.return
}
// CHECK: tile.kernel @mbarriers(%b0: !layout.buffer<[64, 64], bf16>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [],
tile.kernel @mbarriers(%b0: !layout.buffer<[64, 64], bf16>) attributes {effects = ["r"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  // CHECK: %0 = arith.constant 1 : i32
  %0 = arith.constant 1 : i32
  // CHECK: %1 = tile.alloc : !tile.smem<512xbf16>
  %1 = tile.alloc : !tile.smem<512xbf16>
  // CHECK: %2 = tile.mbarrier_init {count = 1 : i32} : !tile.mbarriers<4>
  %2 = tile.mbarrier_init {count = 1 : i32} : !tile.mbarriers<4>
  // CHECK: tile.mbarrier_expect %2[%0] {bytes = 1024 : i64} : !tile.mbarriers<4>
  tile.mbarrier_expect %2[%0] {bytes = 1024 : i64} : !tile.mbarriers<4>
  // CHECK: tile.bulk_copy %b0[%0, %0], %1, %2[%0] {bytes = 512 : i64} : !layout.buffer<[64, 64], bf16>[i32, i32] -> !tile.smem<512xbf16>, !tile.mbarriers<4>
  tile.bulk_copy %b0[%0, %0], %1, %2[%0] {bytes = 512 : i64} : !layout.buffer<[64, 64], bf16>[i32, i32] -> !tile.smem<512xbf16>, !tile.mbarriers<4>
  // CHECK: tile.bulk_copy %b0[%0], %1, %2[%0] multicast %0 {bytes = 512 : i64, at = 512 : i64, cache = "evict_first"} : !layout.buffer<[64, 64], bf16>[i32] -> !tile.smem<512xbf16>, !tile.mbarriers<4>
  tile.bulk_copy %b0[%0], %1, %2[%0] multicast %0 {bytes = 512 : i64, at = 512 : i64, cache = "evict_first"} : !layout.buffer<[64, 64], bf16>[i32] -> !tile.smem<512xbf16>, !tile.mbarriers<4>
  // CHECK: tile.mbarrier_wait %2[%0] parity %0 : !tile.mbarriers<4>
  tile.mbarrier_wait %2[%0] parity %0 : !tile.mbarriers<4>
  // CHECK: tile.mbarrier_arrive %2[%0] : !tile.mbarriers<4>
  tile.mbarrier_arrive %2[%0] : !tile.mbarriers<4>
  // CHECK: tile.mbarrier_arrive %2[%0] {by = "role"} : !tile.mbarriers<4>
  tile.mbarrier_arrive %2[%0] {by = "role"} : !tile.mbarriers<4>
  // CHECK: tile.return
  tile.return
}
// CHECK: tile.kernel @stores(%b0: !layout.buffer<[64, 64], bf16>, %b1: !layout.buffer<[4], i32>) attributes {effects = ["w", "rw"],
tile.kernel @stores(%b0: !layout.buffer<[64, 64], bf16>, %b1: !layout.buffer<[4], i32>) attributes {effects = ["w", "rw"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
  // CHECK: %0 = arith.constant 1 : i32
  %0 = arith.constant 1 : i32
  // CHECK: %1 = tile.alloc : !tile.smem<512xbf16>
  %1 = tile.alloc : !tile.smem<512xbf16>
  // CHECK: tile.await "a" {by = "grid"}
  tile.await "a" {by = "grid"}
  // CHECK: tile.await "b" on %b1[%0] until %0 {by = "counter"} : !layout.buffer<[4], i32>
  tile.await "b" on %b1[%0] until %0 {by = "counter"} : !layout.buffer<[4], i32>
  // CHECK: tile.bulk_store %1, %b0[%0, %0] {bytes = 512 : i64} : !tile.smem<512xbf16> -> !layout.buffer<[64, 64], bf16>[i32, i32]
  tile.bulk_store %1, %b0[%0, %0] {bytes = 512 : i64} : !tile.smem<512xbf16> -> !layout.buffer<[64, 64], bf16>[i32, i32]
  // CHECK: tile.bulk_store %1, %b0[%0] {bytes = 512 : i64, at = 512 : i64} : !tile.smem<512xbf16> -> !layout.buffer<[64, 64], bf16>[i32]
  tile.bulk_store %1, %b0[%0] {bytes = 512 : i64, at = 512 : i64} : !tile.smem<512xbf16> -> !layout.buffer<[64, 64], bf16>[i32]
  // CHECK: tile.bulk_commit
  tile.bulk_commit
  // CHECK: tile.bulk_wait 1 : i64 {read}
  tile.bulk_wait 1 : i64 {read}
  // CHECK: tile.bulk_wait 0 : i64
  tile.bulk_wait 0 : i64
  // CHECK: tile.publish "b" on %b1[%0] {by = "counter"} : !layout.buffer<[4], i32>
  tile.publish "b" on %b1[%0] {by = "counter"} : !layout.buffer<[4], i32>
  // CHECK: tile.publish "a" {by = "grid"}
  tile.publish "a" {by = "grid"}
  // CHECK: tile.return
  tile.return
}
// CHECK: tile.kernel @boxes(%x: !layout.buffer<["T", 256], bf16>, %m: !tile.tmap<16x64xbf16, swizzle = 128>, %p: !tile.tmap<8x8xbf16>, %T: i32) attributes {effects = ["rw"], {{.*}}maps = [#layout.tensor_map<buffer = 0, box = [16, 64], swizzle = 128>, #layout.tensor_map<buffer = 0, box = [8, 8]>],
tile.kernel @boxes(%x: !layout.buffer<["T", 256], bf16>, %m: !tile.tmap<16x64xbf16, swizzle = 128>, %p: !tile.tmap<8x8xbf16>, %T: i32) attributes {effects = ["rw"], grid = ["1", "1", "1"], maps = [#layout.tensor_map<buffer = 0, box = [16, 64], swizzle = 128>, #layout.tensor_map<buffer = 0, box = [8, 8]>], sizes = ["T"], warps = 1 : i32} {
  // CHECK: %0 = arith.constant 1 : i32
  %0 = arith.constant 1 : i32
  // CHECK: %1 = tile.ring
  %1 = tile.ring {copies = 1 : i32, consumers = 1 : i32} : !tile.ring<2, 16x64xbf16, #layout.mem<[[16, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  // CHECK: %2 = tile.alloc
  %2 = tile.alloc : !tile.smem<16x64xbf16, #layout.mem<[[16, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  // CHECK: %3 = tile.alloc
  %3 = tile.alloc : !tile.smem<2x8x8xbf16>
  // CHECK: %4 = tile.mbarrier_init
  %4 = tile.mbarrier_init {count = 1 : i32} : !tile.mbarriers<1>
  // CHECK: tile.tma_load %m[%0, %0], %1[%0] {cache = "evict_first"} : !tile.tmap<16x64xbf16, swizzle = 128> -> !tile.ring<2, 16x64xbf16, #layout.mem
  tile.tma_load %m[%0, %0], %1[%0] {cache = "evict_first"} : !tile.tmap<16x64xbf16, swizzle = 128> -> !tile.ring<2, 16x64xbf16, #layout.mem<[[16, 64]], [[64, 1]], swizzle = [3, 3, 3]>>
  // CHECK: tile.tma_copy %m[%0, %0], %2, %4[%0] : !tile.tmap<16x64xbf16, swizzle = 128> -> !tile.smem<16x64xbf16, #layout.mem
  tile.tma_copy %m[%0, %0], %2, %4[%0] : !tile.tmap<16x64xbf16, swizzle = 128> -> !tile.smem<16x64xbf16, #layout.mem<[[16, 64]], [[64, 1]], swizzle = [3, 3, 3]>>, !tile.mbarriers<1>
  // CHECK: tile.tma_copy %p[%0, %0], %3, %4[%0] multicast %0 {at = 128 : i64} : !tile.tmap<8x8xbf16> -> !tile.smem<2x8x8xbf16>, !tile.mbarriers<1>
  tile.tma_copy %p[%0, %0], %3, %4[%0] multicast %0 {at = 128 : i64} : !tile.tmap<8x8xbf16> -> !tile.smem<2x8x8xbf16>, !tile.mbarriers<1>
  // CHECK: tile.tma_store %3, %p[%0, %0] {at = 128 : i64} : !tile.smem<2x8x8xbf16> -> !tile.tmap<8x8xbf16>
  tile.tma_store %3, %p[%0, %0] {at = 128 : i64} : !tile.smem<2x8x8xbf16> -> !tile.tmap<8x8xbf16>
  // CHECK: tile.return
  tile.return
}
// CHECK: tile.kernel @cluster() attributes {cluster = 4 : i32, effects = [], grid = ["8", "1", "1"], sizes = [], warps = 2 : i32} {
tile.kernel @cluster() attributes {cluster = 4 : i32, effects = [], grid = ["8", "1", "1"], sizes = [], warps = 2 : i32} {
  // CHECK: %0 = tile.rank
  %0 = tile.rank
  // CHECK: %1 = tile.elect
  %1 = tile.elect
  // CHECK: %2 = tile.alloc : !tile.smem<64xf32>
  %2 = tile.alloc : !tile.smem<64xf32>
  // CHECK: %3 = tile.mbarrier_init
  %3 = tile.mbarrier_init {count = 1 : i32} : !tile.mbarriers<2>
  // CHECK: %4 = tile.peer %2 at %0 : !tile.smem<64xf32> -> !tile.smem<64xf32>
  %4 = tile.peer %2 at %0 : !tile.smem<64xf32> -> !tile.smem<64xf32>
  // CHECK: %5 = tile.peer %3 at %0 : !tile.mbarriers<2> -> !tile.mbarriers<2>
  %5 = tile.peer %3 at %0 : !tile.mbarriers<2> -> !tile.mbarriers<2>
  // CHECK: tile.cluster_barrier
  tile.cluster_barrier
  // CHECK: %6 = tile.full
  %6 = tile.full 1.0 : f32 : !tile.frag<2x32xf32, #layout.tv<shape = [2, 32], reg = [], lane = [[32, [0, 1]]], warp = [[2, [1, 0]]]>>
  // CHECK: %7 = tile.split_reduce %6 {scope = "cluster", ordered} : !tile.frag<2x32xf32,
  %7 = tile.split_reduce %6 {scope = "cluster", ordered} : !tile.frag<2x32xf32, #layout.tv<shape = [2, 32], reg = [], lane = [[32, [0, 1]]], warp = [[2, [1, 0]]]>> -> !tile.frag<2x32xf32, #layout.tv<shape = [2, 32], reg = [], lane = [[32, [0, 1]]], warp = [[2, [1, 0]]]>>
  // CHECK: %8 = tile.split_reduce %6 {scope = "cta"} : !tile.frag<2x32xf32,
  %8 = tile.split_reduce %6 {scope = "cta"} : !tile.frag<2x32xf32, #layout.tv<shape = [2, 32], reg = [], lane = [[32, [0, 1]]], warp = [[2, [1, 0]]]>> -> !tile.frag<1x32xf32, #layout.tv<shape = [1, 32], reg = [], lane = [[32, [0, 1]]], warp = [[2, [0, 0]]]>>
  // CHECK: tile.return
  tile.return
}
