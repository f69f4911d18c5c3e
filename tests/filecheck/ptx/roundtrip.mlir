// RUN: %llmc-opt %s | %llmc-opt - | filecheck %s
// RUN: %llmc-opt %s --mlir-print-op-generic | %llmc-opt - | filecheck %s

// Every op of ptx, once; what forms an opcode has is a row of dialects/ptx/table/, and all of those are read and printed in
// tests/dialects/ptx/test_roundtrip.py.

// CHECK: ptx.kernel @instructions {params = {x = "u64"}, reqntid = 128 : i32, dyn_smem = 1024 : i32, minnctapersm = 1 : i32} {
ptx.kernel @instructions {params = {x = "u64"}, reqntid = 128 : i32, dyn_smem = 1024 : i32, minnctapersm = 1 : i32} {
  // CHECK: %0 = ptx.ld param.u64 [@x] : !ptx.reg<b64>
  %0 = ptx.ld param.u64 [@x] : !ptx.reg<b64>
  // CHECK: %1 = ptx.mov b16 1 : !ptx.reg<b16>
  %1 = ptx.mov b16 1 : !ptx.reg<b16>
  // CHECK: %2 = ptx.mov b32 1 : !ptx.reg<b32>
  %2 = ptx.mov b32 1 : !ptx.reg<b32>
  // CHECK: %3 = ptx.mov b64 1 : !ptx.reg<b64>
  %3 = ptx.mov b64 1 : !ptx.reg<b64>
  // CHECK: %4 = ptx.mov f32 1.0 : !ptx.reg<f32>
  %4 = ptx.mov f32 1.0 : !ptx.reg<f32>
  // CHECK: %5 = ptx.mov f64 "0d3FF0000000000000" : !ptx.reg<f64>
  %5 = ptx.mov f64 "0d3FF0000000000000" : !ptx.reg<f64>
  // CHECK: %6 = ptx.mov b32 1 : !ptx.reg<b32>
  %6 = ptx.mov b32 1 : !ptx.reg<b32>
  // CHECK: %7 = ptx.setp ne.u32 %6, 0 : !ptx.reg<pred>
  %7 = ptx.setp ne.u32 %6, 0 : !ptx.reg<pred>
  // CHECK: %8 = ptx.abs s16 %1 : !ptx.reg<b16>
  %8 = ptx.abs s16 %1 : !ptx.reg<b16>
  // CHECK: %9 = ptx.activemask b32 : !ptx.reg<b32>
  %9 = ptx.activemask b32 : !ptx.reg<b32>
  // CHECK: %10 = ptx.add u16 %1, %1 : !ptx.reg<b16>
  %10 = ptx.add u16 %1, %1 : !ptx.reg<b16>
  // CHECK: %11 = ptx.and b16 %1, %1 : !ptx.reg<b16>
  %11 = ptx.and b16 %1, %1 : !ptx.reg<b16>
  // CHECK: %12 = ptx.atom or.b32 [%0 + 16], %2 : !ptx.reg<b32>
  %12 = ptx.atom or.b32 [%0 + 16], %2 : !ptx.reg<b32>
  // CHECK: ptx.bar sync %2, %2
  ptx.bar sync %2, %2
  // CHECK: ptx.barrier sync %2, %2
  ptx.barrier sync %2, %2
  // CHECK: %13 = ptx.bfe u32 %2, %2, %2 : !ptx.reg<b32>
  %13 = ptx.bfe u32 %2, %2, %2 : !ptx.reg<b32>
  // CHECK: %14 = ptx.bfi b32 %2, %2, %2, %2 : !ptx.reg<b32>
  %14 = ptx.bfi b32 %2, %2, %2, %2 : !ptx.reg<b32>
  // CHECK: %15 = ptx.bfind u32 %2 : !ptx.reg<b32>
  %15 = ptx.bfind u32 %2 : !ptx.reg<b32>
  // CHECK: %16 = ptx.brev b32 %2 : !ptx.reg<b32>
  %16 = ptx.brev b32 %2 : !ptx.reg<b32>
  // CHECK: %17 = ptx.clz b32 %2 : !ptx.reg<b32>
  %17 = ptx.clz b32 %2 : !ptx.reg<b32>
  // CHECK: %18 = ptx.cnot b16 %1 : !ptx.reg<b16>
  %18 = ptx.cnot b16 %1 : !ptx.reg<b16>
  // CHECK: %19 = ptx.copysign f32 %4, %4 : !ptx.reg<f32>
  %19 = ptx.copysign f32 %4, %4 : !ptx.reg<f32>
  // CHECK: %20 = ptx.cos approx.f32 %4 : !ptx.reg<f32>
  %20 = ptx.cos approx.f32 %4 : !ptx.reg<f32>
  // CHECK: ptx.cp async.wait_all
  ptx.cp async.wait_all
  // CHECK: %21 = ptx.createpolicy "fractional.L2::evict_last.b64" %4 : !ptx.reg<b64>
  %21 = ptx.createpolicy "fractional.L2::evict_last.b64" %4 : !ptx.reg<b64>
  // CHECK: %22 = ptx.cvt u8.u8 %2 : !ptx.reg<b32>
  %22 = ptx.cvt u8.u8 %2 : !ptx.reg<b32>
  // CHECK: %23 = ptx.cvta local.u64 %3 : !ptx.reg<b64>
  %23 = ptx.cvta local.u64 %3 : !ptx.reg<b64>
  // CHECK: %24 = ptx.div u16 %1, %1 : !ptx.reg<b16>
  %24 = ptx.div u16 %1, %1 : !ptx.reg<b16>
  // CHECK: %25 = ptx.dp4a s32.s32 %2, %2, %2 : !ptx.reg<b32>
  %25 = ptx.dp4a s32.s32 %2, %2, %2 : !ptx.reg<b32>
  // CHECK: %26, %27 = ptx.elect sync %2 : !ptx.reg<b32>, !ptx.reg<pred>
  %26, %27 = ptx.elect sync %2 : !ptx.reg<b32>, !ptx.reg<pred>
  // CHECK: %28 = ptx.ex2 approx.f32 %4 : !ptx.reg<f32>
  %28 = ptx.ex2 approx.f32 %4 : !ptx.reg<f32>
  // CHECK: ptx.exit
  ptx.exit
  // CHECK: ptx.fence sc.cta
  ptx.fence sc.cta
  // CHECK: %29 = ptx.fma rn.f32 %4, %4, %4 : !ptx.reg<f32>
  %29 = ptx.fma rn.f32 %4, %4, %4 : !ptx.reg<f32>
  // CHECK: ptx.griddepcontrol wait
  ptx.griddepcontrol wait
  // CHECK: %30 = ptx.ld b8 [%0 + 16] : !ptx.reg<b32>
  %30 = ptx.ld b8 [%0 + 16] : !ptx.reg<b32>
  // CHECK: %31 = ptx.ldmatrix sync.aligned.m8n8.x1.b16 [%0 + 16] : !ptx.reg<b32>
  %31 = ptx.ldmatrix sync.aligned.m8n8.x1.b16 [%0 + 16] : !ptx.reg<b32>
  // CHECK: %32 = ptx.lg2 approx.f32 %4 : !ptx.reg<f32>
  %32 = ptx.lg2 approx.f32 %4 : !ptx.reg<f32>
  // CHECK: %33 = ptx.lop3 b32 %2, %2, %2, 150 : !ptx.reg<b32>
  %33 = ptx.lop3 b32 %2, %2, %2, 150 : !ptx.reg<b32>
  // CHECK: %34 = ptx.mad lo.u16 %1, %1, %1 : !ptx.reg<b16>
  %34 = ptx.mad lo.u16 %1, %1, %1 : !ptx.reg<b16>
  // CHECK: %35 = ptx.mapa u32 %2, %2 : !ptx.reg<b32>
  %35 = ptx.mapa u32 %2, %2 : !ptx.reg<b32>
  // CHECK: %36 = ptx.match any.sync.b32 %2, %2 : !ptx.reg<b32>
  %36 = ptx.match any.sync.b32 %2, %2 : !ptx.reg<b32>
  // CHECK: %37 = ptx.max u16 %1, %1 : !ptx.reg<b16>
  %37 = ptx.max u16 %1, %1 : !ptx.reg<b16>
  // CHECK: ptx.mbarrier init.b64 [%0 + 16], %2
  ptx.mbarrier init.b64 [%0 + 16], %2
  // CHECK: ptx.membar gl
  ptx.membar gl
  // CHECK: %38 = ptx.min u16 %1, %1 : !ptx.reg<b16>
  %38 = ptx.min u16 %1, %1 : !ptx.reg<b16>
  // CHECK: %39, %40, %41, %42 = ptx.mma sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%2, %2, %2, %2}, {%2, %2}, {%2, %2, %2, %2}
  %39, %40, %41, %42 = ptx.mma sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%2, %2, %2, %2}, {%2, %2}, {%2, %2, %2, %2} : !ptx.reg<b32>, !ptx.reg<b32>, !ptx.reg<b32>, !ptx.reg<b32>
  // CHECK: %43 = ptx.mov b16 %1 : !ptx.reg<b16>
  %43 = ptx.mov b16 %1 : !ptx.reg<b16>
  // CHECK: %44 = ptx.movmatrix sync.aligned.m8n8.trans.b16 %2 : !ptx.reg<b32>
  %44 = ptx.movmatrix sync.aligned.m8n8.trans.b16 %2 : !ptx.reg<b32>
  // CHECK: %45 = ptx.mul f32 %4, %4 : !ptx.reg<f32>
  %45 = ptx.mul f32 %4, %4 : !ptx.reg<f32>
  // CHECK: ptx.nanosleep u32 %2
  ptx.nanosleep u32 %2
  // CHECK: %46 = ptx.neg s16 %1 : !ptx.reg<b16>
  %46 = ptx.neg s16 %1 : !ptx.reg<b16>
  // CHECK: %47 = ptx.not b16 %1 : !ptx.reg<b16>
  %47 = ptx.not b16 %1 : !ptx.reg<b16>
  // CHECK: %48 = ptx.or b16 %1, %1 : !ptx.reg<b16>
  %48 = ptx.or b16 %1, %1 : !ptx.reg<b16>
  // CHECK: %49 = ptx.popc b32 %2 : !ptx.reg<b32>
  %49 = ptx.popc b32 %2 : !ptx.reg<b32>
  // CHECK: ptx.prefetch local.L1 [%0 + 16]
  ptx.prefetch local.L1 [%0 + 16]
  // CHECK: %50 = ptx.prmt b32 %2, %2, %2 : !ptx.reg<b32>
  %50 = ptx.prmt b32 %2, %2, %2 : !ptx.reg<b32>
  // CHECK: %51 = ptx.rcp rn.f64 %5 : !ptx.reg<f64>
  %51 = ptx.rcp rn.f64 %5 : !ptx.reg<f64>
  // CHECK: ptx.red or.b32 [%0 + 16], %2
  ptx.red or.b32 [%0 + 16], %2
  // CHECK: %52 = ptx.redux sync.or.b32 %2, %2 : !ptx.reg<b32>
  %52 = ptx.redux sync.or.b32 %2, %2 : !ptx.reg<b32>
  // CHECK: %53 = ptx.rem u16 %1, %1 : !ptx.reg<b16>
  %53 = ptx.rem u16 %1, %1 : !ptx.reg<b16>
  // CHECK: %54 = ptx.rsqrt approx.f32 %4 : !ptx.reg<f32>
  %54 = ptx.rsqrt approx.f32 %4 : !ptx.reg<f32>
  // CHECK: %55 = ptx.selp b16 %1, %1, %7 : !ptx.reg<b16>
  %55 = ptx.selp b16 %1, %1, %7 : !ptx.reg<b16>
  // CHECK: %56 = ptx.set eq.u32.b16 %1, %1 : !ptx.reg<b32>
  %56 = ptx.set eq.u32.b16 %1, %1 : !ptx.reg<b32>
  // CHECK: ptx.setmaxnreg inc.sync.aligned.u32 64
  ptx.setmaxnreg inc.sync.aligned.u32 64
  // CHECK: %57 = ptx.setp eq.b16 %1, %1 : !ptx.reg<pred>
  %57 = ptx.setp eq.b16 %1, %1 : !ptx.reg<pred>
  // CHECK: %58 = ptx.shf l.wrap.b32 %2, %2, %2 : !ptx.reg<b32>
  %58 = ptx.shf l.wrap.b32 %2, %2, %2 : !ptx.reg<b32>
  // CHECK: %59 = ptx.shfl sync.up.b32 %2, %2, %2, %2 : !ptx.reg<b32>
  %59 = ptx.shfl sync.up.b32 %2, %2, %2, %2 : !ptx.reg<b32>
  // CHECK: %60 = ptx.shl b16 %1, %2 : !ptx.reg<b16>
  %60 = ptx.shl b16 %1, %2 : !ptx.reg<b16>
  // CHECK: %61 = ptx.shr b16 %1, %2 : !ptx.reg<b16>
  %61 = ptx.shr b16 %1, %2 : !ptx.reg<b16>
  // CHECK: %62 = ptx.sin approx.f32 %4 : !ptx.reg<f32>
  %62 = ptx.sin approx.f32 %4 : !ptx.reg<f32>
  // CHECK: %63 = ptx.sqrt rn.f32 %4 : !ptx.reg<f32>
  %63 = ptx.sqrt rn.f32 %4 : !ptx.reg<f32>
  // CHECK: ptx.st b8 [%0 + 16], %2
  ptx.st b8 [%0 + 16], %2
  // CHECK: ptx.stmatrix sync.aligned.m8n8.x1.b16 [%0 + 16], {%2}
  ptx.stmatrix sync.aligned.m8n8.x1.b16 [%0 + 16], {%2}
  // CHECK: %64 = ptx.sub u16 %1, %1 : !ptx.reg<b16>
  %64 = ptx.sub u16 %1, %1 : !ptx.reg<b16>
  // CHECK: %65 = ptx.tanh approx.f32 %4 : !ptx.reg<f32>
  %65 = ptx.tanh approx.f32 %4 : !ptx.reg<f32>
  // CHECK: %66 = ptx.testp finite.f32 %4 : !ptx.reg<pred>
  %66 = ptx.testp finite.f32 %4 : !ptx.reg<pred>
  // CHECK: ptx.trap
  ptx.trap
  // CHECK: %67 = ptx.vote sync.any.pred %7, %2 : !ptx.reg<pred>
  %67 = ptx.vote sync.any.pred %7, %2 : !ptx.reg<pred>
  // CHECK: ptx.wgmma fence.sync.aligned
  ptx.wgmma fence.sync.aligned
  // CHECK: %68 = ptx.xor b16 %1, %1 : !ptx.reg<b16>
  %68 = ptx.xor b16 %1, %1 : !ptx.reg<b16>
  // CHECK: ptx.ret
  ptx.ret
}
// CHECK: ptx.kernel @control_flow {params = {out = "u64"}, reqntid = 64 : i32} {
ptx.kernel @control_flow {params = {out = "u64"}, reqntid = 64 : i32} {
  // CHECK: %0 = ptx.ld param.u64 [@out] : !ptx.reg<b64>
  %0 = ptx.ld param.u64 [@out] : !ptx.reg<b64>
  // CHECK: ptx.bra ^bb2
  ptx.bra ^bb2
^bb1(%1: !ptx.reg<b32>):
  // CHECK: %2 = ptx.mov f32 "0f7F800000" : !ptx.reg<f32>
  %2 = ptx.mov f32 "0f7F800000" : !ptx.reg<f32>
  // CHECK: %3 = ptx.ld global.f32 [%0 - 8] if not %4 as !ptx.reg<pred> else %2 : !ptx.reg<f32>
  %3 = ptx.ld global.f32 [%0 - 8] if not %4 as !ptx.reg<pred> else %2 : !ptx.reg<f32>
  // CHECK: ptx.st global.f32 [%0], %3 if %4
  ptx.st global.f32 [%0], %3 if %4
  // CHECK: ptx.st global.b32 [%0 + 4], %5 as !ptx.reg<b32>
  ptx.st global.b32 [%0 + 4], %5 as !ptx.reg<b32>
  // CHECK: ptx.bra ^bb3
  ptx.bra ^bb3
^bb2:
  // CHECK: %5 = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  %5 = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  // CHECK: %4 = ptx.setp gt.u32 %5, 3 : !ptx.reg<pred>
  %4 = ptx.setp gt.u32 %5, 3 : !ptx.reg<pred>
  // CHECK: ptx.cbra uni %4, ^bb1(%5), ^bb3
  ptx.cbra uni %4, ^bb1(%5), ^bb3
^bb3:
  // CHECK: ptx.ret
  ptx.ret
}
// CHECK: ptx.kernel @arrays {params = {x = "u64"}, reqntid = 128 : i32} {
ptx.kernel @arrays {params = {x = "u64"}, reqntid = 128 : i32} {
  // CHECK: %x = ptx.ld param.u64 [@x] : !ptx.reg<b64>
  %x = ptx.ld param.u64 [@x] : !ptx.reg<b64>
  // CHECK: %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  // CHECK: %p = ptx.pack %f, %f : !ptx.regs<f32, 2>
  %p = ptx.pack %f, %f : !ptx.regs<f32, 2>
  // CHECK: %a, %b = ptx.unpack %p : !ptx.reg<f32>, !ptx.reg<f32>
  %a, %b = ptx.unpack %p : !ptx.reg<f32>, !ptx.reg<f32>
  // CHECK: %u = ptx.undef : !ptx.reg<f32>
  %u = ptx.undef : !ptx.reg<f32>
  // CHECK: ptx.st global.v4.f32 [%x + 16], {%a, %b, %u, %u}
  ptx.st global.v4.f32 [%x + 16], {%a, %b, %u, %u}
  // CHECK: ptx.ret
  ptx.ret
}
